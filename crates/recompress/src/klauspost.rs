//! Deflate as `github.com/klauspost/compress/flate` does it, levels 1 to 6: podman, skopeo and buildah, and Go's own
//! `compress/flate` from 1.27 on, which is the same code.
//!
//! A port of Go 1.27's `deflate.go`, `level1.go` to `level6.go`, `token.go` and `huffman_bit_writer.go`, and of the
//! same files of klauspost 1.15.12 where they differ (BSD-3-Clause; the notices are in the crate's `LICENSE-GO`).

mod block;
mod history;
mod level3;
mod level4;
mod level5;
mod level6;
mod matches;
mod pairs;
mod parallel;
mod single;
mod tokens;

use crate::deflate::Encoder;
use crate::deflate::alphabet::{FARTHEST, STORED};
pub(crate) use parallel::{Pgzip, is_block, pgzip_block};

use block::Blocks;
use history::{Block, History};
use tokens::Tokens;

/// With fewer bytes at the end no matches are looked for.
const TINY: usize = 128;
/// Up to so many bytes at the end are stored.
const TINIEST: usize = 32;

/// Releases that differ in their output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// klauspost 1.15.11 to 1.18.0: the head of a block tells codes for all of the alphabet.
    Full,
    /// klauspost from 1.18.2 and Go from 1.27: only for what is used.
    Exact,
}

/// The match finder of a level.
trait Finder: Send {
    /// The history that matches may reach.
    fn history(&mut self) -> &mut History;

    /// Changes all places that are remembered.
    fn places(&mut self, change: &dyn Fn(&mut i32));

    /// Makes tokens of the last block of the history; none if there is no match.
    fn block(&mut self, block: Block, tokens: &mut Tokens);

    /// Makes tokens of the next block.
    fn encode(&mut self, plain: &[u8], tokens: &mut Tokens) {
        if let Some(anew) = self.history().count_anew() {
            self.places(&anew);
        }
        let block = self.history().append(plain);
        self.block(block, tokens);
    }
}

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
pub(crate) struct Fast {
    finder: Box<dyn Finder>,
    tokens: Tokens,
    window: Vec<u8>,
    blocks: Blocks,
}

impl Fast {
    pub(crate) fn new(release: Release, level: u8) -> Self {
        let blocks = Blocks::new(release, 7);
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
    fn begin_after(&mut self, before: &[u8]) {
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

impl Encoder for Fast {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(mut encoder: Fast, plain: &[u8]) -> Vec<u8> {
        encoder.write(plain);
        encoder.finish();
        std::mem::take(encoder.output())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn places_are_counted_anew_unnoticed(seed in proptest::collection::vec(0..5u8, 1..900), level in 1..=6u8) {
            let plain: Vec<u8> = (0..400_000usize).map(|at| seed[(at + at / 7919) % seed.len()]).collect();
            let fresh = encoded(Fast::new(Release::Exact, level), &plain);
            let mut old = Fast::new(Release::Exact, level);
            old.finder.history().first = history::MOST - 150_000;
            prop_assert!(encoded(old, &plain) == fresh);
        }
    }
}
