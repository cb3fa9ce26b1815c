//! Joining: skeleton, verbatim bytes and contents make the exact layer again, and its diff id proves it.

mod writer;

use std::io::{self, Read, Write};

use dsync_core::DiffId;

pub use writer::DiffIdWriter;

use crate::copy::{Copier, CopyError};
use crate::{Piece, Skeleton};

/// Where [`join`] gets contents from.
pub trait ContentSource {
    /// Copies exactly the `len` bytes of the content with this short id to `out`. An error of `out` is to be
    /// passed on.
    fn copy(&mut self, short: u64, len: u64, out: &mut dyn Write) -> io::Result<()>;
}

/// Why a layer was not made. What was written of it is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The verbatim bytes could not be read, or ended early.
    #[error("cannot read the headers of a layer")]
    Verbatim(#[source] io::Error),
    /// A content could not be read.
    #[error("cannot read the content {short:016x} of {len} bytes")]
    Content {
        /// Its short id.
        short: u64,
        /// Its length.
        len: u64,
        /// What the source of contents says.
        source: io::Error,
    },
    /// The source of contents gave more or fewer bytes than the content has.
    #[error("the content {short:016x} has {got} bytes instead of {expected}")]
    Length {
        /// Its short id.
        short: u64,
        /// The length it must have.
        expected: u64,
        /// The length that came; of one that is too long, what came until that was seen.
        got: u64,
    },
    /// The layer could not be written.
    #[error("cannot write a layer")]
    Write(#[source] io::Error),
    /// All is there, but it is another layer: a content was not what its short id promised.
    #[error("a layer came out as {got} instead of {expected}")]
    Mismatch {
        /// The diff id that the skeleton gives.
        expected: DiffId,
        /// The diff id of what was written.
        got: DiffId,
    },
}

/// Writes the exact layer to `out`, and checks its diff id at the end. Until this returns `Ok`, nobody may
/// rely on a byte of it. `out` is not flushed.
pub fn join(
    skeleton: &Skeleton,
    verbatim: &mut dyn Read,
    contents: &mut dyn ContentSource,
    out: &mut dyn Write,
) -> Result<(), JoinError> {
    let mut copier = Copier::new();
    let mut out = DiffIdWriter::new(out);
    for piece in &skeleton.segments {
        match *piece {
            Piece::Verbatim { len } => {
                copier.copy(verbatim, &mut out, len).map_err(|error| match error {
                    CopyError::Read(error) => JoinError::Verbatim(error),
                    CopyError::Write(error) => JoinError::Write(error),
                })?;
            }
            Piece::Content { short, len } => copy_content(short, len, contents, &mut out)?,
        }
    }
    let (got, _) = out.finish();
    if got != skeleton.diff_id {
        return Err(JoinError::Mismatch { expected: skeleton.diff_id, got });
    }
    Ok(())
}

fn copy_content(
    short: u64,
    len: u64,
    contents: &mut dyn ContentSource,
    out: &mut dyn Write,
) -> Result<(), JoinError> {
    let mut slot = Slot { out, left: len, excess: 0, failed: false };
    let result = contents.copy(short, len, &mut slot);
    // The slot's own findings first: a source may pass an error on in other words, or keep it to itself.
    match result {
        Err(error) if slot.failed => Err(JoinError::Write(error)),
        _ if slot.excess > 0 => {
            Err(JoinError::Length { short, expected: len, got: len.saturating_add(slot.excess) })
        }
        Err(source) => Err(JoinError::Content { short, len, source }),
        Ok(()) if slot.failed => Err(JoinError::Write(io::Error::other("a failed write was ignored"))),
        Ok(()) if slot.left > 0 => Err(JoinError::Length { short, expected: len, got: len - slot.left }),
        Ok(()) => Ok(()),
    }
}

/// The place of one content in the layer: takes as many bytes as it has, and not one more.
struct Slot<'a> {
    out: &'a mut dyn Write,
    left: u64,
    /// How many bytes too many were offered.
    excess: u64,
    /// Whether `out` failed.
    failed: bool,
}

impl Write for Slot<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if most == 0 && !bytes.is_empty() {
            self.excess = self.excess.saturating_add(bytes.len() as u64);
            return Err(io::Error::other("more bytes than the content has"));
        }
        match self.out.write(&bytes[..most]) {
            Ok(written) => {
                self.left -= written as u64;
                self.failed = written == 0 && most > 0;
                Ok(written)
            }
            Err(error) => {
                self.failed = error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
