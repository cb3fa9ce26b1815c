//! The trait of match finders, one for each level, and what their tables hold.

use super::block::FoundSequences;
use super::history::History;

/// The start of a block in the history, which ends with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryBlock {
    pub(super) start: usize,
    /// The block is all of the frame, which two of the finders treat differently.
    pub(super) is_alone: bool,
}

/// A place, and the four bytes there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HashEntry {
    pub(super) value: u32,
    pub(super) place: u32,
}

/// A place, and the one before it with the same hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlacePair {
    pub(super) place: u32,
    pub(super) before: u32,
}

impl PlacePair {
    pub(super) fn change(&mut self, change: &dyn Fn(&mut u32)) {
        change(&mut self.place);
        change(&mut self.before);
    }
}

/// The match finder of a level.
pub(super) trait Finder: Send {
    /// The history that matches may reach.
    fn history(&mut self) -> &mut History;

    /// Changes all places that are remembered.
    fn places(&mut self, change: &dyn Fn(&mut u32));

    /// Finds the sequences of the last block of the history.
    fn block(&mut self, plain: &[u8], block: HistoryBlock, found: &mut FoundSequences);
}
