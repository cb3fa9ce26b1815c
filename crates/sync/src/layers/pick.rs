//! Takes single contents out of layers that come by.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use dsync_core::DiffId;
use dsync_delta::listing::Content;
use dsync_engine::LayerSink;

use super::Place;
use super::spool::blocks;

/// Copies contents of layers that come by into a file.
pub(super) struct Pick<'a> {
    file: &'a File,
    next: u64,
    /// Of each layer the contents, with their ordinals, by where they begin.
    picks: HashMap<DiffId, Vec<(usize, Content)>>,
    fetched: &'a mut HashMap<Place, u64>,
}

impl<'a> Pick<'a> {
    pub(super) fn new(
        file: &'a File,
        picks: HashMap<DiffId, Vec<(usize, Content)>>,
        fetched: &'a mut HashMap<Place, u64>,
    ) -> io::Result<Self> {
        Ok(Pick { file, next: file.metadata()?.len(), picks, fetched })
    }

    /// The layers from which something is still to be taken.
    pub(super) fn left(&self) -> impl Iterator<Item = DiffId> + '_ {
        self.picks.keys().copied()
    }

    fn take(&mut self, diff_id: DiffId, tar: &mut dyn Read) -> io::Result<()> {
        let pieces = self.picks[&diff_id].clone();
        let mut left = &pieces[..];
        let (mut at, mut taken): (u64, u64) = (0, 0);
        blocks(tar, &mut |block| {
            let end = at + block.len() as u64;
            while let Some((ordinal, content)) = left.first() {
                let begin = content.at + taken;
                if begin >= end {
                    break;
                }
                let from = usize::try_from(begin - at).map_err(io::Error::other)?;
                let rest = usize::try_from(content.len - taken).unwrap_or(usize::MAX);
                let piece = &block[from..block.len().min(from.saturating_add(rest))];
                self.file.write_all_at(piece, self.next + taken)?;
                taken += piece.len() as u64;
                if taken < content.len {
                    break;
                }
                self.fetched.insert((diff_id, *ordinal), self.next);
                self.next += content.len;
                (left, taken) = (&left[1..], 0);
            }
            at = end;
            Ok(())
        })?;
        if left.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl LayerSink for Pick<'_> {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        let Some(diff_id) = diff_id.filter(|id| self.picks.contains_key(id)) else {
            return io::copy(tar, &mut io::sink()).map(drop);
        };
        self.take(diff_id, tar)?;
        self.picks.remove(&diff_id);
        Ok(())
    }
}
