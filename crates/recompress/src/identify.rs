//! Identifies the encoder of a blob: candidates are tried on its start, and those that pass run over all of it.

mod frame;
mod prefix;
mod race;

use std::io::{self, Read, Write};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::gzip::{self, FOOTER, LONGEST_HEADER, Start};
use crate::method::candidates;
use crate::recreate::read_some;
use crate::{Method, Recipe, zstd};
use prefix::Prefix;
use race::Race;

/// Bytes of the blob that are read at once, and plain bytes that are encoded at once.
const PIECE: usize = 1 << 16;

/// The result of identifying a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It can be re-created.
    Identified(Identified),
    /// It must be taken as it is.
    Unknown(Reason),
}

/// A blob that can be re-created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The recipe, which [`crate::recreate`] needs beside the plain bytes.
    pub recipe: Recipe,
    /// The number of plain bytes.
    pub plain_len: u64,
}

/// Why a blob cannot be re-created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is neither gzip nor zstd, or its header is unusually long.
    #[error("it is compressed neither with gzip nor with zstd")]
    OtherKind,
    /// It ends too early, or its checksum is wrong.
    #[error("it is damaged")]
    Damaged,
    /// More bytes follow the gzip stream, such as a further stream.
    #[error("something follows the compressed stream")]
    Trailing,
    /// No encoder that is known here makes it. About so many plain bytes agreed with the one that came farthest.
    #[error("no known encoder makes it; one agreed for about {0} bytes of its contents")]
    NoEncoder(u64),
    /// With the nearest encoder there is too much to correct.
    #[error("no known encoder makes it or nearly makes it")]
    TooFar,
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        Self::Unknown(reason)
    }
}

/// Finds what re-creates a blob, over all of it: a recipe was tried to the last byte. The plain bytes are written on
/// the way ([`io::sink`] drops them); they stop where the outcome is known.
///
/// Reads once. Uses about 10 MiB, of zstd 30; up to 40 and 60 MiB as long as several encoders agree, as on zeros. A blob of a few bytes
/// may have many plain ones: how many are too many is for `plain` to say.
///
/// # Errors
///
/// Only those of `blob` and `plain`; a damaged blob is an [`Outcome`].
pub fn identify(mut blob: impl Read, plain: impl Write) -> io::Result<Outcome> {
    let mut start = Vec::new();
    let header = match read_header(&mut blob, &mut start)? {
        Header::Gzip(header) => header,
        Header::Zstd(head) => return frame::identify(head, blob, plain),
        Header::None(reason) => return Ok(reason.into()),
    };
    blob.by_ref().take(prefix::LONGEST as u64).read_to_end(&mut start)?;
    let prefix = Prefix::of(&start);
    let mut farthest = 0;
    for methods in candidates(gzip::hints(&header)) {
        let passed: Vec<Method> = methods
            .into_iter()
            .filter(|method| {
                let agreed = prefix.agreed(*method);
                farthest = farthest.max(agreed.unwrap_or(0));
                agreed.is_none()
            })
            .collect();
        if !passed.is_empty() {
            let stream = Stream { plain, crc: Crc::new(), race: Race::new(&passed) };
            return stream.run((&start[..]).chain(blob), header);
        }
    }
    Ok(Reason::NoEncoder(farthest).into())
}

/// The header of a blob.
pub(crate) enum Header {
    Gzip(Vec<u8>),
    /// All that was read.
    Zstd(Vec<u8>),
    None(Reason),
}

/// The header of a blob. What was read after one of gzip is left in `start`.
pub(crate) fn read_header(blob: &mut impl Read, start: &mut Vec<u8>) -> io::Result<Header> {
    let mut head = Vec::new();
    loop {
        match gzip::start(&head) {
            Start::Header(len) => {
                *start = head.split_off(len);
                return Ok(Header::Gzip(head));
            }
            Start::Other if head.starts_with(&zstd::MAGIC) => return Ok(Header::Zstd(head)),
            Start::Other if head.len() < zstd::MAGIC.len() && zstd::MAGIC.starts_with(&head) => {}
            Start::Other => return Ok(Header::None(Reason::OtherKind)),
            Start::Short => {}
        }
        let mut piece = [0; LONGEST_HEADER];
        let read = read_some(blob, &mut piece)?;
        if read == 0 {
            return Ok(Header::None(Reason::Damaged));
        }
        head.extend_from_slice(&piece[..read]);
    }
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
                return Ok(Reason::Damaged.into());
            }
            self.race.blob(&piece[..read]);
            match self.piece(&mut inflate, &piece[..read])? {
                Progress::Further => {}
                Progress::Stopped(reason) => return Ok(reason.into()),
                Progress::Ended(rest) => {
                    let mut footer = piece[read - rest..read].to_vec();
                    blob.take(FOOTER as u64 + 1).read_to_end(&mut footer)?;
                    return Ok(self.end(inflate.total_out(), rest, &footer, header));
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

    /// The outcome where the stream ended before the last `rest` bytes that were read, and `footer` follows.
    fn end(self, plain_len: u64, rest: usize, footer: &[u8], header: Vec<u8>) -> Outcome {
        if footer.get(..FOOTER) != Some(&gzip::footer(self.crc.sum(), plain_len)) {
            return Reason::Damaged.into();
        }
        if footer.len() > FOOTER {
            return Reason::Trailing.into();
        }
        let agreed = self.race.agreed();
        match self.race.winner(rest) {
            Some((method, checkpoints)) => Outcome::Identified(Identified {
                recipe: Recipe { method, header, checkpoints, corrections: Vec::new() },
                plain_len,
            }),
            None => Reason::NoEncoder(agreed).into(),
        }
    }
}
