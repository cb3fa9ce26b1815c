//! Numbers of variable length: seven bits a byte, the lowest first, the high bit set on all but the last
//! (LEB128). Each number has one form only: no superfluous zeros at the end, at most 64 bits.

use std::io::{self, Read};

/// Writes a number, 1 to 10 bytes.
pub(crate) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number; `None` where the bytes are not the one form of a 64-bit number.
pub(crate) fn read(input: &mut dyn Read) -> io::Result<Option<u64>> {
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
    }
}
