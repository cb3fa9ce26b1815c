//! Prices of symbols under the current models.

use super::literal::{LiteralContext, LiteralModels};
use super::model::{ALIGN, FAR_SLOT, LONG, Lens, Models, SHORTEST, slot, slot_class};
use super::position::POSITIONS;
use super::symbol::SymbolState;
use crate::batch::range::{Bit, PRECISION};

/// Prices of a bit are looked up by this many high bits of its probability.
const STEPS: u32 = 9;
/// The price of one bit.
pub(super) const BIT: u32 = 64;
/// Distances below have a price of their own.
const NEAR: usize = 128;

/// Prices that are costly to compute for each position; they are renewed now and then.
pub(super) struct SymbolPrices {
    table: Vec<u32>,
    match_lens: Vec<u32>,
    repeat_lens: Vec<u32>,
    slots: [[u32; 64]; 4],
    near: [[u32; NEAR]; 4],
    align: [u32; 1 << ALIGN],
}

impl SymbolPrices {
    pub(super) fn new() -> Self {
        let steps = 1_u32 << STEPS;
        let price = |step: u32| -> u32 {
            let share = (f64::from(step) + 0.5) / f64::from(steps);
            (-share.log2() * f64::from(BIT)) as u32
        };
        Self {
            table: (0..steps).map(price).collect(),
            match_lens: vec![0; POSITIONS * LONG],
            repeat_lens: vec![0; POSITIONS * LONG],
            slots: [[0; 64]; 4],
            near: [[0; NEAR]; 4],
            align: [0; 1 << ALIGN],
        }
    }

    #[inline]
    pub(super) fn bit(&self, model: Bit, bit: bool) -> u32 {
        self.share(if bit { (1 << PRECISION) - model.zero() } else { model.zero() })
    }

    /// The price of a probability.
    #[inline]
    fn share(&self, probability: u32) -> u32 {
        self.table[(probability >> (PRECISION - STEPS)) as usize]
    }

    pub(super) fn renew(&mut self, models: &Models) {
        let mut lens = std::mem::take(&mut self.match_lens);
        self.renew_lens(&models.match_lens, &mut lens);
        self.match_lens = lens;
        let mut lens = std::mem::take(&mut self.repeat_lens);
        self.renew_lens(&models.repeat_lens, &mut lens);
        self.repeat_lens = lens;
        for class in 0..4 {
            for at in 0..64_u32 {
                let plain = (at / 2).saturating_sub(1 + ALIGN) * BIT * u32::from(at >= FAR_SLOT);
                self.slots[class][at as usize] = self.tree(&models.slots[class], 6, at) + plain;
            }
            for back in 0..NEAR as u32 {
                let at = slot(back);
                let rest = match at {
                    0..4 => 0,
                    _ => {
                        let bits = at / 2 - 1;
                        self.reversed(&models.near[at as usize], bits, back - ((2 | at & 1) << bits))
                    }
                };
                self.near[class][back as usize] = self.slots[class][at as usize] + rest;
            }
        }
        for low in 0..1 << ALIGN {
            self.align[low as usize] = self.reversed(&models.align, ALIGN, low);
        }
    }

    fn renew_lens(&self, models: &Lens, prices: &mut [u32]) {
        for (position, prices) in prices.chunks_mut(LONG).enumerate() {
            for (len, price) in prices.iter_mut().enumerate().skip(SHORTEST) {
                let rest = len - SHORTEST;
                *price = match rest {
                    0..8 => {
                        self.bit(models.choice[0], false) + self.tree(&models.low[position], 3, rest as u32)
                    }
                    8..16 => {
                        self.bit(models.choice[0], true)
                            + self.bit(models.choice[1], false)
                            + self.tree(&models.mid[position], 3, rest as u32 - 8)
                    }
                    _ => {
                        self.bit(models.choice[0], true)
                            + self.bit(models.choice[1], true)
                            + self.tree(&models.high, 8, rest as u32 - 16)
                    }
                }
            }
        }
    }

    fn tree(&self, models: &[Bit], count: u32, value: u32) -> u32 {
        let (mut node, mut price) = (1, 0);
        for at in (0..count).rev() {
            let bit = value >> at & 1 != 0;
            price += self.bit(models[node], bit);
            node = node << 1 | usize::from(bit);
        }
        price
    }

    fn reversed(&self, models: &[Bit], count: u32, value: u32) -> u32 {
        let (mut node, mut price) = (1, 0);
        for at in 0..count {
            let bit = value >> at & 1 != 0;
            price += self.bit(models[node], bit);
            node = node << 1 | usize::from(bit);
        }
        price
    }

    /// The price of a literal's byte.
    pub(super) fn literal(&self, literals: &LiteralModels, context: LiteralContext, byte: u8) -> u32 {
        let mut price = 0;
        literals.walk(context, |zero, at| {
            let bit = byte >> at & 1 != 0;
            price += self.share(if bit { (1 << PRECISION) - zero } else { zero });
            bit
        });
        price
    }

    /// The price of the flag of a literal.
    pub(super) fn flag(&self, models: &Models, state: SymbolState, position: usize) -> u32 {
        self.bit(models.is_match[state.index()][position], false)
    }

    /// The price of a match's flags, without its length and distance.
    pub(super) fn matched(&self, models: &Models, state: SymbolState, position: usize) -> u32 {
        self.bit(models.is_match[state.index()][position], true)
            + self.bit(models.is_repeat[state.index()], false)
    }

    /// The price of a repeat's flags, without its length.
    pub(super) fn repeated(&self, models: &Models, state: SymbolState, position: usize, which: usize) -> u32 {
        let at = state.index();
        let mut price = self.bit(models.is_match[at][position], true) + self.bit(models.is_repeat[at], true);
        for found in 0..which.min(3) {
            price += self.bit(models.is_older[found][at], true);
        }
        if which < 3 {
            price += self.bit(models.is_older[which][at], false);
        }
        price + if which == 0 { self.bit(models.is_longer[at][position], true) } else { 0 }
    }

    /// The price of a short repeat.
    pub(super) fn short(&self, models: &Models, state: SymbolState, position: usize) -> u32 {
        let at = state.index();
        self.bit(models.is_match[at][position], true)
            + self.bit(models.is_repeat[at], true)
            + self.bit(models.is_older[0][at], false)
            + self.bit(models.is_longer[at][position], false)
    }

    /// The price of the length of a match with a new distance; of long ones, about.
    pub(super) fn match_len(&self, position: usize, len: usize) -> u32 {
        self.match_lens[position * LONG + len.min(LONG - 1)]
    }

    /// The price of the length of a repeat; of long ones, about.
    pub(super) fn repeat_len(&self, position: usize, len: usize) -> u32 {
        self.repeat_lens[position * LONG + len.min(LONG - 1)]
    }

    /// The price of a distance.
    pub(super) fn distance(&self, len: usize, back: u32) -> u32 {
        let class = slot_class(len);
        if let Some(price) = self.near[class].get(back as usize) {
            return *price;
        }
        self.slots[class][slot(back) as usize] + self.align[back as usize % (1 << ALIGN)]
    }
}
