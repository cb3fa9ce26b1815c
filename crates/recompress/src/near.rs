//! Finds the nearest encoder of a gzip blob that none makes exactly, and its corrections.

use std::io::{self, BufReader, Read, Write};

use flate2::bufread::DeflateDecoder;

use crate::deflate::StreamEncoder;
use crate::deflate::reader::{BlockShape, DeflateBlock, DeflateReader};
use crate::follow::Follower;
use crate::gzip::{self, Hints};
use crate::identify::{BlobHeader, Identification, Identified, Reason, read_header};
use crate::method::CompressionMethod;
use crate::recipe::Recipe;
use crate::recreate::recreate;
use crate::zlib::Flavour;

/// On so much of a blob encoders are compared, in bytes.
const PREFIX: u64 = 1 << 20;
/// Corrections may be the fiftieth part of a blob. Before they are packed, and at its start, they are more.
const MOST_OF_BLOB: u64 = 50;
const MOST_UNPACKED: u64 = 25;
const AT_START: u64 = 16 << 10;

/// Finds the nearest encoder of a blob of which [`crate::identify()`] said that there is none. The recipe is given if
/// it made all of the blob, and is small beside it.
///
/// Reads the blob up to four times, most of them only at its start where nothing comes of it.
///
/// # Errors
///
/// Only those of the blob.
pub fn identify_near<R: Read>(mut open: impl FnMut() -> io::Result<R>) -> io::Result<Identification> {
    let mut start = Vec::new();
    let mut blob = open()?;
    let BlobHeader::Gzip(header) = read_header(&mut blob, &mut start)? else {
        return Ok(Reason::OtherKind.into());
    };
    let mut prefix = start;
    blob.take(PREFIX).read_to_end(&mut prefix)?;
    let Some((method, flushes)) = nearest(&prefix, gzip::hints(&header)) else {
        return Ok(Reason::TooFar.into());
    };
    let mut stream = || -> io::Result<_> {
        let mut blob = BufReader::new(open()?);
        blob.by_ref().take(header.len() as u64).read_to_end(&mut Vec::new())?;
        Ok(blob)
    };
    let mut watch = Watch::new(method, flushes);
    match watch.run(stream()?) {
        Ok(()) => {}
        Err(Stop::Blob(error)) => return Err(error),
        Err(Stop::Ended | Stop::Other) => return Ok(Reason::TooFar.into()),
    }
    let Some(corrections) = watch.follower.notes().and_then(|notes| notes.to_bytes()) else {
        return Ok(Reason::TooFar.into());
    };
    if corrections.len() as u64 > watch.blob / MOST_OF_BLOB {
        return Ok(Reason::TooFar.into());
    }
    let plain = DeflateDecoder::new(stream()?);
    let Ok(recipe) = Recipe::corrected(method, header, corrections) else {
        return Ok(Reason::TooFar.into());
    };
    let mut same = BlobComparer { expected: BufReader::new(open()?), is_same: true };
    match recreate(&recipe, plain, &mut same) {
        Ok(_) if same.is_whole()? => {
            Ok(Identification::Identified(Identified { recipe, plain_len: watch.plain }))
        }
        Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
        _ => Ok(Reason::TooFar.into()),
    }
}

/// The effect of a flush on the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flushes {
    /// A flush ends a block, no more.
    EndBlocks,
    /// The encoder sees nothing beyond.
    EndInput,
    /// And nothing before.
    Forget,
}

/// The encoder that needs the fewest corrections for the start of a stream.
fn nearest(prefix: &[u8], hints: Hints) -> Option<(CompressionMethod, Flushes)> {
    let levels: &[i8] = match hints.extra_flags {
        2 => &[9, 8, 7],
        4 => &[1, 2, 3],
        _ => &[6, 5, 4, 7, 9, 1],
    };
    let cost = |(method, flushes): (CompressionMethod, Flushes)| {
        let mut watch = Watch::new(method, flushes);
        match watch.run(prefix) {
            Err(Stop::Other | Stop::Blob(_)) => usize::MAX,
            Ok(()) | Err(Stop::Ended) => watch.follower.notes().map_or(usize::MAX, |notes| notes.len()),
        }
    };
    let of = |flavour, level| CompressionMethod::Zlib { flavour, level };
    let usual = levels.iter().map(|level| (of(Flavour::Zlib, *level), Flushes::EndInput));
    let (cost_of_best, (method, _)) = usual.map(|one| (cost(one), one)).min_by_key(|(cost, _)| *cost)?;
    let CompressionMethod::Zlib { level, .. } = method else { return None };
    let others = [
        (Flavour::Zlib, Flushes::EndInput),
        (Flavour::Zlib, Flushes::Forget),
        (Flavour::Zlib, Flushes::EndBlocks),
        (Flavour::ZlibLarge, Flushes::EndInput),
        (Flavour::Gnu, Flushes::EndBlocks),
    ];
    let others = others.into_iter().map(|(flavour, flushes)| (of(flavour, level), flushes));
    let (cost, best) = others.map(|one| (cost(one), one)).min_by_key(|(cost, _)| *cost)?;
    (cost.min(cost_of_best) < usize::MAX).then_some(best)
}

/// The reason why no more notes are taken.
enum Stop {
    /// The stream is not whole.
    Ended,
    /// The blob has what cannot be noted, or too much of it.
    Other,
    Blob(io::Error),
}

/// An encoder that takes notes of a blob.
struct Watch {
    follower: Follower,
    flushes: Flushes,
    /// Bytes of the stream, and plain ones.
    blob: u64,
    plain: u64,
}

/// A block, and how many empty ones follow.
struct HeldBlock {
    block: DeflateBlock,
    plain: Vec<u8>,
    stored: u8,
    fixed: u8,
}

impl Watch {
    fn new(method: CompressionMethod, flushes: Flushes) -> Self {
        let follower = Follower::watching(method, flushes == Flushes::Forget);
        Self { follower: follower.expect("zlib can be guided"), flushes, blob: 0, plain: 0 }
    }

    /// Takes notes of a deflate stream.
    fn run(&mut self, blob: impl Read) -> Result<(), Stop> {
        let mut reader = DeflateReader::new(CountingReader { from: blob, len: 0 });
        let mut waiting: Option<HeldBlock> = None;
        loop {
            let block = reader.block().map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Stop::Ended,
                io::ErrorKind::InvalidData => Stop::Other,
                _ => Stop::Blob(error),
            })?;
            let is_last = block.is_last;
            if block.len == 0 && !is_last {
                let Some(HeldBlock { stored, fixed, .. }) = &mut waiting else { return Err(Stop::Other) };
                match block.shape {
                    BlockShape::Stored if *fixed == 0 && *stored < 15 => *stored += 1,
                    BlockShape::Fixed if *fixed < 15 => *fixed += 1,
                    _ => return Err(Stop::Other),
                }
                continue;
            }
            let plain = reader.plain().to_vec();
            let next = HeldBlock { block, plain, stored: 0, fixed: 0 };
            if let Some(before) = waiting.replace(next) {
                self.take(before)?;
            }
            self.blob = reader.bits.from().len;
            if is_last {
                waiting.into_iter().try_for_each(|last| self.take(last))?;
                self.follower.finish();
                return if self.follower.is_wrong() { Err(Stop::Other) } else { Ok(()) };
            }
        }
    }

    fn take(&mut self, HeldBlock { block, plain, stored, fixed }: HeldBlock) -> Result<(), Stop> {
        let empties = stored << 4 | fixed;
        let is_flush = empties > 0 && self.flushes != Flushes::EndBlocks;
        self.plain += plain.len() as u64;
        self.follower.watch(block, &plain, empties, is_flush);
        self.follower.output().clear();
        let most = AT_START + self.blob / MOST_UNPACKED;
        let noted = self.follower.notes().map_or(0, |notes| notes.len());
        if self.follower.is_wrong() || noted as u64 > most { Err(Stop::Other) } else { Ok(()) }
    }
}

/// Counts what is read.
struct CountingReader<R> {
    from: R,
    len: u64,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(piece)?;
        self.len += read as u64;
        Ok(read)
    }
}

/// Compares what is written with the blob.
struct BlobComparer<R> {
    expected: BufReader<R>,
    is_same: bool,
}

impl<R: Read> BlobComparer<R> {
    fn is_whole(&mut self) -> io::Result<bool> {
        Ok(self.is_same && self.expected.read(&mut [0])? == 0)
    }
}

impl<R: Read> Write for BlobComparer<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = Vec::with_capacity(bytes.len());
        self.expected.by_ref().take(bytes.len() as u64).read_to_end(&mut expected)?;
        self.is_same &= expected == bytes;
        match self.is_same {
            true => Ok(bytes.len()),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "near_tests.rs"]
mod tests;
