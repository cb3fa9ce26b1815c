//! Changes from an old image to a new one, or between images that look alike.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use super::image::{content, created, edit, end, entry, history, layer, packing, place, platform, style};
use crate::config::{ConfigSpec, Created, History, Style};
use crate::content::{Content, Edit};
use crate::files::{End, Entry, LayerSpec, Place};
use crate::image::ImageSpec;
use crate::packing::Packing;

/// A change from the old image to the new one, or between images that look alike.
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
pub(super) fn changed(image: &ImageSpec, changes: &[Change]) -> ImageSpec {
    let mut image = image.clone();
    changes.iter().for_each(|change| change.apply(&mut image));
    image
}

pub(super) fn config_change() -> impl Strategy<Value = ConfigChange> {
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
