//! How hard to compress: as hard as the link is slow.
//!
//! After each batch it is known which of the two was waited for: the link, to take the batch before, or the
//! processor, to finish this one. Where it was the link, the next batches may take more time; where it was
//! the processor, less.

use std::time::Duration;

use dsync_delta::batch::Effort;
use dsync_proto::Compression;

/// The levels of zstd that differ enough, from fastest to smallest.
const LADDER: [i32; 8] = [1, 3, 5, 7, 9, 12, 16, 19];
/// Where `auto` begins.
const BEGIN: usize = 3;
/// How much more of one waiting than of the other moves the level.
const LEAN: u32 = 2;
/// Bytes of a batch, old and new together.
const BATCH: u32 = 8 << 20;
/// The same for the highest levels: what lies farther apart than this is not found in each other.
const LARGE_BATCH: u32 = 24 << 20;

/// Chooses the effort for each batch.
#[derive(Debug)]
pub(crate) struct Pace {
    compression: Compression,
    rung: usize,
}

impl Pace {
    pub(crate) fn new(compression: Compression) -> Self {
        Pace { compression, rung: BEGIN }
    }

    /// For the next batch.
    pub(crate) fn effort(&self) -> Effort {
        match self.compression {
            Compression::Auto => Effort::Level(LADDER[self.rung]),
            Compression::Level(level) => Effort::Level(level),
            Compression::Max => Effort::Max,
        }
    }

    /// What was waited for since the last batch.
    pub(crate) fn note(&mut self, processor: Duration, link: Duration) {
        if link > processor * LEAN {
            self.rung = (self.rung + 1).min(LADDER.len() - 1);
        } else if processor > link * LEAN {
            self.rung = self.rung.saturating_sub(1);
        }
    }

    /// How many batches may be coded at once, given what each takes of memory.
    pub(crate) fn most_workers(&self) -> usize {
        match self.compression {
            Compression::Max | Compression::Level(17..) => 1,
            _ => usize::MAX,
        }
    }

    /// Bytes of a batch, old and new together.
    pub(crate) fn limit(&self) -> u32 {
        match self.compression {
            Compression::Max | Compression::Level(13..) => LARGE_BATCH,
            _ => BATCH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(900);
    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn a_slow_link_gets_fewer_bytes_and_a_fast_one_sooner() {
        let mut pace = Pace::new(Compression::Auto);
        for _ in 0..20 {
            pace.note(SHORT, LONG);
        }
        assert!(matches!(pace.effort(), Effort::Level(19)));
        for _ in 0..20 {
            pace.note(LONG, SHORT);
        }
        assert!(matches!(pace.effort(), Effort::Level(1)));
        // Both busy: this is where it should be.
        pace.note(LONG, SHORT + LONG);
        assert!(matches!(pace.effort(), Effort::Level(1)));
    }

    #[test]
    fn what_was_asked_for_stays() {
        let mut pace = Pace::new(Compression::Level(7));
        pace.note(SHORT, LONG);
        assert!(matches!(pace.effort(), Effort::Level(7)));
    }
}
