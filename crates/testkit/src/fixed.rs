//! A fixed set of pairs, small and always the same: each dimension once, for engines, which are too slow for many.
//!
//! The images of a pair have contents and names that no other pair has, so all pairs fit into one engine at once.

use crate::config::{Created, History, Style};
use crate::content::{Action, Content, ContentKind, Edit};
use crate::files::{End, Entry, Form, LayerSpec, Meta, Node, Place};
use crate::image::{ImageSpec, IndexSpec, Item, RootSpec};
use crate::layout::{Files, Wrap};
use crate::model::host_platform;
use crate::packing::Packing;
use crate::pair::{Pair, Run, Target};

/// A pair of the fixed set.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The topic, as a part of names.
    pub name: &'static str,
    /// The only item of the source.
    pub new: Item,
    /// The items of the target.
    pub old: Vec<Item>,
    /// The stores that can have these images at all.
    pub fits: Fits,
}

/// The stores that can have an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fits {
    /// All.
    All,
    /// All, but engines whose ID is the config's digest show another ID for the old and the new image only where the config
    /// differs: here it does not, so there is no update for them.
    Manifests,
    /// Only files: engines refuse such a layer, or change it.
    Files,
}

impl Fixed {
    /// The pair as a run between files.
    pub fn pair(&self) -> Pair {
        Pair {
            source: vec![self.new.clone()],
            files: Files::Layout,
            wrap: Wrap::None,
            target: if self.old.is_empty() { Target::Absent } else { Target::Layout(self.old.clone()) },
            junk: Default::default(),
            damage: None,
            run: Run::default(),
        }
    }
}

/// The maker of a pair's own contents and names.
struct Maker {
    name: &'static str,
    seed: u32,
}

impl Maker {
    /// A name of this pair with this tag.
    fn tag(&self, tag: &str) -> String {
        format!("registry.example/fixed/{}:{tag}", self.name)
    }

    fn text(&self, number: u32, len: u32) -> Content {
        Content::text(self.seed + number, len)
    }

    fn noise(&self, number: u32, len: u32) -> Content {
        Content::noise(self.seed + number, len)
    }

    /// A layer of a directory and a file of text.
    fn layer(&self, number: u32) -> LayerSpec {
        LayerSpec::of(vec![dir(3), Entry::file(3, number as u8, self.text(number, 3000))])
    }

    /// The same layer after an edit.
    fn edited(&self, number: u32) -> LayerSpec {
        let content = self.text(number, 3000).edited(edit(20_000, Action::Overwrite, 30));
        LayerSpec::of(vec![dir(3), Entry::file(3, number as u8, content)])
    }

    fn named(&self, tag: &str, image: ImageSpec) -> Item {
        Item::named(&self.tag(tag), image)
    }
}

fn dir(dir: u8) -> Entry {
    Entry { place: Place::plain(dir, 99), node: Node::Dir, meta: Meta::default() }
}

fn at(place: Place, node: Node) -> Entry {
    Entry { place, node, meta: Meta::default() }
}

fn edit(at: u16, action: Action, len: u16) -> Edit {
    Edit { at, action, len }
}

fn host() -> String {
    host_platform().join("/")
}

fn image(layers: Vec<LayerSpec>) -> ImageSpec {
    ImageSpec::of(layers).with(|config| config.platform = host())
}

/// All pairs.
pub fn pairs() -> Vec<Fixed> {
    let makers: [(&'static str, Make); 41] = [
        ("usual", usual),
        ("middle", |m| update(m, &[1, 2, 3], |m| vec![m.layer(1), m.edited(2), m.layer(3)])),
        ("reordered", |m| update(m, &[1, 2, 3], |m| vec![m.layer(2), m.layer(1), m.layer(3)])),
        ("inserted", |m| update(m, &[1, 2], |m| vec![m.layer(1), m.layer(3), m.layer(2)])),
        ("removed", |m| update(m, &[1, 2, 3], |m| vec![m.layer(1), m.layer(3)])),
        ("empty-twice", |m| {
            update(m, &[1], |m| vec![m.layer(1), LayerSpec::Empty, m.edited(2), LayerSpec::Empty])
        }),
        ("empty-first", |m| update(m, &[1], |m| vec![LayerSpec::Empty, LayerSpec::Empty, m.edited(1)])),
        ("twice-around", |m| update(m, &[1, 2, 1], |m| vec![m.layer(1), m.edited(2), m.layer(1)])),
        ("twice-changed", |m| update(m, &[1, 2, 1], |m| vec![m.edited(1), m.layer(2), m.edited(1)])),
        ("twice-new", |m| first(m, image(vec![m.layer(1), m.layer(2), m.layer(1), m.layer(1)]))),
        ("no-layers", |m| first(m, image(Vec::new()))),
        ("no-layers-env", |m| alike(m, Vec::new(), |config| config.env = 1)),
        ("env", |m| alike(m, vec![m.layer(1)], |config| config.env = 1)),
        ("cmd", |m| alike(m, vec![m.layer(1)], |config| config.cmd = 1)),
        ("label", |m| alike(m, vec![m.layer(1)], |config| config.label = Some(1))),
        ("history", |m| alike(m, vec![m.layer(1)], |config| config.history = History::Fitting(1))),
        ("style", |m| alike(m, vec![m.layer(1)], |config| config.style = Style::Reversed)),
        ("alike-elsewhere", alike_elsewhere),
        ("there-elsewhere", there_elsewhere),
        ("repacked", repacked),
        ("packed-twice", packed_twice),
        ("platforms", |m| indexed(m, false)),
        ("attested", |m| indexed(m, true)),
        ("names", names),
        ("no-architecture", |m| odd(m, |config| config.platform = "linux/".to_owned())),
        ("no-system", |m| odd(m, |config| config.platform = "/".to_owned())),
        ("no-time", |m| odd(m, |config| config.created = Created::Missing)),
        ("offset", |m| odd(m, |config| config.created = Created::Offset(2))),
        ("no-history", |m| odd(m, |config| config.history = History::Missing)),
        ("short-history", |m| odd(m, |config| config.history = History::Short)),
        ("long-history", |m| odd(m, |config| config.history = History::Long)),
        ("unknown-fields", |m| odd(m, |config| (config.extra, config.style) = (true, Style::Pretty))),
        ("files", files),
        ("links", links),
        ("paths", paths),
        ("attributes", attributes),
        ("whiteouts", whiteouts),
        ("large", large),
        ("other-chain", other_chain),
        ("no-tar", no_tar),
        ("sparse", sparse),
    ];
    let made = makers.into_iter().enumerate().map(|(number, (name, make))| {
        let maker = Maker { name, seed: 1000 * (number as u32 + 1) };
        make(&maker)
    });
    made.collect()
}

type Make = fn(&Maker) -> Fixed;

/// Over an image of these layers under the same name.
fn update(m: &Maker, old: &[u32], new: fn(&Maker) -> Vec<LayerSpec>) -> Fixed {
    let old = image(old.iter().map(|number| m.layer(*number)).collect());
    fixed(m, vec![m.named("1", old)], image(new(m)))
}

fn fixed(m: &Maker, old: Vec<Item>, new: ImageSpec) -> Fixed {
    Fixed { name: m.name, new: m.named("1", new), old, fits: Fits::All }
}

/// To a target that has nothing of it.
fn first(m: &Maker, new: ImageSpec) -> Fixed {
    // Configs must differ between pairs, which no layers would do.
    let number = (m.seed / 1000) as u8;
    fixed(m, Vec::new(), new.with(|config| config.label = Some(number)))
}

/// Over an image that differs in the config alone.
fn alike(m: &Maker, layers: Vec<LayerSpec>, change: fn(&mut crate::ConfigSpec)) -> Fixed {
    let number = (m.seed / 1000) as u8;
    let old = image(layers).with(|config| config.cmd = number);
    fixed(m, vec![m.named("1", old.clone())], old.with(change))
}

/// An image with an odd config over a usual one.
fn odd(m: &Maker, change: fn(&mut crate::ConfigSpec)) -> Fixed {
    let old = image(vec![m.layer(1), m.layer(2)]);
    fixed(m, vec![m.named("1", old)], image(vec![m.layer(1), m.edited(2)]).with(change))
}

fn usual(m: &Maker) -> Fixed {
    let packed = |layers| image(layers).packed(Packing::Go(6));
    let old = packed(vec![m.layer(1), m.layer(2)]);
    fixed(m, vec![m.named("1", old)], packed(vec![m.layer(1), m.edited(2), m.layer(3)]))
}

fn alike_elsewhere(m: &Maker) -> Fixed {
    let new = image(vec![m.layer(1), m.layer(2)]);
    let alike = new.clone().with(|config| config.env = 1);
    fixed(m, vec![m.named("other", alike)], new)
}

fn there_elsewhere(m: &Maker) -> Fixed {
    let new = image(vec![m.layer(1), m.layer(2)]);
    let old = image(vec![m.layer(1)]);
    fixed(m, vec![m.named("other", new.clone()), m.named("1", old)], new)
}

fn repacked(m: &Maker) -> Fixed {
    let new = image(vec![m.layer(1), m.layer(2)]);
    let old = new.clone().packed(Packing::Go(6));
    Fixed { fits: Fits::Manifests, ..fixed(m, vec![m.named("1", old)], new.packed(Packing::Go(9))) }
}

fn packed_twice(m: &Maker) -> Fixed {
    let mut new = image(vec![m.layer(1), m.layer(2), m.layer(1)]).packed(Packing::Go(6));
    new.packing[2] = Packing::Plain;
    fixed(m, vec![m.named("1", image(vec![m.layer(1)]).packed(Packing::Go(6)))], new)
}

fn indexed(m: &Maker, attested: bool) -> Fixed {
    let index = |layers: Vec<LayerSpec>| {
        let own = image(layers.clone()).packed(Packing::Go(6));
        let other = own.clone().with(|config| config.platform = "linux/riscv64".to_owned());
        let root = RootSpec::Index(IndexSpec { images: vec![own, other], attested, absent: false });
        Item { names: vec![m.tag("1")], root }
    };
    let old = index(vec![m.layer(1), m.layer(2)]);
    Fixed { name: m.name, new: index(vec![m.layer(1), m.edited(2)]), old: vec![old], fits: Fits::All }
}

fn names(m: &Maker) -> Fixed {
    let mut made = update(m, &[1, 2], |m| vec![m.layer(1), m.edited(2)]);
    made.new.names = ["1", "2", "latest", "v1", "v1.2"].map(|tag| m.tag(tag)).to_vec();
    made
}

fn files(m: &Maker) -> Fixed {
    let file = |name, content| Entry::file(3, name, content);
    let old = vec![
        dir(3),
        file(1, m.text(1, 4000)),
        file(2, m.text(2, 900)),
        file(3, m.text(3, 0)),
        file(4, m.noise(4, 2000)),
        file(5, Content { kind: ContentKind::Gzip, ..m.text(5, 20_000) }),
        file(6, Content { kind: ContentKind::Executable, ..m.text(6, 6000) }),
    ];
    let new = vec![
        dir(3),
        file(1, m.text(1, 4000).edited(edit(100, Action::Insert, 40))),
        // The second is gone, the third is as it was, the fourth has another name and one is new.
        file(3, m.text(3, 0)),
        file(40, m.noise(4, 2000)),
        file(
            5,
            Content { kind: ContentKind::Gzip, ..m.text(5, 20_000).edited(edit(9000, Action::Delete, 25)) },
        ),
        file(6, Content { kind: ContentKind::Executable, ..m.text(6, 7000) }),
        file(7, m.text(7, 512)),
    ];
    fixed(m, vec![m.named("1", image(vec![LayerSpec::of(old)]))], image(vec![LayerSpec::of(new)]))
}

fn links(m: &Maker) -> Fixed {
    let layer = |content: Content| {
        LayerSpec::of(vec![
            dir(1),
            Entry::file(1, 1, content),
            at(Place::plain(1, 2), Node::HardLink(1)),
            at(Place::plain(1, 3), Node::Symlink(1)),
            at(Place::plain(1, 4), Node::Fifo),
        ])
    };
    let content = m.text(1, 2000);
    let new = layer(content.clone().edited(edit(5000, Action::Insert, 9)));
    fixed(m, vec![m.named("1", image(vec![layer(content)]))], image(vec![new]))
}

fn paths(m: &Maker) -> Fixed {
    let layer = |m: &Maker, len: u32| {
        let forms = [Form::Plain, Form::Dotted, Form::Ustar, Form::Gnu, Form::Pax, Form::NotText];
        let entry = |(number, form): (usize, Form)| {
            let place = Place { dir: 2, name: number as u8, form };
            at(place, Node::File(m.text(number as u32, len)))
        };
        LayerSpec::of(forms.into_iter().enumerate().map(entry).collect())
    };
    fixed(m, vec![m.named("1", image(vec![layer(m, 700)]))], image(vec![layer(m, 750)]))
}

fn attributes(m: &Maker) -> Fixed {
    let meta = Meta { owner: 1000, mode: 0o111, time: 9 };
    let layer = |content: Content| {
        let file = at(Place::plain(1, 1), Node::Attributed(content.clone(), 20));
        let owned = Entry { meta, ..Entry::file(1, 2, content) };
        LayerSpec::Tar { entries: vec![dir(1), file, owned], end: End::Record }
    };
    let content = m.text(1, 2000);
    let new = layer(content.clone().edited(edit(5000, Action::Insert, 9)));
    fixed(m, vec![m.named("1", image(vec![layer(content)]))], image(vec![new]))
}

fn whiteouts(m: &Maker) -> Fixed {
    let base = LayerSpec::of(vec![
        dir(1),
        Entry::file(1, 1, m.text(1, 600)),
        dir(3),
        Entry::file(3, 2, m.text(2, 600)),
    ]);
    let top = LayerSpec::of(vec![
        at(Place::plain(1, 1), Node::Whiteout),
        at(Place::plain(3, 0), Node::Opaque),
        Entry::file(3, 3, m.text(3, 600)),
    ]);
    let old = image(vec![base.clone(), m.layer(4)]);
    fixed(m, vec![m.named("1", old)], image(vec![base, top]))
}

fn large(m: &Maker) -> Fixed {
    let layer = |content: Content| LayerSpec::of(vec![Entry::file(0, 1, content)]);
    let content = m.noise(1, 900_000);
    let new = content
        .clone()
        .edited(edit(0, Action::Insert, 1))
        .edited(edit(19_000, Action::Delete, 700))
        .edited(edit(65_535, Action::Overwrite, 200));
    fixed(m, vec![m.named("1", image(vec![layer(content)]))], image(vec![layer(new)]))
}

fn other_chain(m: &Maker) -> Fixed {
    // The lower layers of the new image are in the target, each in another chain.
    let one = image(vec![m.layer(9), m.layer(1)]);
    let other = image(vec![m.layer(8), m.layer(2)]);
    let old = vec![m.named("one", one), m.named("other", other)];
    fixed(m, old, image(vec![m.layer(1), m.layer(2), m.layer(3)]))
}

fn no_tar(m: &Maker) -> Fixed {
    let raw = |content| image(vec![m.layer(1), LayerSpec::Raw(content)]);
    let content = m.text(2, 5000);
    let garbage = LayerSpec::Tar { entries: vec![Entry::file(0, 1, m.text(3, 300))], end: End::Garbage(700) };
    let mut new = raw(content.clone().edited(edit(9000, Action::Insert, 30)));
    new.layers.push(garbage);
    Fixed { fits: Fits::Files, ..fixed(m, vec![m.named("1", raw(content))], new) }
}

fn sparse(m: &Maker) -> Fixed {
    let layer = |content: Content| LayerSpec::of(vec![at(Place::plain(0, 1), Node::Sparse(content))]);
    let content = m.text(1, 2048);
    let new = layer(content.clone().edited(edit(9000, Action::Overwrite, 30)));
    Fixed { fits: Fits::Files, ..fixed(m, vec![m.named("1", image(vec![layer(content)]))], image(vec![new])) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sha256;

    #[test]
    fn pairs_have_nothing_in_common_and_are_small() {
        let (mut names, mut layers, mut total) = (BTreeSet::new(), BTreeSet::new(), 0);
        for fixed in pairs() {
            let items = fixed.old.iter().chain([&fixed.new]);
            let built: Vec<_> = items.map(Item::build).collect();
            let own: BTreeSet<String> = built
                .iter()
                .flat_map(|item| &item.images)
                .flat_map(|image| &image.diff_ids)
                .filter(|id| **id != sha256(&[0; 1024]))
                .cloned()
                .collect();
            assert!(own.is_disjoint(&layers), "{} has a layer of another pair", fixed.name);
            layers.extend(own);
            let configs: BTreeSet<String> =
                built.iter().flat_map(|item| &item.images).map(|image| sha256(&image.config)).collect();
            assert!(configs.is_disjoint(&layers));
            layers.extend(configs);
            let own = fixed.new.names.iter();
            assert!(own.into_iter().all(|name| names.insert(name.clone())), "{}", fixed.name);
            total += built.iter().flat_map(|item| item.blobs.values()).map(|blob| blob.len()).sum::<usize>();
        }
        assert!(total < 4_000_000, "{total} bytes");
    }

    /// They are compared with what engines kept of them in other runs.
    #[test]
    fn pairs_are_the_same_bytes_always() {
        let roots = || -> String { pairs().iter().map(|fixed| fixed.new.build().root.digest).collect() };
        assert_eq!(roots(), roots());
    }
}
