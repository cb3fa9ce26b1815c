//! The memory budget of a decoder: lists and texts are counted while they are decoded, by the memory that they take.
//!
//! A deserializer of serde has no context to keep that count in, so it is kept by thread.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, Error, SeqAccess, Visitor};

thread_local! {
    /// Bytes that are left of the budget of this thread.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Overhead of an allocation.
const ALLOCATION: usize = 16;

/// Decodes with a budget of `memory` bytes.
pub fn within<T>(memory: usize, decode: impl FnOnce() -> T) -> T {
    let before = LEFT.replace(memory);
    let decoded = decode();
    LEFT.set(before);
    decoded
}

fn take<E: Error>(bytes: usize) -> Result<(), E> {
    let left = LEFT.get().checked_sub(bytes);
    LEFT.set(left.ok_or_else(|| E::custom("a message takes more memory than it may"))?);
    Ok(())
}

/// Deserializes a list.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(List(PhantomData))
}

struct List<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        take(ALLOCATION)?;
        while let Some(item) = items.next_element()? {
            take(size_of::<T>())?;
            list.push(item);
        }
        Ok(list)
    }
}

/// Deserializes bytes.
pub fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    from.deserialize_bytes(Bytes)
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        take(ALLOCATION + bytes.len())?;
        Ok(bytes.to_vec())
    }
}

/// Deserializes a text.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    from.deserialize_str(Text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        take(ALLOCATION + text.len())?;
        Ok(text.to_owned())
    }
}

/// Deserializes a list of texts.
pub fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(list::<D, Counted>(from)?.into_iter().map(|Counted(text)| text).collect())
}

/// A text that is counted.
#[derive(serde::Deserialize)]
struct Counted(#[serde(deserialize_with = "text")] String);
