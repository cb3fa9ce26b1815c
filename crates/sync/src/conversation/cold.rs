//! A target that has nothing to build on: each layer crosses as soon as it is read, while the next one is.
//!
//! Nothing is asked and nothing is offered. One stream has of each layer the limit of its batches (4 bytes,
//! little-endian), its header delta and its literals in batches, and the config at last, since an engine may give
//! that last.

use std::io;
use std::iter;

use dsync_delta::ChunkRef;
use dsync_delta::batching::ChunkRange;
use dsync_delta::header_delta::Literal;

/// Bytes of the first batch of a layer; each has room for twice as many as the one before, up to the limit.
const FIRST_BATCH: u64 = 4 << 20;

/// The literals of one layer, which is taken for the first.
pub(crate) fn spots(literals: &[Literal]) -> impl Iterator<Item = ChunkRef> + '_ {
    literals.iter().map(|literal| ChunkRef { layer: 0, content: literal.content })
}

/// The limits of the batches of one layer: small ones first, so that the link has something to do at once.
pub(crate) fn batch_limits(most: u32) -> impl Iterator<Item = u64> {
    let most = u64::from(most);
    iter::successors(Some(FIRST_BATCH.min(most)), move |limit| Some((limit * 2).min(most)))
}

/// There is nothing old.
pub(crate) fn no_old(_: &ChunkRange, _: &mut Vec<u8>) -> io::Result<()> {
    Ok(())
}
