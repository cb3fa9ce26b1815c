//! A transfer that broke off, and the runs after it: what arrived does not cross again.

use std::time::Duration;

use dsync_testkit::pair::{Compression, Pair, Run, Target, Way};
use dsync_testkit::{
    Action, Content, Edit, Entry, Fault, FaultKind, Files, ImageSpec, Item, Lane, LayerSpec, Packing, Wrap,
    host_platform, isolated,
};

use crate::trial::Trial;

const NAME: &str = "registry.example/shop/web:1";

fn image(layers: Vec<LayerSpec>) -> ImageSpec {
    ImageSpec::of(layers).with(|config| config.platform = host_platform().join("/"))
}

fn pair(old: Option<ImageSpec>, new: ImageSpec) -> Pair {
    Pair {
        source: vec![Item::named(NAME, new)],
        files: Files::Layout,
        wrap: Wrap::None,
        target: old.map_or(Target::Absent, |old| Target::Layout(vec![Item::named(NAME, old)])),
        junk: Default::default(),
        damage: None,
        run: Run { compression: Compression::Level(3), ..Run::default() },
    }
}

fn noise(seed: u32, len: u32) -> Content {
    Content::noise(seed, len)
}

/// Files of so many bytes, of which half is text.
fn files(seed: u32, count: u32, len: u32) -> Vec<Entry> {
    let file = |number: u32| {
        let content = match number % 2 {
            0 => noise(seed + number, len),
            _ => Content::text(seed + number, 2 * len),
        };
        Entry::file((number / 200) as u8, (number % 200) as u8, content)
    };
    (0..count).map(file).collect()
}

fn one_file() -> ImageSpec {
    image(vec![LayerSpec::of(vec![Entry::file(0, 1, noise(1, 4_000_000))])])
}

fn many_files(seed: u32) -> ImageSpec {
    image(vec![LayerSpec::of(files(seed, 1000, 3000))])
}

fn ten_layers() -> ImageSpec {
    image((0..10).map(|layer| LayerSpec::of(files(10_000 * (layer + 1), 25, 12_000))).collect())
}

fn pairs() -> Vec<(&'static str, Pair)> {
    let mut changed = files(500_000, 1000, 3000);
    for (entry, new) in changed.iter_mut().step_by(3).zip(files(900_000, 334, 9000)) {
        *entry = Entry { place: entry.place, ..new };
    }
    let update = pair(Some(many_files(500_000)), image(vec![LayerSpec::of(changed)]));
    let grown = image(vec![LayerSpec::of(vec![
        Entry::file(0, 1, noise(1, 4_000_000)),
        Entry::file(0, 2, noise(2, 3_000_000)),
    ])]);
    let edited = (0..200).fold(noise(1, 4_000_000), |content, number| {
        content.edited(Edit { at: number * 327, action: Action::Overwrite, len: 9_000 })
    });
    let edited = image(vec![LayerSpec::of(vec![Entry::file(0, 1, edited)])]);
    let packed = |image: ImageSpec, packing| pair(None, image.packed(packing));
    let by_content = |pair: Pair| pair.run(|run| run.content = true);
    vec![
        ("one file", pair(None, one_file())),
        ("many files", pair(None, many_files(1))),
        ("ten layers", pair(None, ten_layers())),
        ("ten layers, by content", by_content(pair(None, ten_layers()))),
        ("an update", update.clone()),
        ("an update, by content", by_content(update)),
        ("parts of chunks", pair(Some(one_file()), edited)),
        ("one more file", pair(Some(one_file()), grown)),
        ("compressed by Go", packed(ten_layers(), Packing::Go(6))),
        ("compressed by an unknown encoder", packed(many_files(1), Packing::OtherGzip)),
        (
            "at max",
            pair(None, image(vec![LayerSpec::of(files(1, 300, 3000))]))
                .run(|run| run.compression = Compression::Max),
        ),
    ]
}

/// Bytes that cross in each direction in a clean run.
fn clean(pair: &Pair) -> Result<[u64; 2], String> {
    Trial::of(pair)?.traffic()
}

/// Bytes that cross where each of these runs is cut after so many hundredths of a clean one, until one is not.
fn with_cuts(pair: &Pair, clean: [u64; 2], cuts: &[u64]) -> Result<u64, String> {
    let lane = if clean[0] > clean[1] { Lane::Out } else { Lane::Back };
    let trial = Trial::of(pair)?;
    let mut total = 0;
    for hundredths in cuts {
        let fault = Fault { lane, at: clean[lane as usize] * hundredths / 100, kind: FaultKind::Cut };
        total += trial.broken(&[fault])?;
    }
    Ok(total + trial.traffic()?.iter().sum::<u64>())
}

/// Bytes that a cut may cost: the block of a zstd frame and the chunk of a file that were under way.
pub(crate) const CUT: u64 = 80_000;

/// Runs each pair with these cuts; all runs together send at most a twentieth more than a clean one, or what was under way.
fn sweep(pairs: &[(&str, Pair)], ways: &[Way], sweeps: &[&[u64]]) {
    let mut failures = Vec::new();
    for (name, pair) in pairs {
        for way in ways {
            let pair = pair.clone().run(|run| run.way = *way);
            let clean = clean(&pair).unwrap_or_else(|failure| panic!("{name}, {way:?}: {failure}"));
            let all: u64 = clean.iter().sum();
            for cuts in sweeps {
                match with_cuts(&pair, clean, cuts) {
                    Ok(total) if total <= all + (all / 20).max(CUT * cuts.len() as u64) => {}
                    Ok(total) => {
                        let more = total as f64 / all as f64;
                        failures.push(format!("{name}, {way:?}, {cuts:?}: {more:.3} x {all} bytes"));
                    }
                    Err(failure) => failures.push(format!("{name}, {way:?}, {cuts:?}: {failure}")),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_that_arrived_crosses_again() {
    let name = "resume::nothing_that_arrived_crosses_again";
    isolated(name, Duration::from_secs(600), || sweep(&pairs(), &[Way::Pull], &[&[50], &[18; 5]]));
}

#[test]
fn nothing_that_arrived_crosses_again_wherever_it_broke() {
    let name = "resume::nothing_that_arrived_crosses_again_wherever_it_broke";
    isolated(name, Duration::from_secs(600), || {
        let pairs: Vec<_> =
            pairs().into_iter().filter(|(name, _)| ["many files", "an update"].contains(name)).collect();
        sweep(&pairs, &[Way::Push], &[&[10], &[90], &[99]]);
    });
}

/// Tries are counted from the last one that brought something.
#[test]
fn a_transfer_over_a_link_that_breaks_again_and_again_arrives() {
    let name = "resume::a_transfer_over_a_link_that_breaks_again_and_again_arrives";
    isolated(name, Duration::from_secs(300), || {
        for (lane, way) in [(Lane::Back, Way::Pull), (Lane::Out, Way::Push)] {
            let pair = pair(None, one_file()).run(|run| run.way = way);
            let fault = |at| [Fault { lane, at, kind: FaultKind::Cut }];
            let trial = Trial::of(&pair).unwrap();
            // The last one is not: nothing crosses before the contents.
            assert!(trial.run_over_breaking(&fault(60), 3).is_err());
            let connections = trial.run_over_breaking(&fault(700_000), 1).unwrap();
            assert!((6..=10).contains(&connections), "{connections}");
        }
    });
}

/// A run that ends between the load and the names leaves both the image and its parts.
#[test]
fn parts_go_when_the_image_is_named() {
    let name = "resume::parts_go_when_the_image_is_named";
    isolated(name, Duration::from_secs(60), || {
        for (lane, way) in [(Lane::Back, Way::Pull), (Lane::Out, Way::Push)] {
            let empty = pair(None, many_files(1)).run(|run| run.way = way);
            // A run may also end between the blobs of an image and its manifest.
            let mut with_layers = many_files(1);
            with_layers.layers.push(LayerSpec::of(vec![Entry::file(0, 1, noise(7, 100))]));
            for held in [many_files(1), with_layers] {
                let mut loaded = empty.clone();
                loaded.target = Target::Layout(vec![Item::named("other:1", held)]);
                let cut = Trial::of(&empty).unwrap();
                cut.broken(&[Fault { lane, at: 1_000_000, kind: FaultKind::Cut }]).unwrap();
                let trial = Trial::of(&loaded).unwrap();
                trial.take_caches(&cut);
                // It fails where parts are left.
                trial.run().unwrap();
            }
            // Or between the image's name and the removal of its parts: then the report does it, as nothing is to be done.
            let mut current = pair(Some(many_files(1)), many_files(1)).run(|run| run.way = way);
            current.run.dry_run = true;
            let cut = Trial::of(&empty).unwrap();
            cut.broken(&[Fault { lane, at: 1_000_000, kind: FaultKind::Cut }]).unwrap();
            let trial = Trial::of(&current).unwrap();
            trial.take_caches(&cut);
            trial.run().unwrap();
        }
    });
}

/// The parts of a run without a basis, at a target that has another image of the name meanwhile.
#[test]
fn parts_are_of_use_beside_another_basis() {
    let name = "resume::parts_are_of_use_beside_another_basis";
    isolated(name, Duration::from_secs(300), || {
        let other = image(vec![LayerSpec::of(vec![Entry::file(0, 1, noise(2, 4_000_000))])]);
        for (lane, way) in [(Lane::Back, Way::Pull), (Lane::Out, Way::Push)] {
            let empty = pair(None, one_file()).run(|run| run.way = way);
            let named = pair(Some(other.clone()), one_file()).run(|run| run.way = way);
            for at in [400_000, 1_000_000, 2_100_000, 3_900_000] {
                let cut = Trial::of(&empty).unwrap();
                cut.broken(&[Fault { lane, at, kind: FaultKind::Cut }]).unwrap();
                let trial = Trial::of(&named).unwrap();
                trial.take_caches(&cut);
                let rest: u64 = trial.traffic().unwrap().iter().sum();
                assert!(rest + at < 4_200_000, "{way:?}, {at}: {rest}");
            }
        }
    });
}
