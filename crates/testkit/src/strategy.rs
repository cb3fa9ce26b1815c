//! Strategies of proptest that make images, changes of them, and pairs; they shrink towards small and usual ones.

mod change;
mod image;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use change::{changed, config_change};

use crate::Junk;
use crate::image::{ImageSpec, IndexSpec, Item, RootSpec};
use crate::layout::{Files, Wrap};
use crate::model::host_platform;
use crate::packing::Packing;
use crate::pair::{Compression, Damage, DamageKind, Pair, Run, Select, Target, Way};

pub use change::{Change, ConfigChange, FileChange, change};
pub use image::{content, edit, entry, image, layer, packing, place};

/// Names of images: of one repository, of two, with and without a registry.
pub const NAMES: [&str; 6] = [
    "shop/web:1",
    "shop/web:2",
    "shop/api:latest",
    "alpine:3.20",
    "registry.example:5000/team/app:v1",
    "localhost/x:1",
];

/// The name of the old image of a patch.
const OLD: &str = "patch/old:1";

/// Another image in a store, by its relation to the images of a pair.
#[derive(Debug, Clone)]
enum Held {
    Old,
    New,
    /// The new one after some changes.
    Near(Vec<Change>),
    /// The new one with all layers packed so.
    Packed(Packing),
    /// The lowest layers of the new one.
    Prefix(Index),
    Unrelated(ImageSpec),
}

impl Held {
    fn image(&self, old: &ImageSpec, new: &ImageSpec) -> ImageSpec {
        match self {
            Held::Old => old.clone(),
            Held::New => new.clone(),
            Held::Near(changes) => changed(new, changes),
            Held::Packed(packing) => new.clone().packed(*packing),
            Held::Prefix(at) => {
                let mut image = new.clone();
                image.layers.truncate(at.index(new.layers.len() + 1));
                image
            }
            Held::Unrelated(image) => image.clone(),
        }
    }
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        6 => Just(Held::Old),
        2 => Just(Held::New),
        2 => vec(change(), 1..3).prop_map(Held::Near),
        3 => vec(config_change().prop_map(Change::Config), 1..2).prop_map(Held::Near),
        2 => packing().prop_map(Held::Packed),
        1 => any::<Index>().prop_map(Held::Prefix),
        1 => image().prop_map(Held::Unrelated),
    ]
}

/// The index that holds an image, with others, in a store of manifests. Without it, the image is alone.
#[derive(Debug, Clone)]
struct Dress {
    /// Of other platforms.
    others: Vec<ImageSpec>,
    attested: bool,
    absent: bool,
}

fn dress() -> impl Strategy<Value = Option<Dress>> {
    let platform = select(vec!["linux/arm64", "linux/arm/v7", "linux/riscv64"]);
    let other = (image(), platform)
        .prop_map(|(image, platform)| image.with(|config| config.platform = platform.to_owned()));
    let dress = (vec(other, 0..3), any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(others, attested, absent)| Dress { others, attested, absent });
    option::weighted(0.15, dress)
}

impl Dress {
    /// The image is the one for this host.
    fn wear(self, image: ImageSpec) -> RootSpec {
        let host = host_platform().join("/");
        let mut images = vec![image.with(|config| config.platform = host)];
        images.extend(self.others);
        RootSpec::Index(IndexSpec { images, attested: self.attested, absent: self.absent })
    }
}

fn item(image: ImageSpec, names: Vec<&'static str>, dress: Option<Dress>) -> Item {
    let root = match dress {
        Some(dress) => dress.wear(image),
        None => RootSpec::Image(image),
    };
    Item { names: names.into_iter().map(str::to_owned).collect(), root }
}

fn run() -> impl Strategy<Value = Run> {
    let way = prop_oneof![
        6 => Just(Way::Pull),
        4 => Just(Way::Push),
        1 => Just(Way::Agentless),
        3 => Just(Way::Patch),
    ];
    let compression = prop_oneof![
        6 => Just(Compression::Level(3)),
        2 => Just(Compression::Auto),
        1 => (1..20_i8).prop_map(Compression::Level),
        1 => Just(Compression::Max),
    ];
    let platform = option::weighted(
        0.1,
        prop_oneof![
            3 => Just(host_platform().join("/")),
            1 => Just("linux/arm64".to_owned()),
            1 => Just("linux/arm/v7".to_owned()),
        ],
    );
    let basis = option::weighted(0.1, select(NAMES.to_vec()).prop_map(str::to_owned));
    let select = prop_oneof![
        8 => Just(Select::Names),
        2 => Just(Select::Id),
        2 => any::<u8>().prop_map(Select::Manifest),
        1 => Just(Select::Shop),
        1 => Just(Select::All),
    ];
    let flags = [0.15, 0.05, 0.1, 0.1, 0.1].map(prop::bool::weighted);
    let reads = option::weighted(0.1, 1..2000_u16);
    (way, compression, platform, basis, select, flags, reads).prop_map(
        |(way, compression, platform, basis, select, [content, dry_run, warm, explain, small], reads)| {
            match way {
                // All others are for sessions only.
                Way::Patch => Run { way, compression, content, small, ..Run::default() },
                _ => Run {
                    way,
                    compression,
                    content,
                    platform,
                    basis,
                    dry_run,
                    select,
                    warm,
                    explain,
                    small,
                    reads,
                },
            }
        },
    )
}

/// Kinds of files, and what they are compressed with.
fn source_files() -> impl Strategy<Value = (Files, Wrap)> {
    let archive = select(vec![Files::DockerOld, Files::Docker, Files::Podman, Files::OciArchive]);
    let wrap = prop_oneof![6 => Just(Wrap::None), 1 => Just(Wrap::Gzip), 1 => Just(Wrap::Zstd)];
    prop_oneof![
        5 => Just((Files::Layout, Wrap::None)),
        1 => (archive, wrap),
    ]
}

fn damage_kind() -> impl Strategy<Value = DamageKind> {
    prop_oneof![
        1 => Just(DamageKind::Missing),
        1 => Just(DamageKind::Short),
        2 => any::<u16>().prop_map(DamageKind::Flipped),
    ]
}

/// A pair.
pub fn pair() -> impl Strategy<Value = Pair> {
    let images = (image(), vec(change(), 0..4)).prop_map(|(old, changes)| {
        let new = changed(&old, &changes);
        (old, new)
    });
    let names = |most| subsequence(NAMES.to_vec(), 0..=most);
    let first = (subsequence(NAMES.to_vec(), 1..=2), prop::bool::weighted(0.1), dress());
    let target = prop_oneof![
        1 => Just(None),
        1 => select(vec![Target::Bare, Target::Null]).prop_map(|target| Some(Err(target))),
        10 => vec((held(), names(2), dress(), prop::bool::weighted(0.6)), 0..4).prop_map(|items| Some(Ok(items))),
    ];
    let others = vec((held(), names(2), dress()), 0..3);
    let junk = || {
        prop_oneof![
            6 => Just(Vec::new()),
            1 => vec(select(Junk::ALL.to_vec()), 1..4),
        ]
    };
    let damage =
        option::weighted(0.05, (any::<u8>(), damage_kind()).prop_map(|(blob, kind)| Damage { blob, kind }));
    let broken = ([junk(), junk()], damage);
    (images, first, others, source_files(), target, broken, run()).prop_map(
        |((old, new), (mut names, nameless, dress), others, (files, wrap), target, (junk, damage), run)| {
            let is_patch = run.way == Way::Patch;
            if nameless && !is_patch {
                names.clear();
            }
            let name = names.first().copied();
            let mut source = vec![item(new.clone(), names, dress.clone())];
            if is_patch {
                // The old image of a patch has a name of its own.
                source.push(item(old.clone(), vec![OLD], dress.clone()));
            }
            source.extend(
                others.into_iter().map(|(held, names, dress)| item(held.image(&old, &new), names, dress)),
            );
            let target = match target {
                None => Target::Absent,
                Some(Err(target)) => target,
                Some(Ok(items)) => {
                    let item =
                        |(held, names, other, same): (Held, Vec<&'static str>, Option<Dress>, bool)| {
                            let image = held.image(&old, &new);
                            // Most often it has the name that is asked for, and is in the same kind of index.
                            match (same, name) {
                                (true, Some(name)) => item(image, vec![name], dress.clone()),
                                _ => item(image, names, other),
                            }
                        };
                    Target::Layout(items.into_iter().map(item).collect())
                }
            };
            let damage = damage.filter(|_| files == Files::Layout);
            let mut pair = Pair { source, files, wrap, target, junk, damage, run }.tidy();
            if pair.run.select == Select::All && pair.source.iter().any(|item| item.names.is_empty()) {
                // An image without a name is listed if no readable image has a name.
                pair.damage = None;
            }
            if pair.source.iter().all(|item| item.names.is_empty()) {
                // Then what has no name is listed.
                pair.junk[0].clear();
            }
            if is_patch && pair.source.get(1).is_none_or(|old| old.names != [OLD]) {
                // The old image is the new one.
                pair.run.way = Way::Pull;
            }
            pair
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::{LayerSpec, Snapshot};

    /// The dimensions that a pair is in, as words.
    fn dimensions(pair: &Pair) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut note = |word: &str| found.insert(word.to_owned());
        let images =
            |items: &[Item]| items.iter().flat_map(|item| item.images().to_vec()).collect::<Vec<_>>();
        let (new, held) = (images(&pair.source[..1]), images(pair.held()));
        for image in &new {
            let twice = |layer: &LayerSpec| image.layers.iter().filter(|other| *other == layer).count() > 1;
            if image.layers.iter().any(|layer| *layer == LayerSpec::Empty && twice(layer)) {
                note("the empty layer twice");
            }
            if image.layers.iter().any(|layer| *layer != LayerSpec::Empty && twice(layer)) {
                note("a layer twice");
            }
            if image.layers.is_empty() {
                note("no layers");
            }
            if held.iter().any(|other| other.layers == image.layers && other.config != image.config) {
                note("the same layers, another config");
            }
            if held.iter().any(|other| other.layers == image.layers && other.packing != image.packing) {
                note("the same layers, packed in another way");
            }
            if held.iter().any(|other| other == image) {
                note("the very image is there");
            }
        }
        if matches!(pair.source[0].root, RootSpec::Index(_)) {
            note("an index");
        }
        note(&format!("{:?}", pair.run.way));
        note(&format!("{:?}", pair.files));
        found
    }

    #[test]
    fn pairs_are_in_all_dimensions_and_in_each_often_enough() {
        let mut runner = TestRunner::deterministic();
        let strategy = pair();
        let mut count = std::collections::BTreeMap::new();
        for _ in 0..600 {
            let pair = strategy.new_tree(&mut runner).unwrap().current();
            for word in dimensions(&pair) {
                *count.entry(word).or_insert(0) += 1;
            }
        }
        for word in [
            "the empty layer twice",
            "a layer twice",
            "no layers",
            "the same layers, another config",
            "the same layers, packed in another way",
            "the very image is there",
            "an index",
            "Pull",
            "Push",
            "Agentless",
            "Patch",
            "Layout",
            "DockerOld",
            "Docker",
            "Podman",
            "OciArchive",
        ] {
            assert!(count.get(word).is_some_and(|count| *count >= 6), "{word}: {count:?}");
        }
    }

    #[test]
    fn every_pair_can_be_written_and_the_model_reads_it() {
        let mut runner = TestRunner::deterministic();
        let strategy = pair();
        let dir = tempfile::tempdir().unwrap();
        for number in 0..60 {
            let pair = strategy.new_tree(&mut runner).unwrap().current();
            let source: Vec<_> = pair.source.iter().map(Item::build).collect();
            let path = dir.path().join(format!("source-{number}"));
            pair.write_source(&source, &path).unwrap();
            let path = dir.path().join(format!("target-{number}"));
            pair.write_target(&path).unwrap();
            Snapshot::read(&path).unwrap();
            let path = dir.path().join(format!("layout-{number}"));
            Files::Layout.write(Wrap::None, &source, &path).unwrap();
            let snapshot = Snapshot::read(&path).unwrap_or_else(|error| panic!("{error}: {pair:#?}"));
            let names = source.iter().map(|item| item.names.len()).sum::<usize>();
            assert_eq!(snapshot.names().len(), names, "{pair:#?}");
        }
    }
}
