//! Which encoder made a blob: all that may have run beside each other, until their output differs from the blob.

mod race;

use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::gzip::{self, FOOTER, LONGEST_HEADER, Start};
use crate::recreate::read_some;
use crate::{Method, Recipe};
use race::Race;

/// Bytes of the blob that are read at once, and plain bytes that are encoded at once.
const PIECE: usize = 1 << 16;

/// What became of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It can be re-created.
    Recognised(Recognised),
    /// It must be taken as it is.
    Unknown(Reason),
}

/// How to re-create a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// What [`crate::recreate`] needs beside the plain bytes.
    pub recipe: Recipe,
    /// How many plain bytes there are.
    pub plain_len: u64,
}

/// Why a blob cannot be re-created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is compressed with zstd, whose encoders are not known here.
    #[error("it is compressed with zstd")]
    Zstd,
    /// It is not gzip, or its header is unusually long.
    #[error("it is not compressed with gzip")]
    NotGzip,
    /// It ends too early, or its checksum is wrong.
    #[error("it is damaged")]
    Damaged,
    /// More bytes follow the gzip stream, such as a further stream.
    #[error("something follows the compressed stream")]
    Trailing,
    /// No encoder that is known here makes it. So many plain bytes agreed with the one that came farthest.
    #[error("no known encoder makes it; one agreed for about {0} bytes of its contents")]
    NoEncoder(u64),
}

impl Reason {
    fn outcome(self) -> io::Result<Outcome> {
        Ok(Outcome::Unknown(self))
    }
}

/// Finds what re-creates a blob, over all of it: a recipe was tried to the last byte. The plain bytes are written on
/// the way ([`io::sink`] drops them); they stop where the outcome is known.
///
/// Reads once. Uses up to 40 MiB at the start, where all encoders are tried, and 10 MiB later.
///
/// # Errors
///
/// Only those of `blob` and `plain`; a damaged blob is an [`Outcome`].
pub fn recognise(mut blob: impl Read, plain: impl Write) -> io::Result<Outcome> {
    let mut head = Vec::new();
    let header = loop {
        match gzip::start(&head) {
            Start::Header(len) => break head[..len].to_vec(),
            Start::Other if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => return Reason::Zstd.outcome(),
            Start::Other => return Reason::NotGzip.outcome(),
            Start::Short => {}
        }
        let before = head.len();
        let mut piece = [0; LONGEST_HEADER];
        let read = read_some(&mut blob, &mut piece)?;
        head.extend_from_slice(&piece[..read]);
        if head.len() == before {
            return Reason::Damaged.outcome();
        }
    };
    let candidates = Method::candidates(gzip::hints(&header));
    let rest = (&head[header.len()..]).chain(blob);
    let stream = Stream { plain, crc: Crc::new(), race: Race::new(&candidates) };
    stream.run(rest, header)
}

/// The deflate stream of a blob on its way through.
struct Stream<W> {
    plain: W,
    crc: Crc,
    race: Race,
}

/// Where a piece of the blob left the stream.
enum Progress {
    Further,
    /// It ended, before so many bytes of the piece.
    Ended(usize),
    Stopped(Reason),
}

impl<W: Write> Stream<W> {
    fn run(mut self, mut blob: impl Read, header: Vec<u8>) -> io::Result<Outcome> {
        let mut inflate = Decompress::new(false);
        let mut piece = vec![0; PIECE];
        loop {
            let read = read_some(&mut blob, &mut piece)?;
            if read == 0 {
                return Reason::Damaged.outcome();
            }
            self.race.blob(&piece[..read]);
            match self.piece(&mut inflate, &piece[..read])? {
                Progress::Further => {}
                Progress::Stopped(reason) => return reason.outcome(),
                Progress::Ended(rest) => {
                    let len = inflate.total_out();
                    let tail = [&piece[read - rest..read], &end_of(&mut blob)?].concat();
                    if tail.get(..FOOTER) != Some(&gzip::footer(self.crc.sum(), len)) {
                        return Reason::Damaged.outcome();
                    }
                    if tail.len() > FOOTER {
                        return Reason::Trailing.outcome();
                    }
                    return Ok(match self.race.winner(rest) {
                        Some(method) => {
                            let recipe = Recipe { method, header };
                            Outcome::Recognised(Recognised { recipe, plain_len: len })
                        }
                        None => Outcome::Unknown(Reason::NoEncoder(self.race.agreed())),
                    });
                }
            }
        }
    }

    /// Inflates a piece of the blob and lets the encoders run over it.
    fn piece(&mut self, inflate: &mut Decompress, piece: &[u8]) -> io::Result<Progress> {
        let mut plain = vec![0; PIECE];
        let mut used = 0;
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let Ok(status) = inflate.decompress(&piece[used..], &mut plain, FlushDecompress::None) else {
                return Ok(Progress::Stopped(Reason::Damaged));
            };
            used += (inflate.total_in() - before_in) as usize;
            let made = (inflate.total_out() - before_out) as usize;
            self.crc.update(&plain[..made]);
            self.plain.write_all(&plain[..made])?;
            self.race.plain(&plain[..made]);
            if status == Status::StreamEnd {
                return Ok(Progress::Ended(piece.len() - used));
            }
            if self.race.is_lost() {
                return Ok(Progress::Stopped(Reason::NoEncoder(self.race.agreed())));
            }
            if made == 0 {
                return Ok(Progress::Further);
            }
        }
    }
}

/// The next bytes, as many as tell whether a footer is the last of the blob.
fn end_of(blob: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut end = Vec::new();
    blob.take(FOOTER as u64 + 1).read_to_end(&mut end)?;
    Ok(end)
}
