//! Results that both ends compute alike from the same facts: part of the protocol, though they never cross. They are
//! pinned here: a change of one of them needs another `PROTOCOL`, and another version of patches.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fmt::Debug;

use dsync_delta::batching::{self, Batch, ChunkRange};
use dsync_delta::{ChunkRef, LayerIndex, Scanner};
use dsync_exe::{Addresses, Machine, absolute, align};
use dsync_recompress::Inflated;
use dsync_testkit::{Packing, linked, sha256};

/// The first digits of a digest.
fn short(bytes: &[u8]) -> String {
    sha256(bytes).trim_start_matches("sha256:")[..16].to_owned()
}

fn digest(value: &impl Debug) -> String {
    short(format!("{value:?}").as_bytes())
}

/// Bytes that no coder makes shorter, the same each time.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn layer(files: &[(&str, Vec<u8>)]) -> LayerIndex {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    let mut scanner = Scanner::new();
    scanner.push(&tar.into_inner().unwrap());
    scanner.finish()
}

/// Layers with files that stay, that change, that move and that are new.
fn layers() -> (LayerIndex, LayerIndex) {
    let changed = |at: usize| {
        let mut bytes = noise(3, 700_000);
        bytes[at] ^= 1;
        bytes
    };
    let old = layer(&[
        ("usr/lib/libx.so.1.2", noise(1, 90_000)),
        ("usr/lib/libx.so.1.1", noise(2, 80_000)),
        ("opt/app/main.js", changed(10)),
        ("opt/app/style.css", noise(4, 3_000)),
        ("etc/passwd", noise(5, 900)),
    ]);
    let new = layer(&[
        ("usr/lib/libx.so.1.3", noise(6, 95_000)),
        ("opt/app/main.js", changed(350_000)),
        ("opt/app/theme/style.css", noise(7, 3_100)),
        ("srv/new", noise(8, 400_000)),
        ("etc/passwd", noise(9, 950)),
    ]);
    (old, new)
}

/// The items of batches, and which old one each new one is coded against.
fn shown(batches: &[Batch]) -> Vec<impl Debug> {
    let run = |run: &ChunkRange| (run.layer(), run.chunks().start, run.chunks().end);
    let runs = |runs: &[ChunkRange]| runs.iter().map(run).collect::<Vec<_>>();
    let of = |batch: &Batch| (runs(&batch.new), runs(&batch.old), batch.pairs().collect::<Vec<_>>());
    batches.iter().map(of).collect()
}

#[test]
fn batches_are_planned_alike() {
    let (old, new) = layers();
    assert_eq!(
        [digest(&old.digest.to_string()), digest(&new.digest.to_string())],
        ["13928a718482c833", "687326edbd8c5c8c"],
        "the samples are as they were"
    );
    let sent: Vec<ChunkRef> =
        (0..new.chunks().len() as u32).map(|chunk| ChunkRef { layer: 0, chunk }).collect();
    let beside = batching::form_batches(&[&new], &sent, &[Some(&old)], 1 << 20);
    let hidden = batching::form_batches(&[&new], &sent, &[None], 1 << 20);
    let search = batching::CandidateSearch {
        new: &[&new],
        literals: &sent,
        hidden: &[&old],
        readable: &[None],
        limit: 1 << 20,
    };
    let candidates: Vec<_> =
        search.find().iter().map(|found| (found.literal, found.old.layer(), found.old.chunks())).collect();
    let all = [digest(&shown(&beside)), digest(&shown(&hidden)), digest(&candidates)];
    assert_eq!(all, ["58ba8ab11e31c09a", "963e674a2b5659d9", "71caa9c4e625e91f"]);
}

#[test]
fn chunk_boundaries_are_the_same_everywhere() {
    let (old, _) = layers();
    let chunks: Vec<(u64, u64)> = old.chunks().iter().map(|chunk| (chunk.at, chunk.len)).collect();
    assert_eq!(digest(&chunks), "01318bacf200b7a1");
}

#[test]
fn branches_and_address_maps_come_out_alike() {
    let program = |machine, more: &[usize]| linked(machine, "golden", 2000, more);
    let branches = |kind, machine| {
        let mut code = program(kind, &[]);
        let before = short(&code);
        absolute(&mut code, machine, 0x1000);
        [before, short(&code)]
    };
    assert_eq!(branches(dsync_testkit::Machine::X86, Machine::X86), ["5580ba2ab5ca1f5a", "0e067a19886ba3e9"]);
    assert_eq!(
        branches(dsync_testkit::Machine::Aarch64, Machine::Aarch64),
        ["f8ac9fe1412866ed", "05bd8a773952d779"]
    );
    let aligned = |kind| {
        let (old, new) = (program(kind, &[]), program(kind, &[100, 1000]));
        let map =
            dsync_exe::map_addresses(Addresses::of(&old).unwrap(), Addresses::of(&new).unwrap()).unwrap();
        [short(&map.encode()), short(&align(&old, &map))]
    };
    assert_eq!(aligned(dsync_testkit::Machine::X86), ["c050d40d26ce667e", "d0e61912bd5600b4"]);
    assert_eq!(aligned(dsync_testkit::Machine::Aarch64), ["d9d2e13703762a9f", "1ed7880bd8f97b33"]);
}

#[test]
fn files_are_inflated_alike() {
    let text: Vec<u8> =
        (0..20_000_u32).flat_map(|line| format!("{}\n", line ^ (line >> 3)).into_bytes()).collect();
    let packed = Packing::Go(6).pack(&text);
    let inflated = Inflated::of(&packed, 1 << 24).unwrap();
    let streams: Vec<_> =
        inflated.streams.iter().map(|stream| (stream.gap, stream.plain, stream.method.to_bytes())).collect();
    assert_eq!(
        [short(&packed), short(&inflated.bytes), digest(&streams)],
        ["a9ef5db3d423608b", "7b2fb244310cbca8", "12daadc1a11f1007"]
    );
}
