//! What matches may reach, how places are counted, and hashes of the next bytes.

use crate::deflate::alphabet::{FARTHEST, STORED};
use crate::deflate::word;

/// Bytes that are kept: blocks are appended until they are full, then all but the last [`FARTHEST`] are dropped.
const CAPACITY: usize = 5 * STORED;
/// Places are counted anew from here on.
pub(super) const MOST: i32 = i32::MAX - (CAPACITY + STORED) as i32;
/// The farthest match, as places are counted.
pub(super) const REACH: i32 = FARTHEST as i32;
/// Bytes at the end of a block where no match begins.
const MARGIN: i32 = 11;

/// The blocks so far, the last of which is to be encoded.
pub(super) struct History {
    pub(super) bytes: Vec<u8>,
    /// The place of the first byte.
    pub(super) first: i32,
}

/// A block within the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) start: i32,
    /// No match begins after it.
    pub(super) limit: i32,
}

impl History {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(CAPACITY), first: STORED as i32 }
    }

    /// Appends a block, of at most 65535 bytes.
    pub(super) fn append(&mut self, plain: &[u8]) -> Block {
        if self.bytes.len() + plain.len() > CAPACITY {
            let dropped = self.bytes.len() - FARTHEST;
            self.bytes.drain(..dropped);
            self.first += dropped as i32;
        }
        let start = self.bytes.len() as i32;
        self.bytes.extend_from_slice(plain);
        Block { start, limit: self.bytes.len() as i32 - MARGIN }
    }

    /// Puts all that was out of reach.
    pub(super) fn reset(&mut self) {
        if self.first <= MOST {
            self.first += REACH + self.bytes.len() as i32;
        }
        self.bytes.clear();
    }

    /// Whether places have to be counted anew before the next block. Then they are, and each place in tables must
    /// become what the answer makes of it.
    pub(super) fn count_anew(&mut self) -> Option<impl Fn(&mut i32) + use<>> {
        if self.first < MOST {
            return None;
        }
        let (first, len) = (self.first, self.bytes.len() as i32);
        let least = if len == 0 { i32::MAX } else { first + len - REACH };
        self.first = REACH;
        Some(move |place: &mut i32| *place = if *place <= least { 0 } else { *place - first + REACH })
    }
}

/// Eight bytes at a place of the history.
#[inline]
pub(super) fn bytes_at(history: &[u8], at: i32) -> u64 {
    history.get(at as usize..).map_or(0, word)
}

/// Four bytes at a place of the history.
#[inline]
pub(super) fn four_at(history: &[u8], at: i32) -> u32 {
    let at = at as usize;
    history
        .get(at..at.wrapping_add(4))
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |four| u32::from_le_bytes(*four))
}

/// A hash of the first `BYTES` (4, 5 or 7) bytes, below two to the power of `BITS`.
#[inline]
pub(super) fn hash<const BYTES: u32, const BITS: u32>(bytes: u64) -> usize {
    let hash = match BYTES {
        4 => u64::from((bytes as u32).wrapping_mul(2_654_435_761) >> (32 - BITS)),
        5 => (bytes << 24).wrapping_mul(889_523_592_379) >> (64 - BITS),
        _ => (bytes << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - BITS),
    };
    hash as usize
}

/// How many bytes are the same at two places, the first of which is later. At most `most`.
#[inline]
pub(super) fn common(history: &[u8], later: i32, earlier: i32, most: usize) -> i32 {
    let (later, earlier) = (later as usize, earlier as usize);
    match (history.get(later..), history.get(earlier..)) {
        (Some(later), Some(earlier)) => crate::deflate::common(later, earlier, most) as i32,
        _ => 0,
    }
}
