//! LZ77 with context-modelled binary coding, after LZMA.
//!
//! This is LZMA (Igor Pavlov, "LZMA specification", 2015) but for these: probabilities are the mean of two
//! estimates, matches may be of any length, the old items are what lies before the first byte, the position
//! that contexts take their low bits from begins at 0 with every item, and nothing is said of the end, which
//! both sides know.

mod decode;
mod encode;
mod finder;
mod literal;
mod price;

pub(super) use decode::unpack;
pub(super) use encode::pack;

use super::range::{Bit, Coder};
use literal::Literals;

/// The symbols that were coded last, as a context for the next: LZMA's twelve states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u8);

impl State {
    const FIRST: Self = Self(0);
    const COUNT: usize = 12;

    fn index(self) -> usize {
        self.0.into()
    }

    fn is_after_literal(self) -> bool {
        self.0 < 7
    }

    fn literal(self) -> Self {
        Self(match self.0 {
            0..=3 => 0,
            4..=9 => self.0 - 3,
            _ => self.0 - 6,
        })
    }

    fn matched(self) -> Self {
        Self(if self.is_after_literal() { 7 } else { 10 })
    }

    fn repeated(self) -> Self {
        Self(if self.is_after_literal() { 8 } else { 11 })
    }

    fn short(self) -> Self {
        Self(if self.is_after_literal() { 9 } else { 11 })
    }
}

/// The shortest match with a new distance.
const SHORTEST: usize = 2;
/// Lengths from here on are coded by their logarithm.
const LONG: usize = SHORTEST + 16 + 255;
/// Low bits of the position in contexts.
const PLACES: usize = 4;
/// Distances are coded as a slot, its logarithm and next bit, and what is left of it. From this slot on the
/// low bits of what is left have a tree of their own and the others are plain.
const FAR_SLOT: u32 = 14;
const ALIGN: u32 = 4;

/// A symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Literal,
    /// One byte at the last distance.
    Short,
    /// A match at one of the last four distances.
    Repeat {
        which: usize,
        len: usize,
    },
    /// A match at a new distance, which is one more than `back`.
    Match {
        back: u32,
        len: usize,
    },
}

impl Symbol {
    /// In bytes.
    fn len(self) -> usize {
        match self {
            Self::Literal | Self::Short => 1,
            Self::Repeat { len, .. } | Self::Match { len, .. } => len,
        }
    }
}

/// Lengths of matches.
struct Lens {
    choice: [Bit; 2],
    low: [[Bit; 8]; PLACES],
    mid: [[Bit; 8]; PLACES],
    high: [Bit; 256],
    log: [Bit; 32],
}

impl Lens {
    const NEW: Self = Self {
        choice: [Bit::NEW; 2],
        low: [[Bit::NEW; 8]; PLACES],
        mid: [[Bit::NEW; 8]; PLACES],
        high: [Bit::NEW; 256],
        log: [Bit::NEW; 32],
    };

    fn code<C: Coder>(&mut self, coder: &mut C, place: usize, len: usize) -> usize {
        let rest = len.wrapping_sub(SHORTEST);
        if !coder.bit(&mut self.choice[0], rest >= 8) {
            return SHORTEST + coder.tree(&mut self.low[place], 3, rest as u32) as usize;
        }
        if !coder.bit(&mut self.choice[1], rest >= 16) {
            return SHORTEST + 8 + coder.tree(&mut self.mid[place], 3, rest.wrapping_sub(8) as u32) as usize;
        }
        let high = coder.tree(&mut self.high, 8, rest.wrapping_sub(16).min(255) as u32) as usize;
        if high < 255 {
            return SHORTEST + 16 + high;
        }
        let over = len.wrapping_sub(LONG).wrapping_add(1) as u32;
        let bits = coder.tree(&mut self.log, 5, over.max(1).ilog2());
        LONG - 1 + (1 << bits | coder.plain(bits, over) as usize)
    }
}

/// All that is learnt while coding.
struct Models {
    is_match: [[Bit; PLACES]; State::COUNT],
    is_repeat: [Bit; State::COUNT],
    is_older: [[Bit; State::COUNT]; 3],
    is_longer: [[Bit; PLACES]; State::COUNT],
    match_lens: Lens,
    repeat_lens: Lens,
    slots: [[Bit; 64]; 4],
    near: [[Bit; 32]; FAR_SLOT as usize],
    align: [Bit; 1 << ALIGN],
    literals: Literals,
    /// The last distances less one.
    backs: [u32; 4],
    state: State,
}

impl Models {
    fn new() -> Self {
        Self {
            is_match: [[Bit::NEW; PLACES]; State::COUNT],
            is_repeat: [Bit::NEW; State::COUNT],
            is_older: [[Bit::NEW; State::COUNT]; 3],
            is_longer: [[Bit::NEW; PLACES]; State::COUNT],
            match_lens: Lens::NEW,
            repeat_lens: Lens::NEW,
            slots: [[Bit::NEW; 64]; 4],
            near: [[Bit::NEW; 32]; FAR_SLOT as usize],
            align: [Bit::NEW; 1 << ALIGN],
            literals: Literals::new(),
            backs: [0; 4],
            state: State::FIRST,
        }
    }

    /// Codes a symbol but for a literal's byte. The last distances and the state are those after it.
    fn symbol<C: Coder>(&mut self, coder: &mut C, place: usize, symbol: Symbol) -> Symbol {
        let state = self.state.index();
        if !coder.bit(&mut self.is_match[state][place], symbol != Symbol::Literal) {
            self.state = self.state.literal();
            return Symbol::Literal;
        }
        if !coder.bit(&mut self.is_repeat[state], !matches!(symbol, Symbol::Match { .. })) {
            let (back, len) = if let Symbol::Match { back, len } = symbol { (back, len) } else { (0, 0) };
            let len = self.match_lens.code(coder, place, len);
            let back = self.distance(coder, len, back);
            self.remember(3, back);
            self.state = self.state.matched();
            return Symbol::Match { back, len };
        }
        let (which, len) = if let Symbol::Repeat { which, len } = symbol { (which, len) } else { (0, 1) };
        let mut found = 0;
        while found < 3 && coder.bit(&mut self.is_older[found][state], which > found) {
            found += 1;
        }
        if found == 0 && !coder.bit(&mut self.is_longer[state][place], len > 1) {
            self.state = self.state.short();
            return Symbol::Short;
        }
        let len = self.repeat_lens.code(coder, place, len);
        self.remember(found, self.backs[found]);
        self.state = self.state.repeated();
        Symbol::Repeat { which: found, len }
    }

    fn remember(&mut self, which: usize, back: u32) {
        remember(&mut self.backs, which, back);
    }

    fn distance<C: Coder>(&mut self, coder: &mut C, len: usize, back: u32) -> u32 {
        let slot = coder.tree(&mut self.slots[slot_class(len)], 6, slot(back));
        if slot < 4 {
            return slot;
        }
        let bits = slot / 2 - 1;
        let base = (2 | slot & 1) << bits;
        let rest = back.wrapping_sub(base);
        if slot < FAR_SLOT {
            return base | coder.reversed(&mut self.near[slot as usize], bits, rest);
        }
        let high = coder.plain(bits - ALIGN, rest >> ALIGN);
        base | high << ALIGN | coder.reversed(&mut self.align, ALIGN, rest)
    }
}

/// Puts a distance before the others; it was the one numbered `which`, or is new.
fn remember(backs: &mut [u32; 4], which: usize, back: u32) {
    backs.copy_within(0..which, 1);
    backs[0] = back;
}

/// The logarithm of a distance, and its next bit.
fn slot(back: u32) -> u32 {
    if back < 4 {
        return back;
    }
    let log = back.ilog2();
    log << 1 | back >> (log - 1) & 1
}

fn slot_class(len: usize) -> usize {
    len.saturating_sub(SHORTEST).min(3)
}

/// Where the items lie in the new bytes: an iterator of the low bits of positions would be slow, so the ends
/// are walked beside the bytes.
struct ItemPositions<'a> {
    lens: &'a [u64],
    begin: usize,
    end: usize,
}

impl<'a> ItemPositions<'a> {
    fn new(lens: &'a [u64]) -> Self {
        Self { lens, begin: 0, end: 0 }
    }

    /// The low bits of a position in its item. Positions must not decrease.
    fn at(&mut self, at: usize) -> usize {
        while at >= self.end {
            let Some((len, rest)) = self.lens.split_first() else { break };
            (self.begin, self.end, self.lens) = (self.end, self.end.saturating_add(*len as usize), rest);
        }
        (at - self.begin) % PLACES
    }
}
