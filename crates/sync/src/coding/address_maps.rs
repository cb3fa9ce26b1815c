//! Old versions of executables, with the addresses that the new ones have: `docs/executables.md`.
//!
//! The source computes an address map for each file of which it has both versions; both ends write the addresses into the old version, which
//! is then what batches are coded against. Such files lie in a temporary file without a name, so that only one is in memory at
//! a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_delta::LayerIndex;
use dsync_delta::batch::Effort;
use dsync_delta::batching::ChunkRange;
use dsync_exe::AddressMap;
use dsync_proto::{AddressMaps, MappedExecutable, decode, encode, limits};

use super::runs::Load;
use super::section;
use crate::failure::{Breach, EndpointError, TooLarge};
use crate::layers::{ChunkMap, Layers, Place, copy_at};

/// The least bytes of a file that is worth an address map.
pub(crate) const LEAST: u64 = 16 << 10;
/// Bytes of memory for a byte of both versions while the map is computed.
pub(crate) const MEMORY: u64 = 2;

pub(crate) const TEMPORARY: &str = "cannot use a temporary file";

/// A file of a chunk map: consecutive chunks.
#[derive(Debug, Clone)]
pub(crate) struct FileSpan {
    pub(crate) layer: usize,
    pub(crate) chunks: Range<usize>,
    pub(crate) len: u64,
}

impl FileSpan {
    /// The file that a chunk is of.
    pub(crate) fn of(chunk_maps: &[ChunkMap], layer: usize, chunk: usize) -> Option<FileSpan> {
        let file = chunk_maps.get(layer)?.index.file_of(chunk)?;
        Some(FileSpan { layer, chunks: file.chunks, len: file.len })
    }

    /// The places of its chunks.
    pub(crate) fn places<'a>(&self, chunk_maps: &'a [ChunkMap]) -> impl Iterator<Item = Place> + use<'a> {
        let chunk_map = &chunk_maps[self.layer];
        self.chunks.clone().flat_map(|chunk| chunk_map.of(chunk)).map(|slice| slice.place)
    }
}

/// A whole file, whose length is that of this side's own layer.
pub(crate) fn read(
    own: &Layers<'_>,
    chunk_maps: &[ChunkMap],
    file: &FileSpan,
) -> Result<Vec<u8>, EndpointError> {
    let mut bytes = dsync_exe::roomy(usize::try_from(file.len).unwrap_or_default());
    let chunk_map = &chunk_maps[file.layer];
    let mut chunks = file.chunks.clone();
    let loaded = chunks.try_for_each(|chunk| chunk_map.copy(own, chunk, &mut bytes));
    loaded.map_err(EndpointError::io("cannot read a file that changed"))?;
    Ok(bytes)
}

/// The address maps that a source sends.
#[derive(Debug, Default)]
pub(crate) struct SentMaps(AddressMaps);

impl SentMaps {
    /// Adds what an old file becomes.
    pub(crate) fn push(&mut self, file: &FileSpan, map: &AddressMap) -> io::Result<()> {
        let number = |number: usize| u32::try_from(number).map_err(io::Error::other);
        let (layer, chunk) = (number(file.layer)?, number(file.chunks.start)?);
        self.0.0.push(MappedExecutable { layer, chunk, map: map.encode() });
        Ok(())
    }

    /// Writes their number (4 bytes, little-endian), and where there are any, a section with them. Returns the bytes of that.
    pub(crate) fn write(&self, effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(&u32::try_from(self.0.0.len()).map_err(io::Error::other)?.to_le_bytes())?;
        match self.0.0.is_empty() {
            true => Ok(0),
            false => section::write(&encode(&self.0).map_err(io::Error::other)?, effort, out),
        }
    }
}

/// The address maps that a target received.
#[derive(Debug, Default)]
pub(crate) struct ReceivedMaps(Vec<(FileSpan, Vec<u8>)>);

impl ReceivedMaps {
    /// Reads them; each must be of a file of its own that the source can read, and for which `memory` is enough.
    pub(crate) fn read(stream: &mut impl Read, old: &[ChunkMap], memory: u64) -> io::Result<Self> {
        let mut count = [0; 4];
        stream.read_exact(&mut count)?;
        if u32::from_le_bytes(count) == 0 {
            return Ok(ReceivedMaps::default());
        }
        let said = section::read(stream, limits::ADDRESS_MAPS)?;
        let wrong = || io::Error::from(Breach("address maps of files that are not in the basis".into()));
        let AddressMaps(maps) = decode(&said).map_err(|_| wrong())?;
        drop(said);
        if maps.len() > limits::ADDRESS_MAP_COUNT {
            return Err(wrong());
        }
        let mut received = BTreeMap::new();
        for MappedExecutable { layer, chunk, map } in maps {
            let (layer, chunk) = (layer as usize, chunk as usize);
            let file = FileSpan::of(old, layer, chunk).filter(|file| file.chunks.start == chunk);
            let is_worth_it = |file: &FileSpan| old[layer].is_at_source() && file.len >= LEAST;
            let file = file.filter(is_worth_it).ok_or_else(wrong)?;
            if file.len > memory / MEMORY {
                return Err(TooLarge { what: "an executable that changed", memory }.into());
            }
            // A few bytes may become a megabyte, so only one is unpacked at a time.
            AddressMap::decode(&map).ok_or_else(wrong)?;
            if received.insert((layer, chunk), (file, map)).is_some() {
                return Err(wrong());
            }
        }
        Ok(ReceivedMaps(received.into_values().collect()))
    }

    /// The places of the files.
    pub(crate) fn places<'a>(&'a self, old: &'a [ChunkMap]) -> impl Iterator<Item = Place> + 'a {
        self.0.iter().flat_map(|(file, _)| file.places(old))
    }

    /// Gives the files their addresses.
    pub(crate) fn align(
        &self,
        own: &Layers<'_>,
        old: &[ChunkMap],
        folder: &Path,
    ) -> Result<Aligned, EndpointError> {
        let mut aligned = Aligned::default();
        for (file, map) in &self.0 {
            let Some(map) = AddressMap::decode(map) else { continue };
            let bytes = dsync_exe::align(&read(own, old, file)?, &map);
            let index = &old[file.layer].index;
            aligned.put(file, index, &bytes, folder).map_err(EndpointError::io(TEMPORARY))?;
        }
        Ok(aligned)
    }
}

/// Old files with new addresses.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    file: Option<File>,
    len: u64,
    /// The beginning of each chunk of them, by its layer and its number.
    begins: HashMap<(usize, usize), u64>,
}

impl Aligned {
    /// Adds the bytes of a run of old chunks, as `others` has them where their addresses stay.
    pub(crate) fn load(&self, run: &ChunkRange, out: &mut Vec<u8>, others: &Load<'_>) -> io::Result<()> {
        match (self.begins.get(&(run.layer(), run.chunks().start)), &self.file) {
            // Contents lie here in the order of the file.
            (Some(begin), Some(file)) => copy_at(file, *begin, run.len(), out),
            _ => others(run, out),
        }
    }

    /// True if this run of old chunks is of such a file.
    pub(crate) fn has(&self, run: &ChunkRange) -> bool {
        self.begins.contains_key(&(run.layer(), run.chunks().start))
    }

    pub(crate) fn put(
        &mut self,
        file: &FileSpan,
        index: &LayerIndex,
        bytes: &[u8],
        folder: &Path,
    ) -> io::Result<()> {
        let into = match self.file.take() {
            Some(into) => into,
            None => tempfile::tempfile_in(folder)?,
        };
        self.file.insert(into).write_all_at(bytes, self.len)?;
        for chunk in file.chunks.clone() {
            self.begins.insert((file.layer, chunk), self.len);
            self.len += index.chunks().at(chunk).len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
