//! LEB128: unsigned integers of variable length, seven bits a byte, the lowest first, the high bit set on all but the
//! last byte. The encoding of DWARF 5, section 7.6, and of Protocol Buffers' varint.
//!
//! Writers here use the shortest form. [`read`] and [`take`] accept no other, so that equal values have equal bytes;
//! [`take_padded`] is for formats of others, whose linkers leave room in a number.

use std::io::{self, Read};

/// Appends a number, 1 to 10 bytes.
pub fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number; `None` where the bytes are not the shortest form of a 64-bit number.
pub fn read(input: &mut dyn Read) -> io::Result<Option<u64>> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        let bits = u64::from(byte[0] & 0x7f);
        if bits << shift >> shift != bits {
            return Ok(None);
        }
        value |= bits << shift;
        if byte[0] < 0x80 {
            return Ok((bits > 0 || shift == 0).then_some(value));
        }
    }
    Ok(None)
}

/// Takes a number from the front; `None` where it is cut short or not the shortest form of a 64-bit number.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    read(bytes).ok().flatten()
}

/// Maps small numbers of either sign to small numbers: 0, -1, 1, -2… to 0, 1, 2, 3… (zigzag encoding).
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Takes a number of up to 10 bytes, zeros at its end included; bits above 64 are dropped. A signed number comes out as
/// the bits that it has.
pub fn take_padded(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let mut values: Vec<u64> =
            (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX << bit]).collect();
        values.push(300);
        for value in values {
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            assert_eq!(read(&mut &bytes[..]).unwrap(), Some(value));
            bytes.push(9);
            let (mut strict, mut padded) = (&bytes[..], &bytes[..]);
            assert_eq!((take(&mut strict), strict), (Some(value), &[9][..]));
            assert_eq!((take_padded(&mut padded), padded), (Some(value), &[9][..]));
        }
    }

    #[test]
    fn each_number_has_one_form() {
        assert_eq!(read(&mut &[0xac, 0x02][..]).unwrap(), Some(300));
        assert_eq!(read(&mut &[0xac, 0x82, 0x00][..]).unwrap(), None);
        assert_eq!(read(&mut &[0x80, 0x00][..]).unwrap(), None);
        assert_eq!(read(&mut &[0xff; 11][..]).unwrap(), None);
        let mut largest = [0xff; 10];
        largest[9] = 1;
        assert_eq!(read(&mut &largest[..]).unwrap(), Some(u64::MAX));
        largest[9] = 2;
        assert_eq!(read(&mut &largest[..]).unwrap(), None);
        assert!(read(&mut &[0x80][..]).is_err());
        assert_eq!(take(&mut &[0x80][..]), None);
    }

    #[test]
    fn a_padded_number_has_any_form() {
        assert_eq!(take_padded(&mut &[0xac, 0x82, 0x80, 0x00][..]), Some(300));
        // -2, signed: the bits of two's complement that are there.
        assert_eq!(take_padded(&mut &[0x7e][..]), Some(0x7e));
        let mut longest = [0xff; 11];
        longest[9] = 0x7f;
        let mut rest = &longest[..];
        assert_eq!((take_padded(&mut rest), rest), (Some(u64::MAX), &[0xff][..]));
        assert_eq!(take_padded(&mut &[0xff; 11][..]), None);
        assert_eq!(take_padded(&mut &[0x80][..]), None);
    }

    #[test]
    fn small_numbers_of_either_sign_are_small() {
        assert_eq!([0, -1, 1, -2, i64::MAX, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
        for value in [0, -1, 5, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(zigzag(i32::MIN.into()), u64::from(u32::MAX), "32 bits stay 32 bits");
    }
}
