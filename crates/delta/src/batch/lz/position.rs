//! Positions within items, of which the low bits are contexts.

/// Low bits of the position in contexts.
pub(super) const POSITIONS: usize = 4;

/// Where the items lie in the new bytes: an iterator of the low bits of positions would be slow, so the ends
/// are walked beside the bytes.
pub(super) struct ItemPositions<'a> {
    lens: &'a [u64],
    begin: usize,
    end: usize,
}

impl<'a> ItemPositions<'a> {
    pub(super) fn new(lens: &'a [u64]) -> Self {
        Self { lens, begin: 0, end: 0 }
    }

    /// The low bits of a position in its item. Positions must not decrease.
    pub(super) fn at(&mut self, at: usize) -> usize {
        while at >= self.end {
            let Some((len, rest)) = self.lens.split_first() else { break };
            (self.begin, self.end, self.lens) = (self.end, self.end.saturating_add(*len as usize), rest);
        }
        (at - self.begin) % POSITIONS
    }
}
