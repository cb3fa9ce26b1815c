//! Readers of engines' own files, for fuzzers: they are private to the stores that use them.

pub use crate::client::fuzzing::{Take, read_bolt, tar_split};
