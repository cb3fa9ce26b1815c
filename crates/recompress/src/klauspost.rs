//! Deflate as `github.com/klauspost/compress/flate` does it, levels 1 to 6: podman, skopeo and buildah, and Go's own
//! `compress/flate` from 1.27 on, which is the same code.
//!
//! A port of Go 1.27's `deflate.go`, `level1.go` to `level6.go`, `token.go` and `huffman_bit_writer.go`, and of the
//! same files of klauspost 1.15.12 where they differ (BSD-3-Clause; the notices are in the crate's `LICENSE-GO`).

mod block;
mod encoder;
mod finder;
mod history;
mod level3;
mod level4;
mod level5;
mod level6;
mod matches;
mod pairs;
mod parallel;
mod release;
mod single;
mod tokens;

pub(crate) use encoder::Klauspost;
pub(crate) use parallel::{Pgzip, is_block, pgzip_block};
pub use release::Release;
