//! Re-creates a blob from its plain bytes and its recipe.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use crate::blocks::{Ends, IndependentBlocks};
use crate::deflate::StreamEncoder;
use crate::gzip;
use crate::recipe::Recipe;
use crate::segments::Segments;

/// Bytes that are read at once, and plain bytes that are encoded at once.
pub(crate) const PIECE: usize = 1 << 16;

/// Writes the blob that the recipe makes of the plain bytes, and says its length. Only the digest proves
/// that it is the blob that was identified.
///
/// # Errors
///
/// Only those of `plain` and `out`.
pub fn recreate(recipe: &Recipe, plain: impl Read, out: impl Write) -> io::Result<u64> {
    recreate_on(recipe, plain, out, NonZeroUsize::MIN)
}

/// The same, on so many threads where the encoder made independent blocks or the recipe has checkpoints. For each
/// thread there are two blocks and an encoder, about 4 MiB where blocks are of 1 MiB; or two parts between checkpoints,
/// about 12 MiB, and never more than 56 MiB.
///
/// # Errors
///
/// The errors of `plain` and `out`, and [`io::ErrorKind::InvalidData`] where the checkpoints show that the recipe is
/// not that of these bytes.
pub fn recreate_on(
    recipe: &Recipe,
    plain: impl Read,
    mut out: impl Write,
    threads: NonZeroUsize,
) -> io::Result<u64> {
    out.write_all(&recipe.header)?;
    let ends = match IndependentBlocks::of(recipe.method) {
        Some(blocks) if threads.get() > 1 => blocks.run(plain, &mut out, threads)?,
        None if threads.get() > 1 && !recipe.checkpoints.is_empty() => {
            let segments = Segments { method: recipe.method, checkpoints: &recipe.checkpoints };
            segments.run(plain, &mut out, threads)?
        }
        _ => run(recipe.encoder().ok_or_else(misfit)?.as_mut(), plain, &mut out)?,
    };
    let footer = gzip::footer(ends.crc.sum(), ends.plain);
    // A frame of zstd has all of its own.
    let footer = if recipe.method.is_gzip() { &footer[..] } else { &[] };
    out.write_all(footer)?;
    Ok((recipe.header.len() + footer.len()) as u64 + ends.stream)
}

/// Writes the compressed stream of the plain bytes.
fn run(encoder: &mut dyn StreamEncoder, mut plain: impl Read, mut out: impl Write) -> io::Result<Ends> {
    let mut ends = Ends::default();
    let mut piece = vec![0; PIECE];
    loop {
        let read = read_some(&mut plain, &mut piece)?;
        if read == 0 {
            encoder.finish();
        }
        ends.crc.update(&piece[..read]);
        ends.plain += read as u64;
        encoder.write(&piece[..read]);
        if encoder.is_wrong() || ends.stream > 2 * ends.plain + PIECE as u64 {
            return Err(misfit());
        }
        ends.stream += encoder.output().len() as u64;
        out.write_all(encoder.output())?;
        encoder.output().clear();
        if read == 0 {
            return Ok(ends);
        }
    }
}

/// The recipe is of other plain bytes.
pub(crate) fn misfit() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the recipe of a compressed layer is not of these bytes")
}

/// Reads what there is, 0 bytes at the end only.
pub(crate) fn read_some(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
