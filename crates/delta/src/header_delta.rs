//! Header deltas: layer indexes, encoded field by field against those that the peer knows.
//!
//! Each field of the records has a column of its own, and each value is encoded against the same field of the most
//! similar record: the one with the same path in the basis, or else the last of its kind. So a rebuilt layer has zeros
//! in most columns. The format is in `docs/header-delta.md`.

mod basis;
mod columns;
mod decode;
mod encode;
mod error;
mod origin;
mod prediction;
mod record_shape;
mod tables;
#[cfg(test)]
mod tests;

pub use columns::SECTION_MAX;
pub use decode::{Assembly, Decoder, Limits};
pub use encode::Encoder;
pub use error::HeaderDeltaError;
pub use origin::{ChunkRef, Literal, Mode, Origin};
