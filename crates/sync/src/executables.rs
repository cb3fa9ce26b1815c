//! Old versions of executables, with the addresses that the new ones have: `docs/executables.md`.
//!
//! The source plans, for files of which it has both versions; both ends write the addresses into the old version, which
//! is then what batches are coded against. Such files lie in a temporary file without a name, so that only one is in memory at
//! a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_delta::Listing;
use dsync_delta::batch::Effort;
use dsync_delta::gather::{Batch, Run};
use dsync_exe::{Addresses, Plan};
use dsync_proto::{decode, encode};
use serde::{Deserialize, Serialize};

use crate::batches::{self, Load};
use crate::failure::EndpointError;
use crate::layers::{Layers, Place, Shelf, Slice, copy_at, load};

/// What changes in a file that is no longer than this is not worth a plan, in bytes.
const LEAST: u64 = 16 << 10;
/// So many bytes say whether a file is an executable.
const BEGIN: u64 = 20;
/// Bytes of memory for a byte of both versions while planning.
const MEMORY: u64 = 2;
/// The most bytes of all plans.
const MAX_TOLD: u64 = 1 << 28;

const TEMPORARY: &str = "cannot use a temporary file";
const LOST: &str = "the source did not send what it offered";

/// What an old file becomes, as postcard encodes it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Which of the layers that both know.
    layer: u32,
    /// The first of its contents.
    content: u32,
    plan: Vec<u8>,
}

/// Old and new versions that may be executables.
#[derive(Debug, Default)]
pub(crate) struct Candidates(Vec<(Run, Run)>);

impl Candidates {
    /// Those in batches, if `memory` is enough for them. An old file that has several new versions counts once.
    pub(crate) fn find(
        batches: &[Batch],
        own: &Layers<'_>,
        (old, new): (&[Shelf], &[Shelf]),
        memory: u64,
    ) -> io::Result<Candidates> {
        let (old_files, new_files) = (files(old), files(new));
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for batch in batches {
            for (run, pair) in batch.new.iter().zip(&batch.pairs) {
                let Some(pair) = pair else { continue };
                let versions = (file_of(&old_files, &batch.old[*pair]), file_of(&new_files, run));
                let (Some(old_file), Some(new_file)) = versions else { continue };
                let fits = old_file.len.saturating_add(new_file.len) <= memory / MEMORY;
                let is_long = old_file.len.min(new_file.len) >= LEAST;
                let mut is_first = || seen.insert((old_file.layer, old_file.contents.start));
                if !fits || !is_long || !old[old_file.layer].is_layer() || !is_first() {
                    continue;
                }
                if dsync_exe::is_candidate(&begin(own, &new[new_file.layer], new_file.contents.start)?) {
                    found.push((old_file, new_file));
                }
            }
        }
        Ok(Candidates(found))
    }

    /// Where the old ones lie.
    pub(crate) fn places<'a>(&'a self, old: &'a [Shelf]) -> impl Iterator<Item = Place> + 'a {
        self.0.iter().flat_map(|(file, _)| places(file, old))
    }

    /// Plans, and gives the old ones their addresses.
    pub(crate) fn align(
        &self,
        own: &Layers<'_>,
        (old, new): (&[Shelf], &[Shelf]),
        folder: &Path,
    ) -> Result<(Aligned, Plans), EndpointError> {
        let mut aligned = Aligned::default();
        let mut plans = Plans::default();
        for (old_file, new_file) in &self.0 {
            // One file at a time, since their addresses take as much memory again.
            let Some(before) = Addresses::of(&read(own, old, old_file)?) else { continue };
            let Some(after) = Addresses::of(&read(own, new, new_file)?) else { continue };
            let Some(plan) = dsync_exe::plan(before, after) else { continue };
            let bytes = dsync_exe::align(&read(own, old, old_file)?, &plan);
            let listing = &old[old_file.layer].listing;
            aligned.put(old_file, listing, &bytes, folder).map_err(EndpointError::io(TEMPORARY))?;
            let number = |number: usize| u32::try_from(number).map_err(io::Error::other);
            let told = number(old_file.layer).and_then(|layer| {
                Ok(Told { layer, content: number(old_file.contents.start)?, plan: plan.encode() })
            });
            plans.0.push(told.map_err(EndpointError::io(TEMPORARY))?);
        }
        Ok((aligned, plans))
    }
}

/// A whole file, whose length is that of this side's own layer.
fn read(own: &Layers<'_>, shelves: &[Shelf], file: &Run) -> Result<Vec<u8>, EndpointError> {
    let mut bytes = dsync_exe::roomy(usize::try_from(file.len).unwrap_or_default());
    load(own, shelves, file, &mut bytes).map_err(EndpointError::io("cannot read a file that changed"))?;
    Ok(bytes)
}

/// The first bytes of a content.
fn begin(own: &Layers<'_>, shelf: &Shelf, content: usize) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    if let Some(first) = shelf.of(content).first() {
        own.copy(Slice { len: first.len.min(BEGIN), ..*first }, &mut begin)?;
    }
    Ok(begin)
}

/// What a target is told of them.
#[derive(Debug, Default)]
pub(crate) struct Plans(Vec<Told>);

impl Plans {
    /// How many there are (4 bytes, little-endian), and where there are any, they themselves. Returns how many bytes these have.
    pub(crate) fn write(&self, effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(&u32::try_from(self.0.len()).map_err(io::Error::other)?.to_le_bytes())?;
        match self.0.is_empty() {
            true => Ok(0),
            false => batches::write_alone(&encode(&self.0).map_err(io::Error::other)?, effort, out),
        }
    }

    /// Reads them; each must be of a file of its own that the source can read.
    pub(crate) fn read(stream: &mut impl Read, old: &[Shelf]) -> Result<Received, EndpointError> {
        let mut count = [0; 4];
        stream.read_exact(&mut count).map_err(EndpointError::io(LOST))?;
        if u32::from_le_bytes(count) == 0 {
            return Ok(Received::default());
        }
        let told = batches::read_alone(stream, MAX_TOLD)?;
        let wrong = || EndpointError::Protocol("the source plans for files that are not there".into());
        let told: Vec<Told> = decode(&told).map_err(|_| wrong())?;
        let files = files(old);
        let mut received = BTreeMap::new();
        for Told { layer, content, plan } in told {
            let (layer, content) = (layer as usize, content as usize);
            let file = files.get(layer).and_then(|files| files.get(&content)).cloned();
            let file = file.filter(|_| old[layer].is_readable).ok_or_else(wrong)?;
            let plan = Plan::decode(&plan).ok_or_else(wrong)?;
            if received.insert((layer, content), (file, plan)).is_some() {
                return Err(wrong());
            }
        }
        Ok(Received(received.into_values().collect()))
    }
}

/// Plans of old files.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<(Run, Plan)>);

impl Received {
    /// Where the files lie.
    pub(crate) fn places<'a>(&'a self, old: &'a [Shelf]) -> impl Iterator<Item = Place> + 'a {
        self.0.iter().flat_map(|(file, _)| places(file, old))
    }

    /// Gives the files their addresses.
    pub(crate) fn align(
        &self,
        own: &Layers<'_>,
        old: &[Shelf],
        folder: &Path,
    ) -> Result<Aligned, EndpointError> {
        let mut aligned = Aligned::default();
        for (file, plan) in &self.0 {
            let bytes = dsync_exe::align(&read(own, old, file)?, plan);
            let listing = &old[file.layer].listing;
            aligned.put(file, listing, &bytes, folder).map_err(EndpointError::io(TEMPORARY))?;
        }
        Ok(aligned)
    }
}

/// Old files with new addresses.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    file: Option<File>,
    len: u64,
    /// Where each content of them begins, by its layer and its number.
    begins: HashMap<(usize, usize), u64>,
}

impl Aligned {
    /// Adds the bytes of a run of old contents, as `others` has them where their addresses stay.
    pub(crate) fn load(&self, run: &Run, out: &mut Vec<u8>, others: &Load<'_>) -> io::Result<()> {
        match (self.begins.get(&(run.layer, run.contents.start)), &self.file) {
            // What follows in the file follows here.
            (Some(begin), Some(file)) => copy_at(file, *begin, run.len, out),
            _ => others(run, out),
        }
    }

    /// Whether this run of old contents is of such a file.
    pub(crate) fn has(&self, run: &Run) -> bool {
        self.begins.contains_key(&(run.layer, run.contents.start))
    }

    fn put(&mut self, file: &Run, listing: &Listing, bytes: &[u8], folder: &Path) -> io::Result<()> {
        let into = match self.file.take() {
            Some(into) => into,
            None => tempfile::tempfile_in(folder)?,
        };
        self.file.insert(into).write_all_at(bytes, self.len)?;
        for content in file.contents.clone() {
            self.begins.insert((file.layer, content), self.len);
            self.len += listing.contents()[content].len;
        }
        Ok(())
    }
}

/// The files of each layer, by the first of their contents.
fn files(shelves: &[Shelf]) -> Vec<BTreeMap<usize, Run>> {
    let of = |(layer, shelf): (usize, &Shelf)| {
        let run =
            |file: dsync_delta::listing::File<'_>| Run { layer, contents: file.contents, len: file.len };
        shelf.listing.files().map(run).map(|run| (run.contents.start, run)).collect()
    };
    shelves.iter().enumerate().map(of).collect()
}

/// The file that a run is part of.
fn file_of(files: &[BTreeMap<usize, Run>], run: &Run) -> Option<Run> {
    files[run.layer].range(..=run.contents.start).next_back().map(|(_, file)| file.clone())
}

fn places<'a>(file: &'a Run, shelves: &'a [Shelf]) -> impl Iterator<Item = Place> + 'a {
    file.contents.clone().flat_map(|content| shelves[file.layer].of(content)).map(|slice| slice.place)
}
