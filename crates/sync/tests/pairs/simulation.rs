//! A transfer over a link that breaks again and again, at places that are drawn: several runs, until one comes to its end.
//!
//! After each run the target is as it was or complete, nothing is left but what the next run goes on with, and all runs
//! together send hardly more than a clean one. `TESTKIT_SEED=N TESTKIT_CASES=1` plays one again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dsync_testkit::pair::{Compression, Pair, Run, Target, Way};
use dsync_testkit::{
    Cases, Content, Entry, Fault, FaultKind, Files, ImageSpec, Item, Lane, LayerSpec, Packing, Wrap,
    host_platform, isolated, report,
};
use proptest::prelude::*;

use crate::resume::CUT;
use crate::trial::Trial;

const NAME: &str = "registry.example/shop/web:1";

/// The most bytes of a chunk that is kept as a whole or not at all: a file of this length is one.
const CHUNK: u64 = 256 << 10;

/// A pair, and the places at which the first runs break.
#[derive(Debug, Clone)]
struct Story {
    pair: Pair,
    breaks: Vec<Break>,
}

#[derive(Debug, Clone, Copy)]
struct Break {
    lane: Lane,
    /// The part of all that crosses in a clean run, in 65536ths.
    at: u16,
    kind: FaultKind,
}

/// A file of noise, or of text, which is smaller on its way.
fn file(place: u8, seed: u32, len: u32) -> Entry {
    let content = if seed.is_multiple_of(3) { Content::text(seed, len) } else { Content::noise(seed, len) };
    Entry::file(0, place, content)
}

/// Layers, each of files by their seed and length.
fn layers() -> impl Strategy<Value = Vec<Vec<(u32, u32)>>> {
    let len = prop_oneof![6 => 1..3_000_u32, 3 => 3_000..30_000_u32, 1 => 30_000..500_000_u32];
    prop::collection::vec(prop::collection::vec((any::<u32>(), len), 1..8), 1..4)
}

fn image(layers: &[Vec<(u32, u32)>], packing: Packing) -> ImageSpec {
    let layer = |files: &Vec<(u32, u32)>| {
        let files = files.iter().zip(0..).map(|((seed, len), place)| file(place, *seed, *len));
        LayerSpec::of(files.collect())
    };
    let image = ImageSpec::of(layers.iter().map(layer).collect());
    image.with(|config| config.platform = host_platform().join("/")).packed(packing)
}

/// The layers of an older image: some files are others.
fn older(layers: &[Vec<(u32, u32)>], changed: u32) -> Vec<Vec<(u32, u32)>> {
    let mut number = 0_u32;
    let mut old = layers.to_vec();
    for file in old.iter_mut().flatten() {
        number += 1;
        if number.is_multiple_of(changed) {
            *file = (file.0.wrapping_add(1), file.1 / 2 + 1);
        }
    }
    // There is always something new.
    old.iter_mut().flatten().for_each(|file| file.0 ^= u32::from(number < changed));
    old
}

fn breaks() -> impl Strategy<Value = Vec<Break>> {
    let lane = prop::sample::select(vec![Lane::Out, Lane::Back]);
    // A silent link takes its timeout.
    let kind = prop_oneof![30 => Just(FaultKind::Cut), 1 => Just(FaultKind::Stall)];
    let one = (lane, any::<u16>(), kind).prop_map(|(lane, at, kind)| Break { lane, at, kind });
    prop::collection::vec(one, 1..6)
}

fn story() -> impl Strategy<Value = Story> {
    let packing =
        prop_oneof![4 => Just(Packing::Plain), 1 => Just(Packing::Go(6)), 1 => Just(Packing::OtherGzip)];
    let way = prop::sample::select(vec![Way::Pull, Way::Push]);
    let reads = prop::option::weighted(0.2, 200..5_000_u16);
    (layers(), prop::option::of(2..6_u32), packing, way, any::<bool>(), reads, breaks()).prop_map(
        |(layers, changed, packing, way, content, reads, breaks)| {
            let old = changed.map(|changed| Item::named(NAME, image(&older(&layers, changed), packing)));
            let pair = Pair {
                source: vec![Item::named(NAME, image(&layers, packing))],
                files: Files::Layout,
                wrap: Wrap::None,
                target: old.map_or(Target::Absent, |old| Target::Layout(vec![old])),
                junk: Default::default(),
                damage: None,
                run: Run { way, content, reads, compression: Compression::Level(3), ..Run::default() },
            };
            Story { pair, breaks }
        },
    )
}

/// Plays it; the number of its transfers.
fn play(story: &Story) -> Result<u64, String> {
    let clean = Trial::of(&story.pair)?.traffic()?;
    let trial = Trial::of(&story.pair)?;
    let (mut total, mut transfers) = (0, 2);
    for (number, broken) in story.breaks.iter().enumerate() {
        let at = clean[broken.lane as usize] * u64::from(broken.at) / 65536;
        let fault = Fault { lane: broken.lane, at, kind: broken.kind };
        let (bytes, is_done) =
            trial.attempt(&[fault]).map_err(|error| format!("run {number}, {fault:?}: {error}"))?;
        total += bytes;
        transfers += 1;
        if is_done {
            break;
        }
    }
    total += trial.traffic().map_err(|error| format!("the last run: {error}"))?.iter().sum::<u64>();
    let all: u64 = clean.iter().sum();
    let most = all + all / 20 + (CHUNK + CUT) * (transfers - 2);
    if total > most {
        return Err(format!("{total} bytes crossed in all, where a clean run has {all}, and {most} may"));
    }
    Ok(transfers)
}

#[test]
fn a_transfer_arrives_however_often_its_link_breaks() {
    let cases = Cases::from_env(400);
    let name = "simulation::a_transfer_arrives_however_often_its_link_breaks";
    isolated(name, Duration::from_secs(300) + Duration::from_millis(500 * cases.count), || {
        let (begin, transfers) = (Instant::now(), AtomicU64::new(0));
        let failures = cases.run(&story, &|story| {
            transfers.fetch_add(play(story)?, Ordering::Relaxed);
            Ok(())
        });
        println!("{transfers:?} transfers of {cases:?} in {:.1?}", begin.elapsed());
        assert!(failures.is_empty(), "{}", report(&failures));
    });
}
