//! Items of a list, and how much of their hashes crosses the wire.

use std::ops::Range;

/// An item of a list: a hash of all that makes it equal to another.
pub type Item = [u8; 16];

/// The most items of a list that is asked about.
pub const ITEMS_MAX: usize = 1 << 21;

/// The part of a hash that crosses the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Two hashes are hardly ever equal by chance.
    Wide,
    /// Few hashes are equal by chance.
    Narrow,
}

impl Width {
    pub(super) fn bytes(self) -> usize {
        match self {
            Width::Wide => 7,
            Width::Narrow => 4,
        }
    }
}

/// Adds a range at the end of a list of ranges, to the last one where they touch.
pub(crate) fn append(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}
