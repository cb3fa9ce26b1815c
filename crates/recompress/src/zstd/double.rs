//! The default level: a table by five bytes, and one by eight.
//!
//! A port of klauspost's `zstd/enc_dfast.go`.

use super::block::Found;
use super::finder::{Block, Entry, Finder};
use super::history::{History, hash, load32, load64, same, same_before};
use super::sequences::{SHORTEST, Sequence};

const BITS: u32 = 15;
const LONG_BITS: u32 = 17;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 10;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 16;

pub(super) struct Double {
    history: History,
    table: Box<[Entry]>,
    long: Box<[Entry]>,
}

impl Double {
    pub(super) fn new(window: u32) -> Self {
        Self {
            history: History::new(window),
            table: vec![Entry::default(); 1 << BITS].into(),
            long: vec![Entry::default(); 1 << LONG_BITS].into(),
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

    fn block(&mut self, plain: &[u8], block: Block, found: &mut Found) {
        let start = block.start;
        if plain.len() - start < SMALLEST {
            found.literals.extend_from_slice(&plain[start..]);
            return;
        }
        let (first, window) = (self.history.first, self.history.window);
        let Ok(table) = <&mut [Entry; 1 << BITS]>::try_from(&mut self.table[..]) else { return };
        let Ok(long) = <&mut [Entry; 1 << LONG_BITS]>::try_from(&mut self.long[..]) else { return };
        let limit = plain.len() - MARGIN;
        let (mut at, mut emitted) = (start, start);
        let mut near = 0;
        let mut word = load64(plain, at);
        'block: loop {
            let may_repeat = found.sequences.len() > 2;
            let from;
            loop {
                let place = first + at as u32;
                let (slot, long_slot) = (hash::<5, BITS>(word), hash::<8, LONG_BITS>(word));
                let (candidate, long_candidate) = (table[slot], long[long_slot]);
                let entry = Entry { value: word as u32, place };
                (table[slot], long[long_slot]) = (entry, entry);
                if may_repeat && at + 1 >= near && load32(plain, at + 1 - near) == (word >> 8) as u32 {
                    let repeated = at + 1 - near;
                    let length = 4 + same(plain, at + 5, repeated + 4);
                    let least = at.saturating_sub(window as usize);
                    let before = same_before(plain, at + 1, repeated, at - emitted, least);
                    found.repeat(&plain[emitted..at + 1 - before], length + before);
                    at += length + 1;
                    emitted = at;
                    if at >= limit {
                        break 'block;
                    }
                    word = load64(plain, at);
                    continue;
                }
                if place - long_candidate.place < window && word as u32 == long_candidate.value {
                    from = (long_candidate.place - first) as usize;
                    break;
                }
                if place - candidate.place < window && word as u32 == candidate.value {
                    // Perhaps the next place has a longer one.
                    let next = load64(plain, at + 1);
                    let slot = hash::<8, LONG_BITS>(next);
                    let long_candidate = long[slot];
                    long[slot] = Entry { value: next as u32, place: place + 1 };
                    if place + 1 - long_candidate.place < window && next as u32 == long_candidate.value {
                        from = (long_candidate.place - first) as usize;
                        at += 1;
                    } else {
                        from = (candidate.place - first) as usize;
                    }
                    break;
                }
                at += 1 + ((at - emitted) >> 7);
                if at >= limit {
                    break 'block;
                }
                word = load64(plain, at);
            }
            let mut far = near;
            near = at - from;
            let length = 4 + same(plain, at + 4, from + 4);
            let before = same_before(plain, at, from, at - emitted, at.saturating_sub(window as usize));
            found.matched(&plain[emitted..at - before], near, length + before);
            let begin = at - before;
            at += length;
            emitted = at;
            if at >= limit {
                break;
            }
            let mut old_word = 0;
            for index in [begin + 1, at - 2] {
                let word = load64(plain, index);
                let place = first + index as u32;
                long[hash::<8, LONG_BITS>(word)] = Entry { value: word as u32, place };
                old_word = word >> 8;
                // Both short entries come after both long ones; they are of two tables.
                table[hash::<5, BITS>(old_word)] = Entry { value: old_word as u32, place: place + 1 };
            }
            word = load64(plain, at);
            let may_repeat = if block.is_alone { found.sequences.len() > 2 } else { may_repeat };
            while may_repeat && load32(plain, at - far) == word as u32 {
                // In a block that is alone, the place is found under what was before it.
                let slot = hash::<5, BITS>(if block.is_alone { old_word >> 8 } else { word });
                let length = 4 + same(plain, at + 4, at - far + 4);
                let entry = Entry { value: word as u32, place: first + at as u32 };
                long[hash::<8, LONG_BITS>(word)] = entry;
                table[slot] = entry;
                found.sequences.push(Sequence { literals: 0, length: length as u32 - SHORTEST, offset: 1 });
                at += length;
                emitted = at;
                std::mem::swap(&mut near, &mut far);
                if at >= limit {
                    break 'block;
                }
                word = load64(plain, at);
            }
        }
        found.literals.extend_from_slice(&plain[emitted..]);
    }
}
