//! The history that matches may reach, positions in it, and hashes of the next bytes.

use crate::deflate::alphabet::{FARTHEST, STORED};
use crate::deflate::word;

/// Bytes that are kept: blocks are appended until they are full, then all but the last [`FARTHEST`] are dropped.
const CAPACITY: usize = 5 * STORED;
/// The memory for them. Any place modulo `SPACE` is one in it, with a word before it and one after it, so that no place
/// has to be checked.
const SPACE: usize = CAPACITY.next_power_of_two();
const WORD: usize = 8;
type HistoryBuffer = [u8; WORD + SPACE + WORD];
/// Places are counted anew from here on.
pub(super) const MOST: i32 = i32::MAX - (CAPACITY + STORED) as i32;
/// The farthest match, as places are counted.
pub(super) const REACH: i32 = FARTHEST as i32;
/// Bytes at the end of a block where no match begins.
const MARGIN: i32 = 11;

/// The blocks so far, the last of which is to be encoded.
pub(super) struct History {
    bytes: Box<HistoryBuffer>,
    len: usize,
    /// The place of the first byte.
    pub(super) first: i32,
}

/// A block within the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryBlock {
    pub(super) start: i32,
    /// No match begins after it.
    pub(super) limit: i32,
}

/// The bytes of a history.
#[derive(Clone, Copy)]
pub(super) struct HistoryView<'a> {
    bytes: &'a HistoryBuffer,
    pub(super) len: i32,
}

impl History {
    pub(super) fn new() -> Self {
        Self { bytes: Box::new([0; WORD + SPACE + WORD]), len: 0, first: STORED as i32 }
    }

    /// Appends a block, of at most 65535 bytes.
    pub(super) fn append(&mut self, plain: &[u8]) -> HistoryBlock {
        if self.len + plain.len() > CAPACITY {
            let dropped = self.len - FARTHEST;
            self.bytes.copy_within(WORD + dropped..WORD + self.len, WORD);
            self.len = FARTHEST;
            self.first += dropped as i32;
        }
        let start = self.len;
        self.len += plain.len();
        self.bytes[WORD + start..WORD + self.len].copy_from_slice(plain);
        HistoryBlock { start: start as i32, limit: self.len as i32 - MARGIN }
    }

    pub(super) fn view(&self) -> HistoryView<'_> {
        HistoryView { bytes: &self.bytes, len: self.len as i32 }
    }

    /// Puts all that was out of reach.
    pub(super) fn reset(&mut self) {
        if self.first <= MOST {
            self.first += REACH + self.len as i32;
        }
        self.len = 0;
    }

    /// True if positions have to be counted anew before the next block. Then they are, and each position in tables must
    /// become what the answer makes of it.
    pub(super) fn count_anew(&mut self) -> Option<impl Fn(&mut i32) + use<>> {
        if self.first < MOST {
            return None;
        }
        let (first, len) = (self.first, self.len as i32);
        let least = if len == 0 { i32::MAX } else { first + len - REACH };
        self.first = REACH;
        Some(move |place: &mut i32| *place = if *place <= least { 0 } else { *place - first + REACH })
    }
}

impl HistoryView<'_> {
    /// Eight bytes at a place.
    #[inline]
    pub(super) fn bytes(self, at: i32) -> u64 {
        word(&self.bytes[WORD + at as usize % SPACE..])
    }

    /// Eight bytes before a place.
    #[inline]
    fn bytes_before(self, at: i32) -> u64 {
        word(&self.bytes[at as usize % SPACE..])
    }

    /// Four bytes at a place.
    #[inline]
    pub(super) fn four(self, at: i32) -> u32 {
        self.bytes(at) as u32
    }

    /// The number of equal bytes at two positions, at most `most`.
    #[inline]
    pub(super) fn common(self, a: i32, b: i32, most: i32) -> i32 {
        let most = most.min(self.len - a.max(b));
        let mut same = 0;
        while same < most {
            let differing = self.bytes(a + same) ^ self.bytes(b + same);
            if differing != 0 {
                return most.min(same + differing.trailing_zeros() as i32 / 8);
            }
            same += WORD as i32;
        }
        most.max(0)
    }

    /// The number of equal bytes before two places, where there are at least `most`.
    #[inline]
    pub(super) fn common_before(self, a: i32, b: i32, most: i32) -> i32 {
        let mut same = 0;
        while same < most {
            let differing = self.bytes_before(a - same) ^ self.bytes_before(b - same);
            if differing != 0 {
                return most.min(same + differing.leading_zeros() as i32 / 8);
            }
            same += WORD as i32;
        }
        most.max(0)
    }
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

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
