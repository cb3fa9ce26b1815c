//! Deflate as zlib does it, and as GNU gzip and pigz do: Bazel, Python, hand-made layers, base images.
//!
//! An altered port of `deflate.c` and `trees.c` of zlib 1.2.13, whose output is that of 1.2.5 to 1.3.1 (Copyright ©
//! 1995–2022 Jean-loup Gailly and Mark Adler; the notice is in the crate's `LICENSE-ZLIB`). GNU gzip has the same
//! algorithm by the same authors: its blocks are larger and may end early, which zlib knew as `TRUNCATE_BLOCK`, and it
//! looks beyond the end of its input.

mod block;
mod flavour;
mod pigz;
mod tree;
mod window;

pub use flavour::Flavour;
pub(crate) use pigz::{Pigz, is_block, pigz_block};
pub(crate) use window::Deflate;
