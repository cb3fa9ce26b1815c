//! The scanner: one pass over a layer, in pieces of any size, with memory that does not grow with the
//! contents. `tape` decides about the bytes of a tar; here they are counted and hashed.

mod bounds;
mod header;
mod tape;

use dsync_core::Digest;
use dsync_core::ustar::BLOCK;
use sha2::{Digest as _, Sha256};

use crate::cut::{COARSE, Cutter};
use crate::layer_index::LayerIndex;
use crate::layer_index::parse::Parser;
use crate::{ContentHasher, ContentId};
pub use bounds::{CONTENT_MIN, VERBATIM_MAX, WHOLE_MAX};
use tape::{Judged, Part, Tape};

/// Verbatim bytes wait for the next content, but no more of them than this before a header: there may be a million
/// entries in a row without one.
const HEADERS: usize = 64 << 10;

/// Both hashes run over a slice of this size in turn, so that the second finds it in the cache.
const SLICE: usize = 128 << 10;

/// Divides a layer into verbatim bytes and contents while its bytes pass by.
///
/// It takes any bytes. The result does not depend on how they are split into pushes, and joining it gives
/// them back exactly. Where the tar format leaves room, the guess follows the readers that engines use.
#[derive(Debug)]
pub struct Scanner {
    digest: Sha256,
    len: u64,
    tape: Tape,
    part: Part,
    /// The block that is being collected, for [`Part::Block`], and how much of it is here.
    block: [u8; BLOCK],
    filled: usize,
    /// The pax records that are being collected, for [`Part::Records`].
    records: Vec<u8>,
    /// The content that is passing by, for [`Part::Content`], and how much of it is hashed.
    content: ContentHasher,
    hashed: u64,
    /// A content has begun and not ended; it is being cut.
    inside: bool,
    cutting: bool,
    cutter: Cutter,
    /// The verbatim bytes that are not listed yet, and what was made of those before.
    headers: Vec<u8>,
    listing: Parser,
    /// The first bytes of the content that is passing by: should the layer end here, they are verbatim.
    short: Vec<u8>,
    /// The rest is not looked into.
    is_cut: bool,
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
            part: Part::Block,
            block: [0; BLOCK],
            filled: 0,
            records: Vec::new(),
            content: ContentHasher::new(),
            hashed: 0,
            inside: false,
            cutting: false,
            cutter: Cutter::new(COARSE),
            headers: Vec::new(),
            listing: Parser::default(),
            short: Vec::new(),
            is_cut: false,
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

    /// From the next header on takes what comes for one large content, which is cut: a listing of it has little memory
    /// whatever is in it. It is not the one that others make of the same layer, so it is for one sync only.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Bytes of memory that the listing takes until now.
    pub fn memory(&self) -> usize {
        self.listing.memory()
    }

    /// The number of contents until now.
    pub fn contents(&self) -> usize {
        self.listing.contents()
    }

    /// The layer has ended; what was begun is closed with the length that it really has.
    pub fn finish(mut self) -> LayerIndex {
        self.headers.extend_from_slice(&self.block[..self.filled]);
        self.headers.extend_from_slice(&self.records);
        if self.hashed >= CONTENT_MIN {
            let id = self.content.finish();
            self.found(id, self.hashed);
        } else {
            self.headers.extend_from_slice(&self.short);
        }
        self.flush();
        let digest = Digest::from_bytes(self.digest.finalize().into());
        self.listing.finish(digest, self.len)
    }

    fn scan(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match self.part {
                Part::Block => self.take_block(bytes),
                Part::Records { len } => self.take_records(bytes, len),
                Part::Verbatim { left } => self.take_verbatim(bytes, left),
                Part::Content { left } => self.take_content(bytes, left),
            };
            bytes = &bytes[taken..];
        }
    }

    fn take_block(&mut self, bytes: &[u8]) -> usize {
        if self.filled == 0 && self.is_cut {
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
        self.part = if left > 0 { Part::Verbatim { left } } else { self.tape.next() };
        taken.len()
    }

    fn take_content(&mut self, bytes: &[u8], left: u64) -> usize {
        if !self.inside {
            self.inside = true;
            self.cutting = left > WHOLE_MAX;
            self.cutter.reset();
        }
        let (taken, rest) = part_of(bytes, left);
        let cut = if self.cutting { self.cutter.find(taken) } else { None };
        if let Some(len) = cut.filter(|len| *len as u64 != left) {
            self.content.update(&taken[..len]);
            let id = self.content.finish();
            self.found(id, self.hashed + len as u64);
            self.hashed = 0;
            self.part = Part::Content { left: left - len as u64 };
            return len;
        }
        self.take_rest(taken, rest)
    }

    /// Takes bytes of a content within which there is no cut; `left` of it are still to come.
    fn take_rest(&mut self, taken: &[u8], left: u64) -> usize {
        if left > 0 || self.hashed > 0 {
            self.content.update(taken);
            let short = (CONTENT_MIN as usize).saturating_sub(self.short.len()).min(taken.len());
            self.short.extend_from_slice(&taken[..short]);
            self.hashed += taken.len() as u64;
        }
        if left > 0 {
            self.part = Part::Content { left };
            return taken.len();
        }
        if self.hashed > 0 {
            let id = self.content.finish();
            self.found(id, self.hashed);
            self.hashed = 0;
        } else {
            // The whole content is here at once, as small ones usually are: no state to set up.
            self.found(ContentId::of(taken), taken.len() as u64);
        }
        self.inside = false;
        self.part = self.tape.next();
        taken.len()
    }

    fn found(&mut self, id: ContentId, len: u64) {
        self.flush();
        self.listing.content(id, len);
        self.short.clear();
    }

    fn flush(&mut self) {
        if !self.headers.is_empty() {
            self.listing.verbatim(&self.headers);
            self.headers.clear();
        }
    }
}

/// As many of the bytes as belong to a part of which `left` bytes are missing, and how many are then.
fn part_of(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (&bytes[..taken], left - taken as u64)
}
