//! A pair: what a source has, what a target has, and a run between them; with what must come of it.

mod stores;

use std::collections::BTreeSet;
use std::fmt;

use crate::image::{Built, BuiltImage, Item};
use crate::layout::{Files, Wrap, familiar};
use crate::model::{Snapshot, Wanted, What, meant};
use crate::{Junk, sha256};

/// A source, a target, and a run between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The items of the source. The first is asked for; in a patch the second is the old one.
    pub source: Vec<Item>,
    /// The files that the source has it in.
    pub files: Files,
    /// The compression of the files.
    pub wrap: Wrap,
    /// The state of the target.
    pub target: Target,
    /// Other things in the layouts of the source and of the target, none of them an image.
    pub junk: [Vec<Junk>; 2],
    /// The damage to a source that is a layout.
    pub damage: Option<Damage>,
    /// The options of the run.
    pub run: Run,
}

/// Something broken of the first item of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The number of the blob in the item, counted around.
    pub blob: u8,
    /// The kind of damage.
    pub kind: DamageKind,
}

/// A kind of damage to a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// It is not there.
    Missing,
    /// It is shorter than it was.
    Short,
    /// A byte is another.
    Flipped(u16),
}

/// The state of a target, which is a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// There is no directory.
    Absent,
    /// A directory with nothing in it.
    Bare,
    /// A layout whose list of images is `null`.
    Null,
    /// A layout that has this, or nothing.
    Layout(Vec<Item>),
}

/// The options of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    /// The way that the image takes.
    pub way: Way,
    /// The compression.
    pub compression: Compression,
    /// `--identity content`.
    pub content: bool,
    /// `--platform`.
    pub platform: Option<String>,
    /// `--basis`.
    pub basis: Option<String>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// The images that the run asks for.
    pub select: Select,
    /// Everything once before, on a copy of the target: then the index caches know the layers.
    pub warm: bool,
    /// `--explain`.
    pub explain: bool,
    /// With the least `--memory` that there is.
    pub small: bool,
    /// No read of the connection gives more bytes than this.
    pub reads: Option<u16>,
}

/// The way that an image takes to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A session that pulls.
    Pull,
    /// A session that pushes.
    Push,
    /// A session that pushes layers whole, as where no agent can run.
    Agentless,
    /// `diff` and `apply`.
    Patch,
}

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As the link allows.
    Auto,
    /// A level of zstd.
    Level(i8),
    /// `--compression max`.
    Max,
}

/// The images that a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The first item by all of its names, or by its ID where it has none.
    Names,
    /// The first item by its ID.
    Id,
    /// One image of the first item, counted around, by its names and the digest of its manifest; by the digest alone where
    /// it has no names.
    Manifest(u8),
    /// All names that begin with `shop/`.
    Shop,
    /// Every image.
    All,
}

/// The required outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeds, and the target holds this.
    Must(Vec<Wanted>),
    /// It succeeds, and the target holds this; or it fails, and nothing has changed.
    May(Vec<Wanted>),
    /// It fails, and nothing has changed.
    Refused,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            way: Way::Pull,
            compression: Compression::Level(3),
            content: false,
            platform: None,
            basis: None,
            dry_run: false,
            select: Select::Names,
            warm: false,
            explain: false,
            small: false,
            reads: None,
        }
    }
}

/// Only what is not usual.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Run");
        shown.field("way", &self.way).field("compression", &self.compression).field("select", &self.select);
        let flags = [
            ("content", self.content),
            ("dry_run", self.dry_run),
            ("warm", self.warm),
            ("explain", self.explain),
            ("small", self.small),
        ];
        for (name, is_set) in flags {
            if is_set {
                shown.field(name, &true);
            }
        }
        for (name, text) in [("platform", &self.platform), ("basis", &self.basis)] {
            if let Some(text) = text {
                shown.field(name, text);
            }
        }
        if let Some(reads) = self.reads {
            shown.field("reads", &reads);
        }
        shown.finish()
    }
}

impl Pair {
    /// A pull of an image to a target that has another under the same name.
    pub fn update(name: &str, old: crate::ImageSpec, new: crate::ImageSpec) -> Pair {
        Pair {
            source: vec![Item::named(name, new)],
            files: Files::Layout,
            wrap: Wrap::None,
            target: Target::Layout(vec![Item::named(name, old)]),
            junk: Default::default(),
            damage: None,
            run: Run::default(),
        }
    }

    /// The same to another target.
    #[must_use]
    pub fn to(self, target: Target) -> Pair {
        Pair { target, ..self }
    }

    /// The same, run in another way.
    #[must_use]
    pub fn run(mut self, change: impl FnOnce(&mut Run)) -> Pair {
        change(&mut self.run);
        self
    }

    /// The items of the target.
    pub fn held(&self) -> &[Item] {
        match &self.target {
            Target::Layout(items) => items,
            Target::Absent | Target::Bare | Target::Null => &[],
        }
    }

    /// The IMAGE arguments; none for all images.
    pub fn selection(&self, source: &[Built]) -> Vec<String> {
        let Some(first) = source.first() else { return Vec::new() };
        match self.run.select {
            Select::Names if first.names.is_empty() => vec![self.id(first)],
            Select::Names => first.names.clone(),
            Select::Id => vec![self.id(first)],
            Select::Manifest(at) => {
                let digest = &around(&first.images, at).manifest;
                match &first.names[..] {
                    [] => vec![digest.clone()],
                    names => names.iter().map(|name| format!("{name}@{digest}")).collect(),
                }
            }
            Select::Shop => vec!["shop/*:*".to_owned()],
            Select::All => Vec::new(),
        }
    }

    /// The ID of an item in these files.
    fn id(&self, item: &Built) -> String {
        match (self.files.by_manifest(), item.meant(None)) {
            (false, Some(image)) => sha256(&image.config),
            _ => item.root.digest.clone(),
        }
    }

    /// The required outcome of the run.
    pub fn outcome(&self, source: &[Built], before: &Snapshot) -> Outcome {
        let platform = self.run.platform.as_deref();
        let (mut wanted, mut refused) = (Vec::new(), false);
        for asked in self.asked(source) {
            let Some(image) = self.meant(&asked, platform) else {
                refused = true;
                continue;
            };
            if asked.manifest.is_some() {
                let what = if self.run.content { What::content(image) } else { What::manifest(image) };
                let seen_by =
                    platform.filter(|_| !self.run.content).map(|_| What::content_for(image, platform));
                wanted.push(Wanted { name: asked.name.map(|name| familiar(&name)), what, seen_by });
                continue;
            }
            let what = match (self.files.by_manifest() && !self.run.content, platform) {
                // Of a damaged index goes over what is whole, which may be the images for other platforms.
                (true, None) if self.damage.is_some() && asked.item.images.len() > 1 => {
                    let root = asked.item.root.digest.clone();
                    What::Root(root.clone(), BTreeSet::from([root]))
                }
                (true, None) if self.damage.is_some() => match What::manifest(image) {
                    What::Root(_, blobs) => What::Root(asked.item.root.digest.clone(), blobs),
                    what => what,
                },
                (true, None) => What::root(asked.item),
                // An index stands for the only image that is left in it, as that of a store which has one platform does.
                (false, None) if self.damage.is_some() && self.files.by_manifest() => {
                    What::Any(asked.item.images.iter().map(What::content).collect())
                }
                (true, Some(_)) => What::manifest(image),
                (false, _) => What::content_for(image, platform),
            };
            let by_one_platform = self.files.by_manifest() && !self.run.content && platform.is_some();
            let seen_by = by_one_platform.then(|| What::content_for(image, platform));
            wanted.push(Wanted { name: asked.name.map(|name| familiar(&name)), what, seen_by });
        }
        let is_general = matches!(self.run.select, Select::Shop | Select::All) && self.run.way != Way::Patch;
        let nothing = wanted.is_empty() && self.run.select != Select::All;
        if nothing || refused && !is_general {
            return Outcome::Refused;
        }
        let basis_is_there = match &self.run.basis {
            Some(name) => before.names().contains_key(name),
            None => true,
        };
        let patch_fits = self.run.way != Way::Patch || {
            let old = source.get(1).map(What::root);
            old.is_some_and(|old| before.holds(&old)) && !self.run.content
        };
        // Engines unpack it, too, when they load it.
        let unpacks = !self.files.by_manifest() && source.iter().any(Built::has_packed_layers);
        match basis_is_there && patch_fits && !unpacks && self.damage.is_none() {
            true => Outcome::Must(wanted),
            false => Outcome::May(wanted),
        }
    }

    /// The image of an item that is meant; an archive has only the one for this host, and knows no manifest.
    fn meant<'a>(&self, asked: &Asked<'a>, platform: Option<&str>) -> Option<&'a BuiltImage> {
        let item = asked.item;
        match (self.files.by_manifest(), asked.manifest) {
            (true, Some(image)) => meant(std::slice::from_ref(image), |image| &image.platform, platform),
            (false, Some(_)) => None,
            (true, None) => item.meant(platform),
            (false, None) => {
                meant(std::slice::from_ref(item.meant(None)?), |image| &image.platform, platform)
            }
        }
    }

    /// The items that are asked for, each with the name for it.
    fn asked<'a>(&self, source: &'a [Built]) -> Vec<Asked<'a>> {
        let Some(first) = source.first() else { return Vec::new() };
        let named = |item: &'a Built, selects: &dyn Fn(&str) -> bool| {
            let names = item.names.iter().filter(|name| selects(name));
            names.map(|name| Asked { item, name: Some(name.clone()), manifest: None }).collect::<Vec<_>>()
        };
        let shop = |name: &str| name.strip_prefix("shop/").is_some_and(|rest| !rest.contains('/'));
        match (self.run.way, self.run.select) {
            (Way::Patch, _) => {
                let name = first.names.first().cloned();
                vec![Asked { item: first, name, manifest: None }]
            }
            (_, Select::Names) if !first.names.is_empty() => named(first, &|_| true),
            (_, Select::Names | Select::Id) => vec![Asked { item: first, name: None, manifest: None }],
            (_, Select::Manifest(at)) => {
                let manifest = Some(around(&first.images, at));
                let names: Vec<Option<String>> = match &first.names[..] {
                    [] => vec![None],
                    names => names.iter().cloned().map(Some).collect(),
                };
                names.into_iter().map(|name| Asked { item: first, name, manifest }).collect()
            }
            (_, Select::Shop) => source.iter().flat_map(|item| named(item, &shop)).collect(),
            (_, Select::All) => {
                let mut asked: Vec<Asked<'a>> =
                    source.iter().flat_map(|item| named(item, &|_| true)).collect();
                // Of files that is every image without a name as well; of a layout where none has one.
                if self.files != Files::Layout || asked.is_empty() {
                    // An image that is there twice is listed once.
                    let mut listed: BTreeSet<String> =
                        asked.iter().map(|asked| self.id(asked.item)).collect();
                    let nameless = source.iter().filter(|item| item.names.is_empty());
                    let nameless = nameless.filter(|item| listed.insert(self.id(item)));
                    asked.extend(nameless.map(|item| Asked { item, name: None, manifest: None }));
                }
                asked
            }
        }
    }

    /// The same with names that are each the name of one item in a store, and one item for each root.
    #[must_use]
    pub fn tidy(mut self) -> Pair {
        tidy(&mut self.source);
        if let Target::Layout(items) = &mut self.target {
            tidy(items);
        }
        self
    }
}

/// Something that is asked for.
struct Asked<'a> {
    item: &'a Built,
    name: Option<String>,
    /// The image of the item, where it is asked for by the digest of its manifest.
    manifest: Option<&'a BuiltImage>,
}

fn around<T>(list: &[T], at: u8) -> &T {
    &list[usize::from(at) % list.len()]
}

fn tidy(items: &mut Vec<Item>) {
    let mut taken = BTreeSet::new();
    let mut kept: Vec<Item> = Vec::new();
    for mut item in items.drain(..) {
        item.names.retain(|name| taken.insert(name.clone()));
        match kept.iter_mut().find(|other| other.root == item.root) {
            Some(same) => same.names.append(&mut item.names),
            None => kept.push(item),
        }
    }
    *items = kept;
}

impl Built {
    /// True if a layer is itself in gzip or zstd, before it is stored.
    fn has_packed_layers(&self) -> bool {
        let is_packed =
            |tar: &[u8]| tar.starts_with(&[0x1f, 0x8b]) || tar.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        self.images.iter().flat_map(|image| &image.layers).any(|layer| is_packed(layer))
    }

    /// The image that is meant where one is: the only one, or that for the platform, or for this host's. A plain image for
    /// another platform than the one that is asked for is not meant.
    pub fn meant(&self, platform: Option<&str>) -> Option<&BuiltImage> {
        meant(&self.images, |image| &image.platform, platform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host_platform;
    use crate::{ImageSpec, IndexSpec, LayerSpec, RootSpec};

    fn image(seed: u32) -> ImageSpec {
        ImageSpec::of(vec![LayerSpec::text(seed, 100)])
    }

    fn outcome(pair: &Pair) -> Outcome {
        let dir = tempfile::tempdir().unwrap();
        let held: Vec<Built> = pair.held().iter().map(Item::build).collect();
        Files::Layout.write(Wrap::None, &held, dir.path()).unwrap();
        let source: Vec<Built> = pair.source.iter().map(Item::build).collect();
        pair.outcome(&source, &Snapshot::read(dir.path()).unwrap())
    }

    #[test]
    fn what_is_wanted_depends_on_the_files_and_the_identity() {
        let pair = Pair::update("shop/web:1", image(1), image(2));
        let built = pair.source[0].build();
        let wants = |what| Outcome::Must(vec![Wanted::new(Some("shop/web:1".into()), what)]);
        assert_eq!(outcome(&pair), wants(What::root(&built)));
        let content = wants(What::content(&built.images[0]));
        assert_eq!(outcome(&pair.clone().run(|run| run.content = true)), content);
        assert_eq!(outcome(&Pair { files: Files::Podman, ..pair.clone() }), content);
        let other = pair.run(|run| run.platform = Some("linux/riscv64".into()));
        assert_eq!(outcome(&other), Outcome::Refused);
    }

    #[test]
    fn of_an_index_one_platform_is_meant() {
        let host = host_platform().join("/");
        let image = |platform: &str| image(1).with(|config| config.platform = platform.to_owned());
        let images = vec![image("linux/s390x/v1"), image(&host)];
        let index = IndexSpec { images, attested: true, absent: false };
        let built = Item { names: Vec::new(), root: RootSpec::Index(index) }.build();
        let meant = |platform| built.meant(platform).map(|image| image.platform.clone());
        assert_eq!(meant(None), Some(host));
        assert_eq!(meant(Some("linux/s390x")).as_deref(), Some("linux/s390x/v1"));
        assert_eq!(meant(Some("linux/s390x/v2")), None);
    }

    #[test]
    fn names_are_each_of_one_item() {
        let mut pair = Pair::update("a:1", image(1), image(2));
        pair.source.push(Item::named("a:1", image(3)));
        pair.source.push(Item::named("b:1", image(2)));
        let names: Vec<Vec<String>> = pair.tidy().source.into_iter().map(|item| item.names).collect();
        assert_eq!(names, [vec!["a:1".to_owned(), "b:1".to_owned()], Vec::new()]);
    }
}
