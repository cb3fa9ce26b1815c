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

    /// The logit of a one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::range::{RangeDecoder, RangeEncoder};

    #[test]
    fn the_logistic_function_rises_and_is_symmetric() {
        let all: Vec<i32> = (-LARGEST..=LARGEST).map(logistic).collect();
        assert!(all.is_sorted());
        assert!(all.iter().zip(all.iter().rev()).all(|(one, other)| (one + other - (1 << 16)).abs() <= 1));
        // Beyond the table it stays where it was.
        assert_eq!((logistic(i32::MIN / 2), logistic(i32::MAX / 2)), (all[0], all[all.len() - 1]));
        // In 2^16: 1 / (1 + e^-1) is 0.7311.
        assert!((logistic(UNIT) - 47_911).abs() <= 1 && logistic(0) == 1 << 15);
    }

    #[test]
    fn a_logit_is_the_inverse_of_its_probability() {
        let logits = Logits::new();
        let mut model = Bit::NEW;
        assert!(logits.of(model).abs() <= 4, "{}", logits.of(model));
        for _ in 0..300 {
            model.learn(true);
            let one = (1 << 16) - logistic(-logits.of(model)) * 2 / 2;
            let expected = (1 << 16) - 2 * model.zero() as i32;
            // Within the bits by which it is looked up, and those of the table's end.
            assert!((one - expected).abs() <= 64, "{one} instead of {expected}");
        }
    }

    #[test]
    fn a_mixed_probability_is_never_certain() {
        let ends = [-LARGEST, 0, LARGEST];
        for logits in ends.iter().flat_map(|a| ends.iter().map(move |b| [*a, *b])) {
            for bit in [false, true] {
                let mut mixer = Mixer::<2>::new(1, 6);
                let mut encoder = RangeEncoder::new(Vec::new());
                for _ in 0..20_000 {
                    let zero = mixer.zero(0, &logits);
                    assert!((1..1 << PRECISION).contains(&zero), "{logits:?}: {zero}");
                    mixer.code(&mut encoder, 0, &logits, bit);
                }
                assert!(mixer.sets[0].iter().all(|weight| weight.abs() <= HEAVIEST));
            }
        }
    }

    #[test]
    fn weights_go_to_the_prediction_that_is_right() {
        let mut mixer = Mixer::<2>::new(2, 6);
        let mut encoder = RangeEncoder::new(Vec::new());
        let bits: Vec<bool> = (0..2000).map(|number| number % 3 == 0).collect();
        // The first one knows, the second one says the opposite.
        let logits = |bit: bool| if bit { [UNIT, -UNIT] } else { [-UNIT, UNIT] };
        for bit in &bits {
            mixer.code(&mut encoder, 1, &logits(*bit), *bit);
        }
        let [right, wrong] = mixer.sets[1];
        assert!(right > wrong + WEIGHT / 2, "{right} and {wrong}");
        // Weights of other circumstances stay.
        assert_eq!(mixer.sets[0], [WEIGHT * 2 / 3; 2]);
        let bytes = encoder.finish();
        let (mut mixer, mut decoder) = (Mixer::<2>::new(2, 6), RangeDecoder::new(&bytes));
        assert!(bits.iter().all(|bit| mixer.code(&mut decoder, 1, &logits(*bit), false) == *bit));
        assert!(decoder.is_spent());
    }
}
