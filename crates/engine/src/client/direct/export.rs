//! Gives the layers of an image in an engine's storage to a sink, each put together from its parts.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use dsync_core::{Config, DiffId, Digest, ImageId};
use flate2::bufread::GzDecoder;

use super::docker::Docker;
use super::podman::Podman;
use super::storage_layout::{LayerPaths, StorageLayout};
use super::tar_split::TarSplit;
use super::tree::LayerTree;
use crate::store::{Export, LayerSink};
use crate::watched::WatchedReader;

/// The files of an engine.
#[derive(Debug)]
pub(in crate::client) enum Storage {
    Docker(Docker),
    Podman(Podman),
}

/// A failure to export from the storage.
#[derive(Debug)]
pub(in crate::client) enum Stopped {
    /// The storage cannot be read so; the engine itself may do better.
    Storage(String),
    /// The sink takes no more.
    Sink(io::Error),
}

impl Storage {
    /// Gives the missing layers of an image to the sink, and takes each of them out of the set.
    pub(in crate::client) fn export(
        &self,
        id: &ImageId,
        missing: &mut HashSet<DiffId>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, Stopped> {
        match self {
            Self::Docker(docker) => export(docker, id, missing, sink),
            Self::Podman(podman) => export(podman, id, missing, sink),
        }
    }
}

pub(super) fn export(
    layout: &dyn StorageLayout,
    id: &ImageId,
    missing: &mut HashSet<DiffId>,
    sink: &mut dyn LayerSink,
) -> Result<Export, Stopped> {
    let path = layout.config(id);
    let config = fs::read(&path).map_err(unreadable(&path))?;
    // Whatever engine this storage belongs to, the image is the one that is meant.
    if Digest::of(&config) != id.digest() {
        return Err(Stopped::Storage(format!("{} is damaged", path.display())));
    }
    let diff_ids = Config::parse(&config).map_err(unreadable(&path))?.diff_ids;
    if let Some(unknown) = missing.iter().find(|id| !diff_ids.contains(id)) {
        return Err(Stopped::Storage(format!("{id} has no layer {unknown}")));
    }
    for (at, diff_id) in diff_ids.iter().enumerate() {
        if missing.contains(diff_id) {
            give(diff_id, layout.layer(id, &diff_ids, at), sink)?;
            missing.remove(diff_id);
        }
    }
    Ok(Export { config })
}

/// Gives a layer to the sink.
fn give(diff_id: &DiffId, place: io::Result<LayerPaths>, sink: &mut dyn LayerSink) -> Result<(), Stopped> {
    let broken = |reason: &dyn Display| Stopped::Storage(format!("layer {diff_id}: {reason}"));
    let mut tar = WatchedReader::new(place.and_then(tar).map_err(|error| broken(&error))?);
    let taken = sink.layer(Some((*diff_id).into()), &mut tar);
    match (tar.failure(), taken) {
        (Some(reason), _) => Err(broken(&reason)),
        (None, Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(broken(&error)),
        (None, taken) => taken.map_err(Stopped::Sink),
    }
}

/// The tar of a layer, as it was when the engine got it.
fn tar(place: LayerPaths) -> io::Result<impl Read> {
    let tree = LayerTree::open(&place.contents)?;
    let packed = BufReader::with_capacity(64 << 10, File::open(place.tar_split)?);
    Ok(TarSplit::new(BufReader::with_capacity(64 << 10, GzDecoder::new(packed)), tree))
}

/// A tar from lines that are at hand, for fuzzers.
#[cfg(feature = "fuzzing")]
pub(in crate::client) fn from_lines<'a>(
    lines: impl io::BufRead + 'a,
    folder: &Path,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(Box::new(TarSplit::new(lines, LayerTree::open(folder)?)))
}

fn unreadable<E: Display>(path: &Path) -> impl Fn(E) -> Stopped + '_ {
    move |error| Stopped::Storage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "export_tests.rs"]
pub(super) mod tests;
