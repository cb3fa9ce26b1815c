//! Identifies the level and generation of klauspost's encoder that made a zstd frame.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::outcome::{Identification, Identified, Reason};
use crate::deflate::StreamEncoder;
use crate::method::CompressionMethod;
use crate::recipe::Recipe;
use crate::recreate::{PIECE, read_some};
use crate::zstd::{FrameHead, Generation, HEAD, Zstd, ZstdLevel};

/// The largest window of an encoder that is known, as a power of two: 16 MiB.
const LARGEST_WINDOW: u32 = 24;

/// Finds the encoder of a frame that begins with `head`, and goes on in `blob`.
pub(super) fn identify(
    mut head: Vec<u8>,
    mut blob: impl Read,
    plain: impl Write,
) -> io::Result<Identification> {
    while head.len() < HEAD {
        let mut piece = [0; HEAD];
        let read = read_some(&mut blob, &mut piece)?;
        if read == 0 {
            return Ok(Reason::Damaged.into());
        }
        head.extend_from_slice(&piece[..read]);
    }
    let encoders = candidates(&head);
    if encoders.is_empty() {
        return Ok(Reason::NoEncoder(0).into());
    }
    let race = FrameRace { encoders, blob: VecDeque::new(), plain: 0 };
    run(race, (&head[..]).chain(blob), plain)
}

/// The candidates for a frame that begins so. Wrong levels are out after a block; few blocks
/// differ between the generations, and without one the newest is taken.
fn candidates(head: &[u8]) -> Vec<Candidate> {
    let Some(head) = FrameHead::of(head) else { return Vec::new() };
    let mut encoders = Vec::new();
    for level in [ZstdLevel::Default, ZstdLevel::Fastest, ZstdLevel::Better, ZstdLevel::Best] {
        let flushed = head.flushed(level);
        let mut generations = Generation::ALL.to_vec();
        generations.retain(|generation| head.may_be_of(*generation, level));
        let alike = generations.chunk_by(|one, other| level.is_alike(*one, *other));
        let candidate =
            |alike: &[Generation]| Candidate { level, flushed, encoder: Zstd::of_all(alike, level, flushed) };
        encoders.extend(alike.map(candidate));
    }
    encoders
}

/// A level, and the encoder of the generations that find the same matches with it.
struct Candidate {
    level: ZstdLevel,
    flushed: usize,
    encoder: Zstd,
}

impl Candidate {
    /// The method of the first generation that is left.
    fn method(&self) -> Option<CompressionMethod> {
        let generation = self.encoder.generation()?;
        Some(CompressionMethod::Zstd { generation, level: self.level, flushed: self.flushed as u32 })
    }
}

/// Encoders that run beside each other over the same bytes; one that differs from the blob is out.
struct FrameRace {
    encoders: Vec<Candidate>,
    /// The blob's bytes that were not compared.
    blob: VecDeque<u8>,
    plain: u64,
}

impl FrameRace {
    /// Encodes the next plain bytes, which are those of the blob given so far, and compares.
    fn plain(&mut self, plain: &[u8]) {
        self.plain += plain.len() as u64;
        self.encoders.iter_mut().for_each(|candidate| candidate.encoder.write(plain));
        self.compare();
    }

    fn finish(&mut self) {
        self.encoders.iter_mut().for_each(|candidate| candidate.encoder.finish());
        self.compare();
    }

    /// Drops encoders that differ. All that agree have come equally far: the head of a block has its length.
    fn compare(&mut self) {
        let blob = self.blob.make_contiguous();
        let mut compared = 0;
        self.encoders.retain_mut(|candidate| {
            let len = candidate.encoder.retain(|output| blob.starts_with(output));
            compared = compared.max(len.unwrap_or(0));
            len.is_some()
        });
        self.blob.drain(..compared);
    }

    /// The most probable method, if its output is all of the blob.
    fn winner(&self) -> Option<CompressionMethod> {
        self.encoders.first().filter(|_| self.blob.is_empty())?.method()
    }
}

/// Lets the encoders run over the plain bytes of a frame.
fn run(mut race: FrameRace, mut blob: impl Read, mut plain: impl Write) -> io::Result<Identification> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW))?;
    let (mut piece, mut decoded) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let read = read_some(&mut blob, &mut piece)?;
        if read == 0 {
            return Ok(Reason::Damaged.into());
        }
        race.blob.extend(&piece[..read]);
        let mut input = InBuffer::around(&piece[..read]);
        loop {
            let mut output = OutBuffer::around(&mut decoded[..]);
            let Ok(hint) = decoder.run(&mut input, &mut output) else { return Ok(Reason::Damaged.into()) };
            let made = output.as_slice();
            plain.write_all(made)?;
            race.plain(made);
            if hint == 0 {
                let is_followed = input.pos() < read || read_some(&mut blob, &mut [0])? > 0;
                return Ok(if is_followed { Reason::Trailing.into() } else { end(race) });
            }
            if race.encoders.is_empty() {
                return Ok(Reason::NoEncoder(race.plain).into());
            }
            if made.len() < PIECE && input.pos() == read {
                break;
            }
        }
    }
}

/// The outcome of a frame that ended well.
fn end(mut race: FrameRace) -> Identification {
    race.finish();
    match race.winner() {
        Some(method) => {
            let recipe =
                Recipe { method, header: Vec::new(), checkpoints: Vec::new(), corrections: Vec::new() };
            Identification::Identified(Identified { recipe, plain_len: race.plain })
        }
        None => Reason::NoEncoder(race.plain).into(),
    }
}
