//! Positions within items, of which the low bits are contexts.

/// Low bits of the position in contexts.
pub(super) const POSITIONS: usize = 4;

/// The items' places in the new bytes. Their ends are walked beside the bytes: an iterator of the low bits of
/// positions would be slow.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_begin_at_zero_with_every_item() {
        let lens = [3, 0, 0, 6, 1, 0];
        let mut positions = ItemPositions::new(&lens);
        let all: Vec<usize> = (0..10).map(|at| positions.at(at)).collect();
        assert_eq!(all, [0, 1, 2, 0, 1, 2, 3, 0, 1, 0]);
        // Asked twice, and with gaps.
        let mut positions = ItemPositions::new(&lens);
        assert_eq!([0, 2, 2, 5, 9].map(|at| positions.at(at)), [0, 2, 2, 2, 0]);
        // Behind the last item they go on, and a length beyond all numbers is no end.
        let mut positions = ItemPositions::new(&[2]);
        assert_eq!([1, 2, 7].map(|at| positions.at(at)), [1, 2, 3]);
        assert_eq!(ItemPositions::new(&[u64::MAX, u64::MAX]).at(4_000_000_003), 3);
    }
}
