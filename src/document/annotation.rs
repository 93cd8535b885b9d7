//! Annotation values: what X-Ray indexes, so that traces can be searched by it.
//!
//! In: strings, numbers of any type, booleans. Out: values that keep their meaning in X-Ray.

use std::borrow::Cow;

/// The value of an annotation: a string, a number or a boolean.
///
/// Every integer type converts. X-Ray keeps numbers as 64-bit floats, so an integer beyond ±2⁵³ is sent as a string
/// rather than rounded. Strings are cut at 1,000 characters. A float that is not finite is refused when it is added.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnnotationValue<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// Anything else.
    Text(Cow<'a, str>),
}

/// The largest whole number up to which a 64-bit float holds every one.
const MAX_SAFE: i128 = 1 << 53;

impl From<i128> for AnnotationValue<'_> {
    fn from(value: i128) -> Self {
        match i64::try_from(value) {
            Ok(small) if value.abs() <= MAX_SAFE => Self::Integer(small),
            _ => Self::Text(value.to_string().into()),
        }
    }
}

impl From<u128> for AnnotationValue<'_> {
    fn from(value: u128) -> Self {
        i128::try_from(value).map_or_else(|_| Self::Text(value.to_string().into()), Self::from)
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {$(
        impl From<$integer> for AnnotationValue<'_> {
            fn from(value: $integer) -> Self {
                (value as i128).into()
            }
        }
    )*};
}

from_integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl From<bool> for AnnotationValue<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f32> for AnnotationValue<'_> {
    fn from(value: f32) -> Self {
        // By way of its shortest text: 0.1 stays 0.1 instead of 0.10000000149011612.
        Self::Float(value.to_string().parse().unwrap_or(f64::from(value)))
    }
}

impl From<f64> for AnnotationValue<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl<'a> From<Cow<'a, str>> for AnnotationValue<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a str> for AnnotationValue<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value.into())
    }
}

impl<'a> From<&'a String> for AnnotationValue<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for AnnotationValue<'_> {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}
