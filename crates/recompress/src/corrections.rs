//! Corrections: the differences between a blob and an encoder's output for its plain bytes.
//!
//! Kept in columns, each of one kind of number, which zstd packs.

use std::io::Read;

use dsync_core::varint;

/// The columns of corrections.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// The right tokens before each wrong one.
    Tokens,
    /// Wrong tokens: of each the distance, 0 for a literal, in two columns for the bytes; and the length less 3 of a
    /// match.
    Near,
    Far,
    Lengths,
    /// The tokens after which it was right whether the block ends, before each after which that was wrong.
    Ends,
    /// The coding of each block, as the guide says.
    Shapes,
    /// The heads of blocks whose codes are others.
    Heads,
    /// Empty blocks: the number of those that follow each block but the last; stored ones times 16, and of the fixed
    /// code.
    Empties,
    /// The plain bytes between flushes.
    Flushes,
}

const COLUMNS: usize = 9;
/// The most bytes of all columns, and packed.
const LARGEST: usize = 16 << 20;
pub(crate) const LARGEST_PACKED: usize = 1 << 20;
/// The level of zstd, and its largest window, as a power of two.
const LEVEL: i32 = 19;
const WINDOW: u32 = 24;

/// Corrections to the decisions of an encoder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Corrections {
    /// After a flush nothing is known of what was before.
    pub(crate) forgets: bool,
    columns: [CorrectionColumn; COLUMNS],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct CorrectionColumn {
    bytes: Vec<u8>,
    /// The bytes that were taken.
    at: usize,
}

impl Corrections {
    /// None yet.
    pub(crate) fn new(forgets: bool) -> Self {
        Self { forgets, ..Self::default() }
    }

    pub(crate) fn put(&mut self, of: Of, byte: u8) {
        self.columns[of as usize].bytes.push(byte);
    }

    pub(crate) fn put_all(&mut self, of: Of, bytes: &[u8]) {
        self.columns[of as usize].bytes.extend_from_slice(bytes);
    }

    pub(crate) fn put_number(&mut self, of: Of, number: u64) {
        varint::write(number, &mut self.columns[of as usize].bytes);
    }

    pub(crate) fn take(&mut self, of: Of) -> Option<u8> {
        let column = &mut self.columns[of as usize];
        let byte = column.bytes.get(column.at)?;
        column.at += 1;
        Some(*byte)
    }

    pub(crate) fn take_number(&mut self, of: Of) -> Option<u64> {
        let column = &mut self.columns[of as usize];
        let mut rest = column.bytes.get(column.at..)?;
        let number = varint::take(&mut rest);
        column.at = column.bytes.len() - rest.len();
        number
    }

    /// The bytes of a column that were not taken yet.
    pub(crate) fn rest(&self, of: Of) -> &[u8] {
        let column = &self.columns[of as usize];
        &column.bytes[column.at..]
    }

    /// Takes so many bytes, which are there.
    pub(crate) fn skip(&mut self, of: Of, bytes: usize) {
        let column = &mut self.columns[of as usize];
        column.at = column.bytes.len().min(column.at + bytes);
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.columns.iter().map(|column| column.bytes.len()).sum()
    }

    /// True if all were taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.columns.iter().all(|column| column.at == column.bytes.len())
    }

    /// Packed: whether flushes forget, and of each column the length (four bytes, the lowest first) and the bytes. None
    /// where they are too many.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![u8::from(self.forgets)];
        for column in &self.columns {
            bytes.extend((column.bytes.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&column.bytes);
        }
        let packed = zstd::bulk::compress(&bytes, LEVEL).ok()?;
        (bytes.len() <= LARGEST && packed.len() <= LARGEST_PACKED).then_some(packed)
    }

    /// Reads what [`Corrections::to_bytes`] wrote.
    pub(crate) fn from_bytes(packed: &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut decoder = zstd::Decoder::new(packed).ok()?;
        decoder.window_log_max(WINDOW).ok()?;
        decoder.take(LARGEST as u64 + 1).read_to_end(&mut bytes).ok()?;
        let (forgets, mut rest) = bytes.split_first().filter(|_| bytes.len() <= LARGEST)?;
        let mut corrections = Self { forgets: *forgets == 1, ..Self::default() };
        for column in &mut corrections.columns {
            let (len, after) = rest.split_first_chunk()?;
            let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            column.bytes = bytes.to_vec();
            rest = after;
        }
        (*forgets < 2 && rest.is_empty()).then_some(corrections)
    }
}

#[cfg(test)]
#[path = "corrections_tests.rs"]
mod tests;
