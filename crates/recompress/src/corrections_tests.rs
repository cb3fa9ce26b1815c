//! The bytes of corrections: pinned, and hostile ones.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn columns_are_apart() {
    let mut notes = Corrections::new(true);
    notes.put_number(Of::Tokens, 300);
    notes.put(Of::Flushes, 7);
    notes.put_all(Of::Heads, &[1, 2, 3]);
    let mut notes = Corrections::from_bytes(&notes.to_bytes().unwrap()).unwrap();
    assert!(notes.forgets);
    assert_eq!((notes.take_number(Of::Tokens), notes.take_number(Of::Tokens)), (Some(300), None));
    assert_eq!((notes.take(Of::Flushes), notes.rest(Of::Heads)), (Some(7), &[1, 2, 3][..]));
    notes.skip(Of::Heads, 3);
    assert!(notes.is_spent());
}

/// Nine columns follow a byte that is 0 or 1, and nothing follows these.
#[test]
fn the_bytes_are_those_of_the_format() {
    let mut notes = Corrections::new(false);
    notes.put(Of::Near, 9);
    let bytes = zstd::bulk::decompress(&notes.to_bytes().unwrap(), 100).unwrap();
    let expected = [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0; 28]].concat();
    assert_eq!(bytes, expected);
    let read = |bytes: &[u8]| Corrections::from_bytes(&zstd::bulk::compress(bytes, 1).unwrap());
    assert_eq!(read(&bytes), Some(notes));
    for wrong in [&bytes[..37], &[&bytes[..], &[0]].concat(), &[&[2], &bytes[1..]].concat(), &[]] {
        assert_eq!(read(wrong), None);
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let mut bytes = vec![0; LARGEST + 1];
    bytes[1..5].copy_from_slice(&(LARGEST as u32 - 36).to_le_bytes());
    assert_eq!(Corrections::from_bytes(&zstd::bulk::compress(&bytes, 1).unwrap()), None);
    assert!(Corrections::from_bytes(&zstd::bulk::compress(&bytes[..LARGEST], 1).unwrap()).is_none());
    let mut notes = Corrections::new(false);
    notes.put_all(Of::Heads, &bytes);
    assert_eq!(notes.to_bytes(), None);
}

proptest! {
    #[test]
    fn numbers_are_taken_as_they_were_put(numbers in vec(0..1u64 << 56, 0..50)) {
        let mut notes = Corrections::default();
        numbers.iter().for_each(|number| notes.put_number(Of::Ends, *number));
        for number in numbers {
            prop_assert_eq!(notes.take_number(Of::Ends), Some(number));
        }
        prop_assert!(notes.is_spent());
    }

    #[test]
    fn whatever_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        Corrections::from_bytes(&bytes);
        Corrections::from_bytes(&zstd::bulk::compress(&bytes, 1).unwrap());
    }
}

#[test]
fn taking_more_than_there_is_gives_none() {
    let mut notes = Corrections::new(false);
    notes.put(Of::Shapes, 4);
    assert_eq!((notes.take(Of::Heads), notes.take_number(Of::Tokens)), (None, None));
    assert_eq!((notes.take(Of::Shapes), notes.take(Of::Shapes)), (Some(4), None));
    notes.skip(Of::Shapes, 100);
    assert!(notes.rest(Of::Shapes).is_empty() && notes.is_spent());
}

/// A number whose last byte says that more follow is none, as is one of more than 64 bits.
#[test]
fn a_number_that_does_not_end_is_none() {
    let mut notes = Corrections::new(false);
    notes.put_all(Of::Ends, &[0x80, 0x80]);
    assert_eq!(notes.take_number(Of::Ends), None);
    let mut notes = Corrections::new(false);
    notes.put_all(Of::Ends, &[0xff; 11]);
    assert_eq!(notes.take_number(Of::Ends), None);
}

#[test]
fn the_length_is_that_of_all_columns() {
    let mut notes = Corrections::new(true);
    assert!(notes.is_spent() && notes.len() == 0);
    notes.put_number(Of::Tokens, 127);
    notes.put_number(Of::Tokens, 128);
    notes.put_all(Of::Heads, &[0; 7]);
    assert_eq!(notes.len(), 1 + 2 + 7);
    assert!(!notes.is_spent());
}
