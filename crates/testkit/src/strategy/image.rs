//! Strategies of images, and of all that they are made of.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config::{ConfigSpec, Created, History, Style};
use crate::content::{Action, Content, ContentKind, Edit};
use crate::files::{End, Entry, Form, LayerSpec, Meta, Node, Place};
use crate::image::ImageSpec;
use crate::model::host_platform;
use crate::packing::Packing;

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

pub(super) fn end() -> impl Strategy<Value = End> {
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

pub(super) fn created() -> impl Strategy<Value = Created> {
    prop_oneof![
        6 => Just(Created::Epoch),
        2 => any::<u8>().prop_map(Created::Minute),
        2 => Just(Created::Missing),
        1 => any::<u8>().prop_map(Created::Offset),
        1 => any::<u8>().prop_map(Created::Fraction),
        1 => Just(Created::NoTime),
    ]
}

pub(super) fn history() -> impl Strategy<Value = History> {
    prop_oneof![
        6 => (0..3_u8).prop_map(History::Fitting),
        1 => Just(History::WithEmptySteps),
        1 => Just(History::Missing),
        1 => Just(History::Null),
        1 => Just(History::Short),
        1 => Just(History::Long),
    ]
}

pub(super) fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        8 => Just(Style::Compact),
        1 => Just(Style::LineEnd),
        1 => Just(Style::Reversed),
        1 => Just(Style::Pretty),
        1 => Just(Style::Escaped),
    ]
}

/// Platforms, usual and odd; that of this host first.
pub(super) fn platform() -> impl Strategy<Value = String> {
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
