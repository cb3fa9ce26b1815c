//! A password in a message: a text, perhaps none.

use dsync_core::Password;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::budget;

/// Serializes a password.
pub(crate) fn serialize<S: Serializer>(password: &Option<Password>, to: S) -> Result<S::Ok, S::Error> {
    password.as_ref().map(Password::reveal).serialize(to)
}

/// Deserializes one.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Password>, D::Error> {
    #[derive(Deserialize)]
    struct Counted(#[serde(deserialize_with = "budget::text")] String);
    Ok(Option::<Counted>::deserialize(from)?.map(|Counted(text)| Password::new(text)))
}
