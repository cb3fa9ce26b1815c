//! The encoder of a stream: blocks of 65535 bytes, their matches by the finder of the level.

use super::block::BlockWriter;
use super::finder::Finder;
use super::release::Release;
use super::tokens::Tokens;
use super::{level3, level4, level5, level6, single};
use crate::deflate::StreamEncoder;
use crate::deflate::alphabet::{FARTHEST, STORED};

/// Bytes at the end in which no matches are looked for.
const TINY: usize = 128;
/// Up to so many bytes at the end are stored.
const TINIEST: usize = 32;

/// The finder of a level from 1 to 6; any other is taken for the nearest.
fn finder(release: Release, level: u8) -> Box<dyn Finder> {
    match level {
        0 | 1 => Box::new(single::Level1::new()),
        2 => Box::new(single::Level2::new()),
        3 => Box::new(level3::Level3::new()),
        4 => Box::new(level4::Level4::new(release)),
        5 => Box::new(level5::Level5::new()),
        _ => Box::new(level6::Level6::new()),
    }
}

/// The encoder of levels 1 to 6. Uses 1.3 MiB.
pub(crate) struct Klauspost {
    finder: Box<dyn Finder>,
    tokens: Tokens,
    window: Vec<u8>,
    blocks: BlockWriter,
}

impl Klauspost {
    pub(crate) fn new(release: Release, level: u8) -> Self {
        let blocks = BlockWriter::new(release, 7);
        Self {
            finder: finder(release, level),
            tokens: Tokens::new(),
            window: Vec::with_capacity(STORED),
            blocks,
        }
    }

    /// An encoder that may refer to the end of what was encoded elsewhere.
    pub(crate) fn after(release: Release, level: u8, before: &[u8]) -> Self {
        let mut encoder = Self::new(release, level);
        encoder.begin_after(before);
        encoder
    }

    /// Forgets what was encoded, all of which was flushed, and knows the end of what was encoded elsewhere.
    pub(super) fn begin_after(&mut self, before: &[u8]) {
        self.finder.history().reset();
        let start = before.len().saturating_sub(FARTHEST);
        self.finder.encode(&before[start..], &mut self.tokens);
        self.tokens.list.clear();
    }

    fn block(&mut self, is_last: bool) {
        self.finder.encode(&self.window, &mut self.tokens);
        let (count, len) = (self.tokens.list.len(), self.window.len());
        if count == 0 {
            self.blocks.stored(&self.window);
        } else if count > len - (len >> 4) {
            self.blocks.literals(&self.window, is_last);
        } else {
            self.blocks.tokens(&self.tokens.list, &self.window, is_last);
        }
        self.tokens.list.clear();
        self.window.clear();
    }

    /// Encodes what is left in the window.
    fn rest(&mut self) {
        match self.window.len() {
            0 => {}
            len @ 1..TINY => {
                if len <= TINIEST {
                    self.blocks.stored(&self.window);
                } else {
                    self.blocks.literals(&self.window, true);
                }
                self.window.clear();
                self.finder.history().reset();
            }
            _ => self.block(true),
        }
    }

    /// Encodes all that was written, and an empty stored block after it.
    pub(crate) fn flush(&mut self) {
        self.rest();
        self.blocks.stored(&[]);
    }
}

impl StreamEncoder for Klauspost {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.window.len() == STORED {
                self.block(false);
            }
            let (head, rest) = plain.split_at(plain.len().min(STORED - self.window.len()));
            self.window.extend_from_slice(head);
            plain = rest;
        }
    }

    fn finish(&mut self) {
        self.rest();
        self.blocks.finish();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks.sink.bytes
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
mod tests;
