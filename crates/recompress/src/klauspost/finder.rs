//! The trait of match finders, one for each level.

use super::history::{History, HistoryBlock};
use super::tokens::Tokens;

/// The match finder of a level.
pub(super) trait Finder: Send {
    /// The history that matches may reach.
    fn history(&mut self) -> &mut History;

    /// Changes all places that are remembered.
    fn places(&mut self, change: &dyn Fn(&mut i32));

    /// Makes tokens of the last block of the history; none if there is no match.
    fn block(&mut self, block: HistoryBlock, tokens: &mut Tokens);

    /// Makes tokens of the next block.
    fn encode(&mut self, plain: &[u8], tokens: &mut Tokens) {
        if let Some(anew) = self.history().count_anew() {
            self.places(&anew);
        }
        let block = self.history().append(plain);
        self.block(block, tokens);
    }
}
