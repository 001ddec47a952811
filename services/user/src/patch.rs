//! One field of a PATCH: left out, set to null, or given.

use serde::{Deserialize, Deserializer};

/// What a PATCH says of a field. With `#[serde(default)]` on the field, one that is left out is [`Patch::Keep`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Left out: it stays as it is.
    #[default]
    Keep,
    /// `null`: it is taken away.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// What the field is afterwards, `present` being what it is now.
    pub fn apply<U>(&self, present: Option<&U>) -> Option<U>
    where
        T: Clone + Into<U>,
        U: Clone,
    {
        match self {
            Self::Keep => present.cloned(),
            Self::Clear => None,
            Self::Set(value) => Some(value.clone().into()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Form {
        #[serde(default)]
        bio: Patch<String>,
    }

    #[test]
    fn absent_null_and_given_are_told_apart() {
        let read = |json| serde_json::from_str::<Form>(json).expect("a form").bio;
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"bio":null}"#), Patch::Clear);
        assert_eq!(read(r#"{"bio":"x"}"#), Patch::Set("x".to_owned()));
    }

    #[test]
    fn a_field_is_kept_cleared_or_set() {
        let old = "old".to_owned();
        assert_eq!(Patch::<String>::Keep.apply(Some(&old)), Some(old.clone()));
        assert_eq!(Patch::<String>::Clear.apply(Some(&old)), None);
        assert_eq!(Patch::Set("new".to_owned()).apply(Some(&old)), Some("new".to_owned()));
    }
}
