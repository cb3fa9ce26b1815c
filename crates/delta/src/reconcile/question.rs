//! Encodes the questions of a reconciliation.

use dsync_core::varint;

use super::error::ReconcileError;
use super::item::{ITEMS_MAX, Item, Width};

/// The most levels of a tree of [`ITEMS_MAX`] items.
const LEVELS: usize = 24;

/// Does the other side have these nodes?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// 0 for items.
    pub(super) level: usize,
    /// The number of items, in the first question.
    pub(super) items: Option<usize>,
    /// For each node that is open, how many of these make it up; one number in the first question.
    pub(super) counts: Vec<u32>,
    /// The beginnings of the nodes' hashes, one after the other.
    hashes: &'a [u8],
    width: Width,
}

/// A question without its hashes.
pub(super) fn begin(level: usize, items: Option<usize>, counts: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [level].into_iter().chain(items).chain(counts) {
        varint::write(number as u64, &mut bytes);
    }
    bytes
}

/// Adds the hash of a node to a question.
pub(super) fn add(hash: &Item, width: Width, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&hash[..width.bytes()]);
}

impl<'a> Question<'a> {
    /// Reads a question while `open` nodes are open, or the first one.
    pub(super) fn from_bytes(
        mut bytes: &'a [u8],
        open: Option<usize>,
        width: Width,
    ) -> Result<Self, ReconcileError> {
        let level = number(&mut bytes)?;
        if level > LEVELS {
            return Err(ReconcileError::Question("too high a level"));
        }
        let items = if open.is_none() { Some(number(&mut bytes)?) } else { None };
        if items.is_some_and(|items| items > ITEMS_MAX) {
            return Err(ReconcileError::Question("too many items"));
        }
        let mut counts = Vec::new();
        let mut left = ITEMS_MAX;
        for _ in 0..open.unwrap_or(1) {
            let count = number(&mut bytes)?;
            left = left.checked_sub(count).ok_or(ReconcileError::Question("too many nodes"))?;
            if count == 0 {
                return Err(ReconcileError::Question("a node without items"));
            }
            // At most ITEMS_MAX.
            counts.push(count as u32);
        }
        if bytes.len() != (ITEMS_MAX - left) * width.bytes() {
            return Err(ReconcileError::Question("another number of nodes than announced"));
        }
        Ok(Question { level, items, counts, hashes: bytes, width })
    }

    /// The number of its nodes.
    pub(super) fn len(&self) -> usize {
        self.hashes.len() / self.width.bytes()
    }

    /// The beginnings of the nodes' hashes, as numbers whose highest byte is the first.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> + 'a {
        self.hashes.chunks_exact(self.width.bytes()).map(number_of)
    }
}

/// The beginning of a hash.
pub(super) fn short(hash: &Item, width: Width) -> u64 {
    number_of(&hash[..width.bytes()])
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn number(bytes: &mut &[u8]) -> Result<usize, ReconcileError> {
    let number = varint::read(bytes).map_err(|_| ReconcileError::Question("it is truncated"))?;
    number.and_then(|number| usize::try_from(number).ok()).ok_or(ReconcileError::Question("no number"))
}
