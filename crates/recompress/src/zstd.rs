//! zstd as `github.com/klauspost/compress/zstd` does it: BuildKit, podman, skopeo, buildah, nerdctl.
//!
//! A port of klauspost/compress 1.19.1 and, where they differ, 1.16.7 and 1.15.12: `zstd/encoder.go`, `blockenc.go`,
//! `seqenc.go`, `fse_encoder.go`, `frameenc.go`, `enc_fast.go`, `enc_dfast.go`, `enc_better.go`, `enc_best.go`, and of
//! `huff0` and `fse` what these use (BSD-3-Clause; the notice is in the crate's `LICENSE-GO`).

mod best;
mod better;
mod bits;
mod block;
#[cfg(test)]
#[path = "zstd/decoder_tests.rs"]
mod decoder;
mod double;
mod encoder;
mod entropy;
mod fast;
mod finder;
mod frame;
mod fse;
mod history;
mod huffman;
mod parameters;
mod search;
mod sequences;

pub(crate) use encoder::Zstd;
pub(crate) use frame::{FrameHead, HEAD, MAGIC};
pub use parameters::{Generation, ZstdLevel};
