//! The vocabulary of docker-sync: digests, image references, platforms, and read-only views over raw
//! config bytes. Everything here is a value; nothing here reads a file, runs a process or knows a wire.

mod config;
mod digest;
mod image;
mod instant;
mod platform;
mod reference;

pub use config::{Config, ConfigError};
pub use digest::{ChainId, DiffId, Digest, DigestError, ImageId};
pub use image::{Image, Inventory, Unreadable, shared_prefix};
pub use instant::Instant;
pub use platform::Platform;
pub use reference::{ImageRef, Pattern, ReferenceError};
