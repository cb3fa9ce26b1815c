//! Numbers and blocks of tar headers: POSIX.1-2024 `pax`, "ustar Interchange Format", and base 256 as the GNU tar
//! manual has it in "Basic Tar Format". Leniency follows Go's `archive/tar`, with which Docker and Podman read layers.
//!
//! Which field means what is the business of the readers: `dsync-delta` scans layers, `dsync-engine` reads saved
//! images.

/// Bytes of a block; headers are one, and bodies are padded to whole ones.
pub const BLOCK: usize = 512;

/// The largest number of eleven octal digits, the width of a size or a time.
pub const LARGEST_OCTAL: u64 = 0o777_7777_7777;

/// Bytes of padding after a body of this length.
pub const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK as u64
}

/// A numeric field: octal digits, or base 256 where the first byte's high bit is set. At most 63 bits in base 256, as
/// sizes are signed there; `None` for what is negative or no number.
pub fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    match first {
        0xc0.. => None, // negative
        0x80.. => rest
            .iter()
            .try_fold(u64::from(first & 0x3f), |value, byte| {
                value.checked_mul(256)?.checked_add(u64::from(*byte))
            })
            .filter(|value| i64::try_from(*value).is_ok()),
        _ => octal(field),
    }
}

/// Octal digits after any blanks (spaces and zero bytes), up to the next blank; 0 where there are none. `None` for
/// other bytes, and above 64 bits.
pub fn octal(field: &[u8]) -> Option<u64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let first = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    field[first..].iter().take_while(|byte| !is_blank(byte)).try_fold(0u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Fills a field with octal digits, with zeros in front; digits that do not fit are dropped.
pub fn write_octal(mut value: u64, field: &mut [u8]) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// The checksum of a header: the sum of its bytes, with spaces in place of the checksum itself.
pub fn checksum(block: &[u8; BLOCK]) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    sum(block) - sum(&block[148..156]) + 8 * u64::from(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_padded_to_whole_blocks() {
        assert_eq!([0, 1, 511, 512, 513, u64::MAX].map(padding), [0, 511, 1, 0, 511, 1]);
    }

    #[test]
    fn numbers_are_octal_or_base_256() {
        let cases: [(&[u8], u64); 9] = [
            (b"00000000017\0", 15),
            (b"  17 ", 15),
            (b"\0\x0017 ", 15),
            (b"17 5", 15),
            (b"\0\0\0", 0),
            (b"777777777777", (1 << 36) - 1),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", 8 << 30),
            (b"\x81\0", 256),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX as u64),
        ];
        for (field, value) in cases {
            assert_eq!(number(field), Some(value), "{field:?}");
        }
    }

    #[test]
    fn a_field_that_is_no_number_or_too_large_has_no_value() {
        let too_large = b"\x80\0\0\0\x80\0\0\0\0\0\0\0";
        let fields: [&[u8]; 7] =
            [b"", b"19", b"-1", b"+1", too_large, b"\x80\0\0\x01\0\0\0\0\0\0\0\0", &[0xff; 12]];
        for field in fields {
            assert_eq!(number(field), None, "{field:?}");
        }
        assert_eq!(octal(&[b'7'; 21]), Some(u64::MAX >> 1));
        assert_eq!(octal(&[b'7'; 22]), None);
    }

    #[test]
    fn octal_digits_round_trip() {
        for value in [0, 1, 0o755, LARGEST_OCTAL] {
            let mut field = [0; 11];
            write_octal(value, &mut field);
            assert_eq!(field, format!("{value:011o}").as_bytes());
            assert_eq!(octal(&field), Some(value));
        }
    }
}
