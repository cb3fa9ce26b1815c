//! Level 1: one small table of places by five bytes.

use super::Finder;
use super::history::{Block, History, REACH, bytes_at, four_at, hash};
use super::matches::{Match, emit_rest};
use super::tokens::Tokens;

const BITS: u32 = 15;

pub(super) struct Level1 {
    history: History,
    table: Box<[i32; 1 << BITS]>,
}

impl Level1 {
    pub(super) fn new() -> Self {
        Self { history: History::new(), table: Box::new([0; 1 << BITS]) }
    }

    /// Remembers a place, and says which was remembered for its bytes.
    fn see(&mut self, bytes: u64, at: i32) -> i32 {
        let place = at + self.history.first;
        std::mem::replace(&mut self.table[hash::<5, BITS>(bytes)], place) - self.history.first
    }

    fn block(&mut self, history: &[u8], block: Block, tokens: &mut Tokens) {
        let mut emitted = block.start;
        let mut from = block.start;
        while let Some((found, next)) = self.next_match(history, from, emitted, block.limit) {
            let Some(at) = self.matches(history, found, next, block.limit, &mut emitted, tokens) else {
                break;
            };
            from = at;
        }
        emit_rest(history, emitted, tokens);
    }

    /// The next place where four bytes were seen within reach, and the place that would have been next. Looks at
    /// every second pair of places, and at fewer the longer nothing was found.
    fn next_match(
        &mut self,
        history: &[u8],
        from: i32,
        emitted: i32,
        limit: i32,
    ) -> Option<((i32, i32), i32)> {
        let mut at = from;
        let mut bytes = bytes_at(history, at);
        loop {
            let mut next = at + 2 + ((at - emitted) >> 5);
            if next > limit {
                return None;
            }
            let ahead = bytes_at(history, next);
            let before = self.see(bytes, at);
            if at - before < REACH && bytes as u32 == four_at(history, before) {
                self.see(ahead, next);
                return Some(((at, before), next));
            }
            bytes = ahead;
            at = next;
            next += 1;
            let before = self.see(bytes, at);
            if at - before < REACH && bytes as u32 == four_at(history, before) {
                // The place after this one is remembered for the bytes of this one.
                self.see(bytes, next);
                return Some(((at, before), next));
            }
            bytes >>= 8;
            at = next;
        }
    }

    /// Emits a match, and those that follow it at once. Says where to look on, unless the block is at its end.
    fn matches(
        &mut self,
        history: &[u8],
        (mut at, mut before): (i32, i32),
        next: i32,
        limit: i32,
        emitted: &mut i32,
        tokens: &mut Tokens,
    ) -> Option<i32> {
        loop {
            let found = Match::whole(history, at, before).emit(history, *emitted, tokens);
            *emitted = found.end();
            at = found.end();
            if next >= at {
                at = next + 1;
            }
            if at >= limit {
                if ((at + found.length + 8) as usize) < history.len() {
                    self.see(bytes_at(history, at), at);
                }
                return None;
            }
            let bytes = bytes_at(history, at - 2);
            self.see(bytes, at - 2);
            before = self.see(bytes >> 16, at);
            if at - before > REACH || (bytes >> 16) as u32 != four_at(history, before) {
                return Some(at + 1);
            }
        }
    }
}

impl Finder for Level1 {
    fn encode(&mut self, plain: &[u8], tokens: &mut Tokens) {
        if let Some(anew) = self.history.count_anew() {
            self.table.iter_mut().for_each(anew);
        }
        let block = self.history.append(plain);
        let history = std::mem::take(&mut self.history.bytes);
        self.block(&history, block, tokens);
        self.history.bytes = history;
    }

    fn reset(&mut self) {
        self.history.reset();
    }
}
