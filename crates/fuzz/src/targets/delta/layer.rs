//! A layer in memory, and what is known of it.

use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::Digest;
use dsync_delta::header_delta::{Decoder, Encoder, Limits, Literal, Mode, Origin};
use dsync_delta::{ChunkId, ChunkSource, LayerIndex, Scanner, join};

/// More than any layer of an input asks for.
pub(super) const LIMITS: Limits = Limits { len: 1 << 40, entries: 1 << 20, memory: 8 << 20 };

pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    pub(super) listing: Arc<LayerIndex>,
}

impl Layer {
    pub(super) fn new(bytes: Vec<u8>) -> Layer {
        let listing = scan(&bytes, usize::MAX);
        assert_eq!((listing.len, listing.digest), (bytes.len() as u64, Digest::of(&bytes)));
        let mut end = 0;
        for chunk in listing.chunks().iter() {
            assert!(chunk.at >= end && chunk.len > 0, "chunks overlap");
            end = chunk.at + chunk.len;
            assert_eq!(chunk.id, ChunkId::of(&bytes[chunk.at as usize..end as usize]));
        }
        assert!(end <= listing.len);
        Layer { bytes, listing: Arc::new(listing) }
    }

    fn chunk(&self, ordinal: usize) -> &[u8] {
        let chunk = self.listing.chunks().at(ordinal);
        &self.bytes[chunk.at as usize..][..chunk.len as usize]
    }
}

/// The index from a scanner that is given at most `most` bytes at a time.
pub(super) fn scan(bytes: &[u8], most: usize) -> LayerIndex {
    let mut scanner = Scanner::new();
    bytes.chunks(most.clamp(1, 1 << 30)).for_each(|piece| scanner.push(piece));
    scanner.finish()
}

/// Chunks out of layers in memory.
struct Chunks<'a> {
    basis: &'a [Layer],
    new: &'a [Layer],
    literals: &'a [Literal],
}

impl ChunkSource for Chunks<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(match from {
            Origin::Basis { layer, chunk } => self.basis[usize::from(layer)].chunk(chunk as usize),
            Origin::Literal(ordinal) => {
                let Literal { layer, chunk, .. } = self.literals[ordinal as usize];
                self.new[layer as usize].chunk(chunk as usize)
            }
        })
    }
}

/// Tells layers to somebody who has others: they come out as they were. Returns what was told.
pub(super) fn tell(basis: &[Layer], new: &[Layer], mode: Mode) -> Vec<u8> {
    let listings: Vec<&LayerIndex> = basis.iter().map(|layer| &*layer.listing).collect();
    let mut encoder = Encoder::new(&listings, mode);
    let mut told = Vec::new();
    new.iter().for_each(|layer| encoder.layer(&layer.listing, &mut told).expect("memory does not fail"));
    let mut decoder = Decoder::new(&listings, mode, LIMITS);
    let mut input = &told[..];
    for layer in new {
        let recipe = decoder.layer(&mut input).expect("what was told can be read");
        let mut out = Vec::new();
        let mut chunks = Chunks { basis, new, literals: encoder.literals() };
        join(&recipe, &mut chunks, &mut out).expect("all chunks are there");
        assert!(out == layer.bytes, "another layer");
    }
    assert!(input.is_empty(), "bytes are left over");
    assert_eq!(decoder.literals(), encoder.literals());
    told
}
