//! Pax records, `LEN KEY=VALUE\n`, as far as they say how long a body is (POSIX.1-2024 `pax`, "pax Extended
//! Header").

/// The value of the `size` record, if it is there and means something; the last one counts.
pub(super) fn size(mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some((key, value, rest)) = record(records) {
        if key == b"size" {
            size = number(value).filter(|size| i64::try_from(*size).is_ok());
        }
        records = rest;
    }
    size
}

/// The first record's key and value, and what comes after it; `None` at the end and where it is malformed.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let len = usize::try_from(number(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(len)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    Some((&text[..equals], &text[equals + 1..], rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_found_among_others() {
        assert_eq!(size(b"12 path=a b\n13 size=1234\n8 uid=7\n"), Some(1234));
        assert_eq!(size(b"9 size=1\n9 size=2\n"), Some(2));
        assert_eq!(size(b"20 size=10000000000\n"), Some(10_000_000_000));
        assert_eq!(size(b"33 SCHILY.xattr.user.x=\0\xff\nsize=5\n9 size=2\n"), Some(2));
    }

    #[test]
    fn what_is_no_size_is_none() {
        let cases: [&[u8]; 11] = [
            b"",
            b"8 size=\n",
            b"10 size=-1\n",
            b"9 size=1",
            b"11 size=1\n",
            b"0 size=1\n",
            b"1 size=1\n",
            b"99999999999999999999999 size=1\n",
            b"28 size=9223372036854775808\n",
            b"28 size=99999999999999999999\n",
            b"9 Size=1\n",
        ];
        for records in cases {
            assert_eq!(size(records), None, "{}", String::from_utf8_lossy(records));
        }
    }
}
