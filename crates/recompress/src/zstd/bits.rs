//! A sink of bits, the lowest of a byte first, as the coded streams of zstd are written: backwards, and ended by a one.

/// Bits that go to the end of bytes.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, count: 0 }
    }

    /// Makes room for 32 bits.
    #[inline]
    pub(super) fn flush(&mut self) {
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Adds up to 32 bits, where there is room. `value` has no others.
    #[inline]
    pub(super) fn add(&mut self, value: u64, count: u32) {
        self.held |= value << self.count;
        self.count += count;
    }

    /// Adds the lowest of a value's bits, up to 32, where there is room.
    #[inline]
    pub(super) fn add_low(&mut self, value: u32, count: u32) {
        self.add(u64::from(value) & ((1 << count) - 1), count);
    }

    /// Adds up to 64 bits, where there is room for 32. `value` has no others.
    #[inline]
    pub(super) fn add_long(&mut self, value: u64, count: u32) {
        if count < 32 {
            return self.add(value, count);
        }
        self.add(value & 0xffff_ffff, 32);
        self.flush();
        self.add(value >> 32, count - 32);
    }

    /// The bit that ends the stream, and what is held.
    pub(super) fn close(mut self) {
        self.flush();
        self.add(1, 1);
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.held.to_le_bytes()[..bytes]);
    }
}

#[cfg(test)]
#[path = "bits_tests.rs"]
mod tests;
