//! Deflate as Go's `compress/flate` does it, from 1.9 or so to 1.26: what pushed most images of today.
//!
//! A port of Go's `deflate.go`, `deflatefast.go` and `huffman_bit_writer.go` as of Go 1.19, whose output is that of
//! all releases from there to 1.26 (BSD-3-Clause; the notice is in the crate's `LICENSE-GO`). From Go 1.27 on it is
//! that of [`crate::klauspost`].

mod block;
mod chain;
mod fast;

pub(crate) use chain::Chained;
pub(crate) use fast::GoFast;

use crate::deflate::StreamEncoder;
use crate::deflate::alphabet::STORED;
use block::BlockWriter;

/// Level 0: each 65535 bytes are a stored block.
pub(crate) struct Stored {
    window: Vec<u8>,
    blocks: BlockWriter,
}

impl Stored {
    /// Before the first byte.
    pub(crate) fn new() -> Self {
        Self { window: Vec::new(), blocks: BlockWriter::new() }
    }

    fn block(&mut self) {
        if !self.window.is_empty() {
            self.blocks.sink.stored(&self.window);
            self.window.clear();
        }
    }
}

impl StreamEncoder for Stored {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.window.len() == STORED {
                self.block();
            }
            fill(&mut self.window, &mut plain);
        }
    }

    fn finish(&mut self) {
        self.block();
        self.blocks.finish();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks.sink.bytes
    }
}

/// Moves bytes until there are as many as a stored block holds.
fn fill(window: &mut Vec<u8>, plain: &mut &[u8]) {
    let (head, rest) = plain.split_at(plain.len().min(STORED - window.len()));
    window.extend_from_slice(head);
    *plain = rest;
}

#[cfg(test)]
#[path = "golang_tests.rs"]
mod tests;
