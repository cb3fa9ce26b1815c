//! A binary range coder with adaptive probabilities.
//!
//! The coder is that of LZMA (Igor Pavlov, "LZMA specification", 2015; after G. N. N. Martin, "Range encoding",
//! 1979) with 15 bits of probability instead of 11.
//!
//! Models are written once for both directions: a [`Coder`] that decodes ignores the bits it is given and
//! returns those that were coded.

/// Bits of a probability.
pub(super) const PRECISION: u32 = 15;
/// The coder's range is kept above this by moving bytes out.
const TOP: u32 = 1 << 24;

/// The probability of a zero, learnt from the bits that were coded with it: the mean of one estimate that
/// follows fast and one that follows slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bit {
    fast: u16,
    slow: u16,
}

impl Bit {
    /// Before the first bit: either is as likely.
    pub(super) const NEW: Self = Self { fast: 1 << 15, slow: 1 << 15 };

    /// The probability in 1/2^15, never 0 nor 1: an estimate stops before it can reach either.
    pub(super) fn zero(self) -> u32 {
        (u32::from(self.fast) + u32::from(self.slow)) >> 2
    }

    #[inline]
    pub(super) fn learn(&mut self, bit: bool) {
        if bit {
            self.fast -= self.fast >> 4;
            self.slow -= self.slow >> 7;
        } else {
            self.fast += (u16::MAX - self.fast) >> 4;
            self.slow += (u16::MAX - self.slow) >> 7;
        }
    }
}

/// Either direction.
pub(super) trait Coder {
    /// Codes a bit that is zero with a probability of `zero` / 2^15.
    fn code(&mut self, zero: u32, bit: bool) -> bool;

    /// Codes the low `count` bits of `value`, each as likely as not.
    fn plain(&mut self, count: u32, value: u32) -> u32 {
        (0..count).rev().fold(0, |all, at| all << 1 | u32::from(self.code(1 << 14, value >> at & 1 != 0)))
    }

    /// Codes a bit and learns from it.
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bit = self.code(model.zero(), bit);
        model.learn(bit);
        bit
    }

    /// Codes `count` bits of `value`, the highest first, each given those before it. Takes 2^`count` models.
    fn tree(&mut self, models: &mut [Bit], count: u32, value: u32) -> u32 {
        let mut node = 1;
        for at in (0..count).rev() {
            node = node << 1 | usize::from(self.bit(&mut models[node], value >> at & 1 != 0));
        }
        node as u32 - (1 << count)
    }

    /// Codes `count` bits of `value`, the lowest first, each given those before it. Takes 2^`count` models.
    fn reversed(&mut self, models: &mut [Bit], count: u32, value: u32) -> u32 {
        let (mut node, mut all) = (1, 0);
        for at in 0..count {
            let bit = self.bit(&mut models[node], value >> at & 1 != 0);
            node = node << 1 | usize::from(bit);
            all |= u32::from(bit) << at;
        }
        all
    }
}

/// Codes into memory.
pub(super) struct RangeEncoder {
    low: u64,
    range: u32,
    /// The byte that a carry may still change, and how many 0xff bytes follow it.
    held: Option<u8>,
    full: usize,
    out: Vec<u8>,
}

impl RangeEncoder {
    /// Appends to `out`.
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { low: 0, range: u32::MAX, held: None, full: 0, out }
    }

    /// Everything that was coded.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for _ in 0..5 {
            self.shift();
        }
        self.out
    }

    fn shift(&mut self) {
        let carry = self.low > u64::from(u32::MAX);
        if carry || self.low < 0xff00_0000 {
            if let Some(held) = self.held {
                self.out.push(held.wrapping_add(u8::from(carry)));
            }
            let filler = if carry { 0 } else { 0xff };
            self.out.extend(std::iter::repeat_n(filler, self.full));
            self.full = 0;
            self.held = Some((self.low >> 24) as u8);
        } else {
            self.full += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }
}

impl Coder for RangeEncoder {
    #[inline]
    fn code(&mut self, zero: u32, bit: bool) -> bool {
        let bound = (self.range >> PRECISION) * zero;
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
        bit
    }
}

/// Decodes from memory. Past the end it reads zeros, so a decoder must ask [`RangeDecoder::is_spent`] at last.
pub(super) struct RangeDecoder<'a> {
    range: u32,
    code: u32,
    input: &'a [u8],
    at: usize,
}

impl<'a> RangeDecoder<'a> {
    /// Decodes the bytes of [`RangeEncoder::finish`].
    pub(super) fn new(input: &'a [u8]) -> Self {
        let mut decoder = Self { range: u32::MAX, code: 0, input, at: 0 };
        for _ in 0..4 {
            decoder.shift();
        }
        decoder
    }

    /// True if everything was read, and no more.
    pub(super) fn is_spent(&self) -> bool {
        self.at == self.input.len()
    }

    /// True if more was read than there is: the bits that were decoded last may be wrong.
    pub(super) fn is_beyond(&self) -> bool {
        self.at > self.input.len()
    }

    fn shift(&mut self) {
        let byte = self.input.get(self.at).copied().unwrap_or(0);
        self.at = self.at.saturating_add(1);
        self.code = self.code << 8 | u32::from(byte);
    }
}

impl Coder for RangeDecoder<'_> {
    #[inline]
    fn code(&mut self, zero: u32, _: bool) -> bool {
        let bound = (self.range >> PRECISION) * zero;
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
        bit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same coder without held bytes: a carry goes back through the bytes that are out already.
    struct Reference {
        low: u64,
        range: u32,
        out: Vec<u8>,
    }

    impl Reference {
        fn shift(&mut self) {
            if self.low > u64::from(u32::MAX) {
                let digit = self.out.iter().rposition(|byte| *byte != 0xff).expect("a fraction is below 1");
                self.out[digit] += 1;
                self.out[digit + 1..].fill(0);
            }
            self.out.push((self.low >> 24) as u8);
            self.low = (self.low & 0x00ff_ffff) << 8;
        }

        fn finish(mut self) -> Vec<u8> {
            (0..5).for_each(|_| self.shift());
            // The first byte is above the fraction, and the last one was not reached by the encoder.
            self.out.pop();
            self.out
        }
    }

    impl Coder for Reference {
        fn code(&mut self, zero: u32, bit: bool) -> bool {
            let bound = (self.range >> PRECISION) * zero;
            if bit {
                self.low += u64::from(bound);
                self.range -= bound;
            } else {
                self.range = bound;
            }
            while self.range < TOP {
                self.range <<= 8;
                self.shift();
            }
            bit
        }
    }

    /// Encodes bits, each with the probability of a zero, and asserts that the reference agrees and that they are
    /// decoded.
    fn encode(bits: &[(u32, bool)]) -> Vec<u8> {
        let mut encoder = RangeEncoder::new(Vec::new());
        let mut reference = Reference { low: 0, range: u32::MAX, out: Vec::new() };
        for &(zero, bit) in bits {
            encoder.code(zero, bit);
            reference.code(zero, bit);
        }
        let bytes = encoder.finish();
        assert_eq!(bytes, reference.finish());
        let mut decoder = RangeDecoder::new(&bytes);
        for (number, &(zero, bit)) in bits.iter().enumerate() {
            assert_eq!(decoder.code(zero, !bit), bit, "bit {number}");
        }
        assert!(decoder.is_spent());
        bytes
    }

    const LARGEST: u32 = (1 << PRECISION) - 1;

    #[test]
    fn bits_are_decoded_at_every_probability() {
        for bit in [false, true] {
            let bits: Vec<_> = (1..=LARGEST).map(|zero| (zero, bit ^ (zero % 7 == 0))).collect();
            encode(&bits);
        }
    }

    #[test]
    fn a_carry_goes_through_any_number_of_full_bytes() {
        // All ones of even odds keep `low` just below a carry: so many 0xff bytes wait for it.
        for held in [0, 1, 7, 8, 9, 100, 1000] {
            let ones = vec![(1 << 14, true); 8 * held];
            let without = encode(&ones);
            assert!(without.iter().filter(|byte| **byte == 0xff).count() >= held.saturating_sub(1));
            // The bits that follow are as likely as can be, or as unlikely.
            for last in [(1, true), (LARGEST, true), (LARGEST, false), (1, false)] {
                encode(&[&ones[..], &[last; 40]].concat());
            }
        }
        // The first bits leave room for one more carry than fits below 0xff: a table of near misses.
        for zero in [LARGEST, LARGEST - 1, 0x4000, 0x2aaa, 3] {
            for ones in 0..64 {
                let bits =
                    [vec![(zero, true); ones], vec![(LARGEST, false); 3], vec![(1, true); 70]].concat();
                encode(&bits);
            }
        }
    }

    #[test]
    fn nothing_is_four_bytes() {
        let bytes = encode(&[]);
        assert_eq!(bytes, [0; 4]);
        assert!(!RangeDecoder::new(&bytes[..3]).is_spent() && !RangeDecoder::new(&[0; 5]).is_spent());
    }

    #[test]
    fn trees_hold_every_value_in_both_orders() {
        let mut encoder = RangeEncoder::new(Vec::new());
        let models = || vec![Bit::NEW; 256];
        let (mut tree, mut reversed) = (models(), models());
        for value in (0..256).chain((0..256).rev()) {
            encoder.tree(&mut tree, 8, value);
            encoder.reversed(&mut reversed, 8, value);
            encoder.plain(20, value * 4096 + 5);
        }
        let bytes = encoder.finish();
        let mut decoder = RangeDecoder::new(&bytes);
        let (mut tree, mut reversed) = (models(), models());
        for value in (0..256).chain((0..256).rev()) {
            assert_eq!(decoder.tree(&mut tree, 8, 0), value);
            assert_eq!(decoder.reversed(&mut reversed, 8, 0), value);
            assert_eq!(decoder.plain(20, 0), value * 4096 + 5);
        }
        assert!(decoder.is_spent());
    }

    #[test]
    fn an_estimate_reaches_neither_end() {
        for bit in [false, true] {
            let mut model = Bit::NEW;
            for _ in 0..100_000 {
                model.learn(bit);
                assert!((1..=LARGEST).contains(&model.zero()), "{model:?}");
            }
            let likely = if bit { model.zero() } else { (1 << PRECISION) - model.zero() };
            assert!(likely < 64, "{likely} of 32768 after 100,000 equal bits");
        }
    }

    proptest! {
        #[test]
        fn bits_are_decoded(bits in prop::collection::vec(
            (prop_oneof![1..=LARGEST, Just(1), Just(LARGEST), Just(1 << 14)], any::<bool>()), 0..400,
        )) {
            encode(&bits);
        }
    }
}
