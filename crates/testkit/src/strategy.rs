//! Strategies of proptest that make images, changes of them, and pairs; they shrink towards small and usual ones.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::Junk;
use crate::config::{ConfigSpec, Created, History, Style};
use crate::content::{Action, Content, ContentKind, Edit};
use crate::files::{End, Entry, Form, LayerSpec, Meta, Node, Place};
use crate::image::{ImageSpec, IndexSpec, Item, RootSpec};
use crate::layout::{Files, Wrap};
use crate::model::host_platform;
use crate::packing::Packing;
use crate::pair::{Damage, DamageKind, Effort, Pair, Run, Select, Target, Way};

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

/// What changes from the old image to the new one, or between images that look alike.
#[derive(Debug, Clone)]
pub enum Change {
    /// A layer comes once more, at another place.
    Again(Index, Index),
    /// A layer is gone.
    Without(Index),
    /// A new layer.
    Layer(Index, LayerSpec),
    /// Two layers change places.
    Swap(Index, Index),
    /// A layer has another end.
    End(Index, End),
    /// A file of a layer changes.
    File(Index, Index, FileChange),
    /// A layer is stored in another way.
    Packed(Index, Packing),
    /// The config changes.
    Config(ConfigChange),
}

/// A change of one entry of a layer.
#[derive(Debug, Clone)]
pub enum FileChange {
    /// Its content is edited.
    Edit(Edit),
    /// Its content is a new one.
    Content(Content),
    /// It is at another place.
    Moved(Place),
    /// It is gone.
    Gone,
    /// There is one more before it.
    New(Entry),
    /// It is newer.
    Touched(u16),
}

/// A change of a config, small as those are that look alike.
#[derive(Debug, Clone)]
pub enum ConfigChange {
    /// Another value of ENV.
    Env(u8),
    /// Another command.
    Cmd(u8),
    /// Another label, or none.
    Label(Option<u8>),
    /// Another history.
    History(History),
    /// Another time.
    Created(Created),
    /// Written in another style.
    Style(Style),
    /// Fields that nobody knows, or none.
    Extra(bool),
    /// Another platform.
    Platform(String),
}

impl Change {
    fn apply(&self, image: &mut ImageSpec) {
        let layers = &mut image.layers;
        match self {
            Change::Layer(at, layer) => layers.insert(at.index(layers.len() + 1), layer.clone()),
            Change::Config(change) => change.apply(&mut image.config),
            _ if layers.is_empty() => {}
            Change::Again(layer, at) => {
                let layer = layers[layer.index(layers.len())].clone();
                layers.insert(at.index(layers.len() + 1), layer);
            }
            Change::Without(at) => drop(layers.remove(at.index(layers.len()))),
            Change::Swap(one, other) => {
                let [one, other] = [one, other].map(|at| at.index(layers.len()));
                layers.swap(one, other);
            }
            Change::End(at, new) => {
                let at = at.index(layers.len());
                if let LayerSpec::Tar { end, .. } = &mut layers[at] {
                    *end = *new;
                }
            }
            Change::File(layer, at, change) => {
                let layer = layer.index(layers.len());
                if let LayerSpec::Tar { entries, .. } = &mut layers[layer] {
                    change.apply(at, entries);
                }
            }
            Change::Packed(at, packing) => {
                let at = at.index(layers.len());
                image.packing.resize(layers.len().max(image.packing.len()), Packing::Plain);
                image.packing[at] = *packing;
            }
        }
    }
}

impl FileChange {
    fn apply(&self, at: &Index, entries: &mut Vec<Entry>) {
        if let FileChange::New(entry) = self {
            return entries.insert(at.index(entries.len() + 1), entry.clone());
        }
        if entries.is_empty() {
            return;
        }
        let at = at.index(entries.len());
        let entry = &mut entries[at];
        match self {
            FileChange::Edit(edit) => {
                if let Some(content) = entry.content_mut() {
                    content.edits.push(*edit);
                }
            }
            FileChange::Content(new) => {
                if let Some(content) = entry.content_mut() {
                    *content = new.clone();
                }
            }
            FileChange::Moved(place) => entry.place = *place,
            FileChange::Gone => drop(entries.remove(at)),
            FileChange::Touched(by) => entry.meta.time = entry.meta.time.wrapping_add(*by),
            FileChange::New(_) => {}
        }
    }
}

impl ConfigChange {
    fn apply(&self, config: &mut ConfigSpec) {
        match self {
            ConfigChange::Env(env) => config.env = *env,
            ConfigChange::Cmd(cmd) => config.cmd = *cmd,
            ConfigChange::Label(label) => config.label = *label,
            ConfigChange::History(history) => config.history = *history,
            ConfigChange::Created(created) => config.created = *created,
            ConfigChange::Style(style) => config.style = *style,
            ConfigChange::Extra(extra) => config.extra = *extra,
            ConfigChange::Platform(platform) => config.platform.clone_from(platform),
        }
    }
}

/// An image after some changes.
fn changed(image: &ImageSpec, changes: &[Change]) -> ImageSpec {
    let mut image = image.clone();
    changes.iter().for_each(|change| change.apply(&mut image));
    image
}

/// An edit of a content.
pub fn edit() -> impl Strategy<Value = Edit> {
    let action = select(vec![Action::Overwrite, Action::Insert, Action::Delete]);
    (any::<u16>(), action, 1..200_u16).prop_map(|(at, action, len)| Edit { at, action, len })
}

/// The bytes of a file: most are small; of some a part changes beyond the boundaries of pieces.
pub fn content() -> impl Strategy<Value = Content> {
    let kind = prop_oneof![
        6 => Just(ContentKind::Text),
        3 => Just(ContentKind::Noise),
        1 => Just(ContentKind::Repeats),
        1 => Just(ContentKind::Zeros),
        1 => Just(ContentKind::Gzip),
        1 => Just(ContentKind::Executable),
    ];
    let len = prop_oneof![
        8 => 1..700_u32,
        4 => 700..9_000_u32,
        2 => Just(0),
        2 => (1..5_u32).prop_map(|blocks| blocks * 512),
        2 => 9_000..60_000_u32,
        1 => 250_000..300_000_u32,
    ];
    (kind, 0..5_u32, len, vec(edit(), 0..2)).prop_map(|(kind, seed, len, edits)| Content {
        kind,
        seed,
        len,
        edits,
    })
}

/// The place of an entry.
pub fn place() -> impl Strategy<Value = Place> {
    let form = prop_oneof![
        12 => Just(Form::Plain),
        1 => Just(Form::Dotted),
        1 => Just(Form::Ustar),
        1 => Just(Form::Gnu),
        1 => Just(Form::Pax),
        1 => Just(Form::NotText),
    ];
    (0..5_u8, 0..6_u8, form).prop_map(|(dir, name, form)| Place { dir, name, form })
}

/// One entry of a tar.
pub fn entry() -> impl Strategy<Value = Entry> {
    let node = prop_oneof![
        16 => content().prop_map(Node::File),
        2 => Just(Node::Dir),
        1 => (0..6_u8).prop_map(Node::Symlink),
        2 => (0..6_u8).prop_map(Node::HardLink),
        1 => Just(Node::Whiteout),
        1 => Just(Node::Opaque),
        1 => Just(Node::Fifo),
        1 => any::<u8>().prop_map(Node::Device),
        2 => (content(), any::<u8>()).prop_map(|(content, len)| Node::Attributed(content, len)),
        1 => content().prop_map(Node::SizedInPax),
        1 => content().prop_map(Node::SizedInBinary),
        1 => content().prop_map(Node::Sparse),
        1 => (0..2000_u32).prop_map(Node::SymlinkWithSize),
        1 => any::<u8>().prop_map(Node::GlobalComment),
    ];
    let meta = prop_oneof![
        3 => Just(Meta::default()),
        1 => (select(vec![0_u32, 1000, 3_000_000]), 0..0o7777_u16, 0..100_u16)
            .prop_map(|(owner, mode, time)| Meta { owner, mode, time }),
    ];
    (place(), node, meta).prop_map(|(place, node, meta)| Entry { place, node, meta })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        10 => Just(End::Usual),
        2 => Just(End::Record),
        1 => Just(End::Missing),
        1 => Just(End::OneBlock),
        1 => (1..1500_u16).prop_map(End::Garbage),
    ]
}

/// A layer.
pub fn layer() -> impl Strategy<Value = LayerSpec> {
    prop_oneof![
        12 => (vec(entry(), 0..6), end()).prop_map(|(entries, end)| LayerSpec::Tar { entries, end }),
        2 => Just(LayerSpec::Empty),
        1 => content().prop_map(LayerSpec::Raw),
    ]
}

/// A packing of a layer.
pub fn packing() -> impl Strategy<Value = Packing> {
    prop_oneof![
        4 => Just(Packing::Plain),
        4 => Just(Packing::Go(6)),
        1 => (1..9_i8).prop_map(Packing::Go),
        1 => Just(Packing::Gnu(6)),
        1 => Just(Packing::Pgzip),
        1 => Just(Packing::OtherGzip),
        1 => Just(Packing::Zstd),
        1 => Just(Packing::OtherZstd),
    ]
}

fn created() -> impl Strategy<Value = Created> {
    prop_oneof![
        6 => Just(Created::Epoch),
        2 => any::<u8>().prop_map(Created::Minute),
        2 => Just(Created::Missing),
        1 => any::<u8>().prop_map(Created::Offset),
        1 => any::<u8>().prop_map(Created::Fraction),
        1 => Just(Created::NoTime),
    ]
}

fn history() -> impl Strategy<Value = History> {
    prop_oneof![
        6 => (0..3_u8).prop_map(History::Fitting),
        1 => Just(History::WithEmptySteps),
        1 => Just(History::Missing),
        1 => Just(History::Null),
        1 => Just(History::Short),
        1 => Just(History::Long),
    ]
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        8 => Just(Style::Compact),
        1 => Just(Style::LineEnd),
        1 => Just(Style::Reversed),
        1 => Just(Style::Pretty),
        1 => Just(Style::Escaped),
    ]
}

/// Platforms, usual and odd; that of this host first.
fn platform() -> impl Strategy<Value = String> {
    let host = host_platform().join("/");
    prop_oneof![
        12 => Just(host),
        1 => Just("linux/arm/v7".to_owned()),
        1 => Just("linux/arm64/v8".to_owned()),
        1 => Just("windows/amd64".to_owned()),
        1 => Just("linux/".to_owned()),
        1 => Just("/".to_owned()),
    ]
}

fn config() -> impl Strategy<Value = ConfigSpec> {
    let numbers = (0..3_u8, 0..3_u8, option::weighted(0.2, 0..3_u8), prop::bool::weighted(0.1));
    (platform(), created(), history(), style(), numbers).prop_map(
        |(platform, created, history, style, (env, cmd, label, extra))| ConfigSpec {
            platform,
            created,
            env,
            cmd,
            label,
            history,
            extra,
            style,
        },
    )
}

/// An image.
pub fn image() -> impl Strategy<Value = ImageSpec> {
    let packing = prop_oneof![
        4 => vec(packing(), 0..5),
        1 => Just(Vec::new()),
    ];
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.1));
    (vec(layer(), 0..5), packing, config(), flags).prop_map(
        |(layers, packing, config, (docker, annotated))| ImageSpec {
            layers,
            packing,
            config,
            docker,
            annotated,
        },
    )
}

fn config_change() -> impl Strategy<Value = ConfigChange> {
    prop_oneof![
        3 => (0..4_u8).prop_map(ConfigChange::Env),
        2 => (0..4_u8).prop_map(ConfigChange::Cmd),
        2 => option::of(0..3_u8).prop_map(ConfigChange::Label),
        2 => history().prop_map(ConfigChange::History),
        1 => created().prop_map(ConfigChange::Created),
        1 => style().prop_map(ConfigChange::Style),
        1 => any::<bool>().prop_map(ConfigChange::Extra),
        1 => platform().prop_map(ConfigChange::Platform),
    ]
}

fn file_change() -> impl Strategy<Value = FileChange> {
    prop_oneof![
        6 => edit().prop_map(FileChange::Edit),
        2 => content().prop_map(FileChange::Content),
        2 => place().prop_map(FileChange::Moved),
        2 => Just(FileChange::Gone),
        3 => entry().prop_map(FileChange::New),
        1 => (1..50_u16).prop_map(FileChange::Touched),
    ]
}

/// A change from an old image to a new one.
pub fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        8 => (index(), index(), file_change()).prop_map(|(layer, at, change)| Change::File(layer, at, change)),
        4 => (index(), index()).prop_map(|(layer, at)| Change::Again(layer, at)),
        4 => config_change().prop_map(Change::Config),
        3 => (index(), layer()).prop_map(|(at, layer)| Change::Layer(at, layer)),
        2 => index().prop_map(Change::Without),
        2 => (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        2 => (index(), packing()).prop_map(|(at, packing)| Change::Packed(at, packing)),
        1 => (index(), end()).prop_map(|(at, end)| Change::End(at, end)),
    ]
}

/// What else a store has, by its relation to the images of a pair.
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

/// How an image is in a store of manifests: alone, or in an index with others.
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
        1 => Just(Way::Whole),
        3 => Just(Way::Patch),
    ];
    let effort = prop_oneof![
        6 => Just(Effort::Level(3)),
        2 => Just(Effort::Auto),
        1 => (1..20_i8).prop_map(Effort::Level),
        1 => Just(Effort::Max),
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
        1 => Just(Select::Shop),
        1 => Just(Select::All),
    ];
    let flags = [0.15, 0.05, 0.1, 0.1, 0.1].map(prop::bool::weighted);
    let reads = option::weighted(0.1, 1..2000_u16);
    (way, effort, platform, basis, select, flags, reads).prop_map(
        |(way, effort, platform, basis, select, [content, dry_run, warm, explain, small], reads)| match way {
            // All others are for sessions only.
            Way::Patch => Run { way, effort, content, small, ..Run::default() },
            _ => Run { way, effort, content, platform, basis, dry_run, select, warm, explain, small, reads },
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
                // What has no name is listed where nothing that can be read has one.
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
    use crate::Snapshot;

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
            "Whole",
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
