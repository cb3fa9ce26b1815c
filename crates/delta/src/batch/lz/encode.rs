//! Chooses symbols by price: an optimal parser over the current models (after that of LZMA SDK; Igor Pavlov).

use dsync_core::common_prefix;

use super::finder::{FoundMatch, MatchFinder};
use super::literal::LiteralContext;
use super::long_matches::LongMatches;
use super::model::{Models, SHORTEST};
use super::position::{ItemPositions, POSITIONS};
use super::price::SymbolPrices;
use super::symbol::{Symbol, SymbolState, remember};
use crate::batch::range::RangeEncoder;

/// The most bytes that are parsed at once.
const RANGE: usize = 4096;
/// Prices are renewed after this many symbols.
const STALE: usize = 1024;
/// Matches of this length are taken without weighing.
const NICE: usize = 128;
/// Nodes of the match finder that are visited.
const DEPTH: usize = 64;

/// Packs `bytes` from `begin` on, which are items as long as `lens` say, given those before.
pub(in crate::batch) fn pack(bytes: &[u8], begin: usize, lens: &[u64], out: Vec<u8>) -> Vec<u8> {
    let mut parser = OptimalParser::new(bytes, begin);
    let mut coder = RangeEncoder::new(out);
    let mut models = Models::new();
    let mut prices = SymbolPrices::new();
    let (mut weighed, mut coded) = (ItemPositions::new(lens), ItemPositions::new(lens));
    let mut symbols = Vec::new();
    let mut age = STALE;
    let mut at = begin;
    while at < bytes.len() {
        if age >= STALE {
            prices.renew(&models);
            age = 0;
        }
        let scale = Scale { models: &models, prices: &prices };
        parser.next_range(at, |at| weighed.at(at - begin), scale, &mut symbols);
        for symbol in symbols.drain(..).rev() {
            let position = coded.at(at - begin);
            let differs = !models.state.is_after_literal();
            models.symbol(&mut coder, position, symbol);
            if symbol == Symbol::Literal {
                let context = literal_context(bytes, at, models.backs[0], differs, position);
                models.literals.code(&mut coder, context, bytes[at]);
            }
            at += symbol.len();
            age += 1;
        }
    }
    coder.finish()
}

/// Prices under the current models.
#[derive(Clone, Copy)]
struct Scale<'a> {
    models: &'a Models,
    prices: &'a SymbolPrices,
}

/// The cheapest way to come to a position.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// The price of all symbols from the range's beginning.
    price: u32,
    /// The position where the last symbols begin.
    from: usize,
    /// Up to three symbols in a row that are weighed as one, since the positions between them are often reached more
    /// cheaply by ways that then go on worse.
    symbols: [Option<Symbol>; 3],
    /// After the symbols; known when the position is come to.
    after: After,
}

/// A position that a symbol reaches, or the one where it would begin.
#[derive(Debug, Clone, Copy)]
struct Reached {
    /// The position where the symbol begins.
    now: usize,
    /// Bytes of the symbol.
    len: usize,
    /// The price of all symbols from the range's beginning, this one included.
    price: u32,
    symbol: Option<Symbol>,
}

/// The state after a symbol.
#[derive(Debug, Clone, Copy)]
struct After {
    state: SymbolState,
    backs: [u32; 4],
}

impl After {
    fn then(self, symbol: Symbol) -> Self {
        let Self { state, mut backs } = self;
        let state = match symbol {
            Symbol::Literal => state.literal(),
            Symbol::Short => state.short(),
            Symbol::Repeat { which, .. } => {
                let back = backs[which];
                remember(&mut backs, which, back);
                state.repeated()
            }
            Symbol::Match { back, .. } => {
                remember(&mut backs, 3, back);
                state.matched()
            }
        };
        Self { state, backs }
    }
}

const NONE: Arrival = Arrival {
    price: u32::MAX,
    from: 0,
    symbols: [None; 3],
    after: After { state: SymbolState::FIRST, backs: [0; 4] },
};

struct OptimalParser<'a> {
    bytes: &'a [u8],
    finder: MatchFinder<'a>,
    long_matches: LongMatches<'a>,
    ways: Vec<Arrival>,
    found: Vec<FoundMatch>,
    /// The first position of the range.
    begin: usize,
    /// The farthest position that a path reaches.
    end: usize,
}

impl<'a> OptimalParser<'a> {
    fn new(bytes: &'a [u8], begin: usize) -> Self {
        let mut finder = MatchFinder::new(bytes, NICE, DEPTH);
        finder.skip(begin);
        let mut long_matches = LongMatches::new(bytes);
        long_matches.keep(0..begin);
        let ways = vec![NONE; RANGE + NICE * 2 + 4];
        Self { bytes, finder, long_matches, ways, found: Vec::new(), begin, end: 0 }
    }

    /// The symbols of the next range, the last first. `position` gives the low bits of a position in its item.
    fn next_range(
        &mut self,
        begin: usize,
        mut position: impl FnMut(usize) -> usize,
        scale: Scale<'_>,
        symbols: &mut Vec<Symbol>,
    ) {
        let Models { state, backs, .. } = *scale.models;
        self.ways[0] = Arrival { price: 0, after: After { state, backs }, ..NONE };
        (self.begin, self.end) = (begin, 0);
        let mut now = 0;
        loop {
            if now > 0 {
                self.arrive(now);
                if now == self.end || now >= RANGE {
                    break;
                }
            }
            if let Some(symbol) = self.weigh(now, position(begin + now), scale) {
                let at = begin + now;
                self.finder.skip(symbol.len() - 1);
                self.long_matches.keep(at + 1..at + symbol.len());
                symbols.push(symbol);
                break;
            }
            now += 1;
        }
        while now > 0 {
            let way = &self.ways[now];
            symbols.extend(way.symbols.iter().rev().flatten());
            now = way.from;
        }
        for way in &mut self.ways[..=self.end] {
            way.price = NONE.price;
        }
    }

    /// Computes the state after the cheapest way to `now`.
    fn arrive(&mut self, now: usize) {
        let Arrival { from, symbols, .. } = self.ways[now];
        let before = self.ways[from].after;
        self.ways[now].after = symbols.into_iter().flatten().fold(before, After::then);
    }

    fn relax(&mut self, to: usize, price: u32, from: usize, symbols: [Option<Symbol>; 3]) {
        self.end = self.end.max(to);
        let way = &mut self.ways[to];
        if price < way.price {
            (way.price, way.from, way.symbols) = (price, from, symbols);
        }
    }

    /// The bytes from a distance before a position on.
    fn source(&self, at: usize, back: u32) -> Option<&'a [u8]> {
        at.checked_sub(back as usize + 1).map(|from| &self.bytes[from..])
    }

    /// Weighs all symbols that can follow. Returns one that is taken without weighing.
    fn weigh(&mut self, now: usize, position: usize, scale: Scale<'_>) -> Option<Symbol> {
        let Scale { models, prices } = scale;
        let at = self.begin + now;
        let rest = &self.bytes[at..];
        let room = rest.len().min(self.ways.len() - 1 - now);
        let Arrival { price, after: After { state, backs }, .. } = self.ways[now];
        let mut found = std::mem::take(&mut self.found);
        self.finder.next(&mut found);
        let longest = found.last().map_or(SHORTEST, |found| found.len);
        let long = self.long_matches.find(at, longest);
        if let Some((len, back)) = long
            && longest < NICE
        {
            found.push(FoundMatch { len: len.min(NICE), back });
        }

        let context = literal_context(self.bytes, at, backs[0], !state.is_after_literal(), position);
        let literal = price + scale.literal(state, context, rest[0]);
        self.relax(now + 1, literal, now, [Some(Symbol::Literal), None, None]);
        if self.source(at, backs[0]).is_some_and(|from| from[0] == rest[0]) {
            let short = price + prices.short(models, state, position);
            self.relax(now + 1, short, now, [Some(Symbol::Short), None, None]);
        } else {
            let reached = Reached { now, len: 0, price, symbol: None };
            self.go_on(reached, room, position, scale);
        }
        let mut taken = None;
        for (which, back) in backs.into_iter().enumerate() {
            let Some(from) = self.source(at, back) else { continue };
            let most = common_prefix(from, rest, room.min(NICE));
            if most >= NICE {
                taken = Some(Symbol::Repeat { which, len: common_prefix(from, rest, rest.len()) });
                break;
            }
            let flags = price + prices.repeated(models, state, position, which);
            for len in SHORTEST..=most {
                let price = flags + prices.repeat_len(position, len);
                let symbol = Some(Symbol::Repeat { which, len });
                self.relax(now + len, price, now, [symbol, None, None]);
                if len == most {
                    self.go_on(Reached { now, len, price, symbol }, room, position, scale);
                }
            }
        }
        if let (None, Some(&FoundMatch { len, back })) = (taken, found.last())
            && len >= NICE
            && let Some(from) = self.source(at, back)
        {
            let nearest = (common_prefix(from, rest, rest.len()), back);
            let (len, back) = long.filter(|long| long.0 > nearest.0).unwrap_or(nearest);
            taken = Some(Symbol::Match { back, len });
        }
        if taken.is_none() {
            let flags = price + prices.matched(models, state, position);
            let mut len = SHORTEST;
            for &FoundMatch { len: most, back } in &found {
                for len in len..=most.min(room) {
                    let price = flags + prices.match_len(position, len) + prices.distance(len, back);
                    let symbol = Some(Symbol::Match { back, len });
                    self.relax(now + len, price, now, [symbol, None, None]);
                    if len == most {
                        self.go_on(Reached { now, len, price, symbol }, room, position, scale);
                    }
                }
                len = most + 1;
            }
        }
        self.found = found;
        taken
    }

    /// Weighs one literal and the last distance again after a symbol, or after none.
    fn go_on(&mut self, reached: Reached, room: usize, position: usize, scale: Scale<'_>) {
        let Reached { now, len, price, symbol: first } = reached;
        let at = self.begin + now + len;
        let after = first.iter().fold(self.ways[now].after, |after, symbol| after.then(*symbol));
        let Some(from) = self.source(at, after.backs[0]) else { return };
        let [byte, rest @ ..] = &self.bytes[at..] else { return };
        let more = common_prefix(&from[1..], rest, room.saturating_sub(len + 1).min(NICE));
        if more < SHORTEST {
            return;
        }
        let position = |more| (position + len + more) % POSITIONS;
        let context =
            literal_context(self.bytes, at, after.backs[0], !after.state.is_after_literal(), position(0));
        let price = price
            + scale.literal(after.state, context, *byte)
            + scale.prices.repeated(scale.models, after.state.literal(), position(1), 0)
            + scale.prices.repeat_len(position(1), more);
        let repeat = Symbol::Repeat { which: 0, len: more };
        self.relax(now + len + 1 + more, price, now, [first, Some(Symbol::Literal), Some(repeat)]);
    }
}

impl Scale<'_> {
    fn literal(self, state: SymbolState, context: LiteralContext, byte: u8) -> u32 {
        self.prices.flag(self.models, state, context.position)
            + self.prices.literal(&self.models.literals, context, byte)
    }
}

/// Contexts of a byte.
fn literal_context(bytes: &[u8], at: usize, back: u32, differs: bool, position: usize) -> LiteralContext {
    let byte = |back: usize| at.checked_sub(back + 1).map_or(0, |at| bytes[at]);
    let before = match at.checked_sub(4) {
        Some(from) => bytes[from..].first_chunk().map_or(0, |before| u32::from_be_bytes(*before)),
        None => (0..4).fold(0, |all, back| all | u32::from(byte(back)) << (8 * back)),
    };
    LiteralContext { before, expected: byte(back as usize), differs, position }
}
