//! Executables that are sent beside an old version, and how the addresses move between the two.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use dsync_delta::batching::{Batch, ChunkRange};
use dsync_exe::Addresses;
use dsync_proto::limits;

use crate::coding::address_maps::{Aligned, FileSpan, LEAST, MEMORY, SentMaps, TEMPORARY, read};
use crate::failure::EndpointError;
use crate::layers::{ChunkMap, Layers, Place, Slice};

/// Bytes at the beginning of a file by which an executable is known.
const BEGIN: u64 = 20;

/// The basis, and the layers that are sent.
#[derive(Clone, Copy)]
pub(crate) struct ChunkMaps<'a> {
    pub(crate) old: &'a [ChunkMap],
    pub(crate) new: &'a [ChunkMap],
}

/// Files that are sent and may be executables, each with its old version.
#[derive(Debug, Default)]
pub(crate) struct ExecutablePairs(Vec<ExecutablePair>);

#[derive(Debug)]
struct ExecutablePair {
    old: FileSpan,
    new: FileSpan,
}

impl ExecutablePairs {
    /// Those in batches, if `memory` is enough for them. An old file that has several new versions counts once.
    pub(crate) fn find(
        batches: &[Batch],
        own: &Layers<'_>,
        ChunkMaps { old, new }: ChunkMaps<'_>,
        memory: u64,
    ) -> io::Result<ExecutablePairs> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for batch in batches {
            for (run, pair) in batch.new.iter().zip(batch.pairs()) {
                let Some(pair) = pair else { continue };
                let file_of =
                    |chunk_maps, run: &ChunkRange| FileSpan::of(chunk_maps, run.layer(), run.chunks().start);
                let versions = (file_of(old, &batch.old[pair]), file_of(new, run));
                let (Some(old_file), Some(new_file)) = versions else { continue };
                let fits = old_file.len.saturating_add(new_file.len) <= memory / MEMORY;
                let is_long = old_file.len.min(new_file.len) >= LEAST;
                let mut is_first = || seen.insert((old_file.layer, old_file.chunks.start));
                if found.len() == limits::ADDRESS_MAP_COUNT
                    || !fits
                    || !is_long
                    || !old[old_file.layer].is_layer()
                    || !is_first()
                {
                    continue;
                }
                if dsync_exe::is_candidate(&begin(own, &new[new_file.layer], new_file.chunks.start)?) {
                    found.push(ExecutablePair { old: old_file, new: new_file });
                }
            }
        }
        Ok(ExecutablePairs(found))
    }

    /// The chunks of the old files.
    pub(crate) fn places<'a>(&'a self, old: &'a [ChunkMap]) -> impl Iterator<Item = Place> + 'a {
        self.0.iter().flat_map(|pair| pair.old.places(old))
    }

    /// Computes the address maps, and rewrites the old versions by them.
    pub(crate) fn align(
        &self,
        own: &Layers<'_>,
        ChunkMaps { old, new }: ChunkMaps<'_>,
        folder: &Path,
    ) -> Result<(Aligned, SentMaps), EndpointError> {
        let mut aligned = Aligned::default();
        let mut maps = SentMaps::default();
        for ExecutablePair { old: old_file, new: new_file } in &self.0 {
            // One file at a time, since their addresses take as much memory again.
            let Some(before) = Addresses::of(&read(own, old, old_file)?) else { continue };
            let Some(after) = Addresses::of(&read(own, new, new_file)?) else { continue };
            let Some(map) = dsync_exe::map_addresses(before, after) else { continue };
            let bytes = dsync_exe::align(&read(own, old, old_file)?, &map);
            let index = &old[old_file.layer].index;
            aligned.put(old_file, index, &bytes, folder).map_err(EndpointError::io(TEMPORARY))?;
            maps.push(old_file, &map).map_err(EndpointError::io(TEMPORARY))?;
        }
        Ok((aligned, maps))
    }
}

/// The first bytes of a chunk.
fn begin(own: &Layers<'_>, chunk_map: &ChunkMap, chunk: usize) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    if let Some(first) = chunk_map.of(chunk).next() {
        own.copy(Slice { len: first.len.min(BEGIN), ..first }, &mut begin)?;
    }
    Ok(begin)
}
