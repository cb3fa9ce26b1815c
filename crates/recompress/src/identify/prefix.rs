//! Tries encoders one after the other on the start of a blob.

use flate2::{Decompress, FlushDecompress, Status};

use super::race::Race;
use crate::method::CompressionMethod;
use crate::recreate::PIECE;

/// The prefix of a blob that is tried, in bytes of it and in plain bytes. Other encoders than the right one differ
/// within the first block, or have blocks and differ after it.
pub(super) const LONGEST: usize = 1 << 19;
const LONGEST_PLAIN: usize = 5 << 19;

/// The start of a deflate stream, and of what is in it.
pub(super) struct Prefix<'a> {
    blob: &'a [u8],
    plain: Vec<u8>,
    /// The bytes after the end of the stream, if that is within.
    rest: Option<usize>,
}

impl<'a> Prefix<'a> {
    /// Inflates the start of a deflate stream; less where it is damaged.
    pub(super) fn of(blob: &'a [u8]) -> Self {
        let mut plain = Vec::with_capacity(LONGEST_PLAIN);
        let mut inflate = Decompress::new(false);
        let mut is_ended = false;
        loop {
            let before = plain.len();
            let unread = &blob[inflate.total_in() as usize..];
            match inflate.decompress_vec(unread, &mut plain, FlushDecompress::None) {
                Ok(Status::StreamEnd) => is_ended = true,
                Ok(_) if plain.len() > before => continue,
                _ => {}
            }
            break;
        }
        let rest = is_ended.then(|| blob.len() - inflate.total_in() as usize);
        Self { blob, plain, rest }
    }

    /// None if the encoder makes this start; else how many plain bytes it took until it differed.
    pub(super) fn agreed(&self, method: CompressionMethod) -> Option<u64> {
        let mut race = Race::new(&[method]);
        race.blob(self.blob);
        for piece in self.plain.chunks(PIECE) {
            race.plain(piece);
            if race.is_lost() {
                return Some(race.agreed());
            }
        }
        match self.rest {
            Some(rest) => {
                let agreed = race.agreed();
                race.winner(rest).is_none().then_some(agreed)
            }
            None => None,
        }
    }
}

#[cfg(test)]
#[path = "prefix_tests.rs"]
mod tests;
