//! The default level: a table by five bytes, and one by eight.
//!
//! A port of klauspost's `zstd/enc_dfast.go`.

use super::block::FoundSequences;
use super::finder::{Finder, HashEntry, HistoryBlock};
use super::history::{History, hash, load64};
use super::search::{BlockSearch, Emitted};

const BITS: u32 = 15;
const LONG_BITS: u32 = 17;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 10;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 16;

pub(super) struct Double {
    history: History,
    table: Box<[HashEntry]>,
    long: Box<[HashEntry]>,
}

impl Double {
    pub(super) fn new(window: u32) -> Self {
        Self {
            history: History::new(window),
            table: vec![HashEntry::default(); 1 << BITS].into(),
            long: vec![HashEntry::default(); 1 << LONG_BITS].into(),
        }
    }
}

impl Finder for Double {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut u32)) {
        self.table.iter_mut().chain(&mut self.long).for_each(|entry| change(&mut entry.place));
    }

    fn block(&mut self, plain: &[u8], block: HistoryBlock, found: &mut FoundSequences) {
        if plain.len() - block.start < SMALLEST {
            found.literals.extend_from_slice(&plain[block.start..]);
            return;
        }
        let Ok(short) = <&mut [HashEntry; 1 << BITS]>::try_from(&mut self.table[..]) else { return };
        let Ok(long) = <&mut [HashEntry; 1 << LONG_BITS]>::try_from(&mut self.long[..]) else { return };
        let mut tables = Tables { short, long };
        let mut search = BlockSearch::new(plain, block, &self.history, MARGIN, found);
        while tables.next_sequences(&mut search, block.is_alone).is_some() {}
        search.finish();
    }
}

/// The tables while a block is encoded.
struct Tables<'a> {
    short: &'a mut [HashEntry; 1 << BITS],
    long: &'a mut [HashEntry; 1 << LONG_BITS],
}

impl Tables<'_> {
    /// Finds the next match and those that follow it at once. `None` at the end of the block.
    #[inline]
    fn next_sequences(&mut self, search: &mut BlockSearch<'_>, is_alone: bool) -> Option<()> {
        let may_repeat = search.may_repeat();
        let from = self.next_match(search, may_repeat)?;
        let length = search.length(search.at, from);
        let Emitted { begin, mut far } = search.emit(search.at, from, length);
        search.go_on()?;
        let before = self.keep_ends(search, begin);
        let may_repeat = if is_alone { search.may_repeat() } else { may_repeat };
        while may_repeat && search.repeats_far(far) {
            // In a block that is alone, the place is found under what was before it.
            let slot = hash::<5, BITS>(if is_alone { before >> 8 } else { search.word });
            let entry = HashEntry { value: search.word as u32, place: search.place() };
            self.long[hash::<8, LONG_BITS>(search.word)] = entry;
            self.short[slot] = entry;
            search.emit_far(&mut far);
            search.go_on()?;
        }
        Some(())
    }

    /// Remembers places at both ends of a match. Returns the bytes of the last of them.
    #[inline]
    fn keep_ends(&mut self, search: &BlockSearch<'_>, begin: usize) -> u64 {
        let mut next = 0;
        for at in [begin + 1, search.at - 2] {
            let word = load64(search.plain, at);
            let place = search.first + at as u32;
            self.long[hash::<8, LONG_BITS>(word)] = HashEntry { value: word as u32, place };
            next = word >> 8;
            // Both short entries come after both long ones; they are of two tables.
            self.short[hash::<5, BITS>(next)] = HashEntry { value: next as u32, place: place + 1 };
        }
        next
    }

    /// Goes on to the next match with a new distance, and returns where its bytes were before.
    #[inline]
    fn next_match(&mut self, search: &mut BlockSearch<'_>, may_repeat: bool) -> Option<usize> {
        loop {
            let (word, place) = (search.word, search.place());
            let (slot, long_slot) = (hash::<5, BITS>(word), hash::<8, LONG_BITS>(word));
            let (candidate, long_candidate) = (self.short[slot], self.long[long_slot]);
            let entry = HashEntry { value: word as u32, place };
            (self.short[slot], self.long[long_slot]) = (entry, entry);
            if may_repeat && search.repeats_ahead(1) {
                search.emit_repeat(1);
                search.go_on()?;
                continue;
            }
            if place - long_candidate.place < search.window && word as u32 == long_candidate.value {
                return Some((long_candidate.place - search.first) as usize);
            }
            if place - candidate.place < search.window && word as u32 == candidate.value {
                return Some(self.next_long(search).unwrap_or((candidate.place - search.first) as usize));
            }
            search.skip(1, 7)?;
        }
    }

    /// Goes on by a byte, if there is a match by eight bytes there, which perhaps is a longer one.
    #[inline]
    fn next_long(&mut self, search: &mut BlockSearch<'_>) -> Option<usize> {
        let next = load64(search.plain, search.at + 1);
        let place = search.place() + 1;
        let entry = HashEntry { value: next as u32, place };
        let candidate = std::mem::replace(&mut self.long[hash::<8, LONG_BITS>(next)], entry);
        if place - candidate.place < search.window && next as u32 == candidate.value {
            search.at += 1;
            return Some((candidate.place - search.first) as usize);
        }
        None
    }
}
