//! The effort of compression, which follows the speed of the link: a slow link leaves time to save bytes.
//!
//! From each batch it is learnt what coding costs at its level, and how long the link takes for its bytes. The next
//! one gets the highest level whose coding is not slower than the link. How long the link takes is the longer of what
//! sending blocked and what the target saw: what is sent first fills buffers and tells nothing.

use std::time::Duration;

use dsync_delta::batch::Effort;
use dsync_proto::{Compression, limits};

use crate::link::MEASURABLE;

/// The levels of zstd that differ enough, and what coding costs at them: nanoseconds of one core for a byte of the
/// Python wheels and the Rust program of the benchmark (`measure OLD.tar WEIGHT_OF_LAST.tar LEVEL 24`).
const LADDER: [(i32, f64); 5] = [(3, 6.1), (5, 17.0), (9, 28.0), (12, 62.0), (18, 660.0)];
/// The rung at which `auto` begins if nothing is known of the link.
const START_RUNG: usize = 3;
/// The ratio of coded to raw bytes that is assumed before the first batch.
const ASSUMED_RATIO: f64 = 0.2;
/// Hysteresis: up where the next level costs at most this share of the link's time, down above this multiple.
const UP_HYSTERESIS: f64 = 0.9;
const DOWN_HYSTERESIS: f64 = 1.25;
/// Lower rungs are only for links faster than [`FAST`] seconds a byte (100 Mbit/s).
const LOWEST_USUAL_RUNG: usize = 2;
const FAST: f64 = 8e-8;
/// The level from which on there is time for more than coding.
const FILTER_LEVEL: i32 = 12;
/// The level from which on code tells addresses.
const ADDRESSES: i32 = 9;
/// The weight of the last batch against those before.
const WEIGHT_OF_LAST: f64 = 0.5;
/// Bytes of a batch where there is nothing old: at the lowest levels more finds little more.
const COLD_BATCH: u32 = 16 << 20;
/// Bytes of memory for a byte of a batch: at the highest levels, and at others.
const THOROUGH_MEMORY: u64 = 10;
const MEMORY: u64 = 4;
/// Bytes of memory besides.
const FIXED: u64 = 14 << 20;

/// Chooses the effort for each batch.
#[derive(Debug)]
pub(crate) struct EffortController {
    compression: Compression,
    /// Bytes to get along with.
    memory: u64,
    rung: usize,
    /// Of each level, seconds of coding for a byte of new chunks.
    costs: [Option<f64>; LADDER.len()],
    /// Seconds of sending for a byte of new chunks.
    sending: Option<f64>,
    /// Seconds of the link for a byte on it.
    link: Option<f64>,
}

/// The measurements of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchTiming {
    /// The effort that it was coded with.
    pub(crate) effort: Effort,
    /// Bytes of new chunks.
    pub(crate) raw: u64,
    /// And after coding.
    pub(crate) packed: u64,
    /// The time that coding took, on one core.
    pub(crate) coding: Duration,
    /// The time for which sending blocked.
    pub(crate) sending: Duration,
}

impl EffortController {
    /// `speed` is how many bytes a second the link had last time, if that is known.
    pub(crate) fn new(compression: Compression, memory: u64, speed: Option<u64>) -> Self {
        let link = speed.map(|speed| 1.0 / speed.max(1) as f64);
        let rung = link.map_or(START_RUNG, |link| {
            let keeps_up = |(_, cost): &(i32, f64)| cost * 1e-9 <= link * ASSUMED_RATIO * UP_HYSTERESIS;
            LADDER.iter().rposition(keeps_up).unwrap_or(0).max(least(Some(link)))
        });
        EffortController { compression, memory, rung, costs: [None; LADDER.len()], sending: None, link }
    }

    /// From here on there are so many bytes to get along with.
    pub(crate) fn leave(&mut self, memory: u64) {
        self.memory = memory;
    }

    /// Bytes to get along with.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// The effort for the next batch.
    pub(crate) fn effort(&self) -> Effort {
        match self.compression {
            Compression::Auto => Effort::Level(LADDER[self.rung].0),
            Compression::Level(level) => Effort::Level(level),
            Compression::Max => Effort::Max,
        }
    }

    /// True if filters are worth it that take some time for each byte, as looking at executables does.
    pub(crate) fn runs_filters(&self) -> bool {
        runs_filters(self.effort())
    }

    /// Learns how long bytes were under way.
    pub(crate) fn took(&mut self, len: u64, time: Duration) {
        if len >= MEASURABLE {
            self.link = Some(blend(self.link, time.as_secs_f64() / len as f64));
        }
    }

    /// Learns from a batch that was coded by one of so many workers.
    pub(crate) fn observe(&mut self, sent: BatchTiming, workers: usize) {
        let rung = LADDER.iter().position(|(level, _)| Effort::Level(*level) == sent.effort);
        let (Some(rung), true) = (rung, sent.raw > 0) else { return };
        let raw = sent.raw as f64;
        self.costs[rung] = Some(blend(self.costs[rung], sent.coding.as_secs_f64() / raw / workers as f64));
        let sending = blend(self.sending, sent.sending.as_secs_f64() / raw);
        self.sending = Some(sending);
        let link = sending.max(self.link.unwrap_or(0.0) * sent.packed as f64 / raw);
        // Until the target has seen anything, a link that seems fast may be a buffer.
        let is_sure = self.link.is_some();
        if self.rung + 1 < LADDER.len() && self.cost(self.rung + 1) <= link * UP_HYSTERESIS {
            self.rung += 1;
        }
        let least = least(self.link);
        while is_sure && self.rung > least && self.cost(self.rung) > link * DOWN_HYSTERESIS {
            self.rung -= 1;
        }
    }

    /// The cost of coding at a level: as measured, or by the nearest level that was.
    fn cost(&self, rung: usize) -> f64 {
        let known = (0..LADDER.len()).filter_map(|at| Some((at, self.costs[at]?)));
        let nearest = known.min_by_key(|(at, _)| at.abs_diff(rung));
        nearest.map_or(0.0, |(at, cost)| cost * LADDER[rung].1 / LADDER[at].1)
    }

    /// The number of batches of this size that may be coded at once.
    pub(crate) fn most_workers(&self, limit: u32) -> usize {
        let one = u64::from(limit) * self.memory_factor() + FIXED;
        usize::try_from(self.memory / one).unwrap_or(usize::MAX).max(1)
    }

    /// Bytes of a batch, old and new together.
    pub(crate) fn limit(&self) -> u32 {
        self.limit_within(limits::BATCH)
    }

    /// Bytes of a batch where there is nothing old.
    pub(crate) fn cold_limit(&self) -> u32 {
        self.limit_within(match self.compression {
            Compression::Auto => COLD_BATCH,
            _ => limits::BATCH,
        })
    }

    fn limit_within(&self, most: u32) -> u32 {
        let fits = self.memory.saturating_sub(FIXED) / self.memory_factor();
        u32::try_from(fits).unwrap_or(most).clamp(limits::BATCH_LEAST, most)
    }

    fn memory_factor(&self) -> u64 {
        match self.compression {
            Compression::Max | Compression::Level(19..) => THOROUGH_MEMORY,
            _ => MEMORY,
        }
    }
}

/// True if this effort leaves time to look at the chunks first.
pub(crate) fn runs_filters(effort: Effort) -> bool {
    !matches!(effort, Effort::Level(level) if level < FILTER_LEVEL)
}

/// True if this effort leaves time for the branch filter: three nanoseconds for each byte of code, at either end.
pub(crate) fn tells_addresses(effort: Effort) -> bool {
    !matches!(effort, Effort::Level(level) if level < ADDRESSES)
}

/// The lowest rung for such a link.
fn least(link: Option<f64>) -> usize {
    if link.is_some_and(|link| link < FAST) { 0 } else { LOWEST_USUAL_RUNG }
}

fn blend(before: Option<f64>, now: f64) -> f64 {
    before.map_or(now, |before| before * (1.0 - WEIGHT_OF_LAST) + now * WEIGHT_OF_LAST)
}

#[cfg(test)]
mod tests;
