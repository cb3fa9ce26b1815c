//! The encoder of a frame: full blocks, their matches by the finder of the level, and a checksum.

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::block::{BlockWriter, FoundSequences};
use super::finder::{Finder, HistoryBlock};
use super::frame::{HAS_CHECKSUM, MAGIC, head_alone, window_byte};
use super::parameters::{Generation, ZstdLevel};
use super::{best, better, double, fast};
use crate::deflate::StreamEncoder;

/// The encoder of one frame; of several generations at once, if these find the same matches.
pub(crate) struct Zstd {
    finder: Box<dyn Finder>,
    found: FoundSequences,
    /// The writer of each generation, at least one.
    blocks: Vec<BlockWriter>,
    /// Plain bytes that wait for their block to be full.
    block: Vec<u8>,
    block_len: usize,
    /// The plain bytes of the first block, if the stream was flushed after them.
    flushed: usize,
    window: u32,
    is_begun: bool,
    checksum: XxHash64,
}

impl Zstd {
    /// A frame whose first block holds `flushed` bytes, unless that is 0.
    pub(crate) fn new(generation: Generation, level: ZstdLevel, flushed: usize) -> Self {
        Self::of_all(&[generation], level, flushed)
    }

    /// As [`Zstd::new`], of several generations at once, of which there is at least one.
    pub(crate) fn of_all(generations: &[Generation], level: ZstdLevel, flushed: usize) -> Self {
        let generation = generations[0];
        let window = level.window(generation);
        let finder: Box<dyn Finder> = match level {
            ZstdLevel::Fastest => Box::new(fast::Fast::new(window)),
            ZstdLevel::Default => Box::new(double::Double::new(window)),
            ZstdLevel::Better => Box::new(better::Better::new(generation, window)),
            ZstdLevel::Best => Box::new(best::Best::new(window)),
        };
        let blocks = generations.iter().map(|generation| BlockWriter::new(*generation, level));
        Self {
            finder,
            found: FoundSequences::default(),
            blocks: blocks.collect(),
            block: Vec::with_capacity(level.block()),
            block_len: level.block(),
            flushed,
            window,
            is_begun: false,
            checksum: XxHash64::with_seed(0),
        }
    }

    /// Drops the generations whose output does not pass, and says how long that of the others is. None if none is left.
    pub(crate) fn retain(&mut self, mut passes: impl FnMut(&[u8]) -> bool) -> Option<usize> {
        self.blocks.retain(|blocks| passes(&blocks.out));
        let len = self.blocks.first()?.out.len();
        self.blocks.iter_mut().for_each(|blocks| blocks.out.clear());
        Some(len)
    }

    /// The first generation that is left.
    pub(crate) fn generation(&self) -> Option<Generation> {
        self.blocks.first().map(|blocks| blocks.generation)
    }

    /// Encodes the block.
    fn end_block(&mut self, is_last: bool, is_alone: bool) {
        let change = self.finder.history().count_anew();
        if let Some(change) = change {
            self.finder.places(&change);
        }
        let start = self.finder.history().append(&self.block);
        let history = std::mem::take(&mut self.finder.history().bytes);
        self.found.clear();
        self.finder.block(&history, HistoryBlock { start, is_alone }, &mut self.found);
        self.finder.history().bytes = history;
        self.blocks.iter_mut().for_each(|blocks| blocks.block(&self.block, &self.found, is_last));
        self.block.clear();
    }

    /// The head of a frame of which more than a block may come.
    fn begin(&mut self) {
        if !self.is_begun {
            self.is_begun = true;
            self.push(&[&MAGIC[..], &[HAS_CHECKSUM, window_byte(self.window)]].concat());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.blocks.iter_mut().for_each(|blocks| blocks.out.extend_from_slice(bytes));
    }
}

impl StreamEncoder for Zstd {
    fn write(&mut self, mut plain: &[u8]) {
        self.checksum.write(plain);
        while !plain.is_empty() {
            let full = if self.flushed > 0 && !self.is_begun { self.flushed } else { self.block_len };
            let (head, rest) = plain.split_at(plain.len().min(full - self.block.len()));
            self.block.extend_from_slice(head);
            plain = rest;
            if self.block.len() == full {
                self.begin();
                self.end_block(false, false);
            }
        }
    }

    fn finish(&mut self) {
        if !self.is_begun && !self.block.is_empty() {
            self.push(&head_alone(self.block.len()));
            self.end_block(true, true);
        } else {
            self.begin();
            if self.block.is_empty() {
                self.blocks.iter_mut().for_each(|blocks| blocks.raw(&[], true));
            } else {
                self.end_block(true, false);
            }
        }
        self.push(&(self.checksum.finish() as u32).to_le_bytes());
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks[0].out
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
mod tests;
