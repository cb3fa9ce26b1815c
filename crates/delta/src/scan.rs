//! The scanner: one pass over a layer, in parts of any size, with memory that does not grow with the chunks.
//!
//! `tape` parses the tar; here its bytes are counted and hashed.

mod bounds;
mod header;
mod tape;

use dsync_core::Digest;
use dsync_core::ustar::BLOCK;
use sha2::{Digest as _, Sha256};

use crate::chunking::{COARSE, Chunker};
use crate::layer_index::parse::Parser;
use crate::layer_index::{CHUNK_MAX, LayerIndex};
use crate::{ChunkHasher, ChunkId};
pub use bounds::{CHUNK_MIN, VERBATIM_MAX};
use tape::{Judged, Tape, TapePart};

/// Verbatim bytes are kept until the next chunk, but are parsed at a header when there are more than this: a million
/// entries in a row may have no chunk.
const HEADERS: usize = 64 << 10;

/// Both hashes run over a slice of this size in turn, so that the second finds it in the cache.
const SLICE: usize = 128 << 10;

/// Divides a layer into verbatim bytes and chunks while its bytes pass by.
///
/// It takes any bytes. The result does not depend on how they are split into pushes, and joining it restores them
/// exactly. Where the tar format is ambiguous, it follows the readers that engines use.
#[derive(Debug)]
pub struct Scanner {
    digest: Sha256,
    len: u64,
    tape: Tape,
    part: TapePart,
    /// The block that is being collected, for [`TapePart::Block`], and its bytes until now.
    block: [u8; BLOCK],
    filled: usize,
    /// The pax records that are being collected, for [`TapePart::Records`].
    records: Vec<u8>,
    /// The hash of the chunk that is passing by, for [`TapePart::Data`], and how many bytes of it are hashed.
    chunk: ChunkHasher,
    hashed: u64,
    /// The division of the file data that is passing by.
    division: Division,
    chunker: Chunker,
    /// The verbatim bytes that are not parsed yet, and the index of those before.
    headers: Vec<u8>,
    index: Parser,
    /// The first bytes of the data that is passing by: should the layer end here, they are verbatim.
    short: Vec<u8>,
    /// The rest is not parsed.
    is_opaque: bool,
}

/// The division of file data into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Division {
    /// No data is passing by.
    NotBegun,
    /// The data is one chunk.
    OneChunk,
    /// The data is longer than [`CHUNK_MAX`], as is all that is no tar: [`chunking`](crate::chunking) finds its chunks.
    Chunks,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner before the first byte of a layer.
    pub fn new() -> Self {
        Scanner {
            digest: Sha256::new(),
            len: 0,
            tape: Tape::default(),
            part: TapePart::Block,
            block: [0; BLOCK],
            filled: 0,
            records: Vec::new(),
            chunk: ChunkHasher::new(),
            hashed: 0,
            division: Division::NotBegun,
            chunker: Chunker::new(COARSE),
            headers: Vec::new(),
            index: Parser::default(),
            short: Vec::new(),
            is_opaque: false,
        }
    }

    /// Takes the next bytes of the layer.
    pub fn push(&mut self, bytes: &[u8]) {
        for slice in bytes.chunks(SLICE) {
            self.digest.update(slice);
            self.len += slice.len() as u64;
            self.scan(slice);
        }
    }

    /// Takes all from the next header on as one long chunk, so that its index takes little memory whatever is in it.
    /// The index is not the one that others make of the same layer, so it serves one sync only.
    pub fn make_opaque(&mut self) {
        self.is_opaque = true;
    }

    /// Bytes of memory that the index takes until now.
    pub fn memory(&self) -> usize {
        self.index.memory()
    }

    /// The number of chunks until now.
    pub fn chunks(&self) -> usize {
        self.index.chunks()
    }

    /// Ends the layer. A chunk that was begun gets the length that it really has.
    pub fn finish(mut self) -> LayerIndex {
        self.headers.extend_from_slice(&self.block[..self.filled]);
        self.headers.extend_from_slice(&self.records);
        if self.hashed >= CHUNK_MIN {
            let id = self.chunk.finish();
            self.found(id, self.hashed);
        } else {
            self.headers.extend_from_slice(&self.short);
        }
        self.flush();
        let digest = Digest::from_bytes(self.digest.finalize().into());
        self.index.finish(digest, self.len)
    }

    fn scan(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match self.part {
                TapePart::Block => self.take_block(bytes),
                TapePart::Records { len } => self.take_records(bytes, len),
                TapePart::Verbatim { left } => self.take_verbatim(bytes, left),
                TapePart::Data { left } => self.take_data(bytes, left),
            };
            bytes = &bytes[taken..];
        }
    }

    fn take_block(&mut self, bytes: &[u8]) -> usize {
        if self.filled == 0 && self.is_opaque {
            self.part = self.tape.opaque();
            return 0;
        }
        if self.filled == 0 && self.headers.len() >= HEADERS {
            self.flush();
        }
        let taken = bytes.len().min(BLOCK - self.filled);
        self.block[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == BLOCK {
            self.filled = 0;
            match self.tape.block(&self.block) {
                Judged::Structure(next) => {
                    self.headers.extend_from_slice(&self.block);
                    self.part = next;
                }
                Judged::Body(part) => {
                    self.part = part;
                    let block = self.block;
                    self.scan(&block);
                }
            }
        }
        taken
    }

    fn take_records(&mut self, bytes: &[u8], len: usize) -> usize {
        let taken = bytes.len().min(len - self.records.len());
        self.records.extend_from_slice(&bytes[..taken]);
        if self.records.len() == len {
            self.headers.extend_from_slice(&self.records);
            self.part = self.tape.records(&self.records);
            self.records.clear();
        }
        taken
    }

    fn take_verbatim(&mut self, bytes: &[u8], left: u64) -> usize {
        let (taken, left) = part_of(bytes, left);
        self.headers.extend_from_slice(taken);
        self.part = if left > 0 { TapePart::Verbatim { left } } else { self.tape.next() };
        taken.len()
    }

    fn take_data(&mut self, bytes: &[u8], left: u64) -> usize {
        if self.division == Division::NotBegun {
            self.division = if left > CHUNK_MAX { Division::Chunks } else { Division::OneChunk };
            self.chunker.reset();
        }
        let (taken, rest) = part_of(bytes, left);
        let boundary = match self.division {
            Division::Chunks => self.chunker.next_boundary(taken),
            Division::NotBegun | Division::OneChunk => None,
        };
        if let Some(len) = boundary.filter(|len| *len as u64 != left) {
            self.chunk.update(&taken[..len]);
            let id = self.chunk.finish();
            self.found(id, self.hashed + len as u64);
            self.hashed = 0;
            self.part = TapePart::Data { left: left - len as u64 };
            return len;
        }
        self.take_rest(taken, rest)
    }

    /// Takes bytes of file data without a chunk boundary in them; `left` bytes of it are still to come.
    fn take_rest(&mut self, taken: &[u8], left: u64) -> usize {
        if left > 0 || self.hashed > 0 {
            self.chunk.update(taken);
            let short = (CHUNK_MIN as usize).saturating_sub(self.short.len()).min(taken.len());
            self.short.extend_from_slice(&taken[..short]);
            self.hashed += taken.len() as u64;
        }
        if left > 0 {
            self.part = TapePart::Data { left };
            return taken.len();
        }
        if self.hashed > 0 {
            let id = self.chunk.finish();
            self.found(id, self.hashed);
            self.hashed = 0;
        } else {
            // All of the chunk is here at once, as small ones usually are: no state to set up.
            self.found(ChunkId::of(taken), taken.len() as u64);
        }
        self.division = Division::NotBegun;
        self.part = self.tape.next();
        taken.len()
    }

    fn found(&mut self, id: ChunkId, len: u64) {
        self.flush();
        self.index.chunk(id, len);
        self.short.clear();
    }

    fn flush(&mut self) {
        if !self.headers.is_empty() {
            self.index.verbatim(&self.headers);
            self.headers.clear();
        }
    }
}

/// Splits off at most `left` bytes. Returns them, and how many are left after them.
fn part_of(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (&bytes[..taken], left - taken as u64)
}
