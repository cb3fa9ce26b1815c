//! What the bytes of a tar are, one part after the other, decided from its headers alone.
//!
//! The tape is asked for one [`Part`] at a time. Whoever drives it counts the bytes of that part, shows it
//! the blocks and records it wants to see, and asks for the next. It ends in no state of error: from the
//! first block that makes no sense the rest is opaque.

use super::header::{self, BLOCK, Block, Header, Kind};
use super::records;
use super::{CONTENT_MIN, VERBATIM_MAX};

/// The length of what is no tar: as far as it goes.
const ENDLESS: u64 = u64::MAX;

/// The next bytes; never zero of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A block of 512 bytes, to be shown to [`Tape::block`].
    Block,
    /// `len` bytes of pax records, verbatim, to be shown to [`Tape::records`].
    Records { len: usize },
    /// So many verbatim bytes, then [`Tape::next`].
    Verbatim { left: u64 },
    /// A content of so many bytes, then [`Tape::next`].
    Content { left: u64 },
}

/// What a block turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Part of the tar's structure: verbatim. What follows it is this.
    Structure(Part),
    /// No header: this part begins with the block itself.
    Body(Part),
}

/// The place in the tar.
#[derive(Debug, Default)]
pub(super) struct Tape {
    state: State,
    /// `size` of a pax header that waits for the header it belongs to.
    pax_size: Option<u64>,
    /// Bytes of zeros in a row, up to here.
    zeros: u64,
    /// The size of a link or the like, just passed, that should have no body. Some writers give a hard link
    /// the content of its file (`pax -o linkdata`): if no header comes next, that is what came.
    doubtful: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// At the beginning of a header.
    #[default]
    Header,
    /// Within the extension blocks of an old GNU sparse map; then `size` bytes of content.
    SparseMap { size: u64 },
    /// Within a content after which this much padding follows.
    Padding { len: u64 },
    /// This is no tar, or not any more.
    Opaque,
}

impl Tape {
    /// What follows the verbatim bytes or the content that have just ended.
    pub(super) fn next(&mut self) -> Part {
        match self.state {
            State::Opaque => Part::Content { left: ENDLESS },
            State::Padding { len } => {
                self.state = State::Header;
                verbatim(len)
            }
            State::Header | State::SparseMap { .. } => Part::Block,
        }
    }

    /// Judges the block that [`Part::Block`] asked for.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Judged {
        if let State::SparseMap { size } = self.state {
            return Judged::Structure(match header::sparse_map_goes_on(block) {
                true => Part::Block,
                false => self.content(size),
            });
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        match header::read(block) {
            Block::Zeros => {
                self.zeros += BLOCK as u64;
                if self.zeros > VERBATIM_MAX {
                    Judged::Body(self.opaque())
                } else {
                    Judged::Structure(Part::Block)
                }
            }
            Block::Header(header) => {
                self.zeros = 0;
                Judged::Structure(self.header(header))
            }
            Block::Garbage if doubtful > 0 => Judged::Body(self.content(doubtful)),
            Block::Garbage => Judged::Body(self.opaque()),
        }
    }

    /// Reads the records that [`Part::Records`] asked for.
    pub(super) fn records(&mut self, bytes: &[u8]) -> Part {
        self.pax_size = records::size(bytes);
        verbatim(padding(bytes.len() as u64))
    }

    fn header(&mut self, Header { kind, size }: Header) -> Part {
        match kind {
            Kind::Records | Kind::Text if size > VERBATIM_MAX => self.opaque(),
            Kind::Records if size > 0 => Part::Records { len: size as usize },
            Kind::Records | Kind::Text => verbatim(size + padding(size)),
            Kind::Bodiless => {
                self.doubtful = self.pax_size.take().unwrap_or(size);
                Part::Block
            }
            Kind::Sparse { extended: true } => {
                self.state = State::SparseMap { size: self.pax_size.take().unwrap_or(size) };
                Part::Block
            }
            Kind::Sparse { extended: false } | Kind::Content => {
                let size = self.pax_size.take().unwrap_or(size);
                self.content(size)
            }
        }
    }

    fn content(&mut self, size: u64) -> Part {
        if size < CONTENT_MIN {
            self.state = State::Header;
            return verbatim(size + padding(size));
        }
        self.state = State::Padding { len: padding(size) };
        Part::Content { left: size }
    }

    /// From here on this is no tar.
    pub(super) fn opaque(&mut self) -> Part {
        self.state = State::Opaque;
        Part::Content { left: ENDLESS }
    }
}

/// Bytes from the end of a body of this size to the next block.
const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// So many verbatim bytes before the next header.
const fn verbatim(len: u64) -> Part {
    if len > 0 { Part::Verbatim { left: len } } else { Part::Block }
}
