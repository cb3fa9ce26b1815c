//! Encodes listings against other listings that the peer knows, field by field: the header delta.
//!
//! Each field of the records has a column of its own, and each value is told against the same field of the
//! record that is most like it: the one with the same path in the basis, or else the last of its kind. So a
//! rebuilt layer is a run of zeros in most columns. The format is in `docs/columns.md`.

mod basis;
mod columns;
mod decode;
mod encode;
mod error;
mod index;
mod origin;
mod prediction;

pub use decode::{Assembly, Decoder, Limits};
pub use encode::Encoder;
pub use error::HeaderDeltaError;
pub use origin::{ChunkRef, Literal, Mode, Origin};
