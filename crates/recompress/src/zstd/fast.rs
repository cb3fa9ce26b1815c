//! The fastest level: one table by six bytes.
//!
//! A port of klauspost's `zstd/enc_fast.go`.

use super::block::FoundSequences;
use super::finder::{Finder, HashEntry, HistoryBlock};
use super::history::{History, hash};
use super::search::BlockSearch;

const BITS: u32 = 15;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 8;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 10;

pub(super) struct Fast {
    history: History,
    table: Box<[HashEntry]>,
}

impl Fast {
    pub(super) fn new(window: u32) -> Self {
        Self { history: History::new(window), table: vec![HashEntry::default(); 1 << BITS].into() }
    }
}

impl Finder for Fast {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut u32)) {
        self.table.iter_mut().for_each(|entry| change(&mut entry.place));
    }

    fn block(&mut self, plain: &[u8], block: HistoryBlock, found: &mut FoundSequences) {
        if plain.len() - block.start < SMALLEST {
            found.literals.extend_from_slice(&plain[block.start..]);
            return;
        }
        let Ok(table) = <&mut Table>::try_from(&mut self.table[..]) else { return };
        let mut search = BlockSearch::new(plain, block, &self.history, MARGIN, found);
        while next_sequences(&mut search, table, block.is_alone).is_some() {}
        search.finish();
    }
}

type Table = [HashEntry; 1 << BITS];

/// Finds the next match and the one that may follow it at once. `None` at the end of the block.
#[inline]
fn next_sequences(search: &mut BlockSearch<'_>, table: &mut Table, is_alone: bool) -> Option<()> {
    let may_repeat = search.may_repeat();
    let from = next_match(search, table, may_repeat)?;
    let length = search.length(search.at, from);
    let mut far = search.emit(search.at, from, length).far;
    search.go_on()?;
    let may_repeat = if is_alone { search.may_repeat() } else { may_repeat };
    if may_repeat && search.repeats_far(far) {
        let entry = HashEntry { value: search.word as u32, place: search.place() };
        table[hash::<6, BITS>(search.word)] = entry;
        search.emit_far(&mut far);
        search.go_on()?;
    }
    Some(())
}

/// Goes on to the next match with a new distance, and returns where its bytes were before.
#[inline]
fn next_match(search: &mut BlockSearch<'_>, table: &mut Table, may_repeat: bool) -> Option<usize> {
    loop {
        let (word, place) = (search.word, search.place());
        let (slot, next_slot) = (hash::<6, BITS>(word), hash::<6, BITS>(word >> 8));
        let candidate = table[slot];
        let next_candidate = table[next_slot];
        table[slot] = HashEntry { value: word as u32, place };
        table[next_slot] = HashEntry { value: (word >> 8) as u32, place: place + 1 };
        if may_repeat && search.repeats_ahead(2) {
            search.emit_repeat(2);
            search.go_on()?;
            continue;
        }
        if place - candidate.place < search.window && word as u32 == candidate.value {
            return Some((candidate.place - search.first) as usize);
        }
        if place + 1 - next_candidate.place < search.window && (word >> 8) as u32 == next_candidate.value {
            search.at += 1;
            return Some((next_candidate.place - search.first) as usize);
        }
        search.skip(2, 5)?;
    }
}
