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
    /// Nothing is known.
    pub(super) const NEW: Self = Self { fast: 1 << 15, slow: 1 << 15 };

    /// In 1/2^15, never 0 nor 1: an estimate stops before it can reach either.
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

    /// The same with the lowest bit first.
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
pub(super) struct Encoder {
    low: u64,
    range: u32,
    /// The byte that a carry may still change, and how many 0xff bytes follow it.
    held: Option<u8>,
    full: usize,
    out: Vec<u8>,
}

impl Encoder {
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

impl Coder for Encoder {
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

/// Decodes from memory. Past the end it reads zeros, so a decoder must ask [`Decoder::is_spent`] at last.
pub(super) struct Decoder<'a> {
    range: u32,
    code: u32,
    input: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Reads what [`Encoder::finish`] gave.
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

    fn shift(&mut self) {
        let byte = self.input.get(self.at).copied().unwrap_or(0);
        self.at = self.at.saturating_add(1);
        self.code = self.code << 8 | u32::from(byte);
    }
}

impl Coder for Decoder<'_> {
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
