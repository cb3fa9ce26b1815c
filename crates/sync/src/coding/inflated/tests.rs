//! Compressed changelogs that got an entry.

use super::*;
use dsync_recompress::{Recipe, recreate};

/// zlib at level 6 with a header of no name, as a recipe has it.
const RECIPE: [u8; 17] = [1, 6, 6, 0, 0, 0, 0, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    recreate(&Recipe::from_bytes(&RECIPE).unwrap(), plain, &mut file).unwrap();
    file
}

fn changelog(from: u32, to: u32) -> Vec<u8> {
    let entry = |number: u32| format!("{number}: fixed {:08x}\n", number.wrapping_mul(2_654_435_761));
    (from..to).rev().flat_map(|number| entry(number).into_bytes()).collect()
}

/// Old and new items, and pairs.
struct Case {
    old: Owned,
    new: Owned,
    pairs: Vec<Option<usize>>,
}

impl Case {
    fn of(old: &[&[u8]], new: &[(&[u8], Option<usize>)]) -> Case {
        let owned = |items: Vec<&[u8]>| {
            let mut owned = Owned::default();
            items.into_iter().for_each(|item| owned.push(item));
            owned
        };
        Case {
            old: owned(old.to_vec()),
            new: owned(new.iter().map(|(item, _)| *item).collect()),
            pairs: new.iter().map(|(_, pair)| *pair).collect(),
        }
    }

    fn encode(&self, effort: Effort, inflates: bool) -> Vec<u8> {
        let bytes = [&self.old.bytes[..], &self.new.bytes].concat();
        let (old_lens, new_lens, pairs) = (&self.old.lens[..], &self.new.lens[..], &self.pairs[..]);
        let batch = Uncoded { bytes, begin: self.old.bytes.len(), old_lens, new_lens, pairs };
        match inflates {
            true => encode(batch, BatchCode::default(), effort).unwrap(),
            false => branch::encode(batch, &BatchCode::default(), effort).unwrap(),
        }
    }

    fn decode(&self, packed: &[u8]) -> io::Result<Vec<u8>> {
        let (old_lens, new_lens, pairs) = (&self.old.lens[..], &self.new.lens[..], &self.pairs[..]);
        decode(Coded { old: self.old.bytes.clone(), old_lens, new_lens, pairs }, packed)
    }
}

/// Two versions of a changelog with so many entries, others, and files that are none.
fn case(entries: u32) -> Case {
    let (old, new) = (gzip(&changelog(0, entries)), gzip(&changelog(1, entries + 10)));
    let (other, alone) = (gzip(&changelog(90_000, 90_100)), gzip(&changelog(20_000, 20_050)));
    let text = changelog(50, 80);
    Case::of(
        &[b"of nothing", &old, &text],
        &[(&text, Some(2)), (&new, Some(1)), (b"", None), (&other, Some(1)), (&alone, None), (b"end", None)],
    )
}

#[test]
fn a_compressed_file_costs_what_changed_in_it() {
    let case = case(3000);
    for effort in [Effort::Max, Effort::Level(12)] {
        let (inflated, deflated) = (case.encode(effort, true), case.encode(effort, false));
        assert_eq!((inflated[0], case.decode(&inflated).unwrap()), (INFLATED, case.new.bytes.clone()));
        assert_eq!(case.decode(&deflated).unwrap(), case.new.bytes);
        assert!(inflated.len() * 3 < deflated.len(), "{} and {}", inflated.len(), deflated.len());
    }
}

#[test]
fn a_batch_with_nothing_to_open_is_as_ever() {
    let text = changelog(0, 50);
    let case = Case::of(&[], &[(&text, None)]);
    assert_eq!(case.encode(Effort::Max, true), case.encode(Effort::Max, false));
}

#[test]
fn what_would_take_too_much_memory_stays_deflated() {
    let zeros = gzip(&vec![0; limits::INFLATED * 2 / 3]);
    let case = Case::of(&[&zeros], &[(&zeros, Some(0)), (&zeros, None), (&zeros, None)]);
    let packed = case.encode(Effort::Level(12), true);
    // The first does not fit with its old version, the second does, the third no longer.
    assert_eq!(case.decode(&packed).unwrap(), case.new.bytes);
    let InflatedItems(items) =
        from_wire(&section::read(&mut &packed[1..], limits::STREAMS).unwrap()).unwrap();
    assert_eq!(items.iter().map(|inflated| inflated.item).collect::<Vec<_>>(), [1]);
}

#[test]
fn damage_is_an_error_or_other_bytes_and_no_panic() {
    let case = case(100);
    let packed = case.encode(Effort::Max, true);
    for at in 0..packed.len() {
        for flip in [1, 0x80] {
            let mut damaged = packed.clone();
            damaged[at] ^= flip;
            case.decode(&damaged).ok();
        }
        assert!(case.decode(&packed[..at]).is_err());
    }
}

#[test]
fn items_that_are_not_there_or_come_twice_are_refused() {
    let case = case(100);
    let coded = |items: &[u32]| -> Vec<u8> {
        let inflated = |item: &u32| InflatedItem { item: *item, len: 0, streams: Vec::new() };
        let items: Vec<InflatedItem> = items.iter().map(inflated).collect();
        let mut packed = vec![INFLATED];
        section::write(&to_wire(&items).unwrap(), Effort::Max, &mut packed).unwrap();
        wire::write(&[0], &mut packed).unwrap();
        packed
    };
    for items in [&[6][..], &[1, 1], &[u32::MAX]] {
        let error = case.decode(&coded(items)).unwrap_err().to_string();
        assert!(error.contains("do not fit"), "{error}");
    }
}
