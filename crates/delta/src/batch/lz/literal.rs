//! Codes literals with mixed contexts.

use super::position::POSITIONS;
use crate::batch::mix::{Logits, Mixer};
use crate::batch::range::{Bit, Coder};

/// Predictions that are mixed.
const INPUTS: usize = 3;

/// The contexts of a byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiteralContext {
    /// The four bytes before, the last one lowest.
    pub(super) before: u32,
    /// The byte at the last distance.
    pub(super) expected: u8,
    /// A match has just ended, so that the byte is *not* the expected one.
    pub(super) differs: bool,
    pub(super) position: usize,
}

/// The models of literals, and the mixer of their predictions.
pub(super) struct LiteralModels {
    logits: Logits,
    mixer: Mixer<INPUTS>,

    /// Tables by the context, then by the first half of the byte, so that half a byte takes one line of cache.
    last: Vec<Half>,
    expected: Vec<Half>,
    fourth: Vec<Half>,
}

/// The models of half a byte.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Half([Bit; 16]);

impl Half {
    const NEW: Self = Self([Bit::NEW; 16]);
}
/// Halves to a context: one for the first half, and one after each first half.
const HALVES: usize = 17;

/// The index in each table of the models of half a byte.
struct Slots {
    last: usize,
    expected: usize,
    fourth: usize,
}

impl LiteralModels {
    pub(super) fn new() -> Self {
        Self {
            logits: Logits::new(),
            mixer: Mixer::new(8 * 3, 6),
            last: vec![Half::NEW; 256 * HALVES],
            expected: vec![Half::NEW; 512 * HALVES],
            fourth: vec![Half::NEW; 256 * POSITIONS * HALVES],
        }
    }

    /// `half` is 0 for the first half of a byte, and one more than the first half for the second.
    #[inline]
    fn slot(context: LiteralContext, half: usize) -> Slots {
        let before = context.before;
        Slots {
            last: (before & 0xff) as usize * HALVES + half,
            expected: (usize::from(context.expected) | usize::from(context.differs) << 8) * HALVES + half,
            fourth: ((before >> 24) as usize * POSITIONS + context.position) * HALVES + half,
        }
    }

    #[inline]
    fn inputs(&self, slot: &Slots, node: usize) -> [i32; INPUTS] {
        [
            self.logits.of(self.last[slot.last].0[node]),
            self.logits.of(self.expected[slot.expected].0[node]),
            self.logits.of(self.fourth[slot.fourth].0[node]),
        ]
    }

    /// The set of weights: by the number of the bit, and by whether the bits before it are as expected.
    #[inline]
    fn set(context: LiteralContext, node: usize, at: u32) -> usize {
        let expected = (usize::from(context.expected) | 256) >> (at + 1);
        let kind = if context.differs { 1 + usize::from(expected == node) } else { 0 };
        kind * 8 + at as usize
    }

    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, context: LiteralContext, byte: u8) -> u8 {
        let mut node = 1;
        let mut slot = Self::slot(context, 0);
        for at in (0..8).rev() {
            if at == 3 {
                slot = Self::slot(context, node - 16 + 1);
            }
            let inner = inner(node, at);
            let inputs = self.inputs(&slot, inner);
            let wanted = byte >> at & 1 != 0;
            let bit = self.mixer.code(coder, Self::set(context, node, at), &inputs, wanted);
            self.last[slot.last].0[inner].learn(bit);
            self.expected[slot.expected].0[inner].learn(bit);
            self.fourth[slot.fourth].0[inner].learn(bit);
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }

    /// The probability of a zero for each bit on the way to a byte, whose bits `next` returns.
    #[inline]
    pub(super) fn walk(&self, context: LiteralContext, mut next: impl FnMut(u32, u32) -> bool) {
        let mut node = 1;
        let mut slot = Self::slot(context, 0);
        for at in (0..8).rev() {
            if at == 3 {
                slot = Self::slot(context, node - 16 + 1);
            }
            let inputs = self.inputs(&slot, inner(node, at));
            let zero = self.mixer.zero(Self::set(context, node, at), &inputs);
            node = node << 1 | usize::from(next(zero, at));
        }
    }
}

/// The bits that were coded of half a byte, after a one.
#[inline]
fn inner(node: usize, at: u32) -> usize {
    if at > 3 { node } else { 1 << (3 - at) | node & ((1 << (3 - at)) - 1) }
}
