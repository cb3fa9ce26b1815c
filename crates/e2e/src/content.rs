//! Contents of files for tests.

use dsync_core::Digest;
use dsync_lab::images::Layer;

/// Bytes that do not compress, the same for the same seed. A seed is one test's own: the engines are shared,
/// and what another test has put there is not sent again.
pub fn noise(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 32);
    for n in 0.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend_from_slice(Digest::of(format!("{seed} {n}").as_bytes()).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A layer of one file of so many bytes of [`noise`].
pub fn layer(seed: &str, len: usize) -> Layer {
    Layer::builder().file(seed.replace('/', "-"), noise(seed, len)).build()
}
