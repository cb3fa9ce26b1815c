//! The workspace of an endpoint: the folder of its temporary files, its memory, its index cache.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use dsync_core::Digest;
use dsync_engine::temporary;
use dsync_proto::Event;

use super::free_space::Disks;
use super::memory::Memory;
use crate::cache::{Cache, Used};
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::partial::{Owner, PartialBasis, Partials};

/// The workspace of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The directory of temporary files.
    pub(crate) folder: PathBuf,
    /// Bytes of memory to get along with.
    pub(crate) memory: u64,
    /// The folder that the index cache is in; the environment names one otherwise.
    pub(crate) caches: Option<PathBuf>,
    /// The files of the index cache that the last transfer relied on.
    pub(crate) used: Used,
    /// The room that is left.
    pub(crate) disks: Disks,
    /// Ends the run, and so what is read or written here.
    pub(crate) interrupt: Interrupt,
}

impl Workspace {
    /// A folder that was named, or the system's place, and so much memory.
    pub(crate) fn new(folder: &str, memory: u64, interrupt: &Interrupt) -> Result<Workspace, EndpointError> {
        let (folder, interrupt) = (temporary_folder(folder)?, interrupt.clone());
        Ok(Workspace {
            folder,
            memory,
            caches: None,
            used: Used::default(),
            disks: Disks::default(),
            interrupt,
        })
    }

    /// Begins the transfer of a delta.
    pub(crate) fn begin_delta(&self) {
        self.used.clear();
    }

    /// Begins a full resend, which relies on nothing: entries of the index cache that a delta of the same image relied on
    /// before it came out wrong are removed.
    pub(crate) fn begin_full_resend(&self) {
        self.used.remove();
    }

    /// The index cache, where there is a place for it.
    pub(crate) fn cache(&self, link: &Link) -> Option<Cache> {
        match Cache::locate_below(self.caches.as_deref()) {
            Ok(cache) => {
                if !cache.has_room() {
                    let place = cache.directory().display();
                    let note = format!("layers are not remembered: the disk of {place} is nearly full");
                    link.outbox.event(&Event::Note(note));
                }
                Some(cache.noting(&self.used))
            }
            Err(error) => {
                link.outbox.event(&Event::Note(format!("layers are not remembered: {error}")));
                None
            }
        }
    }

    /// The folder of the index cache, where there is a place for it.
    pub(crate) fn cache_folder(&self) -> Option<PathBuf> {
        Some(Cache::locate_below(self.caches.as_deref()).ok()?.directory().to_owned())
    }

    /// The parts that transfers left of an image and of older ones; none where there is no place for them.
    pub(crate) fn partial(&self, link: &Link, owner: &Owner) -> PartialBasis {
        let partials = Partials::locate_below(self.caches.as_deref()).map_err(io::Error::other);
        let memory = Memory(self.memory).pieces();
        partials.and_then(|partials| partials.begin(owner, memory)).unwrap_or_else(|error| {
            link.outbox.event(&Event::Note(format!("what arrives is not kept: {error}")));
            PartialBasis::default()
        })
    }

    /// Removes the parts that transfers left of images with these configs, which are there.
    pub(crate) fn remove_complete(&self, configs: &HashSet<Digest>) {
        if let Ok(partials) = Partials::locate_below(self.caches.as_deref()) {
            // They expire where they cannot be removed.
            partials.remove_complete(configs).ok();
        }
    }

    /// Removes the parts that transfers left of an image that is there, and of older ones.
    pub(crate) fn remove_partial(&self, owner: &Owner) {
        if let Ok(partials) = Partials::locate_below(self.caches.as_deref()) {
            // They expire where they cannot be removed.
            partials.remove(owner).ok();
        }
    }

    /// A temporary file without a name.
    pub(crate) fn file(&self) -> Result<File, EndpointError> {
        tempfile::tempfile_in(&self.folder).map_err(|error| self.unusable(error))
    }

    /// The reason why no temporary file can be made.
    pub(crate) fn unusable(&self, error: io::Error) -> EndpointError {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        match error.kind() {
            NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
                let (folder, error) = (self.folder.display(), error.kind());
                EndpointError::Usage(unusable(&format!(
                    "the temporary folder {folder} takes no files ({error})"
                )))
            }
            _ => EndpointError::io("cannot make a temporary file")(error),
        }
    }
}

/// A sentence about a folder for temporary files that cannot be used, with the remedy.
fn unusable(what: &str) -> String {
    format!("{what}: set TMPDIR to another, or name one with --tmpfolder")
}

/// The folder for temporary files that was named, or the system's place.
pub(crate) fn temporary_folder(named: &str) -> Result<PathBuf, EndpointError> {
    let folder = if named.is_empty() { temporary::place() } else { PathBuf::from(named) };
    if !folder.is_dir() {
        let what = format!("the temporary folder {} is not a directory", folder.display());
        return Err(EndpointError::Usage(unusable(&what)));
    }
    Ok(folder)
}
