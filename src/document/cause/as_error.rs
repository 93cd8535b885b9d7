//! Anything that an exception can be made of.
//!
//! In: errors, boxes of errors, and errors behind a reference. Out: the error itself, and its type where that is known.

use std::{error::Error, ops::Deref};

/// Marks errors that implement [`Error`] themselves. See [`AsError`].
#[derive(Debug)]
pub enum Typed {}

/// Marks pointers to errors: `Box<dyn Error + Send + Sync>`, `anyhow::Error` and the like. See [`AsError`].
#[derive(Debug)]
pub enum Boxed {}

/// Marks errors of which only the trait is known: `dyn Error`. See [`AsError`].
#[derive(Debug)]
pub enum Bare {}

/// Anything that an exception can be made of: errors ([`Typed`]), pointers to errors ([`Boxed`]), and errors behind a
/// reference ([`Bare`]).
///
/// Functions such as [`capture`](crate::capture) infer `Kind`. The one ambiguous type is `Arc<dyn Error>`: pass `&*error`.
/// Layers ask for boxes by [`boxed_errors`](crate::XRayLayer::boxed_errors).
///
/// The type of an exception is the type of the error where that is known, and otherwise the first name in its `Debug`
/// text: `error` for an error that is plain text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as an exception",
    label = "neither an error nor a box of one",
    note = "implement `std::error::Error` for it, or make one of it: `.map_err(BoxError::from)` does for text",
    note = "the error of a service may be a `BoxError` if `.boxed_errors()` is called on the X-Ray layer, and only then"
)]
pub trait AsError<Kind> {
    /// Returns the error itself.
    fn as_error(&self) -> &dyn Error;

    /// Returns its type, where it is known.
    #[must_use]
    fn type_name() -> Option<&'static str>;
}

impl<E: Error + 'static> AsError<Typed> for E {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        Some(std::any::type_name::<E>())
    }
}

impl AsError<Bare> for dyn Error + 'static {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

impl AsError<Bare> for dyn Error + Send + Sync + 'static {
    fn as_error(&self) -> &dyn Error {
        self
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<P> AsError<Boxed> for P
where
    P: Deref,
    P::Target: private::DynError,
{
    fn as_error(&self) -> &dyn Error {
        private::DynError::as_error(&**self)
    }

    fn type_name() -> Option<&'static str> {
        None
    }
}

mod private {
    use std::error::Error;

    /// The trait objects that an error can be behind. This trait is sealed.
    #[expect(unnameable_types, reason = "sealed")]
    pub trait DynError {
        fn as_error(&self) -> &dyn Error;
    }

    macro_rules! dyn_error {
        ($($object:ty),*) => {$(
            impl<'a> DynError for $object {
                fn as_error(&self) -> &dyn Error {
                    self
                }
            }
        )*};
    }

    dyn_error!(dyn Error + 'a, dyn Error + Send + 'a, dyn Error + Send + Sync + 'a);
}
