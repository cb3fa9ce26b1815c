//! Classifies one 512-byte block of a tar: a header and its kind, zeros, or neither.
//!
//! The layouts are those of POSIX.1-2024 `pax`, "ustar Interchange Format", and of the GNU tar manual,
//! "Basic Tar Format". Lenience follows Go's `archive/tar`, which Docker and Podman read layers with.

use dsync_core::ustar::{self, BLOCK, number, octal};

/// The kind of a block, taken by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TarBlock {
    /// Zeros: the end of the archive, or padding after it.
    Zeros,
    /// A header whose checksum is right.
    Header(TarHeader),
    /// Neither, or a header that does not say how long its body is.
    Garbage,
}

/// The part of a header that decides what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TarHeader {
    pub(super) kind: HeaderKind,
    /// The size field, in bytes; for [`HeaderKind::Bodiless`] it usually does not count.
    pub(super) size: u64,
}

/// The body that follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderKind {
    /// `x`: pax records for the next header that is no extension.
    Records,
    /// `L`, `K`, `g`: an extension that has no say in how long anything is.
    Text,
    /// Links, devices, directories, fifos: no body, whatever the size field is.
    Bodiless,
    /// `S`: the data of a sparse file, after extension blocks of its map if `extended`.
    Sparse { extended: bool },
    /// The data of a file. Unknown type flags too, as POSIX has it.
    File,
}

/// Reads a block.
pub(super) fn read(block: &[u8; BLOCK]) -> TarBlock {
    let Some(checksum) = octal(&block[148..156]) else { return TarBlock::Garbage };
    if !checks(block, checksum) {
        // A block of zeros has no right checksum, since the field itself counts as eight spaces.
        return if block.iter().all(|byte| *byte == 0) { TarBlock::Zeros } else { TarBlock::Garbage };
    }
    let kind = match block[156] {
        b'x' => HeaderKind::Records,
        b'L' | b'K' | b'g' => HeaderKind::Text,
        b'1'..=b'6' => HeaderKind::Bodiless,
        b'S' => HeaderKind::Sparse { extended: block[482] != 0 },
        _ => HeaderKind::File,
    };
    match number(&block[124..136]) {
        Some(size) => TarBlock::Header(TarHeader { kind, size }),
        None if kind == HeaderKind::Bodiless => TarBlock::Header(TarHeader { kind, size: 0 }),
        None => TarBlock::Garbage,
    }
}

/// True if another block of the sparse map follows this one (old GNU format).
pub(super) fn sparse_map_goes_on(block: &[u8; BLOCK]) -> bool {
    block[504] != 0
}

/// The sum of all bytes, the checksum field taken as spaces. Old tars added signed bytes.
fn checks(block: &[u8; BLOCK], checksum: u64) -> bool {
    let unsigned = ustar::checksum(block);
    if unsigned == checksum {
        return true;
    }
    let negative = |bytes: &[u8]| bytes.iter().filter(|byte| **byte >= 0x80).count() as u64;
    unsigned.checked_sub(256 * (negative(block) - negative(&block[148..156]))) == Some(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with this type flag and size field, and a right checksum.
    fn header(flag: u8, size: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(b"name");
        block[124..][..size.len()].copy_from_slice(size);
        block[156] = flag;
        seal(&mut block);
        block
    }

    fn seal(block: &mut [u8; BLOCK]) {
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    fn size(field: &[u8]) -> Option<u64> {
        match read(&header(b'0', field)) {
            TarBlock::Header(header) => Some(header.size),
            _ => None,
        }
    }

    #[test]
    fn blocks_are_classified() {
        assert_eq!(read(&[0; BLOCK]), TarBlock::Zeros);
        assert_eq!(read(&[b'a'; BLOCK]), TarBlock::Garbage);
        let mut wrong = header(b'0', b"");
        wrong[0] ^= 1;
        assert_eq!(read(&wrong), TarBlock::Garbage);
        for (flag, kind) in [
            (b'0', HeaderKind::File),
            (0, HeaderKind::File),
            (b'7', HeaderKind::File),
            (b'1', HeaderKind::Bodiless),
            (b'2', HeaderKind::Bodiless),
            (b'5', HeaderKind::Bodiless),
            (b'x', HeaderKind::Records),
            (b'g', HeaderKind::Text),
            (b'L', HeaderKind::Text),
            (b'S', HeaderKind::Sparse { extended: false }),
        ] {
            assert_eq!(read(&header(flag, b"17")), TarBlock::Header(TarHeader { kind, size: 15 }), "{flag}");
        }
    }

    #[test]
    fn sizes_are_octal_or_base_256() {
        assert_eq!(size(b""), Some(0));
        assert_eq!(size(b"00000000017\0"), Some(15));
        assert_eq!(size(b"  17 "), Some(15));
        assert_eq!(size(b"777777777777"), Some((1 << 36) - 1));
        assert_eq!(size(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(8 << 30));
        assert_eq!(size(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), Some(i64::MAX as u64));
    }

    #[test]
    fn sizes_that_are_none_are_garbage_except_where_nothing_follows() {
        let too_large = b"\x80\0\0\0\x80\0\0\0\0\0\0\0";
        let negative = [0xff; 12];
        for field in [&b"19"[..], b"-1", too_large, b"\x80\0\0\x01\0\0\0\0\0\0\0\0", &negative] {
            assert_eq!(size(field), None, "{field:?}");
            let link = TarHeader { kind: HeaderKind::Bodiless, size: 0 };
            assert_eq!(read(&header(b'2', field)), TarBlock::Header(link));
        }
    }

    #[test]
    fn signed_checksums_count_too() {
        let mut block = header(b'0', b"17");
        block[10..20].fill(0xe9);
        seal(&mut block);
        assert!(matches!(read(&block), TarBlock::Header(_)));
        let unsigned = octal(&block[148..156]).unwrap();
        block[148..156].copy_from_slice(format!("{:06o}\0 ", unsigned - 10 * 256).as_bytes());
        assert!(matches!(read(&block), TarBlock::Header(_)));
    }
}
