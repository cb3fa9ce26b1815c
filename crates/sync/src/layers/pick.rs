//! Takes single contents out of layers that come by.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use dsync_core::DiffId;
use dsync_delta::listing::Content;
use dsync_engine::LayerSink;
use sha2::{Digest as _, Sha256};

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

    /// Takes a layer whose diff id is known only when it has been read. All of it is kept if it is one of those.
    fn take_unnamed(&mut self, tar: &mut dyn Read) -> io::Result<()> {
        let (begin, mut end) = (self.next, self.next);
        let mut hasher = Sha256::new();
        blocks(tar, &mut |block| {
            hasher.update(block);
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        let diff_id = DiffId::from_bytes(hasher.finalize().into());
        let Some(pieces) = self.picks.remove(&diff_id) else { return self.file.set_len(begin) };
        for (ordinal, content) in pieces {
            self.fetched.insert((diff_id, ordinal), begin + content.at);
        }
        self.next = end;
        Ok(())
    }
}

impl LayerSink for Pick<'_> {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        match diff_id {
            None => self.take_unnamed(tar),
            Some(diff_id) if self.picks.contains_key(&diff_id) => {
                self.take(diff_id, tar)?;
                self.picks.remove(&diff_id);
                Ok(())
            }
            Some(_) => io::copy(tar, &mut io::sink()).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_delta::{ContentId, Scanner};

    /// Files of 512 bytes, each of one letter, without headers: to a scanner one content.
    fn layer(letters: &str) -> (Vec<u8>, DiffId) {
        let bytes: Vec<u8> = letters.bytes().flat_map(|letter| [letter; 512]).collect();
        let mut scanner = Scanner::new();
        scanner.push(&bytes);
        (bytes, scanner.finish().diff_id)
    }

    #[test]
    fn a_layer_without_a_name_is_found_by_its_bytes() {
        let file = tempfile::tempfile().unwrap();
        let ((other, _), (bytes, diff_id)) = (layer("xy"), layer("abc"));
        let piece = |at| Content { id: ContentId::of(b""), len: 512, at };
        let mut fetched = HashMap::new();
        let picks = HashMap::from([(diff_id, vec![(1, piece(512)), (7, piece(1024))])]);
        let mut pick = Pick::new(&file, picks, &mut fetched).unwrap();
        pick.layer(None, &mut &other[..]).unwrap();
        assert_eq!(pick.left().count(), 1);
        pick.layer(None, &mut &bytes[..]).unwrap();
        assert_eq!(pick.left().count(), 0);
        let read = |at: u64| {
            let mut letter = [0];
            file.read_exact_at(&mut letter, at).unwrap();
            letter
        };
        assert_eq!((read(fetched[&(diff_id, 1)]), read(fetched[&(diff_id, 7)])), (*b"b", *b"c"));
    }
}
