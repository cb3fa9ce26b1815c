//! The gzip container, RFC 1952: what is before and after the deflate stream.

/// No header is longer than this, in bytes.
pub(crate) const LONGEST_HEADER: usize = 1 << 12;
/// Bytes after the deflate stream: the CRC-32 and the length modulo 2³² of what is plain.
pub(crate) const FOOTER: usize = 8;

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIXED: usize = 10;

const HAS_CHECK: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// The format of a blob, by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlobFormat {
    /// A header of so many bytes.
    Header(usize),
    /// Bytes that may become a header with more of them.
    Short,
    /// No gzip, or one whose header is too long.
    Other,
}

/// The header at the start of a blob.
pub(crate) fn start(blob: &[u8]) -> BlobFormat {
    let known = blob.len().min(MAGIC.len());
    if blob[..known] != MAGIC[..known] {
        return BlobFormat::Other;
    }
    let Some(flags) = blob.get(3).filter(|_| blob.len() >= FIXED) else { return BlobFormat::Short };
    if flags & 0xe0 != 0 {
        return BlobFormat::Other;
    }
    match end(blob, *flags) {
        Some(end) if end > LONGEST_HEADER => BlobFormat::Other,
        Some(end) if end <= blob.len() => BlobFormat::Header(end),
        _ if blob.len() >= LONGEST_HEADER => BlobFormat::Other,
        _ => BlobFormat::Short,
    }
}

/// The end of the header, which may be after the blob; none where that cannot be known.
fn end(blob: &[u8], flags: u8) -> Option<usize> {
    let mut end = FIXED;
    if flags & HAS_EXTRA != 0 {
        let len = blob.get(end..)?.first_chunk::<2>()?;
        end += 2 + usize::from(u16::from_le_bytes(*len));
    }
    for field in [HAS_NAME, HAS_COMMENT] {
        if flags & field != 0 {
            end += blob.get(end..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & HAS_CHECK != 0 {
        end += 2;
    }
    Some(end)
}

/// Hints of a header at the program that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hints {
    /// Seconds since 1970; 0 where it is not given.
    pub(crate) mtime: u32,
    /// XFL of RFC 1952: 2 by encoders that try hard, 4 by those that hurry.
    pub(crate) extra_flags: u8,
    /// The system: 3 for Unix, 255 where it is not given.
    pub(crate) system: u8,
}

/// The hints of a whole header.
pub(crate) fn hints(header: &[u8]) -> Hints {
    let byte = |at: usize| header.get(at).copied().unwrap_or_default();
    Hints { mtime: u32::from_le_bytes([4, 5, 6, 7].map(byte)), extra_flags: byte(8), system: byte(9) }
}

/// The footer for plain bytes with this CRC-32 and length.
pub(crate) fn footer(crc: u32, len: u64) -> [u8; FOOTER] {
    let mut footer = [0; FOOTER];
    footer[..4].copy_from_slice(&crc.to_le_bytes());
    footer[4..].copy_from_slice(&(len as u32).to_le_bytes());
    footer
}

#[cfg(test)]
#[path = "gzip_tests.rs"]
mod tests;
