//! Tables of levels 4 to 6: the last place of four bytes, and the last two of seven.

use super::history::hash;

const BITS: u32 = 15;
const SIZE: usize = 1 << BITS;

/// The last place, and the one before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlacePair {
    pub(super) last: i32,
    pub(super) older: i32,
}

pub(super) struct Tables {
    short: Box<[i32; SIZE]>,
    long: Box<[PlacePair; SIZE]>,
}

/// The tables while a block is encoded, whose history begins at `first`.
pub(super) struct BlockTables<'a> {
    first: i32,
    short: &'a mut [i32; SIZE],
    long: &'a mut [PlacePair; SIZE],
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { short: Box::new([0; SIZE]), long: Box::new([PlacePair::default(); SIZE]) }
    }

    pub(super) fn after(&mut self, first: i32) -> BlockTables<'_> {
        BlockTables { first, short: &mut self.short, long: &mut self.long }
    }

    /// Changes all places.
    pub(super) fn change(&mut self, change: &dyn Fn(&mut i32)) {
        self.short.iter_mut().for_each(change);
        for pair in self.long.iter_mut() {
            change(&mut pair.last);
            change(&mut pair.older);
        }
    }
}

impl BlockTables<'_> {
    /// Remembers where four bytes are.
    #[inline]
    pub(super) fn put_short(&mut self, bytes: u64, at: i32) {
        self.short[hash::<4, BITS>(bytes)] = at + self.first;
    }

    /// Remembers where seven bytes are.
    #[inline]
    pub(super) fn put_long(&mut self, bytes: u64, at: i32) {
        let pair = &mut self.long[hash::<7, BITS>(bytes)];
        *pair = PlacePair { last: at + self.first, older: pair.last };
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: u64, at: i32) {
        self.put_short(bytes, at);
        self.put_long(bytes, at);
    }

    /// The last place of four bytes; out of reach if they were not seen.
    #[inline]
    pub(super) fn short(&self, bytes: u64) -> i32 {
        self.short[hash::<4, BITS>(bytes)] - self.first
    }

    /// The last two places of seven bytes.
    #[inline]
    pub(super) fn long(&self, bytes: u64) -> PlacePair {
        let pair = self.long[hash::<7, BITS>(bytes)];
        PlacePair { last: pair.last - self.first, older: pair.older - self.first }
    }
}
