//! A block: its literals and sequences, or its bytes as they are, or one byte many times.
//!
//! RFC 8878, 3.1.1.2 and 3.1.1.3.1; a port of klauspost's `zstd/blockenc.go`.

use super::huffman::{CodedLiterals, LiteralsCoder};
use super::parameters::{Generation, ZstdLevel};
use super::sequences::{SHORTEST, Sequence, Sequences};

/// The sequences of a block, by a match finder.
#[derive(Default)]
pub(super) struct FoundSequences {
    /// The literals of all sequences, and what follows the last.
    pub(super) literals: Vec<u8>,
    pub(super) sequences: Vec<Sequence>,
}

impl FoundSequences {
    pub(super) fn clear(&mut self) {
        self.literals.clear();
        self.sequences.clear();
    }

    /// A match at the distance of the one before.
    pub(super) fn repeat(&mut self, literals: &[u8], length: usize) {
        self.sequence(literals, length, 1);
    }

    /// A match at a distance.
    pub(super) fn matched(&mut self, literals: &[u8], distance: usize, length: usize) {
        self.sequence(literals, length, distance as u32 + 3);
    }

    pub(super) fn sequence(&mut self, literals: &[u8], length: usize, offset: u32) {
        self.literals.extend_from_slice(literals);
        let length = length as u32 - SHORTEST;
        self.sequences.push(Sequence { literals: literals.len() as u32, length, offset });
    }

    /// True if a block is one byte many times, which is one match then.
    pub(super) fn all_same(&mut self, plain: &[u8]) -> bool {
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

/// The type of a block (RFC 8878, "Block_Type").
#[derive(Debug, Clone, Copy)]
enum BlockType {
    Raw = 0,
    Same = 1,
    Compressed = 2,
}

/// The type of literals (RFC 8878, "Literals_Block_Type"); a new code and the code before have numbers of their own.
#[derive(Debug, Clone, Copy)]
enum LiteralsKind {
    Raw = 0,
    Same = 1,
    Compressed = 2,
    Reused = 3,
}

/// The fewest literals that are coded in four streams.
const FEWEST_IN_FOUR: usize = 1024;
/// The fewest bytes that are coded without sequences.
const FEWEST: usize = 32;

/// The writer of blocks, with what it knows of the one before.
pub(super) struct BlockWriter {
    pub(super) generation: Generation,
    /// Blocks without sequences are coded.
    codes_alone: bool,
    /// Plain bytes in a full block.
    full: usize,
    literals: LiteralsCoder,
    sequences: Sequences,
    pub(super) out: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn new(generation: Generation, level: ZstdLevel) -> Self {
        let codes_alone = match level {
            ZstdLevel::Fastest => false,
            ZstdLevel::Default => generation < Generation::V1_16,
            ZstdLevel::Better | ZstdLevel::Best => true,
        };
        Self {
            generation,
            codes_alone,
            full: level.block(),
            literals: LiteralsCoder::new(),
            sequences: Sequences::new(),
            out: Vec::new(),
        }
    }

    /// Writes a block.
    pub(super) fn block(&mut self, plain: &[u8], found: &FoundSequences, is_last: bool) {
        let Some(first) = found.sequences.first() else {
            if self.generation < Generation::V1_16 && plain.len() == self.full {
                return self.raw(plain, is_last);
            }
            return self.alone(plain, is_last);
        };
        let literals = &found.literals;
        if self.generation >= Generation::V1_18
            && found.sequences.len() == 1
            && literals.len() <= 1
            && first.literals as usize == literals.len()
            && first.offset == 1 + 3
        {
            let len = first.length + SHORTEST + first.literals;
            self.head(BlockType::Same, len as usize, is_last);
            self.out.extend(plain.first());
            return;
        }
        let least = plain.len() >> if self.generation >= Generation::V1_16 { 6 } else { 5 };
        let saved = plain.len() as i64 - (literals.len() + least) as i64;
        if saved < 16 {
            return self.alone(plain, is_last);
        }
        let start = self.out.len();
        self.head(BlockType::Compressed, 0, is_last);
        self.literals(literals);
        let (body, most) = (start + 3, plain.len());
        if self.sequences.encode(&found.sequences, &mut self.out, |out| out.len() - body < most) {
            let size = self.out.len() - body;
            self.out[start..body].copy_from_slice(&head(BlockType::Compressed, size, is_last));
        } else {
            self.out.truncate(start);
            self.raw(plain, is_last);
            self.literals.may_reuse = false;
        }
    }

    /// Writes a block as it is.
    pub(super) fn raw(&mut self, plain: &[u8], is_last: bool) {
        self.head(BlockType::Raw, plain.len(), is_last);
        self.out.extend_from_slice(plain);
    }

    fn head(&mut self, kind: BlockType, size: usize, is_last: bool) {
        self.out.extend_from_slice(&head(kind, size, is_last));
    }

    /// The fewest literals that are coded.
    fn fewest(&self) -> usize {
        if self.generation >= Generation::V1_18 { 17 } else { 33 }
    }

    /// Codes literals if there are enough; and whether in one stream.
    fn coded(&mut self, literals: &[u8]) -> (CodedLiterals, bool) {
        let is_single = literals.len() < FEWEST_IN_FOUR;
        if literals.len() < self.fewest() {
            return (CodedLiterals::Not, is_single);
        }
        (self.literals.encode(literals, !is_single), is_single)
    }

    /// A block without sequences.
    fn alone(&mut self, plain: &[u8], is_last: bool) {
        if plain.len() < FEWEST || !self.codes_alone {
            return self.raw(plain, is_last);
        }
        let (coded, is_single) = self.coded(plain);
        let kind = match coded {
            CodedLiterals::Not => return self.raw(plain, is_last),
            CodedLiterals::Same => {
                self.head(BlockType::Same, plain.len(), is_last);
                self.out.extend(plain.first());
                return;
            }
            CodedLiterals::New => LiteralsKind::Compressed,
            CodedLiterals::Reused => LiteralsKind::Reused,
        };
        let coded = self.literals.out.len();
        let (header, size) = coded_head(kind, coded, plain.len(), is_single);
        if self.generation >= Generation::V1_18 && coded + 5 > plain.len() && coded + size >= plain.len() {
            return self.raw(plain, is_last);
        }
        self.literals.may_reuse = true;
        self.head(BlockType::Compressed, coded + size + 1, is_last);
        self.out.extend_from_slice(&header[..size]);
        self.out.extend_from_slice(&self.literals.out);
        // No sequences.
        self.out.push(0);
    }

    /// The literals of a block with sequences.
    fn literals(&mut self, literals: &[u8]) {
        let (mut coded, is_single) = self.coded(literals);
        let (raw, raw_size) = plain_head(LiteralsKind::Raw, literals.len());
        let len = self.literals.out.len();
        if self.generation >= Generation::V1_18
            && matches!(coded, CodedLiterals::New | CodedLiterals::Reused)
            && len + 5 > literals.len()
            && len + coded_head(LiteralsKind::Compressed, len, literals.len(), is_single).1
                >= literals.len() + raw_size
        {
            coded = CodedLiterals::Not;
        }
        let kind = match coded {
            CodedLiterals::Not => {
                self.out.extend_from_slice(&raw[..raw_size]);
                self.out.extend_from_slice(literals);
                return;
            }
            CodedLiterals::Same => {
                let (same, size) = plain_head(LiteralsKind::Same, literals.len());
                self.out.extend_from_slice(&same[..size]);
                self.out.extend(literals.first());
                return;
            }
            CodedLiterals::New => LiteralsKind::Compressed,
            CodedLiterals::Reused => LiteralsKind::Reused,
        };
        let (header, size) = coded_head(kind, len, literals.len(), is_single);
        self.out.extend_from_slice(&header[..size]);
        self.out.extend_from_slice(&self.literals.out);
        self.literals.may_reuse = true;
    }
}

fn head(kind: BlockType, size: usize, is_last: bool) -> [u8; 3] {
    let [a, b, c, _] = ((size as u32) << 3 | (kind as u32) << 1 | u32::from(is_last)).to_le_bytes();
    [a, b, c]
}

/// The head of literals that are not coded, and its size.
fn plain_head(kind: LiteralsKind, len: usize) -> ([u8; 8], usize) {
    let (kind, len) = (kind as u64, len as u64);
    let (head, size) = match len {
        ..0x10 => (len << 3, 1),
        0x10..0x800 => (1 << 2 | len << 4, 2),
        _ => (3 << 2 | len << 4, 3),
    };
    ((head | kind).to_le_bytes(), size)
}

/// The head of literals that are coded, and its size.
fn coded_head(kind: LiteralsKind, coded: usize, len: usize, is_single: bool) -> ([u8; 8], usize) {
    let (kind, coded, len) = (kind as u64, coded as u64, len as u64);
    let (head, size) = match coded.max(len) {
        ..0x400 => (u64::from(!is_single) << 2 | len << 4 | coded << 14, 3),
        0x400..0x4000 => (2 << 2 | len << 4 | coded << 18, 4),
        _ => (3 << 2 | len << 4 | coded << 22, 5),
    };
    ((head | kind).to_le_bytes(), size)
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
