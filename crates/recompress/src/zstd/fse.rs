//! Finite state entropy: a distribution is fitted to a table of states, which codes symbols.
//!
//! RFC 8878, 4.1; a port of klauspost's `zstd/fse_encoder.go`.

use super::bits::BitWriter;

/// Tables have at least 2⁵ states.
const LEAST_LOG: u32 = 5;
/// The sum of a distribution is fitted to a part of 2⁶² by these steps.
const REST_TO_BEAT: [u64; 8] = [0, 473_195, 504_333, 520_860, 550_000, 700_000, 750_000, 830_000];
/// The share of a symbol that is not known yet.
const NOT_YET: i16 = -2;

/// The transition of the state by a symbol.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transform {
    delta_bits: u32,
    delta_state: i32,
}

/// A distribution of up to 256 symbols, and the states that code it.
#[derive(Debug, Clone, Default)]
pub(super) struct FseTable {
    /// The number of states, as a power of two.
    pub(super) log: u32,
    /// The share of states of each symbol; -1 is less than one.
    norm: Vec<i16>,
    next: Vec<u16>,
    transforms: Vec<Transform>,
}

/// The highest bit that is set.
pub(super) fn high_bit(value: u32) -> u32 {
    31 - value.max(1).leading_zeros()
}

/// The size of a table for this number of coded symbols. `slack` differs between the two users of this.
pub(super) fn best_log(most: u32, coded: usize, symbols: usize, slack: u32) -> u32 {
    let by_length = high_bit((coded as u32).saturating_sub(slack)) + 1;
    let by_symbols = high_bit((symbols as u32).saturating_sub(1)) + 2;
    let least = by_length.min(by_symbols);
    // One below zero is a large number there, too.
    let affordable = high_bit((coded as u32).saturating_sub(1)).wrapping_sub(2) & 0xff;
    affordable.min(most).max(least).max(LEAST_LOG)
}

impl FseTable {
    /// A table of 2^`log` states for symbols that were counted, `total` in all, of which there are two or more. None
    /// where no such table comes out.
    pub(super) fn of(counts: &[u32], total: usize, log: u32) -> Option<Self> {
        Self::of_norm(normalised(counts, total, log)?, log)
    }

    /// A table of a distribution.
    pub(super) fn of_norm(norm: Vec<i16>, log: u32) -> Option<Self> {
        let size = 1usize << log;
        let mut symbols = vec![0u8; size];
        let mut starts = Vec::with_capacity(norm.len());
        let (mut start, mut high) = (0usize, size);
        for (symbol, share) in norm.iter().enumerate() {
            starts.push(start);
            if *share == -1 {
                high = high.checked_sub(1)?;
                symbols[high] = symbol as u8;
                start += 1;
            } else {
                start += usize::try_from(*share).ok()?;
            }
        }
        if start != size {
            return None;
        }
        let step = (size >> 1) + (size >> 3) + 3;
        let mut at = 0;
        for (symbol, share) in norm.iter().enumerate() {
            for _ in 0..*share {
                symbols[at] = symbol as u8;
                at = (at + step) & (size - 1);
                while at >= high && high > 0 {
                    at = (at + step) & (size - 1);
                }
            }
        }
        let mut next = vec![0; size];
        for (at, symbol) in symbols.iter().enumerate() {
            let start = &mut starts[usize::from(*symbol)];
            *next.get_mut(*start)? = (size + at) as u16;
            *start += 1;
        }
        let transforms = transforms(&norm, log);
        Some(Self { log, norm, next, transforms })
    }

    /// The table of a single symbol, which needs no bits.
    pub(super) fn single(symbol: u8) -> Self {
        let transforms = vec![Transform::default(); usize::from(symbol) + 1];
        Self { log: 0, norm: Vec::new(), next: vec![0], transforms }
    }

    /// The number of symbols of the table.
    pub(super) fn symbols(&self) -> usize {
        self.norm.len()
    }

    /// Writes the distribution.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let size = 1i32 << self.log;
        let mut bits = DistributionWriter { out, held: self.log.wrapping_sub(LEAST_LOG), count: 4 };
        let (mut remaining, mut threshold, mut width) = (size + 1, size, self.log + 1);
        let mut symbol = 0;
        let mut was_zero = false;
        while remaining > 1 {
            if was_zero {
                let zeros =
                    self.norm[symbol.min(self.norm.len())..].iter().take_while(|share| **share == 0).count();
                symbol += zeros;
                bits.zeros(zeros);
            }
            let Some(share) = self.norm.get(symbol).map(|share| i32::from(*share)) else { break };
            symbol += 1;
            let most = 2 * threshold - 1 - remaining;
            remaining -= share.abs();
            let mut count = share + 1;
            if count >= threshold {
                count += most;
            }
            bits.held = bits.held.wrapping_add((count as u32) << bits.count);
            bits.count += width - u32::from(count < most);
            was_zero = share == 0;
            while remaining < threshold && threshold > 1 {
                width -= 1;
                threshold >>= 1;
            }
            bits.flush();
        }
        let rest = bits.count.div_ceil(8) as usize;
        let held = bits.held.to_le_bytes();
        out.extend_from_slice(&held[..rest]);
    }

    /// The cost of coding the counted symbols, in bits; none if the table lacks one of them.
    pub(super) fn cost(&self, counts: &[u32]) -> Option<u32> {
        const ACCURACY: u32 = 8;
        if self.norm.len() < counts.len() {
            return None;
        }
        let most = (self.log + 1) << ACCURACY;
        let mut cost = 0u32;
        for ((count, share), transform) in counts.iter().zip(&self.norm).zip(&self.transforms) {
            if *count == 0 {
                continue;
            }
            if *share == 0 {
                return None;
            }
            let bits = transform.cost(self.log, ACCURACY);
            if bits > most {
                return None;
            }
            cost = cost.wrapping_add(count.wrapping_mul(bits));
        }
        Some(cost >> ACCURACY)
    }

    /// The whole bits of what it costs to code a symbol, at least.
    pub(super) fn least_bits(&self, symbol: u8) -> u32 {
        self.transforms.get(usize::from(symbol)).map_or(0, |transform| transform.delta_bits >> 16)
    }

    /// The state before the last symbol.
    #[inline]
    pub(super) fn begin(&self, symbol: u8) -> FseState<'_> {
        let transform = self.transforms[usize::from(symbol)];
        if self.log == 0 {
            return FseState { table: self, state: 0 };
        }
        let bits = transform.delta_bits.wrapping_add(1 << 15) >> 16;
        let start = (bits << 16).wrapping_sub(transform.delta_bits) as i32;
        let at = (start >> bits) + transform.delta_state;
        FseState { table: self, state: self.next[at as usize] }
    }
}

impl Transform {
    /// About how many bits a symbol takes, times 2^`accuracy`.
    fn cost(self, log: u32, accuracy: u32) -> u32 {
        let least = self.delta_bits >> 16;
        let threshold = (least + 1) << 16;
        let delta = threshold.wrapping_sub(self.delta_bits.wrapping_add(1 << log));
        ((least + 1) << accuracy).wrapping_sub((delta << accuracy) >> log)
    }
}

/// A coder that was given the symbols from the last on.
pub(super) struct FseState<'a> {
    table: &'a FseTable,
    state: u16,
}

impl FseState<'_> {
    /// Codes the symbol before.
    #[inline]
    pub(super) fn encode(&mut self, symbol: u8, bits: &mut BitWriter<'_>) {
        let transform = self.table.transforms[usize::from(symbol)];
        let count = u32::from(self.state).wrapping_add(transform.delta_bits) >> 16;
        let at = i32::from(self.state >> (count & 15)) + transform.delta_state;
        bits.add_low(u32::from(self.state), count & 15);
        self.state = self.table.next[at as usize];
    }

    /// Writes the state at the first symbol.
    pub(super) fn finish(self, bits: &mut BitWriter<'_>) {
        bits.flush();
        bits.add_low(u32::from(self.state), self.table.log);
    }
}

/// The bits of a distribution.
struct DistributionWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl DistributionWriter<'_> {
    fn word(&mut self) {
        self.out.extend_from_slice(&(self.held as u16).to_le_bytes());
        self.held >>= 16;
    }

    fn flush(&mut self) {
        if self.count > 16 {
            self.word();
            self.count -= 16;
        }
    }

    /// Counts further symbols without a share.
    fn zeros(&mut self, mut zeros: usize) {
        while zeros >= 24 {
            zeros -= 24;
            self.held = self.held.wrapping_add(0xffff << self.count);
            self.word();
        }
        while zeros >= 3 {
            zeros -= 3;
            self.held = self.held.wrapping_add(3 << self.count);
            self.count += 2;
        }
        self.held = self.held.wrapping_add((zeros as u32) << self.count);
        self.count += 2;
        self.flush();
    }
}

fn transforms(norm: &[i16], log: u32) -> Vec<Transform> {
    let mut total = 0i32;
    norm.iter()
        .map(|share| match i32::from(*share) {
            0 => Transform::default(),
            -1 | 1 => {
                total += 1;
                Transform { delta_bits: (log << 16).wrapping_sub(1 << log), delta_state: total - 2 }
            }
            share => {
                let bits = log - high_bit(share as u32 - 1);
                total += share;
                Transform {
                    delta_bits: (bits << 16).wrapping_sub((share as u32) << bits),
                    delta_state: total - 2 * share,
                }
            }
        })
        .collect()
}

/// The share of each symbol in 2^`log`.
fn normalised(counts: &[u32], total: usize, log: u32) -> Option<Vec<i16>> {
    let scale = 62 - u64::from(log);
    let step = (1u64 << 62) / total as u64;
    let rest_step = 1u64 << (scale - 20);
    let low = (total >> log) as u32;
    let mut left = 1i32 << log;
    let (mut largest, mut largest_share) = (0, 0);
    let mut norm = vec![0i16; counts.len()];
    for (symbol, count) in counts.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        if *count <= low {
            norm[symbol] = -1;
            left -= 1;
            continue;
        }
        let exact = u64::from(*count).wrapping_mul(step);
        let mut share = exact >> scale;
        if let Some(beat) = REST_TO_BEAT.get(share as usize) {
            share += u64::from(exact - (share << scale) > rest_step * beat);
        }
        let share = share as i16;
        if share > largest_share {
            (largest, largest_share) = (symbol, share);
        }
        norm[symbol] = share;
        left -= i32::from(share);
    }
    if -left >= i32::from(norm[largest] >> 1) {
        return normalised_otherwise(counts, total as u32, log);
    }
    norm[largest] += left as i16;
    Some(norm)
}

/// The shares of symbols in 2^`log` where rounding to the nearest gave away too much.
fn normalised_otherwise(counts: &[u32], total: u32, log: u32) -> Option<Vec<i16>> {
    let low_one = (total * 3) >> (log + 1);
    let mut fit = Fit::new(counts, total, total >> log);
    fit.give_one(low_one);
    let size = 1u32 << log;
    let mut left = size.checked_sub(fit.distributed).filter(|left| *left > 0)?;
    if fit.total / left > low_one {
        fit.give_one((fit.total * 3) / (left * 2));
        left = size.checked_sub(fit.distributed)?;
    }
    if fit.distributed as usize == counts.len() + 1 {
        let most = counts.iter().max()?;
        let symbol = counts.iter().position(|count| count == most)?;
        fit.norm[symbol] += left as i16;
        return Some(fit.norm);
    }
    if fit.total == 0 { fit.spread_over_all(left) } else { fit.spread(left, log) }
}

/// Shares that are given one symbol after the other.
struct Fit<'a> {
    counts: &'a [u32],
    /// The share of each symbol; [`NOT_YET`] where it has none yet.
    norm: Vec<i16>,
    /// The shares that were given.
    distributed: u32,
    /// The counts of the symbols that have no share yet.
    total: u32,
}

impl<'a> Fit<'a> {
    /// Gives the least share to the symbols with a count of at most `low`.
    fn new(counts: &'a [u32], total: u32, low: u32) -> Self {
        let mut fit = Fit { counts, norm: vec![0; counts.len()], distributed: 0, total };
        for (share, count) in fit.norm.iter_mut().zip(counts) {
            *share = match *count {
                0 => 0,
                count if count <= low => {
                    fit.distributed += 1;
                    fit.total -= count;
                    -1
                }
                _ => NOT_YET,
            };
        }
        fit
    }

    /// Gives one to the symbols that have no share yet and a count of at most `most`.
    fn give_one(&mut self, most: u32) {
        for (share, count) in self.norm.iter_mut().zip(self.counts) {
            if *share == NOT_YET && *count <= most {
                *share = 1;
                self.distributed += 1;
                self.total -= count;
            }
        }
    }

    /// Gives the shares that are left to all symbols that have more than the least, one after the other.
    fn spread_over_all(mut self, mut left: u32) -> Option<Vec<i16>> {
        if !self.norm.iter().any(|share| *share > 0) {
            return None;
        }
        for symbol in (0..self.norm.len()).cycle() {
            if left == 0 {
                break;
            }
            if self.norm[symbol] > 0 {
                left -= 1;
                self.norm[symbol] += 1;
            }
        }
        Some(self.norm)
    }

    /// Gives the shares that are left to the symbols that have none yet, by their counts.
    fn spread(mut self, left: u32, log: u32) -> Option<Vec<i16>> {
        let step_log = 62 - u64::from(log);
        let mid = (1u64 << (step_log - 1)) - 1;
        let step = ((1u64 << step_log) * u64::from(left) + mid) / u64::from(self.total);
        let mut at = mid;
        for (share, count) in self.norm.iter_mut().zip(self.counts) {
            if *share == NOT_YET {
                let end = at.wrapping_add(u64::from(*count).wrapping_mul(step));
                let weight = ((end >> step_log) as u32).wrapping_sub((at >> step_log) as u32);
                if weight < 1 {
                    return None;
                }
                *share = weight as i16;
                at = end;
            }
        }
        Some(self.norm)
    }
}

#[cfg(test)]
#[path = "fse_tests.rs"]
mod tests;
