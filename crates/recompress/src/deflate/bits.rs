//! A sink of bits, the lowest first, and codes of a few bits.

/// The longest code, in bits.
pub(crate) const LONGEST: usize = 15;

/// A code as it is written: the lowest bit first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PrefixCode {
    pub(crate) bits: u16,
    /// 0 where the symbol has no code.
    pub(crate) len: u8,
}

impl PrefixCode {
    /// A code as the standard writes it, the highest bit first. `len` is 1 to 15.
    pub(crate) fn from_high(bits: u16, len: u8) -> Self {
        Self { bits: bits.reverse_bits() >> (16 - len), len }
    }

    pub(crate) fn is_none(self) -> bool {
        self.len == 0
    }
}

/// Codes of such lengths, 0 to 15; those of one length in the order of symbols: RFC 1951, section 3.2.2. The lengths
/// may be too few.
pub(crate) fn canonical<const N: usize>(lens: &[usize]) -> [PrefixCode; N] {
    let mut next = [0u32; LONGEST + 2];
    for len in lens.iter().filter(|len| **len > 0) {
        next[len + 1] += 1;
    }
    let mut code = 0;
    for next in next.iter_mut().skip(1) {
        code = (code + *next) << 1;
        *next = code;
    }
    std::array::from_fn(|symbol| match lens.get(symbol) {
        None | Some(0) => PrefixCode::default(),
        Some(len) => {
            let code = next[*len];
            next[*len] += 1;
            PrefixCode::from_high(code as u16, *len as u8)
        }
    })
}

/// The bits that the counted symbols take.
pub(crate) fn cost(counts: &[u32], codes: &[PrefixCode]) -> u64 {
    counts.iter().zip(codes).map(|(count, code)| u64::from(*count) * u64::from(code.len)).sum()
}

/// Bits on their way to bytes.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pending: u64,
    /// Pending bits; below 8 between calls.
    count: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Sink {
    /// A sink whose first bits, fewer than 8, are 0, and are for somebody else.
    pub(crate) fn after(bits: u8) -> Self {
        Self { count: bits.into(), ..Self::default() }
    }

    /// Bits since the bytes were last cleared.
    pub(crate) fn bits(&self) -> u64 {
        8 * self.bytes.len() as u64 + u64::from(self.count)
    }

    /// Writes the lowest `len` bits, at most 56; the others are 0.
    #[inline]
    pub(crate) fn put(&mut self, bits: u64, len: u32) {
        self.pending |= bits << self.count;
        self.count += len;
        // Always eight bytes, of which the full ones are kept: that is sooner than to look how many there are.
        let full = self.bytes.len() + self.count as usize / 8;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes());
        self.bytes.truncate(full);
        self.pending >>= self.count & !7;
        self.count %= 8;
    }

    #[inline]
    pub(crate) fn code(&mut self, code: PrefixCode) {
        self.put(code.bits.into(), code.len.into());
    }

    /// Writes a code of at most 7 bits, and `len` bits after it, at most 7.
    #[inline]
    pub(crate) fn code_with(&mut self, code: PrefixCode, bits: u16, len: u8) {
        self.put(u64::from(code.bits | bits << code.len), u32::from(code.len) + u32::from(len));
    }

    /// Writes the first bits of these bytes.
    pub(crate) fn put_all(&mut self, bytes: &[u8], bits: u64) {
        for (byte, at) in bytes.iter().zip((0..bits).step_by(8)) {
            self.put((*byte).into(), (bits - at).min(8) as u32);
        }
    }

    /// Used bits of the last byte; 0 if it is full.
    pub(crate) fn bits_in_byte(&self) -> u32 {
        self.count % 8
    }

    /// Fills the last byte with zeros.
    pub(crate) fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
        self.pending = 0;
        self.count = 0;
    }

    /// An empty block with the fixed code, which has ten bits.
    pub(crate) fn empty(&mut self) {
        self.put(2, 10);
    }

    /// A stored block that is not the last. `plain` has at most 65535 bytes.
    pub(crate) fn stored(&mut self, plain: &[u8]) {
        self.stored_block(plain, false);
    }

    /// A stored block that ends the stream. `plain` has at most 65535 bytes.
    pub(crate) fn stored_last(&mut self, plain: &[u8]) {
        self.stored_block(plain, true);
    }

    /// A stored block. `plain` has at most 65535 bytes.
    pub(crate) fn stored_block(&mut self, plain: &[u8], is_last: bool) {
        self.put(is_last.into(), 3);
        self.align();
        let len = plain.len() as u16;
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(&(!len).to_le_bytes());
        self.bytes.extend_from_slice(plain);
    }
}

#[cfg(test)]
#[path = "bits_tests.rs"]
mod tests;
