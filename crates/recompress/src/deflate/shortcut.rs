//! The match that a search along a chain finds, without looking at each place of the chain.
//!
//! zlib and Go chain the places with the same hash of three or four bytes. Of the nearest so many places of a chain
//! they take that with the longest match, and of equal ones the nearest. Most have a short match, or none. So places
//! are chained here by more of their bytes, too, where all but a few of them do not come up; and each has a number in
//! the chain of the encoder, from which it follows whether the encoder would have come so far.
//!
//! This holds only where every place is remembered, as in the lazy levels.

use dsync_core::common_prefix;

use super::alphabet::LONGEST;
use super::word;

/// Encoders move their windows of 64 KiB down by half of that.
const HALF: usize = 1 << 15;
const WINDOW: usize = 2 * HALF;
/// A window, and as much again, so that what is read from a place in the window need not be checked.
pub(crate) type MirroredWindow = [u8; 2 * WINDOW];
/// The bytes that chains of long matches have in common.
const LONG: usize = 8;
/// Places that encoders remember at once, ahead of the search, where these and what a search needs are in the window:
/// faster than one by one.
pub(crate) const AT_ONCE: usize = 256;
/// With fewer, more places come up that have other bytes.
const HASH_BITS: u32 = 17;
const HASHES: usize = 1 << HASH_BITS;

/// Places in the window by their first bytes. They are kept as one more than they are, and 0 is none.
struct Chain {
    /// The last place of each hash.
    heads: Box<[u16; HASHES]>,
    /// The place before each with the same hash.
    before: Box<[u16; WINDOW]>,
}

impl Chain {
    fn new() -> Self {
        Self { heads: Box::new([0; HASHES]), before: Box::new([0; WINDOW]) }
    }

    /// Takes the next place, whose first bytes, and zeros, are these.
    #[inline]
    fn remember(&mut self, at: u16, bytes: u64) {
        // The multiplier of Fibonacci hashing, 2⁶⁴ by the golden ratio (Knuth, volume 3, 6.4).
        let hash = (bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize % HASHES;
        self.before[usize::from(at)] = self.heads[hash];
        self.heads[hash] = at + 1;
    }

    fn slide(&mut self) {
        let less = |place: &mut u16| *place = place.saturating_sub(HALF as u16);
        self.heads.iter_mut().for_each(less);
        self.before.copy_within(HALF.., 0);
        self.before[..HALF].iter_mut().for_each(less);
    }
}

/// The search parameters of an encoder.
#[derive(Clone, Copy)]
pub(crate) struct SearchParameters {
    /// The byte that is searched for, which was remembered. As many as the longest match has are in the window after
    /// it.
    pub(crate) here: usize,
    /// Matches must be longer, at least one byte shorter than `SHORT`.
    pub(crate) best: usize,
    /// The farthest place in the window that may be looked at.
    pub(crate) least: usize,
    /// Positions of a chain that are compared.
    pub(crate) tries: usize,
    /// The length from which on the search ends, at least 8.
    pub(crate) nice: usize,
}

/// Finds matches of `SHORT` bytes and more, at most 8. Uses 900 KiB.
pub(crate) struct Shortcut<const SHORT: usize> {
    /// The number of each place in the chain of the encoder, modulo 2¹⁶.
    numbers: Box<[u16; WINDOW]>,
    short: Chain,
    long: Chain,
    /// The place that is to be remembered next.
    next: usize,
}

impl<const SHORT: usize> Shortcut<SHORT> {
    pub(crate) fn new() -> Self {
        Self { numbers: Box::new([0; WINDOW]), short: Chain::new(), long: Chain::new(), next: 0 }
    }

    /// Forgets all places. The next is the first.
    pub(crate) fn clear(&mut self) {
        self.short.heads.fill(0);
        self.long.heads.fill(0);
        self.next = 0;
    }

    /// Takes which place was before this one in the chain of the encoder, if one was.
    #[inline]
    pub(crate) fn number(&mut self, at: usize, before: Option<usize>) {
        let number = before.map_or(0, |before| self.numbers[before % WINDOW].wrapping_add(1));
        self.numbers[at % WINDOW] = number;
    }

    /// The window has moved down.
    pub(crate) fn slide(&mut self) {
        self.numbers.copy_within(HALF.., 0);
        self.short.slide();
        self.long.slide();
        self.next = self.next.saturating_sub(HALF);
    }

    /// The length and place of the match that the encoder takes, if that has `SHORT` bytes at least.
    #[inline]
    pub(crate) fn find(&self, window: &MirroredWindow, search: SearchParameters) -> Option<(usize, usize)> {
        self.find_long(window, search).or_else(|| self.find_short(window, search))
    }

    /// Remembers all places before this one, after which as many bytes as chains have in common are in the window.
    #[inline]
    pub(crate) fn remember(&mut self, window: &MirroredWindow, end: usize) {
        let Some(window) = window.get(self.next..end + LONG - 1) else { return };
        for (at, bytes) in (self.next..).zip(window.windows(LONG)) {
            let bytes = word(bytes);
            self.short.remember(at as u16, bytes << (64 - 8 * SHORT));
            self.long.remember(at as u16, bytes);
        }
        self.next = end;
    }

    /// True if the encoder comes to this position of its chain.
    #[inline]
    fn is_tried(&self, place: u16, search: &SearchParameters) -> bool {
        let number = self.numbers[search.here % WINDOW];
        usize::from(number.wrapping_sub(self.numbers[usize::from(place)])) <= search.tries
    }

    #[inline]
    fn find_long(&self, window: &MirroredWindow, search: SearchParameters) -> Option<(usize, usize)> {
        let SearchParameters { here, mut best, least, nice, .. } = search;
        let ours = &window[here % WINDOW..][..LONGEST];
        let first = word(ours);
        // The last of these bytes must agree for a match that is longer than the best.
        let mut last = best.saturating_sub(LONG - 1);
        let mut wanted = word_at(window, here + last);
        let mut found = None;
        let mut place = self.long.before[here % WINDOW];
        while usize::from(place) > least {
            place -= 1;
            let at = usize::from(place);
            // Other bytes may have the same hash here, but then are in another chain of the encoder.
            if word_at(window, at) == first {
                if !self.is_tried(place, &search) {
                    break;
                }
                if word_at(window, at + last) == wanted {
                    let length = common_prefix(&window[at..], ours, LONGEST);
                    if length > best {
                        best = length;
                        found = Some((length, at));
                        if length >= nice {
                            break;
                        }
                        last = length - (LONG - 1);
                        wanted = word_at(window, here + last);
                    }
                }
            }
            place = self.long.before[at];
        }
        found
    }

    /// Finds matches that are too short to be found so.
    #[inline]
    fn find_short(&self, window: &MirroredWindow, search: SearchParameters) -> Option<(usize, usize)> {
        let SearchParameters { here, mut best, least, .. } = search;
        let ours = word_at(window, here);
        let mut found = None;
        let mut place = self.short.before[here % WINDOW];
        while usize::from(place) > least && best < LONG - 1 {
            place -= 1;
            let at = usize::from(place);
            let length = (word_at(window, at) ^ ours).trailing_zeros() as usize / 8;
            if length >= SHORT {
                if !self.is_tried(place, &search) {
                    break;
                }
                if length > best {
                    best = length;
                    found = Some((length, at));
                }
            }
            place = self.short.before[at];
        }
        found
    }
}

/// Eight bytes of the window.
#[inline]
fn word_at(window: &MirroredWindow, at: usize) -> u64 {
    window.get(at..at + LONG).map_or(0, word)
}

#[cfg(test)]
#[path = "shortcut_tests.rs"]
mod tests;
