//! Which field of a new version is which of the old one: by runs of the same tokens.

use crate::fields::Field;
use crate::roomy;

/// Fields in a row that are looked up in the index.
const ROW: usize = 4;
/// Candidates that are compared for a row.
const DEPTH: usize = 24;
/// Fields of a candidate that are compared.
const ENOUGH: usize = 48;
/// Old fields that may be skipped where the same run goes on behind them.
const NEAR: usize = 12;

/// Pairs fields: the numbers of an old and of a new one.
pub(crate) fn pair(old: &[Field], new: &[Field]) -> Vec<(u32, u32)> {
    let index = Index::of(old);
    let mut pairs: Vec<(u32, u32)> = roomy(new.len());
    // The next old field, the next new one, and the first new one without a pair.
    let (mut at, mut here, mut open) = (0, 0, 0);
    while here < new.len() {
        if old.get(at).is_some_and(|old| old.token == new[here].token) {
            pairs.push((at as u32, here as u32));
            (at, here) = (at + 1, here + 1);
            open = here;
            continue;
        }
        if let Some(found) = index.find(old, &new[here..], at) {
            let mut back = 0;
            while here - back > open
                && back < found
                && old[found - back - 1].token == new[here - back - 1].token
            {
                back += 1;
            }
            pairs.extend((1..=back).rev().map(|back| ((found - back) as u32, (here - back) as u32)));
            at = found;
            open = here;
            continue;
        }
        if let Some(skipped) = (1..=NEAR).find(|skipped| run(old, at + skipped, &new[here..], 2) == 2) {
            at += skipped;
            continue;
        }
        if is_in_step(old, new, at, here) {
            pairs.push((at as u32, here as u32));
            (at, here) = (at + 1, here + 1);
            open = here;
            continue;
        }
        here += 1;
    }
    pairs
}

/// The number of fields with equal tokens, at most `most`.
fn run(old: &[Field], at: usize, new: &[Field], most: usize) -> usize {
    let old = old.get(at..).unwrap_or_default();
    old.iter().zip(new).take(most).take_while(|(old, new)| old.token == new.token).count()
}

/// True if two fields are as far behind those before them, and of one form.
fn is_in_step(old: &[Field], new: &[Field], at: usize, here: usize) -> bool {
    let (Some(first), Some(second)) = (old.get(at), new.get(here)) else { return false };
    let Some((old, new)) =
        at.checked_sub(1).zip(here.checked_sub(1)).map(|(at, here)| (&old[at], &new[here]))
    else {
        return false;
    };
    first.form == second.form && first.at.wrapping_sub(old.at) == second.at.wrapping_sub(new.at)
}

/// Where rows of tokens are.
struct Index {
    heads: Vec<u32>,
    /// The place before with the same hash; places are one too large, so that zero is none.
    before: Vec<u32>,
    bits: u32,
}

impl Index {
    fn of(fields: &[Field]) -> Self {
        let bits = (usize::BITS - fields.len().leading_zeros()).clamp(8, 24);
        let mut index = Index { heads: vec![0; 1 << bits], before: vec![0; fields.len()], bits };
        for at in (0..fields.len().saturating_sub(ROW - 1)).rev() {
            let head = &mut index.heads[hash(&fields[at..at + ROW], bits)];
            index.before[at] = *head;
            *head = at as u32 + 1;
        }
        index
    }

    /// The old field from which on the longest run is the same, of several the nearest to `near`.
    fn find(&self, old: &[Field], new: &[Field], near: usize) -> Option<usize> {
        let mut next = self.heads[hash(new.get(..ROW)?, self.bits)];
        let mut best: Option<(usize, usize)> = None;
        let mut left = DEPTH;
        while next > 0 && left > 0 {
            let at = next as usize - 1;
            let len = run(old, at, new, ENOUGH);
            let is_better = best.is_none_or(|(most, place)| {
                len > most || len == most && at.abs_diff(near) < place.abs_diff(near)
            });
            if len >= ROW && is_better {
                best = Some((len, at));
            }
            next = self.before[at];
            left -= 1;
        }
        best.map(|(_, at)| at)
    }
}

fn hash(row: &[Field], bits: u32) -> usize {
    let mixed =
        row.iter().fold(0, |hash: u32, field| (hash.rotate_left(9) ^ field.token).wrapping_mul(0x9e37_79b1));
    (mixed >> (32 - bits)) as usize
}
