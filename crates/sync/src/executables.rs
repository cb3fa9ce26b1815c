//! Old versions of executables, with the addresses that the new ones have: `docs/executables.md`.
//!
//! The source plans, for files of which it has both versions; both ends write the addresses into the old version, which
//! is then what batches are coded against. Such files lie in a temporary file without a name, so that only one is in memory at
//! a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_delta::Listing;
use dsync_delta::batch::Effort;
use dsync_delta::gather::{Batch, Run};
use dsync_exe::{Addresses, Plan};
use dsync_proto::{decode, encode, limits, room};
use serde::{Deserialize, Serialize};

use crate::batches::Load;
use crate::failure::{EndpointError, TooLarge};
use crate::layers::{Layers, Place, Shelf, Slice, copy_at};
use crate::told;

/// What changes in a file that is no longer than this is not worth a plan, in bytes.
const LEAST: u64 = 16 << 10;
/// So many bytes say whether a file is an executable.
const BEGIN: u64 = 20;
/// Bytes of memory for a byte of both versions while planning.
const MEMORY: u64 = 2;

const TEMPORARY: &str = "cannot use a temporary file";
const LOST: &str = "the source did not send what it offered";

/// What an old file becomes, as postcard encodes it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Which of the layers that both know.
    layer: u32,
    /// The first of its contents.
    content: u32,
    #[serde(deserialize_with = "room::bytes")]
    plan: Vec<u8>,
}

/// All of them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct All(#[serde(deserialize_with = "room::list")] Vec<Told>);

/// A file of a shelf: consecutive contents.
#[derive(Debug, Clone)]
struct Whole {
    layer: usize,
    contents: Range<usize>,
    len: u64,
}

impl Whole {
    /// The file that a content is of.
    fn of(shelves: &[Shelf], layer: usize, content: usize) -> Option<Whole> {
        let file = shelves.get(layer)?.listing.file_of(content)?;
        Some(Whole { layer, contents: file.contents, len: file.len })
    }

    /// Where its contents lie.
    fn places<'a>(&self, shelves: &'a [Shelf]) -> impl Iterator<Item = Place> + use<'a> {
        let shelf = &shelves[self.layer];
        self.contents.clone().flat_map(|content| shelf.of(content)).map(|slice| slice.place)
    }
}

/// Old and new versions that may be executables.
#[derive(Debug, Default)]
pub(crate) struct Candidates(Vec<(Whole, Whole)>);

impl Candidates {
    /// Those in batches, if `memory` is enough for them. An old file that has several new versions counts once.
    pub(crate) fn find(
        batches: &[Batch],
        own: &Layers<'_>,
        (old, new): (&[Shelf], &[Shelf]),
        memory: u64,
    ) -> io::Result<Candidates> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for batch in batches {
            for (run, pair) in batch.new.iter().zip(batch.pairs()) {
                let Some(pair) = pair else { continue };
                let file_of = |shelves, run: &Run| Whole::of(shelves, run.layer(), run.contents().start);
                let versions = (file_of(old, &batch.old[pair]), file_of(new, run));
                let (Some(old_file), Some(new_file)) = versions else { continue };
                let fits = old_file.len.saturating_add(new_file.len) <= memory / MEMORY;
                let is_long = old_file.len.min(new_file.len) >= LEAST;
                let mut is_first = || seen.insert((old_file.layer, old_file.contents.start));
                if found.len() == limits::PLANNED
                    || !fits
                    || !is_long
                    || !old[old_file.layer].is_layer()
                    || !is_first()
                {
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
        self.0.iter().flat_map(|(file, _)| file.places(old))
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
            plans.0.0.push(told.map_err(EndpointError::io(TEMPORARY))?);
        }
        Ok((aligned, plans))
    }
}

/// A whole file, whose length is that of this side's own layer.
fn read(own: &Layers<'_>, shelves: &[Shelf], file: &Whole) -> Result<Vec<u8>, EndpointError> {
    let mut bytes = dsync_exe::roomy(usize::try_from(file.len).unwrap_or_default());
    let shelf = &shelves[file.layer];
    let mut contents = file.contents.clone();
    let loaded = contents.try_for_each(|content| shelf.copy(own, content, &mut bytes));
    loaded.map_err(EndpointError::io("cannot read a file that changed"))?;
    Ok(bytes)
}

/// The first bytes of a content.
fn begin(own: &Layers<'_>, shelf: &Shelf, content: usize) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    if let Some(first) = shelf.of(content).next() {
        own.copy(Slice { len: first.len.min(BEGIN), ..first }, &mut begin)?;
    }
    Ok(begin)
}

/// What a target is told of them.
#[derive(Debug, Default)]
pub(crate) struct Plans(All);

impl Plans {
    /// How many there are (4 bytes, little-endian), and where there are any, they themselves. Returns how many bytes these have.
    pub(crate) fn write(&self, effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(&u32::try_from(self.0.0.len()).map_err(io::Error::other)?.to_le_bytes())?;
        match self.0.0.is_empty() {
            true => Ok(0),
            false => told::write(&encode(&self.0).map_err(io::Error::other)?, effort, out),
        }
    }

    /// Reads them; each must be of a file of its own that the source can read, and for which `memory` is enough.
    pub(crate) fn read(
        stream: &mut impl Read,
        old: &[Shelf],
        memory: u64,
    ) -> Result<Received, EndpointError> {
        let mut count = [0; 4];
        stream.read_exact(&mut count).map_err(EndpointError::io(LOST))?;
        if u32::from_le_bytes(count) == 0 {
            return Ok(Received::default());
        }
        let said = told::read(stream, limits::PLANS)?;
        let wrong = || EndpointError::Protocol("the source plans for files that are not there".into());
        let All(told) = decode(&said).map_err(|_| wrong())?;
        drop(said);
        if told.len() > limits::PLANNED {
            return Err(wrong());
        }
        let mut received = BTreeMap::new();
        for Told { layer, content, plan } in told {
            let (layer, content) = (layer as usize, content as usize);
            let file = Whole::of(old, layer, content).filter(|file| file.contents.start == content);
            let is_worth_it = |file: &Whole| old[layer].is_readable && file.len >= LEAST;
            let file = file.filter(is_worth_it).ok_or_else(wrong)?;
            if file.len > memory / MEMORY {
                return Err(TooLarge { what: "an executable that changed", memory }.into());
            }
            // A few bytes may become a megabyte, so only one is unpacked at a time.
            Plan::decode(&plan).ok_or_else(wrong)?;
            if received.insert((layer, content), (file, plan)).is_some() {
                return Err(wrong());
            }
        }
        Ok(Received(received.into_values().collect()))
    }
}

/// Plans of old files.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<(Whole, Vec<u8>)>);

impl Received {
    /// Where the files lie.
    pub(crate) fn places<'a>(&'a self, old: &'a [Shelf]) -> impl Iterator<Item = Place> + 'a {
        self.0.iter().flat_map(|(file, _)| file.places(old))
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
            let Some(plan) = Plan::decode(plan) else { continue };
            let bytes = dsync_exe::align(&read(own, old, file)?, &plan);
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
        match (self.begins.get(&(run.layer(), run.contents().start)), &self.file) {
            // What follows in the file follows here.
            (Some(begin), Some(file)) => copy_at(file, *begin, run.len(), out),
            _ => others(run, out),
        }
    }

    /// Whether this run of old contents is of such a file.
    pub(crate) fn has(&self, run: &Run) -> bool {
        self.begins.contains_key(&(run.layer(), run.contents().start))
    }

    fn put(&mut self, file: &Whole, listing: &Listing, bytes: &[u8], folder: &Path) -> io::Result<()> {
        let into = match self.file.take() {
            Some(into) => into,
            None => tempfile::tempfile_in(folder)?,
        };
        self.file.insert(into).write_all_at(bytes, self.len)?;
        for content in file.contents.clone() {
            self.begins.insert((file.layer, content), self.len);
            self.len += listing.contents().at(content).len;
        }
        Ok(())
    }
}
