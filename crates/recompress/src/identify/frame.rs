//! Identifies the level and generation of klauspost's encoder that made a zstd frame.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::outcome::{Identified, Outcome, Reason};
use crate::deflate::Encoder;
use crate::method::Method;
use crate::recipe::Recipe;
use crate::recreate::{PIECE, read_some};
use crate::zstd::{Effort, Generation, HEAD, Head, Zstd};

/// The largest window of an encoder that is known, as a power of two: 16 MiB.
const LARGEST_WINDOW: u32 = 24;

/// Finds the encoder of a frame that begins with `head`, and goes on in `blob`.
pub(super) fn identify(mut head: Vec<u8>, mut blob: impl Read, plain: impl Write) -> io::Result<Outcome> {
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
    let race = Race { encoders, blob: VecDeque::new(), plain: 0 };
    run(race, (&head[..]).chain(blob), plain)
}

/// The candidates for a frame that begins so. Wrong levels are out after a block; few blocks
/// differ between the generations, and without one the newest is taken.
fn candidates(head: &[u8]) -> Vec<Candidate> {
    let Some(head) = Head::of(head) else { return Vec::new() };
    let mut encoders = Vec::new();
    for effort in [Effort::Default, Effort::Fastest, Effort::Better, Effort::Best] {
        let flushed = head.flushed(effort);
        let mut generations = Generation::ALL.to_vec();
        generations.retain(|generation| head.may_be_of(*generation, effort));
        let alike = generations.chunk_by(|one, other| effort.is_alike(*one, *other));
        let candidate = |alike: &[Generation]| Candidate {
            effort,
            flushed,
            encoder: Zstd::of_all(alike, effort, flushed),
        };
        encoders.extend(alike.map(candidate));
    }
    encoders
}

/// A level, and the encoder of the generations that find the same matches with it.
struct Candidate {
    effort: Effort,
    flushed: usize,
    encoder: Zstd,
}

impl Candidate {
    /// The method of the first generation that is left.
    fn method(&self) -> Option<Method> {
        let generation = self.encoder.generation()?;
        Some(Method::Zstd { generation, effort: self.effort, flushed: self.flushed as u32 })
    }
}

/// Encoders that run beside each other over the same bytes; one that differs from the blob is out.
struct Race {
    encoders: Vec<Candidate>,
    /// The blob's bytes that were not compared.
    blob: VecDeque<u8>,
    plain: u64,
}

impl Race {
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
    fn winner(&self) -> Option<Method> {
        self.encoders.first().filter(|_| self.blob.is_empty())?.method()
    }
}

/// Lets the encoders run over the plain bytes of a frame.
fn run(mut race: Race, mut blob: impl Read, mut plain: impl Write) -> io::Result<Outcome> {
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
fn end(mut race: Race) -> Outcome {
    race.finish();
    match race.winner() {
        Some(method) => {
            let recipe =
                Recipe { method, header: Vec::new(), checkpoints: Vec::new(), corrections: Vec::new() };
            Outcome::Identified(Identified { recipe, plain_len: race.plain })
        }
        None => Reason::NoEncoder(race.plain).into(),
    }
}
