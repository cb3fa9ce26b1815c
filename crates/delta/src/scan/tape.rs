//! Divides the bytes of a tar into headers, file data and padding, from its headers alone.
//!
//! The tape yields one [`TapePart`] at a time. Its driver counts the bytes of that part, passes it the blocks and
//! records, and asks for the next part. It has no error state: from the first block that is no header the rest is
//! opaque.

use dsync_core::pax::{self, PaxRecord};
use dsync_core::ustar::{BLOCK, padding};

use super::bounds::{CHUNK_MIN, VERBATIM_MAX};
use super::header::{self, HeaderKind, TarBlock, TarHeader};

/// The length of the opaque rest of a layer.
const ENDLESS: u64 = u64::MAX;

/// The next bytes; never zero of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TapePart {
    /// A block of 512 bytes, to be shown to [`Tape::block`].
    Block,
    /// `len` bytes of pax records, verbatim, to be shown to [`Tape::records`].
    Records { len: usize },
    /// Verbatim bytes, then [`Tape::next`].
    Verbatim { left: u64 },
    /// File data, or an opaque rest, of this length, then [`Tape::next`].
    Data { left: u64 },
}

/// The verdict on a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Part of the tar's structure: verbatim. What follows it is this.
    Structure(TapePart),
    /// No header: this part begins with the block itself.
    Body(TapePart),
}

/// The position in the structure of the tar.
#[derive(Debug, Default)]
pub(super) struct Tape {
    state: TapeState,
    /// `size` of a pax header that waits for the header it belongs to.
    pax_size: Option<u64>,
    /// Bytes of zeros in a row, up to here.
    zeros: u64,
    /// The size of a link or the like, just passed, that should have no body. Some writers give a hard link
    /// the data of its file (`pax -o linkdata`): if no header comes next, that is what came.
    doubtful: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum TapeState {
    /// At the beginning of a header.
    #[default]
    Header,
    /// Within the extension blocks of an old GNU sparse map; then `size` bytes of data.
    SparseMap { size: u64 },
    /// Within file data after which this much padding follows.
    Padding { len: u64 },
    /// This is no tar, or not any more.
    Opaque,
}

impl Tape {
    /// The part that follows the verbatim bytes or the data that have just ended.
    pub(super) fn next(&mut self) -> TapePart {
        match self.state {
            TapeState::Opaque => TapePart::Data { left: ENDLESS },
            TapeState::Padding { len } => {
                self.state = TapeState::Header;
                verbatim(len)
            }
            TapeState::Header | TapeState::SparseMap { .. } => TapePart::Block,
        }
    }

    /// Judges the block that [`TapePart::Block`] asked for.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Judged {
        if let TapeState::SparseMap { size } = self.state {
            return Judged::Structure(match header::sparse_map_goes_on(block) {
                true => TapePart::Block,
                false => self.data(size),
            });
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        match header::read(block) {
            TarBlock::Zeros => {
                self.zeros += BLOCK as u64;
                if self.zeros > VERBATIM_MAX {
                    Judged::Body(self.opaque())
                } else {
                    Judged::Structure(TapePart::Block)
                }
            }
            TarBlock::Header(header) => {
                self.zeros = 0;
                Judged::Structure(self.header(header))
            }
            TarBlock::Garbage if doubtful > 0 => Judged::Body(self.data(doubtful)),
            TarBlock::Garbage => Judged::Body(self.opaque()),
        }
    }

    /// Reads the records that [`TapePart::Records`] asked for.
    pub(super) fn records(&mut self, bytes: &[u8]) -> TapePart {
        self.pax_size = pax_size(bytes);
        verbatim(padding(bytes.len() as u64))
    }

    fn header(&mut self, TarHeader { kind, size }: TarHeader) -> TapePart {
        match kind {
            HeaderKind::Records | HeaderKind::Text if size > VERBATIM_MAX => self.opaque(),
            HeaderKind::Records if size > 0 => TapePart::Records { len: size as usize },
            HeaderKind::Records | HeaderKind::Text => verbatim(size + padding(size)),
            HeaderKind::Bodiless => {
                self.doubtful = self.pax_size.take().unwrap_or(size);
                TapePart::Block
            }
            HeaderKind::Sparse { extended: true } => {
                self.state = TapeState::SparseMap { size: self.pax_size.take().unwrap_or(size) };
                TapePart::Block
            }
            HeaderKind::Sparse { extended: false } | HeaderKind::File => {
                let size = self.pax_size.take().unwrap_or(size);
                self.data(size)
            }
        }
    }

    fn data(&mut self, size: u64) -> TapePart {
        if size < CHUNK_MIN {
            self.state = TapeState::Header;
            return verbatim(size + padding(size));
        }
        self.state = TapeState::Padding { len: padding(size) };
        TapePart::Data { left: size }
    }

    /// From here on this is no tar.
    pub(super) fn opaque(&mut self) -> TapePart {
        self.state = TapeState::Opaque;
        TapePart::Data { left: ENDLESS }
    }
}

/// The value of the `size` record, if it is there and a number; the last one counts.
fn pax_size(mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some(PaxRecord { key, value }) = pax::take(&mut records) {
        if key == b"size" {
            size = pax::number(value).filter(|size| i64::try_from(*size).is_ok());
        }
    }
    size
}

/// Verbatim bytes before the next header.
const fn verbatim(len: u64) -> TapePart {
    if len > 0 { TapePart::Verbatim { left: len } } else { TapePart::Block }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_found_among_other_records() {
        assert_eq!(pax_size(b"12 path=a b\n13 size=1234\n8 uid=7\n"), Some(1234));
        assert_eq!(pax_size(b"9 size=1\n9 size=2\n"), Some(2));
        assert_eq!(pax_size(b"20 size=10000000000\n"), Some(10_000_000_000));
        assert_eq!(pax_size(b"33 SCHILY.xattr.user.x=\0\xff\nsize=5\n9 size=2\n"), Some(2));
    }

    #[test]
    fn a_record_without_a_number_is_no_size() {
        let cases: [&[u8]; 7] = [
            b"",
            b"8 size=\n",
            b"10 size=-1\n",
            b"9 size=1",
            b"28 size=9223372036854775808\n",
            b"28 size=99999999999999999999\n",
            b"9 Size=1\n",
        ];
        for records in cases {
            assert_eq!(pax_size(records), None, "{}", String::from_utf8_lossy(records));
        }
    }
}
