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
        let mut steps: Vec<Step> = roomy(self.0.len());
        let mut scores: HashMap<u32, (i64, u32), BuildHasherDefault<Spread>> = HashMap::default();
        scores.insert(0, (0, NO_STEP));
        let mut best = (0, NO_STEP);
        for here in self.0.chunk_by(|one, next| one >> 32 == next >> 32) {
            let before = best;
            for same in here.chunk_by(|one, next| one == next) {
                let shift = same[0] as u32;
                let changed = (before.0 - RANGE, before.1);
                let stayed = scores.get(&shift).copied();
                let (from, is_start) = match stayed {
                    Some(stayed) if stayed.0 >= changed.0 => (stayed, false),
                    _ => (changed, true),
                };
                let score = from.0 + AGREES * same.len() as i64;
                let number = steps.len() as u32;
                steps.push(Step { addr: (same[0] >> 32) as u32, shift, before: from.1, is_start });
                scores.insert(shift, (score, number));
                if score > best.0 {
                    best = (score, number);
                }
            }
        }
        let (mut starts, mut shifts) = (Vec::new(), Vec::new());
        let mut next = best.1;
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

/// An address, and how far it moves on some path.
struct Step {
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
