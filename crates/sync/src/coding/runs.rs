//! The bytes of runs of chunks, which is what batches are coded from.

use std::io;

use dsync_delta::batching::ChunkRange;

/// Adds the bytes of a run of chunks: of a new layer, or of a layer of the basis.
pub(crate) type Load<'a> = dyn Fn(&ChunkRange, &mut Vec<u8>) -> io::Result<()> + Sync + 'a;

/// The lengths of runs.
pub(crate) fn lens(runs: &[ChunkRange]) -> Vec<u64> {
    runs.iter().map(ChunkRange::len).collect()
}

/// The bytes of all runs, one after the other.
pub(crate) fn concat(runs: &[(&[ChunkRange], &Load<'_>)]) -> io::Result<Vec<u8>> {
    let len: u64 = runs.iter().flat_map(|(runs, _)| *runs).map(ChunkRange::len).sum();
    // All at once: what grows leaves gaps behind that are never given back.
    let mut bytes = dsync_exe::roomy(usize::try_from(len).map_err(io::Error::other)?);
    for (runs, load) in runs {
        runs.iter().try_for_each(|run| load(run, &mut bytes))?;
    }
    Ok(bytes)
}
