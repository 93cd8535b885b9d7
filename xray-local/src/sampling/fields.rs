//! In: a JSON object of a stranger. Out: its fields, checked, or a problem that says where it is wrong.

use serde_json::{Map, Value};

use crate::check::problem::Problem;

/// A JSON object and where it is.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, path: &str) -> Result<Self, Problem> {
        let object = value.as_object().ok_or_else(|| Problem::rejected(path, "is not an object"))?;
        Ok(Self { object, path: path.to_owned() })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn fields(&self, key: &str) -> Result<Self, Problem> {
        Self::of(self.get(key).ok_or_else(|| self.missing(key))?, &self.path_to(key))
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<Self>, Problem> {
        let list = self.get(key).ok_or_else(|| self.missing(key))?;
        let list = list.as_array().ok_or_else(|| self.wrong_at(key, "is not an array"))?;
        let path = self.path_to(key);
        list.iter().enumerate().map(|(at, item)| Self::of(item, &format!("{path}[{at}]"))).collect()
    }

    pub(super) fn text(&self, key: &str, longest: usize) -> Result<Option<&'a str>, Problem> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| self.wrong_at(key, "is not a string"))?;
        if text.chars().count() > longest {
            return Err(self.wrong_at(key, format!("is longer than {longest} characters")));
        }
        Ok(Some(text))
    }

    pub(super) fn whole(&self, key: &str, first: u64, last: u64) -> Result<u64, Problem> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        let number = value.as_u64().filter(|number| (first..=last).contains(number));
        number.ok_or_else(|| self.wrong_at(key, format!("is not a whole number from {first} to {last}")))
    }

    pub(super) fn number(&self, key: &str) -> Result<f64, Problem> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        value.as_f64().ok_or_else(|| self.wrong_at(key, "is not a number"))
    }

    pub(super) fn rate(&self, key: &str) -> Result<f64, Problem> {
        let rate = self.number(key)?;
        if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(self.wrong_at(key, "is not a number from 0 to 1")) }
    }

    pub(super) fn missing(&self, key: &str) -> Problem {
        self.wrong_at(key, "is missing")
    }

    pub(super) fn wrong_at(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::rejected(&self.path_to(key), message)
    }

    pub(super) fn wrong(&self, message: &str) -> Problem {
        Problem::rejected(&self.path, message)
    }

    /// A field that is null is one that is not there.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn path_to(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}
