//! The plain bytes that matches may reach, and places in tables.

use crate::deflate::word;

/// Places are counted anew before they are beyond this.
pub(super) const MOST: u32 = 1 << 31;

/// The window before the block, and the block. Places in tables are `first` and more, so that 0 is always too far.
pub(super) struct History {
    pub(super) bytes: Vec<u8>,
    /// The place of the first byte.
    pub(super) first: u32,
    /// No match is as far as this.
    pub(super) window: u32,
}

impl History {
    pub(super) fn new(window: u32) -> Self {
        Self { bytes: Vec::new(), first: window, window }
    }

    /// Adds a block, and says where it begins.
    pub(super) fn append(&mut self, block: &[u8]) -> usize {
        let window = self.window as usize;
        if self.bytes.len() + block.len() > 2 * window {
            let gone = self.bytes.len().saturating_sub(window);
            self.bytes.drain(..gone);
            self.first += gone as u32;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(block);
        start
    }

    /// If places become too large: what is to be done with each that is remembered.
    pub(super) fn count_anew(&mut self) -> Option<impl Fn(&mut u32) + use<>> {
        if self.first < MOST {
            return None;
        }
        let (first, window) = (self.first, self.window);
        let least = first + (self.bytes.len() as u32).saturating_sub(window);
        self.first = window;
        Some(move |place: &mut u32| *place = if *place < least { 0 } else { *place - first + window })
    }
}

/// Eight bytes from a place on.
#[inline]
pub(super) fn load64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).map_or(0, word)
}

/// Four bytes from a place on.
#[inline]
pub(super) fn load32(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(chunk) => u32::from_le_bytes(*chunk),
        None => 0,
    }
}

/// The number of equal bytes from two positions on.
#[inline]
pub(super) fn same(bytes: &[u8], at: usize, before: usize) -> usize {
    match (bytes.get(at..), bytes.get(before..)) {
        (Some(a), Some(b)) => dsync_core::common_prefix(a, b, usize::MAX),
        _ => 0,
    }
}

/// The number of equal bytes before two positions, at most `most`, and not before `least`.
#[inline]
pub(super) fn same_before(bytes: &[u8], at: usize, before: usize, most: usize, least: usize) -> usize {
    let most = most.min(before.saturating_sub(least));
    let mut count = 0;
    while count < most && bytes[at - count - 1] == bytes[before - count - 1] {
        count += 1;
    }
    count
}

/// A hash of the lowest `BYTES` bytes, from 4 to 8, of `BITS` bits.
#[inline]
pub(super) fn hash<const BYTES: u32, const BITS: u32>(word: u64) -> usize {
    const PRIME: [u64; 9] = [
        0,
        0,
        0,
        0,
        2_654_435_761,
        889_523_592_379,
        227_718_039_650_203,
        58_295_818_150_454_627,
        0xcf1b_bcdc_b7a5_6463,
    ];
    if BYTES == 4 {
        return ((word as u32).wrapping_mul(2_654_435_761) >> (32 - BITS)) as usize;
    }
    ((word << (64 - 8 * BYTES)).wrapping_mul(PRIME[BYTES as usize]) >> (64 - BITS)) as usize
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
