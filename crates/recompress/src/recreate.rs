//! The blob again, from its plain bytes and its recipe.

use std::io::{self, Read, Write};

use flate2::Crc;

use crate::{Recipe, gzip};

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// Writes the blob that the recipe makes of the plain bytes, and says its length. Nothing tells here whether that is
/// the blob that was recognised: its digest does.
///
/// # Errors
///
/// Only those of `plain` and `out`.
pub fn recreate(recipe: &Recipe, mut plain: impl Read, mut out: impl Write) -> io::Result<u64> {
    let mut encoder = recipe.method.encoder();
    let mut crc = Crc::new();
    let mut plain_len = 0;
    let mut len = recipe.header.len() as u64;
    out.write_all(&recipe.header)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = read_some(&mut plain, &mut piece)?;
        if read == 0 {
            encoder.finish();
        }
        crc.update(&piece[..read]);
        plain_len += read as u64;
        encoder.write(&piece[..read]);
        len += encoder.output().len() as u64;
        out.write_all(encoder.output())?;
        encoder.output().clear();
        if read == 0 {
            break;
        }
    }
    out.write_all(&gzip::footer(crc.sum(), plain_len))?;
    Ok(len + gzip::FOOTER as u64)
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
