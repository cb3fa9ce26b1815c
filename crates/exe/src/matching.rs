//! Pairs the references of a new version with those of an old one, by ranges of equal contexts.

use crate::memory::roomy;
use crate::references::Reference;

/// Consecutive references that are looked up in the index.
const ROW: usize = 4;
/// Candidates that are compared for one lookup.
const DEPTH: usize = 24;
/// References of a candidate that are compared.
const ENOUGH: usize = 48;
/// Old references that may be skipped where the same run goes on behind them.
const NEAR: usize = 12;

/// A reference of an old version and the same one of a new version, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReferencePair {
    pub(crate) old: u32,
    pub(crate) new: u32,
}

impl ReferencePair {
    fn of(old: usize, new: usize) -> Self {
        // Files are at most 128 MiB.
        ReferencePair { old: old as u32, new: new as u32 }
    }
}

/// Pairs the references of two versions, in the order of the new one.
pub(crate) fn pair(old: &[Reference], new: &[Reference]) -> Vec<ReferencePair> {
    let index = ContextIndex::of(old);
    let mut pairs: Vec<ReferencePair> = roomy(new.len());
    // The next old reference, the next new one, and the first new one without a pair.
    let (mut at, mut here, mut open) = (0, 0, 0);
    while here < new.len() {
        if old.get(at).is_some_and(|old| old.context == new[here].context) {
            pairs.push(ReferencePair::of(at, here));
            (at, here) = (at + 1, here + 1);
            open = here;
            continue;
        }
        if let Some(found) = index.find(old, &new[here..], at) {
            let mut back = 0;
            while here - back > open
                && back < found
                && old[found - back - 1].context == new[here - back - 1].context
            {
                back += 1;
            }
            pairs.extend((1..=back).rev().map(|back| ReferencePair::of(found - back, here - back)));
            at = found;
            open = here;
            continue;
        }
        if let Some(skipped) = (1..=NEAR).find(|skipped| run(old, at + skipped, &new[here..], 2) == 2) {
            at += skipped;
            continue;
        }
        if is_in_step(old, new, at, here) {
            pairs.push(ReferencePair::of(at, here));
            (at, here) = (at + 1, here + 1);
            open = here;
            continue;
        }
        here += 1;
    }
    pairs
}

/// The number of equal contexts from here on, at most `most`.
fn run(old: &[Reference], at: usize, new: &[Reference], most: usize) -> usize {
    let old = old.get(at..).unwrap_or_default();
    old.iter().zip(new).take(most).take_while(|(old, new)| old.context == new.context).count()
}

/// True if two references have the same distance from those before them, and the same form.
fn is_in_step(old: &[Reference], new: &[Reference], at: usize, here: usize) -> bool {
    let (Some(first), Some(second)) = (old.get(at), new.get(here)) else { return false };
    let Some((old, new)) =
        at.checked_sub(1).zip(here.checked_sub(1)).map(|(at, here)| (&old[at], &new[here]))
    else {
        return false;
    };
    first.form == second.form && first.at.wrapping_sub(old.at) == second.at.wrapping_sub(new.at)
}

/// An old range that begins like a new one.
struct Candidate {
    at: usize,
    /// The number of equal contexts.
    len: usize,
}

/// Positions of consecutive references by their contexts.
struct ContextIndex {
    heads: Vec<u32>,
    /// The next position with the same hash, plus one; zero is none.
    before: Vec<u32>,
    bits: u32,
}

impl ContextIndex {
    fn of(references: &[Reference]) -> Self {
        let bits = (usize::BITS - references.len().leading_zeros()).clamp(8, 24);
        let mut index = ContextIndex { heads: vec![0; 1 << bits], before: vec![0; references.len()], bits };
        for at in (0..references.len().saturating_sub(ROW - 1)).rev() {
            let head = &mut index.heads[hash(&references[at..at + ROW], bits)];
            index.before[at] = *head;
            *head = at as u32 + 1;
        }
        index
    }

    /// The old reference at which the longest equal range begins, of several the nearest to `near`.
    fn find(&self, old: &[Reference], new: &[Reference], near: usize) -> Option<usize> {
        let mut next = self.heads[hash(new.get(..ROW)?, self.bits)];
        let mut best: Option<Candidate> = None;
        let mut left = DEPTH;
        while next > 0 && left > 0 {
            let at = next as usize - 1;
            let len = run(old, at, new, ENOUGH);
            let is_better = best.as_ref().is_none_or(|best| {
                len > best.len || len == best.len && at.abs_diff(near) < best.at.abs_diff(near)
            });
            if len >= ROW && is_better {
                best = Some(Candidate { at, len });
            }
            next = self.before[at];
            left -= 1;
        }
        best.map(|best| best.at)
    }
}

fn hash(row: &[Reference], bits: u32) -> usize {
    let mixed = row
        .iter()
        .fold(0, |hash: u32, reference| (hash.rotate_left(9) ^ reference.context).wrapping_mul(0x9e37_79b1));
    (mixed >> (32 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::references::{Address, AddressForm};

    /// References with these contexts, 16 bytes from each other.
    fn references(contexts: impl IntoIterator<Item = u32>) -> Vec<Reference> {
        let reference = |(number, context): (u32, u32)| Reference {
            at: 16 * number,
            address: Address::absolute(number),
            context,
            form: AddressForm::Word,
        };
        (0..).zip(contexts).map(reference).collect()
    }

    /// Contexts that differ, the same for the same range.
    fn contexts(range: std::ops::Range<u32>) -> impl Iterator<Item = u32> {
        range.map(|number| number.wrapping_mul(0x9e37_79b1) ^ 0x1234)
    }

    fn pairs(old: &[Reference], new: &[Reference]) -> Vec<(u32, u32)> {
        let pairs: Vec<(u32, u32)> = pair(old, new).into_iter().map(|pair| (pair.old, pair.new)).collect();
        assert!(
            pairs.windows(2).all(|pair| pair[0].1 < pair[1].1),
            "a new reference has one old one at most"
        );
        assert!(
            pairs
                .iter()
                .all(|(before, after)| (*before as usize) < old.len() && (*after as usize) < new.len())
        );
        pairs
    }

    #[test]
    fn equal_references_are_pairs() {
        let all = references(contexts(0..100));
        assert_eq!(pairs(&all, &all), (0..100).map(|number| (number, number)).collect::<Vec<_>>());
        assert_eq!((pairs(&[], &all), pairs(&all, &[])), (Vec::new(), Vec::new()));
        let others =
            references(contexts(1000..1100).enumerate().map(|(number, context)| context + number as u32));
        let mut others = others;
        // Not even in step: each is at another distance.
        others.iter_mut().enumerate().for_each(|(number, other)| other.at += (number * number) as u32);
        assert_eq!(pairs(&all, &others), []);
    }

    #[test]
    fn references_that_were_inserted_or_removed_have_no_pair() {
        let old = references(contexts(0..200));
        let inserted = references(contexts(0..80).chain(contexts(5000..5040)).chain(contexts(80..200)));
        let found = pairs(&old, &inserted);
        assert!((0..80).all(|number| found.contains(&(number, number))));
        assert!((80..200).all(|number| found.contains(&(number, number + 40))));
        for gone in [1, NEAR as u32, NEAR as u32 + 1, 100] {
            let removed = references(contexts(0..50).chain(contexts(50 + gone..200)));
            let found = pairs(&old, &removed);
            assert!((0..50).all(|number| found.contains(&(number, number))), "{gone}");
            assert!((50..200 - gone).all(|number| found.contains(&(number + gone, number))), "{gone}");
        }
    }

    #[test]
    fn ranges_that_moved_are_found_where_they_are() {
        let old = references(contexts(0..300));
        let moved = references(contexts(200..300).chain(contexts(0..200)));
        let expected: Vec<(u32, u32)> = (200..300).chain(0..200).zip(0..).collect();
        assert_eq!(pairs(&old, &moved), expected);
    }

    #[test]
    fn a_changed_reference_in_step_is_a_pair() {
        let old = references(contexts(0..60));
        let mut new = old.clone();
        new[30].context ^= 1;
        assert_eq!(pairs(&old, &new).len(), 60);
        // With another form, or another distance from the one before, it is none.
        new[30].form = AddressForm::Long;
        assert_eq!(pairs(&old, &new).len(), 59);
        new[30].form = AddressForm::Word;
        new[30].at += 4;
        assert!(!pairs(&old, &new).contains(&(30, 30)));
    }

    #[test]
    fn of_equal_ranges_the_nearest_counts() {
        // A range of 20 that is there three times, between others.
        let range = || contexts(900..920);
        let old = references(
            contexts(0..50)
                .chain(range())
                .chain(contexts(50..100))
                .chain(range())
                .chain(contexts(100..150))
                .chain(range()),
        );
        let found = pairs(&old, &references(contexts(50..100).chain(range()).chain(contexts(100..120))));
        assert!((0..20).all(|number| found.contains(&(120 + number, 50 + number))));
    }
}
