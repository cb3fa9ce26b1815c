//! Batches and candidates of layers that are made of files.

use super::candidates::OVERHEAD;
use super::*;
use crate::Scanner;

/// A layer of files of these lengths; files of the same seed begin with the same bytes.
fn index(files: &[(&str, u64, usize)]) -> LayerIndex {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, seed, len) in files {
        let mut body = vec![0; *len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut body);
        let mut header = tar::Header::new_gnu();
        header.set_size(*len as u64);
        tar.append_data(&mut header, name, &body[..]).unwrap();
    }
    let mut scanner = Scanner::new();
    scanner.push(&tar.into_inner().unwrap());
    scanner.finish()
}

fn all(index: &LayerIndex) -> Vec<ChunkRef> {
    (0..index.chunks().len() as u32).map(|chunk| ChunkRef { layer: 0, chunk }).collect()
}

/// A search for versions of all chunks of a layer, in a layer that only the target can read.
fn search<'a>(
    new: &'a [&'a LayerIndex],
    literals: &'a [ChunkRef],
    hidden: &'a [&'a LayerIndex],
) -> CandidateSearch<'a> {
    CandidateSearch { new, literals, hidden, readable: &[], limit: 1 << 30 }
}

#[test]
fn an_old_file_counts_once_however_many_pieces_the_new_one_has() {
    let (old, new) = (index(&[("lib/a.so", 1, 900_000)]), index(&[("lib/a.so", 2, 900_000)]));
    let sent = all(&new);
    assert!(sent.len() > 5, "{} pieces", sent.len());
    let (new, old) = ([&new], [&old]);
    let all = search(&new, &sent, &old);
    let found = CandidateSearch { limit: 1_800_000 + 28 * OVERHEAD, ..all }.find();
    assert_eq!(found.len(), sent.len(), "{found:?}");
    let found = CandidateSearch { limit: 1_700_000, ..all }.find();
    assert!(found.len() < sent.len(), "{found:?}");
}

#[test]
fn the_same_path_that_only_the_target_can_read_goes_before_a_like_name_elsewhere() {
    let readable = index(&[("usr/lib/x/__init__.py", 1, 3000), ("usr/lib/y/tools.py", 2, 3000)]);
    let hidden = index(&[("app/__init__.py", 3, 3000), ("opt/tools.py", 4, 3000)]);
    let new = index(&[("app/__init__.py", 5, 3000), ("srv/tools.py", 6, 3000)]);
    let (literals, new, hidden, readable) = (all(&new), [&new], [&hidden], [Some(&readable)]);
    let found = CandidateSearch { readable: &readable, ..search(&new, &literals, &hidden) }.find();
    let old = ChunkRange::one(ChunkRef { layer: 0, chunk: 0 }, 3000);
    assert_eq!(found, [Candidate { literal: 0, old }]);
}

#[test]
fn a_file_that_is_named_in_another_way_is_the_one_that_went() {
    let old = index(&[("lib/libblas-a1b2.26.dev.so", 1, 3000), ("lib/libblas-tool.x.so", 2, 2000)]);
    let new = index(&[("lib/libblas-c3d4.27.so", 3, 2100), ("lib/libblas-tool.x.so", 4, 2000)]);
    let batches = form_batches(&[&new], &all(&new), &[Some(&old)], 1 << 20);
    // The other one is nearer in length, but still there.
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].new.iter().map(|range| range.len).collect::<Vec<_>>(), [2100, 2000]);
    let olds: Vec<u64> = batches[0].pairs().map(|pair| batches[0].old[pair.unwrap()].len()).collect();
    assert_eq!(olds, [3000, 2000]);
}

#[test]
fn many_files_are_looked_at_in_turn() {
    let names: Vec<String> = (0..100).map(|number| format!("app/file{number}.txt")).collect();
    let files = |seed: u64| {
        let files: Vec<_> = names.iter().zip(seed..).map(|(name, seed)| (&name[..], seed, 3000)).collect();
        index(&files)
    };
    let (old, new) = (files(0), files(1000));
    let batches = form_batches(&[&new], &all(&new), &[Some(&old)], 1 << 20);
    // Those that are looked at together are together, and each has its old version.
    assert_eq!(batches.iter().map(|batch| batch.new.len()).collect::<Vec<_>>(), [40, 40, 20]);
    for batch in &batches {
        for (range, pair) in batch.new.iter().zip(batch.pairs()) {
            assert_eq!(batch.old[pair.unwrap()], *range);
        }
    }
    let mut chunks: Vec<ChunkRef> =
        batches.iter().flat_map(|batch| &batch.new).flat_map(ChunkRange::chunk_refs).collect();
    chunks.sort_unstable();
    assert_eq!(chunks, all(&new));
    let found = search(&[&new], &all(&new), &[&old]).find();
    let is_in_turn = |(at, found): (usize, &Candidate)| at == found.literal && found.old.start == at as u32;
    assert!(found.iter().enumerate().all(is_in_turn));
    assert_eq!(found.len(), 100);
}

#[test]
fn a_batch_is_full_at_its_limit_and_not_before() {
    let new = index(&[("a", 1, 3000), ("b", 2, 3000)]);
    let old = index(&[("none", 3, 3000)]);
    let lens = |limit| {
        let batches = form_batches(&[&new], &all(&new), &[Some(&old)], limit);
        batches.iter().map(Batch::len).collect::<Vec<_>>()
    };
    assert_eq!(lens(6000), [6000]);
    assert_eq!(lens(5999), [3000, 3000]);
}

#[test]
fn a_range_has_at_most_a_quarter_of_the_limit() {
    let (old, new) = (index(&[("none", 1, 100)]), index(&[("a", 2, 900_000)]));
    let lens = |limit| {
        let batches = form_batches(&[&new], &all(&new), &[Some(&old)], limit);
        batches.iter().flat_map(|batch| &batch.new).map(ChunkRange::len).collect::<Vec<_>>()
    };
    assert_eq!(lens(4 << 20), [900_000]);
    let ranges = lens(1 << 20);
    assert!(ranges.len() > 1 && ranges.iter().all(|len| *len <= 1 << 18), "{ranges:?}");
    assert!(ranges.len() < all(&new).len(), "{ranges:?}");
}

#[test]
fn a_part_of_a_long_file_is_beside_what_lies_around_its_place_in_the_old_one() {
    // The old file has other bytes and twice the length.
    let (old, new) = (index(&[("a", 1, 8_000_000)]), index(&[("a", 2, 4_000_000)]));
    let file = NewFiles::take(&[&new], &mut &all(&new)[..]).unwrap().files;
    let versions = versions(&file, &[Some(&old)], &[&new]);
    let (file, version) = (file.get(0).unwrap(), versions[0].unwrap().file);
    for chunk in 0..new.chunks().len() {
        let range = ChunkRange::of(0, &new, chunk..chunk + 1).unwrap();
        let like = Likeness { range: &range, file, new: &new, old: &version, old_index: &old };
        let found = like.old_range(4 << 20).unwrap().chunks();
        let (before, slack) = (new.chunks().bytes(0..chunk), range.len().max(65_536));
        let (from, to) = ((2 * before).saturating_sub(slack), 2 * (before + range.len()) + slack);
        let is_within = |chunk: usize| {
            let at = old.chunks().bytes(0..chunk);
            at + old.chunks().at(chunk).len > from && at < to
        };
        let wanted: Vec<usize> = (0..old.chunks().len()).filter(|chunk| is_within(*chunk)).collect();
        assert_eq!(found.collect::<Vec<_>>(), wanted, "chunk {chunk}");
    }
}
