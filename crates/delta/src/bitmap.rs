//! Encodes the target's answer to a list of chunks: one bit for each.

/// The wanted chunks of a list, one bit for each. The bit of ordinal `i` is bit `i % 8`, counted from the lowest, of
/// byte `i / 8`; the spare bits of the last byte are zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    bits: Vec<u8>,
    len: usize,
}

/// Bytes that are no answer to a list of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitmapError {
    /// Too many or too few bytes.
    #[error("the answer about {chunks} chunks has {got} bytes")]
    Length {
        /// The chunks that it should be about.
        chunks: usize,
        /// Its bytes.
        got: usize,
    },
    /// Bits beyond the list.
    #[error("the answer about {chunks} chunks wants more than there are")]
    Spare {
        /// The chunks that it should be about.
        chunks: usize,
    },
}

impl Bitmap {
    /// None of `len` chunks.
    pub fn none(len: usize) -> Self {
        Bitmap { bits: vec![0; len.div_ceil(8)], len }
    }

    /// All of `len` chunks.
    pub fn all(len: usize) -> Self {
        let mut all = Bitmap::none(len);
        (0..len).for_each(|ordinal| all.insert(ordinal));
        all
    }

    /// Wants one more.
    ///
    /// # Panics
    /// If the list has no such ordinal.
    pub fn insert(&mut self, ordinal: usize) {
        assert!(ordinal < self.len, "ordinal {ordinal} in a list of {}", self.len);
        self.bits[ordinal / 8] |= 1 << (ordinal % 8);
    }

    /// True if this one is wanted; beyond the list nothing is.
    pub fn contains(&self, ordinal: usize) -> bool {
        self.bits.get(ordinal / 8).is_some_and(|byte| byte >> (ordinal % 8) & 1 == 1)
    }

    /// The number of wanted chunks.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The number of chunks of the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes that cross the wire, an eighth of [`Bitmap::len`] rounded up.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bits.clone()
    }

    /// Reads an answer about a list of `len` chunks.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Result<Self, BitmapError> {
        if bytes.len() != len.div_ceil(8) {
            return Err(BitmapError::Length { chunks: len, got: bytes.len() });
        }
        let spare = if len.is_multiple_of(8) { 0 } else { bytes.last().map_or(0, |last| last >> (len % 8)) };
        if spare != 0 {
            return Err(BitmapError::Spare { chunks: len });
        }
        Ok(Bitmap { bits: bytes.to_vec(), len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_lie_where_the_document_says() {
        let mut wanted = Bitmap::none(11);
        for ordinal in [0, 3, 8, 10] {
            wanted.insert(ordinal);
        }
        assert_eq!(wanted.to_bytes(), [0b0000_1001, 0b0000_0101]);
        assert_eq!(Bitmap::from_bytes(&wanted.to_bytes(), 11), Ok(wanted.clone()));
        assert_eq!(wanted.count(), 4);
        assert!(wanted.contains(3) && !wanted.contains(4) && !wanted.contains(11) && !wanted.contains(99));
    }

    #[test]
    fn an_answer_to_another_list_is_refused() {
        assert_eq!(Bitmap::from_bytes(&[0], 9), Err(BitmapError::Length { chunks: 9, got: 1 }));
        assert_eq!(Bitmap::from_bytes(&[0, 0], 8), Err(BitmapError::Length { chunks: 8, got: 2 }));
        assert_eq!(Bitmap::from_bytes(&[0, 2], 9), Err(BitmapError::Spare { chunks: 9 }));
        assert!(Bitmap::from_bytes(&[0, 1], 9).is_ok());
        assert!(Bitmap::from_bytes(&[0xff], 8).is_ok());
        assert!(Bitmap::from_bytes(&[], 0).is_ok_and(|wanted| wanted.is_empty()));
    }

    #[test]
    fn all_and_none_are_read_as_they_were_written() {
        for len in [0, 1, 7, 8, 9, 1000] {
            for wanted in [Bitmap::none(len), Bitmap::all(len)] {
                let bytes = wanted.to_bytes();
                assert_eq!((bytes.len(), wanted.len(), wanted.is_empty()), (len.div_ceil(8), len, len == 0));
                assert_eq!(Bitmap::from_bytes(&bytes, len), Ok(wanted));
            }
            assert_eq!((Bitmap::all(len).count(), Bitmap::none(len).count()), (len, 0));
            assert!((0..len).all(|ordinal| Bitmap::all(len).contains(ordinal)));
            assert!(!Bitmap::all(len).contains(len));
        }
        // Each spare bit is refused by itself.
        for bit in 0..8 {
            assert_eq!(Bitmap::from_bytes(&[0, 1 << bit], 11).is_ok(), bit < 3, "{bit}");
        }
    }

    #[test]
    #[should_panic(expected = "ordinal 9 in a list of 9")]
    fn an_ordinal_beyond_the_list_cannot_be_wanted() {
        Bitmap::none(9).insert(9);
    }
}
