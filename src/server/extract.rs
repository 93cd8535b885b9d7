//! The entity of a request as an argument of an axum handler.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{context::current, entity::Entity};

/// The segment of the request, or the entity that is current; [`Entity::none`] where nothing is traced.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_xray::Entity;
///
/// async fn show(segment: Entity) -> &'static str {
///     segment.add_annotation("tier", "gold");
///     "an order"
/// }
///
/// let app: Router = Router::new().route("/orders/{id}", get(show));
/// ```
impl<S: Sync> FromRequestParts<S> for Entity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(current))
    }
}
