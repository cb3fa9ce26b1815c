//! zstd as `github.com/klauspost/compress/zstd` does it: BuildKit, podman, skopeo, buildah, nerdctl.
//!
//! A port of klauspost/compress 1.19.1 and, where they differ, 1.16.7 and 1.15.12: `zstd/encoder.go`, `blockenc.go`, `seqenc.go`,
//! `fse_encoder.go`, `frameenc.go`, `enc_fast.go`, `enc_dfast.go`, `enc_better.go`, `enc_best.go`, and of `huff0` and `fse`
//! what these use (BSD-3-Clause; the notice is in the crate's `LICENSE-GO`).

mod best;
mod better;
mod bits;
mod block;
mod double;
mod entropy;
mod fast;
mod fse;
mod history;
mod huffman;
mod sequences;

use std::fmt;
use std::hash::Hasher;

use twox_hash::XxHash64;

use crate::Method;
use crate::deflate::Encoder;
use block::{Blocks, Found};
use history::History;
use sequences::{SHORTEST, Sequence};

/// The magic number of a frame.
pub(crate) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bytes of [`Head::of`].
pub(crate) const HEAD: usize = 9;
/// The flag of a frame with a checksum.
const HAS_CHECKSUM: u8 = 1 << 2;
/// The flag of a frame that tells its length in place of a window.
const IS_SINGLE: u8 = 1 << 5;
/// The bits for how many bytes tell it.
const SIZE: u8 = 3 << 6;
/// A frame of more bytes than this tells its length.
const SMALLEST_WINDOW: usize = 1 << 10;

/// Releases that differ in their output, each named by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// klauspost/compress 1.15.12 to 1.16.3.
    V1_15,
    /// klauspost/compress 1.16.4 to 1.17.7; to 1.17.2 for levels above the default.
    V1_16,
    /// klauspost/compress from 1.17.8 on.
    V1_18,
}

impl Generation {
    /// The most probable first.
    pub(crate) const ALL: [Self; 3] = [Self::V1_18, Self::V1_16, Self::V1_15];
}

/// The levels of klauspost's encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// zstd's levels 1 and 2 for the programs that take these.
    Fastest,
    /// Levels 3 to 5.
    Default,
    /// Levels 6 to 9.
    Better,
    /// Levels from 10 on; only known of the last generation.
    Best,
}

impl Effort {
    /// Plain bytes in a block.
    pub(crate) fn block(self) -> usize {
        match self {
            Self::Fastest => 64 << 10,
            Self::Default | Self::Better | Self::Best => 128 << 10,
        }
    }

    /// True if the level is known of a generation.
    pub(crate) fn is_of(self, generation: Generation) -> bool {
        self != Self::Best || generation == Generation::V1_18
    }

    /// True if two generations find the same matches.
    pub(crate) fn is_alike(self, one: Generation, other: Generation) -> bool {
        let is_last = |generation| generation == Generation::V1_18;
        matches!(self, Self::Fastest | Self::Default) || is_last(one) == is_last(other)
    }

    /// No match is as far as this.
    fn window(self, generation: Generation) -> u32 {
        match (self, generation) {
            (Self::Fastest, _) => 4 << 20,
            (Self::Default | Self::Best, _) | (Self::Better, Generation::V1_18) => 8 << 20,
            (Self::Better, _) => 16 << 20,
        }
    }
}

/// Properties of the encoder, from the start of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// The byte of the window, unless the length is told in its place, or beside it: then there is one block.
    window: Option<u8>,
    /// The size of the first block, if it is neither coded nor the last.
    raw: usize,
}

impl Head {
    /// The start of a frame, of [`HEAD`] bytes; none if klauspost's encoder never writes it so.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        let flags = *start.get(4)?;
        if !start.starts_with(&MAGIC) || flags & !(IS_SINGLE | SIZE) != HAS_CHECKSUM {
            return None;
        }
        if flags != HAS_CHECKSUM {
            return Some(Self { window: None, raw: 0 });
        }
        let [window, a, b, c] = *start.get(5..)?.first_chunk()?;
        let block = u32::from_le_bytes([a, b, c, 0]);
        Some(Self { window: Some(window), raw: if block & 7 == 0 { block as usize >> 3 } else { 0 } })
    }

    /// True if the encoder may have written it.
    pub(crate) fn may_be_of(self, generation: Generation, effort: Effort) -> bool {
        let of_level = window_byte(effort.window(generation));
        // The window of a short frame fits it.
        let may_be = |window| window == of_level || window <= window_byte(2 * SMALLEST_WINDOW as u32);
        effort.is_of(generation) && self.window.is_none_or(may_be)
    }

    /// The plain bytes after which the stream was flushed, which are too few to be coded, and 0 if it was not.
    pub(crate) fn flushed(self, effort: Effort) -> usize {
        if self.raw < effort.block() { self.raw } else { 0 }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fastest => "fastest",
            Self::Default => "default",
            Self::Better => "better",
            Self::Best => "best",
        })
    }
}

/// Where a block begins in the history, which ends with it.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: usize,
    /// The block is all of the frame, which two of the finders treat differently.
    is_alone: bool,
}

/// A place, and the four bytes there.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    value: u32,
    place: u32,
}

/// A place, and the one before it with the same hash.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    place: u32,
    before: u32,
}

impl Pair {
    fn change(&mut self, change: &dyn Fn(&mut u32)) {
        change(&mut self.place);
        change(&mut self.before);
    }
}

/// The match finder of a level.
trait Finder: Send {
    /// The history that matches may reach.
    fn history(&mut self) -> &mut History;

    /// Changes all places that are remembered.
    fn places(&mut self, change: &dyn Fn(&mut u32));

    /// Finds the sequences of the last block of the history.
    fn block(&mut self, plain: &[u8], block: Block, found: &mut Found);
}

impl Found {
    /// A match at the distance of the one before.
    fn repeat(&mut self, literals: &[u8], length: usize) {
        self.sequence(literals, length, 1);
    }

    /// A match at a distance.
    fn matched(&mut self, literals: &[u8], distance: usize, length: usize) {
        self.sequence(literals, length, distance as u32 + 3);
    }

    fn sequence(&mut self, literals: &[u8], length: usize, offset: u32) {
        self.literals.extend_from_slice(literals);
        let length = length as u32 - SHORTEST;
        self.sequences.push(Sequence { literals: literals.len() as u32, length, offset });
    }

    /// True if a block is one byte many times, which is one match then.
    fn all_same(&mut self, plain: &[u8]) -> bool {
        let Some((first, others)) =
            plain.split_first().filter(|(_, others)| others.len() >= SHORTEST as usize)
        else {
            return false;
        };
        let is_same = others.iter().all(|byte| byte == first);
        if is_same {
            self.matched(&plain[..1], 1, others.len());
        }
        is_same
    }
}

/// The encoder of one frame; of several generations at once, if these find the same matches.
pub(crate) struct Zstd {
    effort: Effort,
    finder: Box<dyn Finder>,
    found: Found,
    /// Of each generation, at least one.
    blocks: Vec<Blocks>,
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
    pub(crate) fn new(generation: Generation, effort: Effort, flushed: usize) -> Self {
        Self::of_all(&[generation], effort, flushed)
    }

    /// The same for several generations, of which there is at least one.
    pub(crate) fn of_all(generations: &[Generation], effort: Effort, flushed: usize) -> Self {
        let generation = generations[0];
        let window = effort.window(generation);
        let finder: Box<dyn Finder> = match effort {
            Effort::Fastest => Box::new(fast::Fast::new(window)),
            Effort::Default => Box::new(double::Double::new(window)),
            Effort::Better => Box::new(better::Better::new(generation, window)),
            Effort::Best => Box::new(best::Best::new(window)),
        };
        let blocks = generations.iter().map(|generation| Blocks::new(*generation, effort));
        Self {
            effort,
            finder,
            found: Found::default(),
            blocks: blocks.collect(),
            block: Vec::with_capacity(effort.block()),
            block_len: effort.block(),
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

    /// The first method that is left.
    pub(crate) fn method(&self) -> Option<Method> {
        let blocks = self.blocks.first()?;
        Some(Method::Zstd {
            generation: blocks.generation,
            effort: self.effort,
            flushed: self.flushed as u32,
        })
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
        self.finder.block(&history, Block { start, is_alone }, &mut self.found);
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

/// The head of a frame of one block, of so many bytes.
fn head_alone(len: usize) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    let is_single = len > SMALLEST_WINDOW;
    let size = match len {
        ..256 => 0,
        256..65_792 => 1,
        _ => 2,
    };
    head.push(HAS_CHECKSUM | if is_single { IS_SINGLE } else { 0 } | size << 6);
    if !is_single {
        let window = 1u32 << (usize::BITS - len.leading_zeros());
        head.push(window_byte(window.max(SMALLEST_WINDOW as u32)));
    }
    match size {
        // Without the flag it is not told.
        0 => {}
        1 => head.extend_from_slice(&(len as u16).wrapping_sub(256).to_le_bytes()),
        _ => head.extend_from_slice(&(len as u32).to_le_bytes()),
    }
    head
}

/// A window of a power of two, as the head tells it.
fn window_byte(window: u32) -> u8 {
    ((window - 1).ilog2() as u8 + 1 - 10) << 3
}

impl Encoder for Zstd {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(mut encoder: Zstd, plain: &[u8]) -> Vec<u8> {
        encoder.write(plain);
        encoder.finish();
        std::mem::take(encoder.output())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn places_are_counted_anew_unnoticed(
            seed in proptest::collection::vec(0..5u8, 1..900),
            effort in proptest::sample::select(vec![Effort::Fastest, Effort::Default, Effort::Better, Effort::Best]),
        ) {
            let plain: Vec<u8> = (0..700_000usize).map(|at| seed[(at + at / 7919) % seed.len()]).collect();
            // A small window, which is left soon.
            let new = || Zstd {
                finder: match effort {
                    Effort::Fastest => Box::new(fast::Fast::new(1 << 17)),
                    Effort::Default => Box::new(double::Double::new(1 << 17)),
                    Effort::Better => Box::new(better::Better::new(Generation::V1_18, 1 << 17)),
                    Effort::Best => Box::new(best::Best::new(1 << 17)),
                },
                ..Zstd::new(Generation::V1_18, effort, 0)
            };
            let mut old = new();
            old.finder.history().first = history::MOST - 150_000;
            prop_assert!(encoded(old, &plain) == encoded(new(), &plain));
        }
    }

    #[test]
    fn heads_tell_lengths_in_as_few_bytes_as_fit() {
        let rest = |len| head_alone(len).split_off(4);
        assert_eq!(rest(1), [4, 0]);
        assert_eq!(rest(1000), [0x44, 0, 0xe8, 2]);
        assert_eq!(rest(1024), [0x44, 8, 0, 3]);
        assert_eq!(rest(1025), [0x64, 1, 3]);
        assert_eq!(rest(65_791), [0x64, 0xff, 0xff]);
        assert_eq!(rest(65_792), [0xa4, 0, 1, 1, 0]);
    }
}
