//! Makes the headers of tar entries, in GNU tar's form.

use dsync_core::ustar::{BLOCK, LARGEST_OCTAL, checksum, write_octal};

/// The header of a regular file, in GNU's form: of these fields only the size can need more than ustar
/// has, and all engines read its base-256 form.
///
/// # Panics
/// The name has more than 100 bytes; all names here are fixed or made of digests.
pub(crate) fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len().min(101)].copy_from_slice(&name.as_bytes()[..name.len().min(101)]);
    assert!(name.len() <= 100, "a name in an archive has at most 100 bytes");
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if size <= LARGEST_OCTAL {
        write_octal(size, &mut block[124..135]);
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar  \0");
    write_octal(checksum(&block), &mut block[148..154]);
    block[155] = b' ';
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(name: &str, size: u64) -> (String, u64) {
        let block = header(name, size);
        let header = tar::Header::from_byte_slice(&block);
        assert_eq!(
            header.cksum().unwrap(),
            block.iter().enumerate().fold(0, |sum, (at, byte)| {
                sum + if (148..156).contains(&at) { 32 } else { u32::from(*byte) }
            })
        );
        assert!(header.as_gnu().is_some());
        (header.path().unwrap().to_str().unwrap().to_owned(), header.entry_size().unwrap())
    }

    #[test]
    fn the_tar_crate_reads_it() {
        for size in [0, 1, 511, 8 << 30, (8 << 30) - 1, 5 << 40] {
            assert_eq!(read_back("blobs/sha256/x", size), ("blobs/sha256/x".to_owned(), size));
        }
        assert_eq!(read_back(&"n".repeat(100), 7).0, "n".repeat(100));
    }
}
