//! The vocabulary of docker-sync: digests, image references, platforms, read-only views over raw config bytes, and the
//! small encodings that several crates read ([`varint`], [`ustar`], [`pax`]). Everything here is a value; nothing here
//! opens a file, runs a process or knows a wire.

mod common_prefix;
mod config;
mod digest;
mod hashing;
mod image;
mod instant;
mod password;
pub mod pax;
mod platform;
mod reference;
pub mod ustar;
pub mod varint;

pub use common_prefix::common_prefix;
pub use config::{Config, ConfigError};
pub use digest::{ChainId, DiffId, Digest, DigestError, ImageId, LayerKey};
pub use hashing::HashingWriter;
pub use image::{Image, Inventory, Unreadable, shared_prefix};
pub use instant::Instant;
pub use password::Password;
pub use platform::Platform;
pub use reference::{ImageRef, Pattern, ReferenceError};
