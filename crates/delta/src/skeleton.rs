//! A layer without its contents, as it crosses the wire.
//!
//! These bytes are part of the protocol; a test pins them. Numbers are LEB128 varints in their shortest
//! form, at most 64 bits; a block is the 512 bytes a tar is made of. The layer is taken as *pairs*: some
//! verbatim bytes, then one content.
//!
//! ```text
//! 32 bytes        diff id, the SHA-256 of the layer
//! varint          len, the layer's bytes
//! varint          n, the number of pairs
//! n × varint      verbatim lengths, see below
//! n × varint      content lengths; 0 only in the last pair, whose verbatim length is then not 0
//! m × 8 bytes     short ids of the m contents that are not empty: the first 8 bytes of the content id
//! v bytes         the verbatim bytes of all pairs, one after the other
//! ```
//!
//! A verbatim length `v` counts in blocks where it can. Let `p` be the padding that a tar needs after the
//! content of the pair before (0 for the first pair): the least number that makes that content's length and
//! `p` a multiple of 512. If `v - p` is a multiple of 512 and not negative, `(v - p) / 512 × 2` is written;
//! otherwise `v × 2 + 1`. So a file after a file is the single byte 02, whatever their lengths, and the run
//! of them compresses to nothing.
//!
//! All lengths together are `len`. Each layout has one encoding only; another is refused. Nothing marks the
//! end, so skeletons can follow one another. The whole is meant to be compressed by the caller: lengths, ids
//! and headers are kept apart for that.

use std::io::{self, Read, Write};

use dsync_core::DiffId;

use crate::copy::{Copier, CopyError};
use crate::layout::{Layout, Segment};
use crate::varint;

/// The block of a tar, in bytes.
const BLOCK: u64 = 512;

/// A layer's layout as a peer told it: the contents have short ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skeleton {
    /// What SHA-256 of the layer must be.
    pub diff_id: DiffId,
    /// Bytes in the layer.
    pub len: u64,
    /// The pieces, first to last; their lengths add up to `len`, none is empty.
    pub segments: Vec<Piece>,
}

/// A piece of a layer as a peer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The next `len` of the verbatim bytes.
    Verbatim {
        /// How many bytes.
        len: u64,
    },
    /// A content.
    Content {
        /// [`ContentId::short`](crate::ContentId::short) of it.
        short: u64,
        /// How many bytes.
        len: u64,
    },
}

/// What a peer may ask us to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes in a layer.
    pub len: u64,
    /// The most pairs of verbatim bytes and a content: about the files in a layer. A pair takes 56 bytes of
    /// memory while it is decoded, 48 after.
    pub pairs: u64,
    /// The most verbatim bytes.
    pub verbatim: u64,
}

impl Default for Limits {
    /// Far above any layer seen: 1 TiB in two million files with 4 GiB of headers.
    fn default() -> Self {
        Limits { len: 1 << 40, pairs: 1 << 21, verbatim: 4 << 30 }
    }
}

/// Why a skeleton was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum SkeletonError {
    /// The peer's bytes could not be read, or ended early.
    #[error("cannot read the layout of a layer")]
    Read(#[source] io::Error),
    /// The verbatim bytes could not be put away.
    #[error("cannot store the headers of a layer")]
    Write(#[source] io::Error),
    /// It asks for more than it may.
    #[error("the layout of a layer has too many {what}: {got}, at most {limit} are taken")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much of it.
        got: u64,
        /// How much may be.
        limit: u64,
    },
    /// It breaks the format.
    #[error("the layout of a layer is malformed: {0}")]
    Malformed(&'static str),
}

impl From<&Layout> for Skeleton {
    /// The very value that the peer decodes.
    fn from(layout: &Layout) -> Self {
        let piece = |segment: &Segment| match *segment {
            Segment::Verbatim { len } => Piece::Verbatim { len },
            Segment::Content { id, len } => Piece::Content { short: id.short(), len },
        };
        let segments = layout.segments.iter().map(piece).collect();
        Skeleton { diff_id: layout.diff_id, len: layout.len, segments }
    }
}

impl Skeleton {
    /// Short id and length of the contents in order of use, repeated ones included.
    pub fn contents(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.segments.iter().filter_map(|piece| match *piece {
            Piece::Content { short, len } => Some((short, len)),
            Piece::Verbatim { .. } => None,
        })
    }
}

/// Writes the skeleton of a layer. `verbatim` gives the verbatim bytes, one segment's after the other's; no
/// more of them are read than there are.
pub fn encode(layout: &Layout, verbatim: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let pairs = pairs(&layout.segments);
    out.write_all(layout.diff_id.as_bytes())?;
    varint::write(layout.len, out)?;
    varint::write(pairs.len() as u64, out)?;
    let mut before = 0;
    for (verbatim_len, content) in &pairs {
        let padding = padding(before);
        varint::write(
            match verbatim_len.checked_sub(padding) {
                Some(rest) if rest % BLOCK == 0 => rest / BLOCK * 2,
                _ => verbatim_len.checked_mul(2).ok_or(io::ErrorKind::InvalidInput)? + 1,
            },
            out,
        )?;
        before = content.map_or(0, |(_, len)| len);
    }
    for (_, content) in &pairs {
        varint::write(content.map_or(0, |(_, len)| len), out)?;
    }
    for (short, _) in pairs.iter().filter_map(|(_, content)| *content) {
        out.write_all(&short.to_le_bytes())?;
    }
    Copier::new().copy(verbatim, out, layout.verbatim_len())?;
    Ok(())
}

/// Reads one skeleton and not a byte more. Its verbatim bytes go to `verbatim`.
///
/// Memory follows the bytes that have arrived: a peer pays for what it makes us hold.
pub fn decode(
    input: &mut dyn Read,
    limits: &Limits,
    verbatim: &mut dyn Write,
) -> Result<Skeleton, SkeletonError> {
    let mut diff_id = [0; 32];
    input.read_exact(&mut diff_id).map_err(SkeletonError::Read)?;
    let len = within("bytes", number(input)?, limits.len)?;
    let count = within("files", number(input)?, limits.pairs)?;
    let mut codes = Vec::new();
    for _ in 0..count {
        codes.push(number(input)?);
    }
    let (mut segments, verbatim_len) = lengths(input, &codes, len)?;
    within("header bytes", verbatim_len, limits.verbatim)?;
    for piece in &mut segments {
        if let Piece::Content { short, .. } = piece {
            let mut bytes = [0; 8];
            input.read_exact(&mut bytes).map_err(SkeletonError::Read)?;
            *short = u64::from_le_bytes(bytes);
        }
    }
    Copier::new().copy(input, verbatim, verbatim_len).map_err(|error| match error {
        CopyError::Read(error) => SkeletonError::Read(error),
        CopyError::Write(error) => SkeletonError::Write(error),
    })?;
    Ok(Skeleton { diff_id: DiffId::from_bytes(diff_id), len, segments })
}

/// Reads the content lengths and resolves the verbatim lengths against them. The ids are still 0. Returns
/// the verbatim bytes' number too.
fn lengths(input: &mut dyn Read, codes: &[u64], len: u64) -> Result<(Vec<Piece>, u64), SkeletonError> {
    let mut segments = Vec::new();
    let mut left = len;
    let mut verbatim_len = 0;
    let mut before = 0;
    for (at, code) in codes.iter().enumerate() {
        let verbatim = resolve(*code, padding(before))?;
        let content = number(input)?;
        let last = at + 1 == codes.len();
        if content == 0 && (!last || verbatim == 0) {
            return Err(SkeletonError::Malformed("an empty content"));
        }
        left = left
            .checked_sub(verbatim)
            .and_then(|left| left.checked_sub(content))
            .ok_or(SkeletonError::Malformed("the pieces are longer than the layer"))?;
        if verbatim > 0 {
            segments.push(Piece::Verbatim { len: verbatim });
            verbatim_len += verbatim; // Not above `len`, of which `left` is the rest.
        }
        if content > 0 {
            segments.push(Piece::Content { short: 0, len: content });
        }
        before = content;
    }
    if left > 0 {
        return Err(SkeletonError::Malformed("the pieces are shorter than the layer"));
    }
    Ok((segments, verbatim_len))
}

/// The verbatim length that a code stands for, after a content that needs this padding.
fn resolve(code: u64, padding: u64) -> Result<u64, SkeletonError> {
    let half = code / 2;
    if code.is_multiple_of(2) {
        let len = half.checked_mul(BLOCK).and_then(|len| len.checked_add(padding));
        return len.ok_or(SkeletonError::Malformed("a length beyond 64 bits"));
    }
    match half.checked_sub(padding) {
        Some(rest) if rest % BLOCK == 0 => {
            Err(SkeletonError::Malformed("a length in the longer of two forms"))
        }
        _ => Ok(half),
    }
}

/// Verbatim length and, except perhaps in the last pair, the content after it: short id and length.
type Pair = (u64, Option<(u64, u64)>);

fn pairs(segments: &[Segment]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(segments.len() / 2 + 1);
    let mut verbatim = 0;
    for segment in segments {
        match *segment {
            Segment::Verbatim { len } => verbatim += len,
            Segment::Content { id, len } => {
                pairs.push((verbatim, Some((id.short(), len))));
                verbatim = 0;
            }
        }
    }
    if verbatim > 0 {
        pairs.push((verbatim, None));
    }
    pairs
}

/// Bytes from the end of a content of this length to the next block.
const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK
}

fn number(input: &mut dyn Read) -> Result<u64, SkeletonError> {
    varint::read(input)
        .map_err(SkeletonError::Read)?
        .ok_or(SkeletonError::Malformed("a number in no valid form"))
}

fn within(what: &'static str, got: u64, limit: u64) -> Result<u64, SkeletonError> {
    if got > limit { Err(SkeletonError::Limit { what, got, limit }) } else { Ok(got) }
}
