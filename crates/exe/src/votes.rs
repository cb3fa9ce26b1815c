//! Fits an address map to votes of single addresses, where each range has a cost.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::address_map::AddressMap;
use crate::memory::roomy;

/// The gain of an address that the map moves right, and the cost of a range.
const AGREES: i64 = 10;
const RANGE: i64 = 14;

/// Votes on how far addresses move; they may contradict each other.
#[derive(Debug, Default)]
pub(crate) struct Votes(Vec<u64>);

impl Votes {
    /// Reserves room for `more` votes.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    pub(crate) fn add(&mut self, old: u32, new: u32) {
        self.0.push(u64::from(old) << 32 | u64::from(new.wrapping_sub(old)));
    }

    /// The best map: the path through all addresses with the most votes, less the cost of its ranges (Viterbi).
    pub(crate) fn fit(&mut self) -> AddressMap {
        self.0.sort_unstable();
        let mut steps: Vec<PathStep> = roomy(self.0.len());
        let mut paths: HashMap<u32, Path, BuildHasherDefault<Spread>> = HashMap::default();
        paths.insert(0, Path::EMPTY);
        let mut best = Path::EMPTY;
        for here in self.0.chunk_by(|one, next| one >> 32 == next >> 32) {
            let before = best;
            for same in here.chunk_by(|one, next| one == next) {
                let shift = same[0] as u32;
                let changed = Path { score: before.score - RANGE, ..before };
                let stayed = paths.get(&shift).copied();
                let (from, is_start) = match stayed {
                    Some(stayed) if stayed.score >= changed.score => (stayed, false),
                    _ => (changed, true),
                };
                let score = from.score + AGREES * same.len() as i64;
                let path = Path { score, last: steps.len() as u32 };
                steps.push(PathStep { addr: (same[0] >> 32) as u32, shift, before: from.last, is_start });
                paths.insert(shift, path);
                if path.score > best.score {
                    best = path;
                }
            }
        }
        let (mut starts, mut shifts) = (Vec::new(), Vec::new());
        let mut next = best.last;
        while let Some(step) = steps.get(next as usize) {
            if step.is_start {
                starts.push(step.addr);
                shifts.push(step.shift as i32);
            }
            next = step.before;
        }
        starts.reverse();
        shifts.reverse();
        AddressMap::new(starts, shifts)
    }
}

const NO_STEP: u32 = u32::MAX;

/// A path through the addresses so far.
#[derive(Debug, Clone, Copy)]
struct Path {
    /// The gain of its addresses less the cost of its ranges.
    score: i64,
    /// The number of its last step, or [`NO_STEP`].
    last: u32,
}

impl Path {
    const EMPTY: Path = Path { score: 0, last: NO_STEP };
}

/// An address, and how far it moves on some path.
struct PathStep {
    addr: u32,
    shift: u32,
    /// The one before on the path.
    before: u32,
    is_start: bool,
}

/// Hashes single numbers.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The map of these votes: old and new addresses.
    fn fit(votes: impl IntoIterator<Item = (u32, u32)>) -> AddressMap {
        let mut all = Votes::default();
        votes.into_iter().for_each(|(old, new)| all.add(old, new));
        all.fit()
    }

    fn moved(range: std::ops::Range<u32>, by: i32) -> impl Iterator<Item = (u32, u32)> {
        range.map(move |addr| (addr, addr.wrapping_add_signed(by)))
    }

    #[test]
    fn ranges_that_agree_are_ranges_of_the_map() {
        let votes =
            moved(0..100, 0).chain(moved(200..300, 64)).chain(moved(400..500, -8)).chain(moved(600..700, 0));
        let map = fit(votes);
        assert_eq!(map.encode(), AddressMap::new(vec![200, 400, 600], vec![64, -8, 0]).encode());
        assert_eq!(fit([]), AddressMap::new(vec![], vec![]));
    }

    #[test]
    fn the_order_of_votes_does_not_count() {
        let votes: Vec<(u32, u32)> =
            moved(0..50, 4).chain(moved(50..60, 9)).chain([(55, 55), (3, 90)]).collect();
        let expected = fit(votes.iter().copied());
        assert_eq!(fit(votes.iter().rev().copied()), expected);
        let every_third = (0..3).flat_map(|first| votes.iter().copied().skip(first).step_by(3));
        assert_eq!(fit(every_third), expected);
    }

    #[test]
    fn a_contradiction_is_outvoted_and_costs_no_range() {
        let wrong = [(20, 999), (40, 7), (41, 8)];
        let map = fit(moved(0..100, 16).chain(wrong));
        assert_eq!(map, AddressMap::new(vec![0], vec![16]));
        // One address alone is not worth the two ranges around it, three are.
        assert_eq!(
            fit(moved(0..50, 16).chain(moved(50..51, 24)).chain(moved(51..100, 16))).encode().len(),
            3
        );
        let three = fit(moved(0..50, 16).chain(moved(50..53, 24)).chain(moved(53..100, 16)));
        assert_eq!([49, 50, 52, 53].map(|addr| three.shift(addr)), [16, 24, 24, 16]);
    }

    #[test]
    fn one_address_may_have_many_votes() {
        // The majority at one address: three for one shift against two for another.
        let votes = [(10, 20), (10, 20), (10, 20), (10, 99), (10, 99)];
        assert_eq!(fit(votes).moved(10), 20);
        assert_eq!(fit([(u32::MAX, 0), (u32::MAX, 0)]).moved(u32::MAX), 0);
    }
}
