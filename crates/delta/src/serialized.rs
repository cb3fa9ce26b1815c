//! A layer index as bytes that can be kept: a header delta without a basis.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::header_delta::{Decoder, Encoder, HeaderDeltaError, Limits, Mode};
use crate::layer_index::LayerIndex;

/// The version of [`LayerIndex::write`], to be counted up when records, columns, chunk boundaries or chunk ids change.
const FORMAT: u8 = 4;

impl LayerIndex {
    /// Writes an index so that it can be kept: a header delta without a basis, to be compressed by the caller.
    pub fn write(self: &Arc<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&[FORMAT])?;
        Encoder::new(&[], Mode::WithIds).layer(self, out)
    }

    /// Reads the bytes of [`LayerIndex::write`] and not one more, in at most `memory` bytes of memory.
    pub fn read(input: &mut dyn Read, memory: usize) -> Result<LayerIndex, HeaderDeltaError> {
        let mut format = [0];
        input.read_exact(&mut format)?;
        if format != [FORMAT] {
            return Err(HeaderDeltaError::Malformed("an unknown version"));
        }
        let limits = Limits { memory, ..Limits::ANY };
        Decoder::new(&[], Mode::WithIds, limits)
            .layer(input)
            .map(|assembly| Arc::unwrap_or_clone(assembly.index))
    }
}
