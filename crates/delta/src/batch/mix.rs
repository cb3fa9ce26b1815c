//! Mixes predictions of a bit by a weighted sum in the logistic domain; the weights are learnt (Matt Mahoney,
//! "Adaptive Weighing of Context Models for Lossless Data Compression", 2005, and his lpaq).
//!
//! All in integers, since both sides must come to the same.

use super::range::{Bit, Coder, PRECISION};

/// 2^16 / (1 + e^-x) for x from -8 to 8 in halves.
const LOGISTIC: [u16; 33] = [
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768, 40793,
    47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
];
/// A logit of 1.
const UNIT: i32 = 256;
/// Logits are from less than this to this.
const LARGEST: i32 = 8 * UNIT - 1;
/// A weight of 1.
const WEIGHT: i32 = 1 << 14;
/// Weights are from less than this to this.
const HEAVIEST: i32 = 4 * WEIGHT;
/// Bits of a probability by which its logit is looked up.
const LOOKUP: u32 = 12;

/// A probability of a logit, in 1/2^16.
fn logistic(logit: i32) -> i32 {
    let above = logit.clamp(-LARGEST, LARGEST) + 8 * UNIT;
    let (at, rest) = ((above >> 7) as usize, above & 127);
    let (low, high) = (i32::from(LOGISTIC[at]), i32::from(LOGISTIC[at + 1]));
    low + (((high - low) * rest) >> 7)
}

/// Logits by probability.
pub(super) struct Logits(Vec<i16>);

impl Logits {
    pub(super) fn new() -> Self {
        let mut logits = Vec::with_capacity(1 << LOOKUP);
        let mut logit = -LARGEST;
        for step in 0..1_i32 << LOOKUP {
            let share = (step << (16 - LOOKUP)) + (1 << (15 - LOOKUP));
            while logit < LARGEST && logistic(logit) < share {
                logit += 1;
            }
            logits.push(logit as i16);
        }
        Self(logits)
    }

    /// Of a one.
    #[inline]
    pub(super) fn of(&self, model: Bit) -> i32 {
        -i32::from(self.0[(model.zero() >> (PRECISION - LOOKUP)) as usize])
    }
}

/// Weights for `N` predictions, in sets for different circumstances.
pub(super) struct Mixer<const N: usize> {
    sets: Vec<[i32; N]>,
    /// The learning rate of the weights.
    rate: i32,
}

impl<const N: usize> Mixer<N> {
    pub(super) fn new(sets: usize, rate: i32) -> Self {
        Self { sets: vec![[WEIGHT * 2 / (N as i32 + 1); N]; sets], rate }
    }

    /// The probability of a zero, in 1/2^15, never 0 nor 1.
    #[inline]
    pub(super) fn zero(&self, set: usize, logits: &[i32; N]) -> u32 {
        // Below 2^27 each.
        let sum: i32 = self.sets[set].iter().zip(logits).map(|(weight, logit)| weight * logit).sum();
        let one = logistic(sum >> 14);
        ((1 << 16) - one) as u32 >> 1
    }

    /// Codes a bit and learns from it.
    #[inline]
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, set: usize, logits: &[i32; N], bit: bool) -> bool {
        let zero = self.zero(set, logits);
        let bit = coder.code(zero, bit);
        // The error in 1/2^16, by a logit in 1/2^8.
        let error = (zero as i32 - if bit { 0 } else { 1 << PRECISION }) * self.rate;
        for (weight, logit) in self.sets[set].iter_mut().zip(logits) {
            *weight = (*weight + ((logit * error + (1 << 19)) >> 20)).clamp(-HEAVIEST, HEAVIEST);
        }
        bit
    }
}
