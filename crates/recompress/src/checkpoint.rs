//! Places within a stream where an encoder can begin again, so that several threads make the parts between.
//!
//! In the lazy levels of zlib, GNU gzip and Go every place is remembered as it is passed. What an encoder knows is then
//! a function of the last bytes alone, and not of how those were coded, but for the match that it keeps back to see
//! whether the next byte has a better one. At the end of a block it often keeps none back: after a match, and where the
//! next byte has none. An end is known by its position, by the number of bits of a byte that are used, and by whether
//! the next byte was looked at.

/// The end of a block, with nothing kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checkpoint {
    /// Plain bytes before it.
    pub(crate) plain: u64,
    /// Bits of the last byte before it that are used; 0 if that is full.
    pub(crate) bits: u8,
    /// The next byte was searched, and has no match.
    pub(crate) is_waiting: bool,
}

/// The end of a block, as an encoder reports it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// Plain bytes before it, and whether the next was looked at, as in [`Checkpoint`].
    pub(crate) plain: u64,
    pub(crate) is_waiting: bool,
    /// Bits of the output before it, from where that was last cleared.
    pub(crate) bits: u64,
}

/// The least distance of checkpoints, in plain bytes, unless there would be too many.
const SPACING: u64 = 4 << 20;
/// No more are kept.
pub(crate) const MOST: usize = 1024;
/// The most plain bytes between two, which a thread holds.
pub(crate) const FARTHEST: u64 = 24 << 20;
/// None is so near to the end, in plain bytes: there the windows of encoders are not as full as [`history`] takes them
/// to be.
pub(crate) const LAST: u64 = 128 << 10;

/// Encoders move their windows down by so many bytes, when fewer than `AHEAD` are left in twice as many.
const REACH: u64 = 1 << 15;
const AHEAD: u64 = 262;

/// Bytes before this position that are in the window of an encoder that goes on here.
pub(crate) fn history(at: u64) -> usize {
    let most = 2 * REACH - AHEAD;
    (if at <= most { at } else { most - REACH + 1 + (at - (most - REACH + 1)) % REACH }) as usize
}

/// True if these may be the checkpoints of a stream.
pub(crate) fn are_valid(checkpoints: &[Checkpoint]) -> bool {
    let mut before = 0;
    checkpoints.len() <= MOST
        && checkpoints.iter().all(|checkpoint| {
            let gap = checkpoint.plain.saturating_sub(before);
            before = checkpoint.plain;
            (1..=FARTHEST).contains(&gap) && checkpoint.bits < 8
        })
}

/// The number of checkpoints (2 bytes, the lowest first), and four bytes for each, as a number with the lowest first:
/// the plain bytes since the one before times 16, 8 where a byte is waiting, and the bits.
pub(crate) fn to_bytes(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let mut bytes = (checkpoints.len() as u16).to_le_bytes().to_vec();
    let mut before = 0;
    for checkpoint in checkpoints {
        let gap = (checkpoint.plain - before) as u32;
        let word = gap << 4 | u32::from(checkpoint.is_waiting) << 3 | u32::from(checkpoint.bits);
        bytes.extend(word.to_le_bytes());
        before = checkpoint.plain;
    }
    bytes
}

/// Reads what [`to_bytes`] wrote of one checkpoint or more, and says what follows.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<(Vec<Checkpoint>, &[u8])> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut checkpoints = Vec::new();
    let mut plain = 0;
    for _ in 0..u16::from_le_bytes(*count) {
        let (word, after) = rest.split_first_chunk()?;
        let word = u32::from_le_bytes(*word);
        plain += u64::from(word >> 4);
        checkpoints.push(Checkpoint { plain, bits: (word & 7) as u8, is_waiting: word & 8 != 0 });
        rest = after;
    }
    (!checkpoints.is_empty() && are_valid(&checkpoints)).then_some((checkpoints, rest))
}

/// Chooses from the ends of blocks.
#[derive(Debug)]
pub(crate) struct Chooser {
    chosen: Vec<Checkpoint>,
    spacing: u64,
}

impl Chooser {
    pub(crate) fn new() -> Self {
        Self { chosen: Vec::new(), spacing: SPACING }
    }

    /// Looks at the next mark.
    pub(crate) fn see(&mut self, mark: Mark) {
        let last = self.chosen.last().map_or(0, |last| last.plain);
        if mark.plain - last < self.spacing {
            return;
        }
        if self.chosen.len() == MOST {
            let mut is_kept = true;
            self.chosen.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.spacing *= 2;
        }
        self.chosen.push(Checkpoint {
            plain: mark.plain,
            bits: (mark.bits % 8) as u8,
            is_waiting: mark.is_waiting,
        });
    }

    /// The checkpoints of a stream of so many plain bytes; none where they are too far apart.
    pub(crate) fn finish(mut self, plain: u64) -> Vec<Checkpoint> {
        while self.chosen.pop_if(|last| plain - last.plain < LAST).is_some() {}
        let rest = plain - self.chosen.last().map_or(plain, |last| last.plain);
        if rest > FARTHEST || !are_valid(&self.chosen) {
            self.chosen.clear();
        }
        self.chosen
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
