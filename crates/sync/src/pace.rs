//! How hard to compress: as hard as the link is slow.
//!
//! From each batch it is learnt what coding costs at its level, and how long the link takes for its bytes. The next
//! one gets the highest level whose coding is not slower than the link, one step up at a time.

use std::time::Duration;

use dsync_delta::batch::Effort;
use dsync_proto::Compression;

/// The levels of zstd that differ enough, from fastest to smallest.
const LADDER: [i32; 8] = [1, 3, 5, 7, 9, 12, 16, 18];
/// How low `auto` goes where nothing is old: level 3, below which `docker save | zstd` would move fewer bytes.
const LEAST: usize = 1;
/// Where `auto` begins: what is sent before anything is known.
const BEGIN: usize = 4;
/// How much more a level costs than the one below, until it was measured.
const STEP: f64 = 1.8;
/// Going up needs more room than staying.
const ROOM: f64 = 0.9;
/// How much the last batch counts against those before.
const NEW: f64 = 0.5;
/// Bytes of a batch where there is nothing old: little, so that the link has something to do at once.
const SMALL_BATCH: u32 = 4 << 20;
/// Bytes of a batch, old and new together, where memory allows: what lies farther apart is not found in each other.
const BATCH: u32 = 24 << 20;
/// No batch is smaller, whatever the memory.
const LEAST_BATCH: u32 = 1 << 20;
/// Bytes of memory for a byte of a batch: at the highest levels, and at others.
const THOROUGH_MEMORY: u64 = 10;
const MEMORY: u64 = 4;
/// Bytes of memory besides.
const FIXED: u64 = 14 << 20;

/// Chooses the effort for each batch.
#[derive(Debug)]
pub(crate) struct Pace {
    compression: Compression,
    /// Bytes to get along with.
    memory: u64,
    rung: usize,
    /// The lowest rung.
    least: usize,
    /// Of each level, seconds of coding for a byte of new contents.
    costs: [Option<f64>; LADDER.len()],
    /// Seconds of the link for a byte of new contents.
    link: Option<f64>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// What it was coded with.
    pub(crate) effort: Effort,
    /// Bytes of new contents.
    pub(crate) raw: u64,
    /// How long coding took, on one core.
    pub(crate) coding: Duration,
    /// How long the link took.
    pub(crate) sending: Duration,
}

impl Pace {
    pub(crate) fn new(compression: Compression, memory: u64) -> Self {
        Pace { compression, memory, rung: BEGIN, least: 0, costs: [None; LADDER.len()], link: None }
    }

    /// For the next batch.
    pub(crate) fn effort(&self) -> Effort {
        match self.compression {
            Compression::Auto => Effort::Level(LADDER[self.rung]),
            Compression::Level(level) => Effort::Level(level),
            Compression::Max => Effort::Max,
        }
    }

    /// Learns from a batch that was coded by one of so many workers.
    pub(crate) fn note(&mut self, sent: Sent, workers: usize) {
        let rung = LADDER.iter().position(|level| Effort::Level(*level) == sent.effort);
        let (Some(rung), true) = (rung, sent.raw > 0) else { return };
        let a_byte = |time: Duration| time.as_secs_f64() / sent.raw as f64;
        self.costs[rung] = Some(blend(self.costs[rung], a_byte(sent.coding) / workers as f64));
        let link = blend(self.link, a_byte(sent.sending));
        self.link = Some(link);
        if self.rung + 1 < LADDER.len() && self.cost(self.rung + 1) <= link * ROOM {
            self.rung += 1;
        }
        while self.rung > self.least && self.cost(self.rung) > link {
            self.rung -= 1;
        }
    }

    /// What coding costs at a level: as measured, or else by the nearest level that was.
    fn cost(&self, rung: usize) -> f64 {
        let known = (0..LADDER.len()).filter_map(|at| Some((at, self.costs[at]?)));
        let nearest = known.min_by_key(|(at, _)| at.abs_diff(rung));
        nearest.map_or(0.0, |(at, cost)| cost * STEP.powi(rung as i32 - at as i32))
    }

    /// How many batches of so many bytes may be coded at once.
    pub(crate) fn most_workers(&self, limit: u32) -> usize {
        let one = u64::from(limit) * self.memory_factor() + FIXED;
        usize::try_from(self.memory / one).unwrap_or(usize::MAX).max(1)
    }

    /// Bytes of a batch, old and new together; to be asked for before the first one.
    pub(crate) fn limit(&mut self, has_old: bool) -> u32 {
        self.least = if has_old { 0 } else { LEAST };
        let most = match self.compression {
            Compression::Auto if !has_old => SMALL_BATCH,
            _ => BATCH,
        };
        let fits = self.memory.saturating_sub(FIXED) / self.memory_factor();
        u32::try_from(fits).unwrap_or(most).clamp(LEAST_BATCH, most)
    }

    fn memory_factor(&self) -> u64 {
        match self.compression {
            Compression::Max | Compression::Level(19..) => THOROUGH_MEMORY,
            _ => MEMORY,
        }
    }
}

fn blend(before: Option<f64>, now: f64) -> f64 {
    before.map_or(now, |before| before * (1.0 - NEW) + now * NEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB_256: u64 = 256 << 20;

    /// Batches of 1 MB, each level twice as slow as the one below, over a link that takes so long for one.
    fn settle(pace: &mut Pace, fastest: Duration, link: Duration) -> i32 {
        for _ in 0..30 {
            let effort = pace.effort();
            let rung = LADDER.iter().position(|level| Effort::Level(*level) == effort).unwrap();
            let coding = fastest * 2_u32.pow(rung as u32);
            pace.note(Sent { effort, raw: 1_000_000, coding, sending: link }, 2);
        }
        LADDER[pace.rung]
    }

    #[test]
    fn a_slow_link_gets_fewer_bytes_and_a_fast_one_sooner() {
        let mut pace = Pace::new(Compression::Auto, MIB_256);
        let fastest = Duration::from_millis(10);
        assert_eq!(settle(&mut pace, fastest, Duration::from_secs(8)), 18);
        assert_eq!(settle(&mut pace, fastest, Duration::from_millis(1)), 1);
        // 12 takes 320 ms on one of two cores, 16 twice that.
        assert_eq!(settle(&mut pace, fastest, Duration::from_millis(200)), 12);
        assert_eq!(settle(&mut pace, fastest, Duration::from_millis(200)), 12);
    }

    #[test]
    fn memory_bounds_batches_and_workers() {
        let pace = |compression, mib: u64| {
            let mut pace = Pace::new(compression, mib << 20);
            let limit = pace.limit(true);
            (limit >> 20, pace.most_workers(limit))
        };
        assert_eq!(pace(Compression::Max, 256), (24, 1));
        assert_eq!(pace(Compression::Max, 1024), (24, 4));
        assert_eq!(pace(Compression::Max, 64), (5, 1));
        assert_eq!(pace(Compression::Auto, 256), (24, 2));
        assert_eq!(pace(Compression::Auto, 32), (4, 1));
    }

    #[test]
    fn what_was_asked_for_stays() {
        let mut pace = Pace::new(Compression::Level(7), MIB_256);
        settle(&mut Pace::new(Compression::Auto, MIB_256), Duration::ZERO, Duration::ZERO);
        let (coding, sending) = (Duration::ZERO, Duration::from_secs(9));
        pace.note(Sent { effort: Effort::Level(7), raw: 1, coding, sending }, 1);
        assert_eq!(pace.effort(), Effort::Level(7));
    }
}
