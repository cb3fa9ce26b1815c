//! Helpers of the tests: layers to scan, and the whole way from a layer to the same layer again.

use std::io::{self, Write};

use std::convert::Infallible;
use std::sync::Arc;

use dsync_core::Digest;
use dsync_delta::header_delta::{Decoder, Encoder, Limits, Literal, Mode, Origin};
use dsync_delta::layer_index;
use dsync_delta::{ChunkId, ChunkSource, LayerIndex, Scanner, join};

/// More than any layer of these tests asks for.
pub(crate) const LIMITS: Limits = Limits { len: 1 << 40, entries: 1 << 20, memory: 1 << 30 };

/// A piece of a layer, in the order of the layer's bytes; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The number of bytes that stay as they are.
    Verbatim(u64),
    /// A chunk.
    Chunk { id: ChunkId, at: u64, len: u64 },
}

impl Segment {
    pub(crate) fn len(&self) -> u64 {
        match *self {
            Segment::Verbatim(len) | Segment::Chunk { len, .. } => len,
        }
    }
}

/// A layer as its segments; no two verbatim ones are neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    digest: Digest,
    len: u64,
    pub(crate) segments: Vec<Segment>,
}

impl Layout {
    fn of(index: &LayerIndex) -> Layout {
        let mut segments: Vec<Segment> = Vec::new();
        let result: Result<(), Infallible> = index.segments(&mut |segment| {
            let more = match segment {
                layer_index::Segment::Verbatim(bytes) => bytes.len() as u64,
                layer_index::Segment::Zeros(len) => len,
                layer_index::Segment::Chunk(ordinal) => {
                    let chunk = index.chunks().at(ordinal);
                    segments.push(Segment::Chunk { id: chunk.id, at: chunk.at, len: chunk.len });
                    return Ok(());
                }
            };
            match segments.last_mut() {
                Some(Segment::Verbatim(len)) => *len += more,
                _ => segments.push(Segment::Verbatim(more)),
            }
            Ok(())
        });
        let Ok(()) = result;
        Layout { digest: index.digest, len: index.len, segments }
    }
}

/// The layout of bytes that come all at once.
pub(crate) fn scan(bytes: &[u8]) -> Layout {
    let mut scanner = Scanner::new();
    scanner.push(bytes);
    Layout::of(&scanner.finish())
}

/// The layout of bytes that come in pieces of these sizes, over and over.
pub(crate) fn scan_split(bytes: &[u8], sizes: &[usize]) -> Layout {
    let mut scanner = Scanner::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        scanner.push(piece);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let index = scanner.finish();
    assert!(index == Layer::new(bytes.to_vec()).index(), "another index");
    Layout::of(&index)
}

/// Asserts all that a layout promises, without any knowledge of the tar format.
pub(crate) fn assert_sound(layout: &Layout, bytes: &[u8]) {
    assert_eq!(layout.len, bytes.len() as u64);
    assert_eq!(layout.digest, Digest::of(bytes));
    assert_eq!(layout.segments.iter().map(Segment::len).sum::<u64>(), layout.len);
    assert!(!layout.segments.iter().any(|segment| segment.len() == 0), "an empty segment");
    let mut offset = 0;
    for segment in &layout.segments {
        if let Segment::Chunk { id, at, len } = *segment {
            assert_eq!(at, offset);
            assert_eq!(id, ChunkId::of(&bytes[at as usize..][..len as usize]));
        }
        offset += segment.len();
    }
}

/// A layer and its index.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) index: Arc<LayerIndex>,
}

impl Layer {
    pub(crate) fn new(bytes: Vec<u8>) -> Layer {
        let mut scanner = Scanner::new();
        scanner.push(&bytes);
        Layer { bytes, index: Arc::new(scanner.finish()) }
    }

    fn index(&self) -> LayerIndex {
        LayerIndex::clone(&self.index)
    }

    pub(crate) fn chunk(&self, ordinal: usize) -> &[u8] {
        let chunk = self.index.chunks().at(ordinal);
        &self.bytes[chunk.at as usize..][..chunk.len as usize]
    }
}

/// Chunks out of layers in memory.
pub(crate) struct Sources<'a> {
    pub(crate) basis: &'a [Layer],
    pub(crate) new: &'a [Layer],
    pub(crate) literals: &'a [Literal],
}

impl ChunkSource for Sources<'_> {
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

/// Tells layers to somebody who has others, and asserts that they come out as they were. Returns what was encoded,
/// and the literals.
pub(crate) fn encode(basis: &[Layer], new: &[Layer], mode: Mode) -> (Vec<u8>, Vec<Literal>) {
    let indexes: Vec<&LayerIndex> = basis.iter().map(|layer| &*layer.index).collect();
    let mut encoder = Encoder::new(&indexes, mode);
    let mut encoded = Vec::new();
    new.iter().for_each(|layer| encoder.layer(&layer.index, &mut encoded).unwrap());
    let mut decoder = Decoder::new(&indexes, mode, LIMITS);
    let mut input = &encoded[..];
    for layer in new {
        let assembly = decoder.layer(&mut input).unwrap();
        let mut out = Vec::new();
        join(&assembly, &mut Sources { basis, new, literals: encoder.literals() }, &mut out).unwrap();
        assert!(out == layer.bytes, "another layer");
    }
    assert!(input.is_empty(), "bytes are left over");
    assert_eq!(decoder.literals(), encoder.literals());
    let literals = decoder.into_literals();
    assert_eq!(literals, encoder.into_literals());
    (encoded, literals)
}

/// Scan, list, encode, join: asserts that each step keeps all, and returns the layout.
pub(crate) fn assert_survives(bytes: &[u8]) -> Layout {
    let layout = scan(bytes);
    assert_sound(&layout, bytes);
    let layer = [Layer::new(bytes.to_vec())];
    let mut kept = Vec::new();
    layer[0].index.write(&mut kept).unwrap();
    let kept = LayerIndex::read(&mut &kept[..], usize::MAX).unwrap();
    assert!(kept == *layer[0].index, "another index");
    for mode in [Mode::Literals, Mode::References, Mode::WithIds] {
        encode(&[], &layer, mode);
    }
    encode(&layer, &layer, Mode::References);
    layout
}

/// The index as a target has it, which gets no ids.
pub(crate) fn without_ids(index: &LayerIndex) -> LayerIndex {
    let mut encoded = Vec::new();
    Encoder::new(&[], Mode::References).layer(&Arc::new(index.clone()), &mut encoded).unwrap();
    Decoder::new(&[], Mode::References, LIMITS).layer(&mut &encoded[..]).unwrap().index.as_ref().clone()
}
