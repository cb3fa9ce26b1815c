//! Blocks that are encoded beside each other, as pigz makes them: each begins anew, but knows the last 32 KiB before
//! it, and is filled up to a whole byte.
//!
//! The bytes between blocks are those of `compress_thread` and `single_compress` in pigz 2.3 to 2.8 (Copyright ©
//! 2007–2023 Mark Adler, under the same terms as zlib).

use super::flavour::Flavour;
use super::window::Deflate;
use crate::deflate::StreamEncoder;

/// Bytes of the block before that an encoder knows.
const TAIL: usize = 1 << 15;
/// No larger blocks are made here, in plain bytes.
const LARGEST: usize = 16 << 20;

/// True if blocks of this number of plain bytes are possible.
pub(crate) fn is_block(size: usize) -> bool {
    (TAIL..=LARGEST).contains(&size)
}

/// Ends a block that is not the last, at a whole byte.
fn end_block(block: &mut Deflate) {
    block.flush();
    let sink = &mut block.blocks.sink;
    if sink.bits_in_byte() % 2 == 1 {
        sink.stored(&[]);
    }
    while sink.bits_in_byte() > 0 {
        sink.empty();
    }
    sink.align();
}

/// One block that follows `before`, by itself.
pub(crate) fn pigz_block(level: u8, before: &[u8], plain: &[u8], is_last: bool) -> Vec<u8> {
    let mut block = Deflate::after(Flavour::Zlib, level, before);
    block.write(plain);
    if is_last {
        block.finish();
    } else {
        end_block(&mut block);
    }
    std::mem::take(block.output())
}

/// The encoder of blocks, one after the other.
pub(crate) struct Pigz {
    size: usize,
    block: Deflate,
    /// Plain bytes in the block so far, and the last of them.
    len: usize,
    tail: Vec<u8>,
    /// Blocks go on where the one before ended: pigz on one thread.
    is_chained: bool,
}

impl Pigz {
    /// Blocks of `size` plain bytes, as [`is_block`] accepts them.
    pub(crate) fn new(level: u8, size: usize) -> Self {
        let block = Deflate::new(Flavour::Zlib, level);
        Self { size, block, len: 0, tail: Vec::new(), is_chained: false }
    }

    /// An encoder on one thread, where blocks are not independent.
    pub(crate) fn chained(level: u8, size: usize) -> Self {
        Self { is_chained: true, ..Self::new(level, size) }
    }

    fn end_block(&mut self) {
        end_block(&mut self.block);
        self.len = 0;
        // Nobody resumes this encoder.
        self.block.marks();
        if !self.is_chained {
            self.block.begin_after(&self.tail);
        }
    }

    /// Keeps the last bytes of the block.
    fn keep(&mut self, plain: &[u8]) {
        let start = plain.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(&plain[start..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }
}

impl StreamEncoder for Pigz {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.len == self.size {
                self.end_block();
            }
            let (head, rest) = plain.split_at(plain.len().min(self.size - self.len));
            self.block.write(head);
            self.keep(head);
            self.len += head.len();
            plain = rest;
        }
    }

    fn finish(&mut self) {
        self.block.finish();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        self.block.output()
    }
}

#[cfg(test)]
#[path = "pigz_tests.rs"]
mod tests;
