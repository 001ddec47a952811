//! Answers that are JSON already.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use cqrs_core::Failure;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A `T` as JSON, made once and sent to all who ask for it. Cheap to clone.
pub struct Rendered<T> {
    json: Arc<RawValue>,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize> Rendered<T> {
    /// Makes the JSON.
    pub fn new(answer: &T) -> Result<Self, Failure> {
        let json = serde_json::value::to_raw_value(answer).map_err(Failure::internal)?;
        Ok(Self { json: json.into(), of: PhantomData })
    }
}

impl<T: DeserializeOwned> Rendered<T> {
    /// What it was made of.
    pub fn read(&self) -> Result<T, Failure> {
        serde_json::from_str(self.json.get()).map_err(Failure::internal)
    }
}

impl<T> Rendered<T> {
    /// The JSON.
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl<T> Clone for Rendered<T> {
    fn clone(&self) -> Self {
        Self { json: self.json.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Rendered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

impl<T> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}
