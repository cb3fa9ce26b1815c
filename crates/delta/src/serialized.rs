//! A layer index as bytes that can be kept: a header delta without a basis.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::header_delta::{Decoder, Encoder, HeaderDeltaError, Limits, Mode};
use crate::layer_index::LayerIndex;

/// The version of [`LayerIndex::write`], to be counted up when records, columns or cuts change.
const FORMAT: u8 = 4;

impl LayerIndex {
    /// Writes the bytes by which a listing can be kept: columns without a basis, to be compressed by the caller.
    pub fn write(self: &Arc<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&[FORMAT])?;
        Encoder::new(&[], Mode::Full).layer(self, out)
    }

    /// Reads what [`LayerIndex::write`] wrote, and not a byte more, in at most so many bytes of memory.
    pub fn read(input: &mut dyn Read, memory: usize) -> Result<LayerIndex, HeaderDeltaError> {
        let mut format = [0];
        input.read_exact(&mut format)?;
        if format != [FORMAT] {
            return Err(HeaderDeltaError::Malformed("an unknown version"));
        }
        let limits = Limits { memory, ..Limits::ANY };
        Ok(Decoder::new(&[], Mode::Full, limits).layer(input)?.listing)
    }
}
