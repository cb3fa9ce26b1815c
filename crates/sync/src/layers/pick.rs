//! Takes single chunks out of layers that come by.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_core::{Digest, LayerKey};
use dsync_delta::LayerIndex;
use dsync_engine::LayerSink;
use sha2::{Digest as _, Sha256};

use super::spool::blocks;
use crate::interrupt::Interrupt;

/// Chunks of a layer that were read once more, in their order, and where in the file each begins.
pub(super) type Fetched = Vec<(u32, u64)>;
/// The chunks of a layer that are to be read once more.
pub(super) struct ChunksToFetch {
    pub(super) index: Arc<LayerIndex>,
    /// Their numbers, in their order.
    pub(super) chunks: Vec<u32>,
}

/// Copies chunks of layers that come by into a file.
pub(super) struct Pick<'a> {
    file: &'a File,
    interrupt: &'a Interrupt,
    next: u64,
    picks: HashMap<Digest, ChunksToFetch>,
    fetched: &'a mut HashMap<Digest, Fetched>,
}

impl<'a> Pick<'a> {
    pub(super) fn new(
        file: &'a File,
        interrupt: &'a Interrupt,
        picks: HashMap<Digest, ChunksToFetch>,
        fetched: &'a mut HashMap<Digest, Fetched>,
    ) -> io::Result<Self> {
        Ok(Pick { file, interrupt, next: file.metadata()?.len(), picks, fetched })
    }

    /// The layers from which something is still to be taken.
    pub(super) fn left(&self) -> impl Iterator<Item = Digest> + '_ {
        self.picks.keys().copied()
    }

    fn take(
        &mut self,
        ChunksToFetch { index, chunks }: &ChunksToFetch,
        tar: &mut dyn Read,
    ) -> io::Result<Fetched> {
        let mut fetched = Fetched::with_capacity(chunks.len());
        let mut left =
            chunks.iter().filter_map(|at| Some((*at, index.chunks().get(*at as usize)?))).peekable();
        let (mut at, mut taken): (u64, u64) = (0, 0);
        blocks(tar, self.interrupt, &mut |block| {
            let end = at + block.len() as u64;
            while let Some((ordinal, chunk)) = left.peek().copied() {
                let begin = chunk.at + taken;
                if begin >= end {
                    break;
                }
                let from = usize::try_from(begin - at).map_err(io::Error::other)?;
                let rest = usize::try_from(chunk.len - taken).unwrap_or(usize::MAX);
                let piece = &block[from..block.len().min(from.saturating_add(rest))];
                self.file.write_all_at(piece, self.next + taken)?;
                taken += piece.len() as u64;
                if taken < chunk.len {
                    break;
                }
                fetched.push((ordinal, self.next));
                self.next += chunk.len;
                taken = 0;
                left.next();
            }
            at = end;
            Ok(())
        })?;
        if left.next().is_none() { Ok(fetched) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Takes a layer whose digest is known only when it has been read. All of it is spooled if it is one of those.
    fn take_unnamed(&mut self, tar: &mut dyn Read) -> io::Result<()> {
        let (begin, mut end) = (self.next, self.next);
        let mut hasher = Sha256::new();
        blocks(tar, self.interrupt, &mut |block| {
            hasher.update(block);
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        let digest = Digest::from_bytes(hasher.finalize().into());
        let Some(ChunksToFetch { index, chunks }) = self.picks.remove(&digest) else {
            return self.file.set_len(begin);
        };
        let place = |at: &u32| Some((*at, begin + index.chunks().get(*at as usize)?.at));
        self.record(digest, chunks.iter().filter_map(place).collect());
        self.next = end;
        Ok(())
    }

    /// Records the places of chunks of a layer that were taken.
    fn record(&mut self, digest: Digest, mut taken: Fetched) {
        let fetched = self.fetched.entry(digest).or_default();
        fetched.append(&mut taken);
        fetched.sort_unstable();
    }
}

impl LayerSink for Pick<'_> {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let Some(digest) = key.map(|key| key.digest()) else { return self.take_unnamed(tar) };
        let Some(to_fetch) = self.picks.remove(&digest) else {
            return io::copy(tar, &mut io::sink()).map(drop);
        };
        let taken = self.take(&to_fetch, tar)?;
        self.record(digest, taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_delta::Scanner;

    /// Files of 512 bytes, each of one letter.
    fn layer(letters: &str) -> (Vec<u8>, Arc<LayerIndex>) {
        let mut tar = tar::Builder::new(Vec::new());
        for letter in letters.bytes() {
            let mut header = tar::Header::new_gnu();
            header.set_size(512);
            tar.append_data(&mut header, char::from(letter).to_string(), &[letter; 512][..]).unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        let mut scanner = Scanner::new();
        scanner.push(&bytes);
        (bytes, Arc::new(scanner.finish()))
    }

    #[test]
    fn chunks_are_found_in_layers_with_and_without_a_name() {
        let ((other, _), (bytes, index)) = (layer("xy"), layer("abcd"));
        let digest = index.digest;
        for name in [None, Some(LayerKey::Blob(digest))] {
            let file = tempfile::tempfile().unwrap();
            let mut fetched = HashMap::from([(digest, vec![(2, 77)])]);
            let picks =
                HashMap::from([(digest, ChunksToFetch { index: Arc::clone(&index), chunks: vec![1, 3] })]);
            let run = Interrupt::default();
            let mut pick = Pick::new(&file, &run, picks, &mut fetched).unwrap();
            pick.layer(None, &mut &other[..]).unwrap();
            assert_eq!(pick.left().count(), 1);
            pick.layer(name, &mut &bytes[..]).unwrap();
            assert_eq!(pick.left().count(), 0);
            let read = |at: u64| {
                let mut letter = [0];
                file.read_exact_at(&mut letter, at).unwrap();
                letter
            };
            let [(1, b), (2, 77), (3, d)] = fetched[&digest][..] else { panic!("{fetched:?}") };
            assert_eq!((read(b), read(d)), (*b"b", *b"d"));
        }
    }

    #[test]
    fn chunks_are_found_across_the_blocks_in_which_a_layer_is_read() {
        // Several chunks lie across the ends of blocks of 1 MiB.
        let content = dsync_testkit::Random::new(1).bytes(5 << 20);
        let layer = dsync_testkit::Layer::builder().file("large", &content).build();
        let mut scanner = Scanner::new();
        scanner.push(layer.tar());
        let index = Arc::new(scanner.finish());
        let all: Vec<u32> = (0..index.chunks().len() as u32).collect();
        for chunks in [all.clone(), all.iter().copied().step_by(3).collect(), all[all.len() - 1..].to_vec()] {
            let (file, run, mut fetched) =
                (tempfile::tempfile().unwrap(), Interrupt::default(), HashMap::new());
            let picks = HashMap::from([(
                index.digest,
                ChunksToFetch { index: Arc::clone(&index), chunks: chunks.clone() },
            )]);
            let mut pick = Pick::new(&file, &run, picks, &mut fetched).unwrap();
            pick.layer(Some(LayerKey::Blob(index.digest)), &mut layer.tar()).unwrap();
            let fetched = &fetched[&index.digest];
            assert_eq!(fetched.iter().map(|(chunk, _)| *chunk).collect::<Vec<_>>(), chunks);
            for (number, at) in fetched {
                let chunk = index.chunks().at(*number as usize);
                let mut bytes = vec![0; chunk.len as usize];
                file.read_exact_at(&mut bytes, *at).unwrap();
                assert!(bytes == layer.tar()[chunk.at as usize..][..bytes.len()], "chunk {number}");
            }
        }
    }

    #[test]
    fn a_layer_that_ends_early_and_one_that_nobody_asked_for_leave_nothing() {
        let ((other, _), (bytes, index)) = (layer("xy"), layer("abcd"));
        let (file, run, mut fetched) = (tempfile::tempfile().unwrap(), Interrupt::default(), HashMap::new());
        let picks =
            HashMap::from([(index.digest, ChunksToFetch { index: Arc::clone(&index), chunks: vec![3] })]);
        let mut pick = Pick::new(&file, &run, picks, &mut fetched).unwrap();
        let named = |layer: &[u8]| Some(LayerKey::Blob(Digest::of(layer)));
        pick.layer(named(&other), &mut &other[..]).unwrap();
        pick.layer(None, &mut &other[..]).unwrap();
        let end = index.chunks().at(3).at as usize + 10;
        let error = pick.layer(named(&bytes), &mut &bytes[..end]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        drop(pick);
        assert!(fetched.is_empty());
    }
}
