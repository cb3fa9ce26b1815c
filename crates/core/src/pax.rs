//! Records of a pax extended header, `LENGTH KEY=VALUE\n`, of which the length counts all bytes of its record
//! (POSIX.1-2024 `pax`, "pax Extended Header").

/// A pax record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaxRecord<'a> {
    /// The bytes before the first equals sign.
    pub key: &'a [u8],
    /// The bytes after it.
    pub value: &'a [u8],
}

/// Digits of a length that are looked at: 2⁶⁴ has 20.
const DIGITS: usize = 20;

/// Takes the record at the front. `None` where there is none, and nothing is taken: that is the end if `body` is empty,
/// and malformed if it is not.
pub fn take<'a>(body: &mut &'a [u8]) -> Option<PaxRecord<'a>> {
    let bytes = *body;
    let space = bytes.iter().take(DIGITS + 1).position(|byte| *byte == b' ')?;
    let len = usize::try_from(number(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(len)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    *body = rest;
    Some(PaxRecord { key: &text[..equals], value: &text[equals + 1..] })
}

/// A number in decimal digits and nothing else.
pub fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl PaxRecord<'_> {
    /// Encodes the record.
    pub fn encode(self) -> Vec<u8> {
        let PaxRecord { key, value } = self;
        let rest = key.len() + value.len() + 3;
        let mut len = rest + rest.to_string().len();
        // The digits of the length may be one more with themselves.
        if rest + len.to_string().len() != len {
            len = rest + len.to_string().len();
        }
        [format!("{len} ").as_bytes(), key, b"=", value, b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut body: &[u8]) -> (Vec<PaxRecord<'_>>, &[u8]) {
        let records = std::iter::from_fn(|| take(&mut body)).collect();
        (records, body)
    }

    #[test]
    fn records_are_taken_one_after_the_other() {
        let body = b"12 path=a b\n33 SCHILY.xattr.user.x=\0\xff\nsize=5\n9 size=2\n";
        let expected: [(&[u8], &[u8]); 3] =
            [(b"path", b"a b"), (b"SCHILY.xattr.user.x", b"\0\xff\nsize=5"), (b"size", b"2")];
        let expected = expected.map(|(key, value)| PaxRecord { key, value });
        assert_eq!(all(body), (expected.to_vec(), &b""[..]));
    }

    #[test]
    fn nothing_is_taken_of_a_malformed_record() {
        let cases: [&[u8]; 10] = [
            b"9 size=1",
            b"11 size=1\n",
            b"0 size=1\n",
            b"1 size=1\n",
            b"+9 size=1\n",
            b" size=1\n",
            b"9size=1\n\n",
            b"9 sizes1\n",
            b"99999999999999999999999 size=1\n",
            b"18446744073709551615 size=1\n",
        ];
        for body in cases {
            assert_eq!(all(body), (Vec::new(), body), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_length_counts_its_own_digits() {
        assert_eq!(PaxRecord { key: b"k", value: b"" }.encode(), b"5 k=\n");
        for len in 0..2000 {
            let value = vec![b'v'; len];
            let record = PaxRecord { key: b"key", value: &value };
            assert_eq!(all(&record.encode()), (vec![record], &b""[..]));
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for text in [&b""[..], b"+1", b"-1", b" 1", b"18446744073709551616", "٣".as_bytes()] {
            assert_eq!(number(text), None);
        }
    }
}
