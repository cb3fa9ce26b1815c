//! Batches: every chunk once, within the limit, the same on both sides, and each file beside its old version.

use std::collections::BTreeSet;

use dsync_delta::batching::{Batch, CandidateSearch, ChunkRange, form_batches, form_in_order};
use dsync_delta::{ChunkRef, LayerIndex};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::Layer;
use crate::tars::body;

/// A layer of files with these lengths.
fn layer(files: &[(&str, usize)]) -> LayerIndex {
    let mut tar = tar::Builder::new(Vec::new());
    for (number, (path, len)) in files.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(*len as u64);
        tar.append_data(&mut header, path, &body(*len, number as u32 + *len as u32)[..]).unwrap();
    }
    LayerIndex::clone(&Layer::new(tar.into_inner().unwrap()).index)
}

/// All chunks of some layers, which are sent.
fn all(layers: &[&LayerIndex]) -> Vec<ChunkRef> {
    let chunks = |(layer, index): (u32, &&LayerIndex)| {
        (0..index.chunks().len() as u32).map(move |chunk| ChunkRef { layer, chunk })
    };
    (0..).zip(layers).flat_map(chunks).collect()
}

fn old_len(batch: &Batch) -> u64 {
    batch.old.iter().map(ChunkRange::len).sum()
}

/// The old version of each new file of one batch: layer, and the path of its first chunk.
fn versions(
    batches: &[Batch],
    new: &[&LayerIndex],
    old: &[&LayerIndex],
) -> Vec<(String, Option<(usize, String)>)> {
    let path = |layers: &[&LayerIndex], range: &ChunkRange| {
        let file = layers[range.layer()].file_of(range.chunks().start).unwrap();
        String::from_utf8(file.path).unwrap()
    };
    let of = |batch: &Batch| {
        let pair =
            |pair: Option<usize>| pair.map(|pair| (batch.old[pair].layer(), path(old, &batch.old[pair])));
        batch
            .new
            .iter()
            .zip(batch.pairs())
            .map(|(range, old)| (path(new, range), pair(old)))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// The old version of one file, beside these old layers.
fn version_of(path: &str, len: usize, old: &[&[(&str, usize)]]) -> Option<(usize, String)> {
    let new = layer(&[(path, len)]);
    let old: Vec<LayerIndex> = old.iter().map(|files| layer(files)).collect();
    let old: Vec<&LayerIndex> = old.iter().collect();
    let basis: Vec<Option<&LayerIndex>> = old.iter().copied().map(Some).collect();
    let batches = form_batches(&[&new], &all(&[&new]), &basis, 24 << 20);
    versions(&batches, &[&new], &old).remove(0).1
}

fn found(layer: usize, path: &str) -> Option<(usize, String)> {
    Some((layer, path.to_owned()))
}

#[test]
fn the_strictest_rule_by_which_a_file_has_an_old_version_counts() {
    // The same path, before all others, and in the topmost layer that has it.
    let same = [("usr/lib/libz.so.1", 900)];
    let like = [("usr/lib/libz.so.2", 1000), ("opt/libz.so.1", 1000)];
    assert_eq!(version_of("usr/lib/libz.so.1", 1000, &[&same, &like]), found(0, "usr/lib/libz.so.1"));
    assert_eq!(version_of("usr/lib/libz.so.1", 1000, &[&same, &same, &like]), found(1, "usr/lib/libz.so.1"));
    // A path that differs in words with digits; of several the one of the nearest length, whatever the layer.
    assert_eq!(version_of("usr/lib/libz.so.1", 1000, &[&like]), found(0, "usr/lib/libz.so.2"));
    let lens = [("lib/a-1.0/x.py", 100), ("lib/a-1.1/x.py", 700), ("lib/a-1.2/x.py", 3000)];
    assert_eq!(version_of("lib/a-2.0/x.py", 800, &[&lens]), found(0, "lib/a-1.1/x.py"));
    assert_eq!(
        version_of("lib/a-2.0/x.py", 800, &[&lens, &[("lib/a-0.9/x.py", 801)]]),
        found(1, "lib/a-0.9/x.py")
    );
    // The name elsewhere, then a name that differs in words with digits.
    let elsewhere = [("srv/tool-7.js", 500), ("app/tool-8.js", 500)];
    assert_eq!(version_of("opt/tool-8.js", 500, &[&elsewhere]), found(0, "app/tool-8.js"));
    assert_eq!(version_of("opt/tool-9.js", 500, &[&elsewhere]), found(0, "srv/tool-7.js"));
    // The first word of the name, in the same folder, with the same kind.
    let renamed = [("lib/libblas-r0-a1.2.dev.so", 400), ("etc/libblas-r0-a1.2.dev.so", 400)];
    assert_eq!(version_of("lib/libblas_x.so", 400, &[&renamed]), found(0, "lib/libblas-r0-a1.2.dev.so"));
    assert_eq!(version_of("lib/librare.so", 400, &[&renamed]), None);
}

#[test]
fn a_name_that_too_many_files_have_says_nothing() {
    let names: Vec<String> =
        (0..65).map(|number| format!("app/package{}/__init__.py", "x".repeat(number))).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (&name[..], 300)).collect();
    assert_eq!(version_of("srv/__init__.py", 300, &[&files]), None);
    assert!(version_of("srv/__init__.py", 300, &[&files[1..]]).is_some());
    // The same path counts in any crowd.
    assert_eq!(version_of(&names[5], 300, &[&files]), found(0, &names[5]));
}

/// The numbers of chunks that bundlers give stay, whatever the number of files with such names.
#[test]
fn what_stands_before_a_hash_tells_a_file_from_the_others() {
    let names = |hash: u32| -> Vec<String> {
        (0..100).map(|number| format!("static/{number}.{:08x}a1.chunk.js", hash * number * 7919)).collect()
    };
    let (old, new) = (names(3), names(5));
    let files: Vec<(&str, usize)> = old.iter().map(|name| (&name[..], 300)).collect();
    for (name, its) in new.iter().zip(&old) {
        assert_eq!(version_of(name, 300, &[&files]), found(0, its));
    }
    let vite = [("assets/Index-A4-C6YLr.js", 300), ("assets/Blocks-CyfcXtBq.js", 300)];
    assert_eq!(version_of("assets/Blocks-DiwrgTda.js", 300, &[&vite]), found(0, "assets/Blocks-CyfcXtBq.js"));
    assert_eq!(version_of("assets/Index-B_x4qrTd.js", 300, &[&vite]), found(0, "assets/Index-A4-C6YLr.js"));
}

/// Each old file is beside some new one, so that what is in one of them is in reach.
#[test]
fn files_that_are_named_by_a_hash_alone_share_all_old_ones() {
    let names = |seed: u32| -> Vec<String> {
        (0..100)
            .map(|number| {
                format!("static/{:016x}.js", u64::from(number * 8 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            })
            .collect()
    };
    let (old, new) = (names(1), names(2));
    let files = |names: &[String]| -> LayerIndex {
        layer(&names.iter().map(|name| (&name[..], 300)).collect::<Vec<_>>())
    };
    let (old, new) = (files(&old), files(&new));
    let batches = form_batches(&[&new], &all(&[&new]), &[Some(&old)], 24 << 20);
    let olds = versions(&batches, &[&new], &[&old]).into_iter().map(|(_, old)| old.unwrap().1);
    assert_eq!(olds.collect::<std::collections::BTreeSet<_>>().len(), 100);
}

#[test]
fn like_kinds_and_then_like_paths_are_neighbours() {
    let new = layer(&[("b/z.py", 100), ("a.so.1", 100), ("b/README", 100), ("a/y.py", 100), ("c.so", 100)]);
    let old = layer(&[("none", 100)]);
    let batches = form_batches(&[&new], &all(&[&new]), &[Some(&old)], 1 << 20);
    let order: Vec<String> = versions(&batches, &[&new], &[&old]).into_iter().map(|(path, _)| path).collect();
    assert_eq!(order, ["b/README", "a/y.py", "b/z.py", "a.so.1", "c.so"]);
    // Without an old layer they come in the order in which they are written.
    for basis in [&[][..], &[None, None]] {
        let batches = form_batches(&[&new], &all(&[&new]), basis, 1 << 20);
        assert_eq!(batches.len(), 1);
        assert!(batches[0].old.is_empty() && batches[0].pairs().all(|pair| pair.is_none()));
        let sent: Vec<ChunkRef> = batches[0].new.iter().flat_map(ChunkRange::chunk_refs).collect();
        assert_eq!(sent, all(&[&new]));
    }
}

#[test]
fn a_long_file_is_beside_the_same_part_of_its_old_version() {
    let mib = 1 << 20;
    let (old, new) = (layer(&[("bin/long", 24 * mib)]), layer(&[("bin/long", 20 * mib)]));
    let limit = 8 * mib as u64;
    let batches = form_batches(&[&new], &all(&[&new]), &[Some(&old)], limit);
    assert!(batches.len() > 8);
    for batch in &batches {
        assert!(batch.len() + old_len(batch) <= limit);
        for (range, pair) in batch.new.iter().zip(batch.pairs()) {
            let old_range = &batch.old[pair.expect("an old version")];
            assert!(range.len() <= limit / 4 && old_range.len() > range.len());
            // The middle of the one is at the middle of the other, in proportion, but at the ends of the file.
            let middle = |index: &LayerIndex, range: &ChunkRange| {
                let before = index.chunks().bytes(0..range.chunks().start);
                (before + range.len() / 2) as f64 / index.chunks().bytes(0..usize::MAX) as f64
            };
            assert!((middle(&new, range) - middle(&old, old_range)).abs() < 0.06);
        }
    }
}

#[test]
fn limits_follow_one_another_and_a_chunk_beyond_any_is_alone() {
    let new = layer(&[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000), ("e", 200_000), ("f", 64)]);
    let lens = |limits: &[u64]| {
        let limits = limits.iter().copied().chain(std::iter::repeat(1000));
        let batches = form_in_order(&[&new], all(&[&new]).into_iter(), limits);
        batches.iter().map(Batch::len).collect::<Vec<_>>()
    };
    assert_eq!(lens(&[1 << 30]), [204_064]);
    assert_eq!(lens(&[1000]), [1000, 1000, 1000, 1000, 200_000, 64]);
    assert_eq!(lens(&[1999, 2000]), [1000, 2000, 1000, 200_000, 64]);
    assert_eq!(lens(&[0, 0]), [1000, 1000, 1000, 1000, 200_000, 64]);
    assert_eq!(form_in_order(&[&new], std::iter::empty(), std::iter::repeat(1)), []);
}

#[test]
fn ranges_know_their_chunks() {
    let new = layer(&[("a", 1000), ("b", 600_000)]);
    let range = ChunkRange::of(3, &new, 1..4).unwrap();
    assert_eq!((range.layer(), range.chunks(), range.len()), (3, 1..4, new.chunks().bytes(1..4)));
    let refs: Vec<ChunkRef> = range.of_layer(5).chunk_refs().collect();
    assert_eq!(refs, [1, 2, 3].map(|chunk| ChunkRef { layer: 5, chunk }));
    // Chunks beyond the last one have no bytes.
    assert_eq!(ChunkRange::of(0, &new, 90..99).map(|range| range.len()), Some(0));
    let batch = Batch::alone(range, Some(range.of_layer(0)));
    assert_eq!((batch.len(), old_len(&batch)), (range.len(), range.len()));
    assert_eq!(batch.pairs().collect::<Vec<_>>(), [Some(0)]);
    assert_eq!(Batch::alone(range, None).pairs().collect::<Vec<_>>(), [None]);
}

#[test]
fn candidates_stay_within_any_limit() {
    let (old, new) =
        (layer(&[("bin/a", 700_000), ("bin/b", 5000)]), layer(&[("bin/a", 700_000), ("bin/b", 5000)]));
    let sent = all(&[&new]);
    let mut last = 0;
    for limit in [0, 1, 255, 1000, 10_600, 10_800, 100_000, 262_143, 262_144, 1 << 20, 1 << 22, u64::MAX] {
        let (new_layers, hidden) = ([&new], [&old]);
        let search =
            CandidateSearch { new: &new_layers, literals: &sent, hidden: &hidden, readable: &[], limit };
        let found = search.find();
        let olds: BTreeSet<ChunkRef> = found.iter().flat_map(|found| found.old.chunk_refs()).collect();
        let old_bytes: u64 = olds.iter().map(|old_ref| old.chunks().at(old_ref.chunk as usize).len).sum();
        let new_bytes: u64 =
            found.iter().map(|found| new.chunks().at(sent[found.literal].chunk as usize).len).sum();
        assert!(old_bytes + new_bytes <= limit, "{limit}: {old_bytes} and {new_bytes}");
        assert!(found.len() >= last, "{limit}: {} after {last}", found.len());
        last = found.len();
    }
    assert_eq!(last, sent.len());
}

/// Layers of few paths, so that they have versions of each other, some of long files.
fn layers(most: usize) -> impl Strategy<Value = Vec<LayerIndex>> {
    const PATHS: [&str; 9] = [
        "bin/tool",
        "bin/tool-1.2",
        "lib/libx.so.1",
        "lib/libx.so.2",
        "lib/a.py",
        "opt/a.py",
        "etc/conf",
        "lib/b.py",
        "share/word_one.txt",
    ];
    let len = prop_oneof![8 => 64_usize..9000, 1 => 300_000_usize..1_500_000];
    let files = proptest::sample::subsequence(&PATHS[..], 0..PATHS.len())
        .prop_flat_map(move |paths| (Just(paths.clone()), vec(len.clone(), paths.len())))
        .prop_map(|(paths, lens)| layer(&paths.into_iter().zip(lens).collect::<Vec<_>>()));
    vec(files, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_chunk_is_sent_once_and_no_batch_is_beyond_the_limit(
        new in layers(4),
        old in layers(4),
        hidden in 0_usize..5,
        limit in prop_oneof![Just(1_u64 << 20), 1_u64 << 20..4 << 20, Just(24 << 20)],
        skip in 1_usize..4,
    ) {
        let new: Vec<&LayerIndex> = new.iter().collect();
        let basis: Vec<Option<&LayerIndex>> =
            old.iter().enumerate().map(|(number, index)| (number != hidden).then_some(index)).collect();
        // Not all chunks are sent: some are in the basis.
        let sent: Vec<ChunkRef> = all(&new).into_iter().step_by(skip).collect();
        let batches = form_batches(&new, &sent, &basis, limit);
        let mut refs: Vec<ChunkRef> = batches.iter().flat_map(|batch| &batch.new).flat_map(ChunkRange::chunk_refs).collect();
        refs.sort_unstable();
        prop_assert_eq!(&refs, &sent);
        for batch in &batches {
            prop_assert!(!batch.is_empty());
            prop_assert!(batch.len() + old_len(batch) <= limit || batch.new.len() == 1, "{:?}", batch);
            for range in &batch.new {
                prop_assert_eq!(range.len(), new[range.layer()].chunks().bytes(range.chunks()));
            }
            for range in &batch.old {
                let index = basis[range.layer()].expect("the source reads it");
                prop_assert_eq!(range.len(), index.chunks().bytes(range.chunks()));
            }
            prop_assert!(batch.pairs().flatten().all(|pair| pair < batch.old.len()));
        }
        // Chunks without ids, as the target knows them, make the same batches.
        let decoded: Vec<LayerIndex> = new.iter().map(|index| crate::support::without_ids(index)).collect();
        let decoded: Vec<&LayerIndex> = decoded.iter().collect();
        prop_assert_eq!(form_batches(&decoded, &sent, &basis, limit), batches);
    }
}
