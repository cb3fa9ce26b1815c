//! Header deltas and listings of a peer, of a patch, or of a damaged cache.

use std::io::{self, Write};
use std::sync::Arc;

use dsync_delta::header_delta::{Decoder, Encoder, Limits, Mode, Origin};
use dsync_delta::{ChunkSource, LayerIndex, join};

use super::layer::Layer;
use crate::pieces::{exactly, joined};
use crate::reads::Short;
use crate::tars::{pairs, sealed};
use crate::{Memory, Target};

/// Header deltas of any bytes, decoded against a layer; and layer indexes of any bytes.
///
/// Layers that are accepted keep within the limits, and come out the same when they are encoded again.
pub(in crate::targets) const HOSTILE_HEADERS: Target =
    Target { name: "hostile_headers", run, memory: Memory { least: 6 << 20, factor: 256 }, seeds };

/// Small, so that exceeding it shows.
const LIMITS: Limits = Limits { len: 1 << 30, entries: 1 << 14, memory: 1 << 20 };

fn run(input: &[u8]) {
    let [how, basis, told] = exactly(input);
    let mode =
        [Mode::References, Mode::WithIds, Mode::Literals][usize::from(how.first().copied().unwrap_or(0)) % 3];
    let basis = Layer::new(sealed(basis));
    let listings = [&*basis.listing];
    let mut accepted = Vec::new();
    for most in [usize::MAX, 3] {
        let mut decoder = Decoder::new(&listings, mode, LIMITS);
        let mut told = Short(told, most);
        let mut layers = Vec::new();
        while let Ok(recipe) = decoder.layer(&mut told) {
            let chunks = recipe.index.chunks();
            assert_eq!(chunks.len(), recipe.origins.len());
            assert!(recipe.index.len <= LIMITS.len && chunks.len() as u64 <= LIMITS.entries);
            let mut end = 0;
            for (chunk, origin) in chunks.iter().zip(recipe.origins.iter()) {
                assert!(chunk.at >= end, "chunks overlap");
                end = chunk.at.checked_add(chunk.len).expect("a chunk ends somewhere");
                match *origin {
                    Origin::Basis { layer, chunk: ordinal } => {
                        assert_eq!(layer, 0);
                        let known =
                            basis.listing.chunks().get(ordinal as usize).expect("a chunk of the basis");
                        assert_eq!(known.len, chunk.len, "a chunk of the basis has another length");
                    }
                    Origin::Literal(number) => {
                        let literal = decoder.literals()[number as usize];
                        assert_eq!(u64::from(literal.len), chunk.len, "a literal has another length");
                    }
                }
            }
            assert!(end <= recipe.index.len);
            // Joined with other bytes it is another layer, and not a longer one.
            let mut out = Counted(0);
            join(&recipe, &mut Zeros, &mut out).ok();
            assert!(out.0 <= recipe.index.len);
            layers.push(recipe);
            if layers.len() == 4 {
                break;
            }
        }
        accepted.push(layers);
    }
    let (Some(short), Some(whole)) = (accepted.pop(), accepted.pop()) else { return };
    assert_eq!(whole.len(), short.len(), "short reads make other layers");
    for (recipe, other) in whole.into_iter().zip(short) {
        assert!(recipe.index == other.index);
        // Of what is told to be joined at once, literals have no ids.
        if mode == Mode::WithIds {
            tell_again(&recipe.index);
        }
    }
    if let Ok(listing) = LayerIndex::read(&mut &told[..], LIMITS.memory) {
        tell_again(&Arc::new(listing));
    }
}

/// An accepted layer is like any other: encoding and decoding give it again.
fn tell_again(listing: &Arc<LayerIndex>) {
    let mut told = Vec::new();
    let mut encoder = Encoder::new(&[], Mode::WithIds);
    encoder.layer(listing, &mut told).expect("memory does not fail");
    let limits = Limits { memory: 8 * LIMITS.memory, ..LIMITS };
    let mut decoder = Decoder::new(&[], Mode::WithIds, limits);
    let again = decoder.layer(&mut &told[..]).expect("what was told can be read");
    assert!(*again.index == **listing, "a layer that was accepted is told as another");
}

struct Zeros;

impl ChunkSource for Zeros {
    fn copy(&mut self, _: Origin, len: u64, out: &mut dyn Write) -> io::Result<()> {
        io::copy(&mut io::Read::take(io::repeat(0), len.min(1 << 16)), out).map(drop)
    }
}

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        // A run of zeros is as long as somebody says.
        if self.0 > 8 << 20 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (old, new) in pairs(12 << 10) {
        let (old, new) = (Layer::new(old), Layer::new(new));
        let listings = [&*old.listing];
        let mut told = Vec::new();
        let mut encoder = Encoder::new(&listings, Mode::References);
        encoder.layer(&new.listing, &mut told).expect("memory does not fail");
        seeds.push(joined(&[&[0], &old.bytes, &told]));
    }
    for (number, (_, new)) in pairs(6 << 10).into_iter().enumerate().take(6) {
        let listing = Layer::new(new).listing;
        let mut told = Vec::new();
        if number % 2 == 0 {
            listing.write(&mut told).expect("memory does not fail");
        } else {
            Encoder::new(&[], Mode::WithIds).layer(&listing, &mut told).expect("memory does not fail");
        }
        seeds.push(joined(&[&[1], &[], &told]));
    }
    seeds
}
