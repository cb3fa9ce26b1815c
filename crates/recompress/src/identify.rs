//! Identifies the encoder of a blob: candidates are tried on its start, and those that pass run over all of it.

mod frame;
mod header;
mod outcome;
mod prefix;
mod race;

use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};

pub(crate) use header::{BlobHeader, read_header};
pub use outcome::{Identification, Identified, Reason};

use crate::gzip::{self, FOOTER};
use crate::method::{CompressionMethod, candidates};
use crate::recipe::Recipe;
use crate::recreate::{PIECE, read_some};
use prefix::Prefix;
use race::Race;

/// Finds what re-creates a blob, over all of it: a recipe was tried to the last byte. The plain bytes are written on
/// the way ([`io::sink`] drops them); they stop where the outcome is known.
///
/// Reads once. Uses about 10 MiB, of zstd 30; up to 40 and 60 MiB as long as several encoders agree, as on zeros. A
/// blob of a few bytes may have many plain ones: how many are too many is for `plain` to say.
///
/// # Errors
///
/// Only those of `blob` and `plain`; a damaged blob is an [`Identification`].
pub fn identify(mut blob: impl Read, plain: impl Write) -> io::Result<Identification> {
    let mut start = Vec::new();
    let header = match read_header(&mut blob, &mut start)? {
        BlobHeader::Gzip(header) => header,
        BlobHeader::Zstd(head) => return frame::identify(head, blob, plain),
        BlobHeader::None(reason) => return Ok(reason.into()),
    };
    blob.by_ref().take(prefix::LONGEST as u64).read_to_end(&mut start)?;
    let prefix = Prefix::of(&start);
    let mut farthest = 0;
    for methods in candidates(gzip::hints(&header)) {
        let passed: Vec<CompressionMethod> = methods
            .into_iter()
            .filter(|method| {
                let agreed = prefix.agreed(*method);
                farthest = farthest.max(agreed.unwrap_or(0));
                agreed.is_none()
            })
            .collect();
        if !passed.is_empty() {
            let stream = BlobStream { plain, crc: Crc::new(), race: Race::new(&passed) };
            return stream.run((&start[..]).chain(blob), header);
        }
    }
    Ok(Reason::NoEncoder(farthest).into())
}

/// The deflate stream of a blob on its way through.
struct BlobStream<W> {
    plain: W,
    crc: Crc,
    race: Race,
}

/// The state of the stream after a piece of the blob.
enum PieceOutcome {
    Further,
    /// The stream ended, before so many bytes of the piece.
    Ended(usize),
    Stopped(Reason),
}

impl<W: Write> BlobStream<W> {
    fn run(mut self, mut blob: impl Read, header: Vec<u8>) -> io::Result<Identification> {
        let mut inflate = Decompress::new(false);
        let mut piece = vec![0; PIECE];
        loop {
            let read = read_some(&mut blob, &mut piece)?;
            if read == 0 {
                return Ok(Reason::Damaged.into());
            }
            self.race.blob(&piece[..read]);
            match self.piece(&mut inflate, &piece[..read])? {
                PieceOutcome::Further => {}
                PieceOutcome::Stopped(reason) => return Ok(reason.into()),
                PieceOutcome::Ended(rest) => {
                    let mut footer = piece[read - rest..read].to_vec();
                    blob.take(FOOTER as u64 + 1).read_to_end(&mut footer)?;
                    return Ok(self.end(inflate.total_out(), rest, &footer, header));
                }
            }
        }
    }

    /// Inflates a piece of the blob and lets the encoders run over it.
    fn piece(&mut self, inflate: &mut Decompress, piece: &[u8]) -> io::Result<PieceOutcome> {
        let mut plain = vec![0; PIECE];
        let mut used = 0;
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let Ok(status) = inflate.decompress(&piece[used..], &mut plain, FlushDecompress::None) else {
                return Ok(PieceOutcome::Stopped(Reason::Damaged));
            };
            used += (inflate.total_in() - before_in) as usize;
            let made = (inflate.total_out() - before_out) as usize;
            self.crc.update(&plain[..made]);
            self.plain.write_all(&plain[..made])?;
            self.race.plain(&plain[..made]);
            if status == Status::StreamEnd {
                return Ok(PieceOutcome::Ended(piece.len() - used));
            }
            if self.race.is_lost() {
                return Ok(PieceOutcome::Stopped(Reason::NoEncoder(self.race.agreed())));
            }
            if made == 0 {
                return Ok(PieceOutcome::Further);
            }
        }
    }

    /// The outcome where the stream ended before the last `rest` bytes that were read, and `footer` follows.
    fn end(self, plain_len: u64, rest: usize, footer: &[u8], header: Vec<u8>) -> Identification {
        if footer.get(..FOOTER) != Some(&gzip::footer(self.crc.sum(), plain_len)) {
            return Reason::Damaged.into();
        }
        if footer.len() > FOOTER {
            return Reason::Trailing.into();
        }
        let agreed = self.race.agreed();
        match self.race.winner(rest) {
            Some((method, checkpoints)) => Identification::Identified(Identified {
                recipe: Recipe { method, header, checkpoints, corrections: Vec::new() },
                plain_len,
            }),
            None => Reason::NoEncoder(agreed).into(),
        }
    }
}

#[cfg(test)]
#[path = "identify_tests.rs"]
mod tests;
