//! The fastest level: one table by six bytes.
//!
//! A port of klauspost's `zstd/enc_fast.go`.

use super::block::Found;
use super::finder::{Block, Entry, Finder};
use super::history::{History, hash, load32, load64, same, same_before};
use super::sequences::{SHORTEST, Sequence};

const BITS: u32 = 15;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 8;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 10;

pub(super) struct Fast {
    history: History,
    table: Box<[Entry]>,
}

impl Fast {
    pub(super) fn new(window: u32) -> Self {
        Self { history: History::new(window), table: vec![Entry::default(); 1 << BITS].into() }
    }
}

impl Finder for Fast {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut u32)) {
        self.table.iter_mut().for_each(|entry| change(&mut entry.place));
    }

    fn block(&mut self, plain: &[u8], block: Block, found: &mut Found) {
        let start = block.start;
        if plain.len() - start < SMALLEST {
            found.literals.extend_from_slice(&plain[start..]);
            return;
        }
        let (first, window) = (self.history.first, self.history.window);
        let Ok(table) = <&mut [Entry; 1 << BITS]>::try_from(&mut self.table[..]) else { return };
        let limit = plain.len() - MARGIN;
        let (mut at, mut emitted) = (start, start);
        let mut near = 0;
        let mut word = load64(plain, at);
        'block: loop {
            let may_repeat = found.sequences.len() > 2;
            let from;
            loop {
                let place = first + at as u32;
                let (slot, next_slot) = (hash::<6, BITS>(word), hash::<6, BITS>(word >> 8));
                let candidate = table[slot];
                let next_candidate = table[next_slot];
                table[slot] = Entry { value: word as u32, place };
                table[next_slot] = Entry { value: (word >> 8) as u32, place: place + 1 };
                if may_repeat && at + 2 >= near && load32(plain, at + 2 - near) == (word >> 16) as u32 {
                    let repeated = at + 2 - near;
                    let length = 4 + same(plain, at + 6, repeated + 4);
                    let least = at.saturating_sub(window as usize);
                    let before = same_before(plain, at + 2, repeated, at + 1 - emitted, least);
                    let begin = at + 2 - before;
                    found.repeat(&plain[emitted..begin], length + before);
                    at += length + 2;
                    emitted = at;
                    if at >= limit {
                        break 'block;
                    }
                    word = load64(plain, at);
                    continue;
                }
                if place - candidate.place < window && word as u32 == candidate.value {
                    from = (candidate.place - first) as usize;
                    break;
                }
                if place + 1 - next_candidate.place < window && (word >> 8) as u32 == next_candidate.value {
                    from = (next_candidate.place - first) as usize;
                    at += 1;
                    break;
                }
                at += 2 + ((at - emitted) >> 5);
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
            at += length;
            emitted = at;
            if at >= limit {
                break;
            }
            word = load64(plain, at);
            let may_repeat = if block.is_alone { found.sequences.len() > 2 } else { may_repeat };
            if may_repeat && load32(plain, at - far) == word as u32 {
                let length = 4 + same(plain, at + 4, at - far + 4);
                table[hash::<6, BITS>(word)] = Entry { value: word as u32, place: first + at as u32 };
                found.sequences.push(Sequence { literals: 0, length: length as u32 - SHORTEST, offset: 1 });
                at += length;
                emitted = at;
                std::mem::swap(&mut near, &mut far);
                if at >= limit {
                    break;
                }
                word = load64(plain, at);
            }
        }
        found.literals.extend_from_slice(&plain[emitted..]);
    }
}
