//! The models of symbols, for both directions.

use super::literal::LiteralModels;
use super::position::POSITIONS;
use super::symbol::{Symbol, SymbolState, remember};
use crate::batch::range::{Bit, Coder};

/// The shortest match with a new distance.
pub(super) const SHORTEST: usize = 2;
/// Lengths from here on are coded by their logarithm.
pub(super) const LONG: usize = SHORTEST + 16 + 255;
/// Distances are coded as a slot, its logarithm and next bit, and what is left of it. From this slot on the
/// low bits of what is left have a tree of their own and the others are plain.
pub(super) const FAR_SLOT: u32 = 14;
pub(super) const ALIGN: u32 = 4;

/// Lengths of matches.
pub(super) struct Lens {
    pub(super) choice: [Bit; 2],
    pub(super) low: [[Bit; 8]; POSITIONS],
    pub(super) mid: [[Bit; 8]; POSITIONS],
    pub(super) high: [Bit; 256],
    pub(super) log: [Bit; 32],
}

impl Lens {
    pub(super) const NEW: Self = Self {
        choice: [Bit::NEW; 2],
        low: [[Bit::NEW; 8]; POSITIONS],
        mid: [[Bit::NEW; 8]; POSITIONS],
        high: [Bit::NEW; 256],
        log: [Bit::NEW; 32],
    };

    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, position: usize, len: usize) -> usize {
        let rest = len.wrapping_sub(SHORTEST);
        if !coder.bit(&mut self.choice[0], rest >= 8) {
            return SHORTEST + coder.tree(&mut self.low[position], 3, rest as u32) as usize;
        }
        if !coder.bit(&mut self.choice[1], rest >= 16) {
            return SHORTEST
                + 8
                + coder.tree(&mut self.mid[position], 3, rest.wrapping_sub(8) as u32) as usize;
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
pub(super) struct Models {
    pub(super) is_match: [[Bit; POSITIONS]; SymbolState::COUNT],
    pub(super) is_repeat: [Bit; SymbolState::COUNT],
    pub(super) is_older: [[Bit; SymbolState::COUNT]; 3],
    pub(super) is_longer: [[Bit; POSITIONS]; SymbolState::COUNT],
    pub(super) match_lens: Lens,
    pub(super) repeat_lens: Lens,
    pub(super) slots: [[Bit; 64]; 4],
    pub(super) near: [[Bit; 32]; FAR_SLOT as usize],
    pub(super) align: [Bit; 1 << ALIGN],
    pub(super) literals: LiteralModels,
    /// The last distances less one.
    pub(super) backs: [u32; 4],
    pub(super) state: SymbolState,
}

impl Models {
    pub(super) fn new() -> Self {
        Self {
            is_match: [[Bit::NEW; POSITIONS]; SymbolState::COUNT],
            is_repeat: [Bit::NEW; SymbolState::COUNT],
            is_older: [[Bit::NEW; SymbolState::COUNT]; 3],
            is_longer: [[Bit::NEW; POSITIONS]; SymbolState::COUNT],
            match_lens: Lens::NEW,
            repeat_lens: Lens::NEW,
            slots: [[Bit::NEW; 64]; 4],
            near: [[Bit::NEW; 32]; FAR_SLOT as usize],
            align: [Bit::NEW; 1 << ALIGN],
            literals: LiteralModels::new(),
            backs: [0; 4],
            state: SymbolState::FIRST,
        }
    }

    /// Codes a symbol but for a literal's byte. The last distances and the state are those after it.
    pub(super) fn symbol<C: Coder>(&mut self, coder: &mut C, position: usize, symbol: Symbol) -> Symbol {
        let state = self.state.index();
        if !coder.bit(&mut self.is_match[state][position], symbol != Symbol::Literal) {
            self.state = self.state.literal();
            return Symbol::Literal;
        }
        if !coder.bit(&mut self.is_repeat[state], !matches!(symbol, Symbol::Match { .. })) {
            let (back, len) = if let Symbol::Match { back, len } = symbol { (back, len) } else { (0, 0) };
            let len = self.match_lens.code(coder, position, len);
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
        if found == 0 && !coder.bit(&mut self.is_longer[state][position], len > 1) {
            self.state = self.state.short();
            return Symbol::Short;
        }
        let len = self.repeat_lens.code(coder, position, len);
        self.remember(found, self.backs[found]);
        self.state = self.state.repeated();
        Symbol::Repeat { which: found, len }
    }

    pub(super) fn remember(&mut self, which: usize, back: u32) {
        remember(&mut self.backs, which, back);
    }

    pub(super) fn distance<C: Coder>(&mut self, coder: &mut C, len: usize, back: u32) -> u32 {
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

/// The logarithm of a distance, and its next bit.
pub(super) fn slot(back: u32) -> u32 {
    if back < 4 {
        return back;
    }
    let log = back.ilog2();
    log << 1 | back >> (log - 1) & 1
}

pub(super) fn slot_class(len: usize) -> usize {
    len.saturating_sub(SHORTEST).min(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::range::{RangeDecoder, RangeEncoder};

    /// Encodes symbols, and asserts that they are decoded and that both models are in the same state.
    fn round_trip(symbols: &[Symbol]) {
        let mut encoder = RangeEncoder::new(Vec::new());
        let mut models = Models::new();
        for (number, symbol) in symbols.iter().enumerate() {
            models.symbol(&mut encoder, number % POSITIONS, *symbol);
        }
        let bytes = encoder.finish();
        let (mut decoder, mut decoded) = (RangeDecoder::new(&bytes), Models::new());
        for (number, symbol) in symbols.iter().enumerate() {
            assert_eq!(
                decoded.symbol(&mut decoder, number % POSITIONS, Symbol::Literal),
                *symbol,
                "{number}"
            );
        }
        assert!(decoder.is_spent());
        assert_eq!((decoded.backs, decoded.state), (models.backs, models.state));
    }

    #[test]
    fn lengths_and_distances_of_every_size_are_decoded() {
        let around = |value: u64| [value.saturating_sub(1), value, value + 1];
        let powers = (0..32).flat_map(|bits| around(1_u64 << bits));
        let backs: Vec<u32> = powers.chain(0..300).filter_map(|back| u32::try_from(back).ok()).collect();
        for len in [2, 3, 4, 5, 6, 100] {
            round_trip(&backs.iter().map(|back| Symbol::Match { back: *back, len }).collect::<Vec<_>>());
        }
        let lens = (SHORTEST..700).chain((10..30).flat_map(|bits| around(1 << bits)).map(|len| len as usize));
        let lens: Vec<usize> = lens.collect();
        round_trip(&lens.iter().map(|len| Symbol::Match { back: 9, len: *len }).collect::<Vec<_>>());
        round_trip(&lens.iter().map(|len| Symbol::Repeat { which: len % 4, len: *len }).collect::<Vec<_>>());
    }

    #[test]
    fn every_symbol_is_decoded_after_every_other() {
        let all = [
            Symbol::Literal,
            Symbol::Short,
            Symbol::Repeat { which: 0, len: 2 },
            Symbol::Repeat { which: 1, len: 9 },
            Symbol::Repeat { which: 2, len: 300 },
            Symbol::Repeat { which: 3, len: 17 },
            Symbol::Match { back: 0, len: 2 },
            Symbol::Match { back: 70_000, len: 5 },
        ];
        let mut symbols = Vec::new();
        for one in all {
            for other in all {
                symbols.extend([one, other, Symbol::Literal, one, one]);
            }
        }
        round_trip(&symbols);
    }

    #[test]
    fn a_repeated_distance_comes_first() {
        let mut models = Models::new();
        let mut encoder = RangeEncoder::new(Vec::new());
        let mut code = |symbol| {
            models.symbol(&mut encoder, 0, symbol);
            models.backs
        };
        for back in [5, 6, 7, 8] {
            code(Symbol::Match { back, len: 4 });
        }
        assert_eq!(code(Symbol::Repeat { which: 2, len: 4 }), [6, 8, 7, 5]);
        assert_eq!(code(Symbol::Repeat { which: 3, len: 4 }), [5, 6, 8, 7]);
        assert_eq!(code(Symbol::Short), [5, 6, 8, 7]);
        assert_eq!(code(Symbol::Match { back: 1, len: 2 }), [1, 5, 6, 8]);
        assert_eq!(code(Symbol::Repeat { which: 1, len: 2 }), [5, 1, 6, 8]);
    }
}
