//! Independent blocks, as klauspost's pgzip makes them: each begins anew, but knows the end of the one before.
//!
//! After `gzip.go` of pgzip, which sets sizes and dictionaries of blocks.

use super::encoder::Klauspost;
use super::release::Release;
use crate::deflate::StreamEncoder;

/// Bytes of the block before that an encoder knows.
const TAIL: usize = 16384;
/// No larger blocks are made here, in plain bytes.
const LARGEST: usize = 16 << 20;

/// True if blocks of this number of plain bytes are possible.
pub(crate) fn is_block(size: usize) -> bool {
    (TAIL + 1..=LARGEST).contains(&size)
}

/// One block that follows `before`, by itself. The last may be empty.
pub(crate) fn pgzip_block(
    release: Release,
    level: u8,
    before: &[u8],
    plain: &[u8],
    is_last: bool,
) -> Vec<u8> {
    let mut block = Klauspost::after(release, level, &before[before.len().saturating_sub(TAIL)..]);
    block.write(plain);
    block.flush();
    if is_last {
        block.finish();
    }
    std::mem::take(block.output())
}

/// The encoder of blocks, one after the other.
pub(crate) struct Pgzip {
    size: usize,
    block: Klauspost,
    /// Plain bytes in the block so far, and the last of them.
    len: usize,
    tail: Vec<u8>,
    output: Vec<u8>,
}

impl Pgzip {
    /// Blocks of `size` plain bytes, as [`is_block`] accepts them.
    pub(crate) fn new(release: Release, level: u8, size: usize) -> Self {
        let block = Klauspost::new(release, level);
        Self { size, block, len: 0, tail: Vec::new(), output: Vec::new() }
    }

    fn end_block(&mut self) {
        self.block.flush();
        self.output.append(self.block.output());
        self.block.begin_after(&self.tail);
        self.len = 0;
    }

    /// Keeps the last bytes of the block.
    fn keep(&mut self, plain: &[u8]) {
        let start = plain.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(&plain[start..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }
}

impl StreamEncoder for Pgzip {
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
        self.output.append(self.block.output());
    }

    fn finish(&mut self) {
        // A full block is ended, and an empty one begun.
        if self.len == self.size {
            self.end_block();
        }
        self.block.flush();
        self.block.finish();
        self.output.append(self.block.output());
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
