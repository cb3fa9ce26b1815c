//! The cold transfer: without a basis, each layer crosses as soon as it is read, while the next one is.
//!
//! Taken where the want names no basis: there is none, nothing is missing, or nothing may be relied on. No question is
//! asked, and an offer comes before only where the ID is kept. One stream has of each layer the limit of its batches
//! (4 bytes, little-endian), its header delta and its literals in batches, and at last the config, unless the documents
//! had it, since an engine may give that last.

use std::io::{self, Read, Write};
use std::iter;
use std::sync::Arc;

use dsync_core::LayerKey;
use dsync_delta::batch::Effort;
use dsync_delta::batching::ChunkRange;
use dsync_delta::header_delta::{Assembly, Decoder, Encoder, Literal, Mode};
use dsync_delta::{ChunkRef, LayerIndex};
use dsync_proto::limits;

use super::Step;
use super::contents::read_limit;
use super::headers::{BuiltOn, limits_of, next_layer};
use crate::coding::section::{self, SectionReader, SectionWriter};
use crate::failure::EndpointError;
use crate::layers::memory::Memory;

/// Bytes of the first batch of a layer; each has room for twice as many as the one before, up to the limit.
const FIRST_BATCH: u64 = 4 << 20;

/// The source's half of a layer but for its batches. Returns how many bytes the header delta takes.
pub(crate) fn write_layer(
    out: &mut dyn Write,
    limit: u32,
    encoder: &mut Encoder<'_>,
    index: &Arc<LayerIndex>,
    effort: Effort,
) -> io::Result<u64> {
    out.write_all(&limit.to_le_bytes())?;
    let mut section = SectionWriter::new(out, effort);
    encoder.layer(index, &mut section)?;
    section.finish()
}

/// The decoder of all layers.
pub(crate) fn decoder(mode: Mode, memory: Memory) -> Decoder<'static> {
    Decoder::new(&[], mode, limits_of(memory))
}

/// The target's half of a layer but for its batches: their limit, and the layer, which must be this one.
pub(crate) fn read_layer(
    stream: &mut impl Read,
    decoder: &mut Decoder<'_>,
    key: &LayerKey,
) -> Result<(u32, Assembly), EndpointError> {
    let awaited = || EndpointError::io(Step::Cold.awaited());
    let limit = read_limit(stream).map_err(awaited())?;
    let mut section = SectionReader::new(stream);
    let assembly = next_layer(decoder, &mut section, key, BuiltOn::Nothing)?;
    section.finish().map_err(awaited())?;
    Ok((limit, assembly))
}

/// The source's half of the config. Returns how many bytes it takes.
pub(crate) fn write_config(out: &mut dyn Write, config: &[u8], effort: Effort) -> io::Result<u64> {
    section::write(config, effort, out)
}

/// The target's half of the config.
pub(crate) fn read_config(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    section::read(stream, limits::DOCUMENT)
}

/// The literals of one layer, which is taken for the first.
pub(crate) fn chunk_refs(literals: &[Literal]) -> impl Iterator<Item = ChunkRef> + '_ {
    literals.iter().map(|literal| ChunkRef { layer: 0, chunk: literal.chunk })
}

/// The limits of the batches of one layer: small ones first, so that the link has something to do at once.
pub(crate) fn batch_limits(most: u32) -> impl Iterator<Item = u64> {
    let most = u64::from(most);
    iter::successors(Some(FIRST_BATCH.min(most)), move |limit| Some((limit * 2).min(most)))
}

/// There is nothing old.
pub(crate) fn no_old(_: &ChunkRange, _: &mut Vec<u8>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
