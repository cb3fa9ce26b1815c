//! What an image is made of: its config, and each layer as a header delta against the basis.
//!
//! One stream, a section: the length of the config (4 bytes, little-endian) and the config, which is empty where the
//! documents of the image crossed; then the layers.

use std::io::{self, Read, Write};

use dsync_delta::header_delta::Mode;
use dsync_proto::limits;

use crate::coding::section::SectionReader;
use crate::failure::{Breach, EndpointError};

const SHORT: &str = "the source's offer ends early";

pub(crate) fn take_config<R: Read>(told: &mut SectionReader<R>) -> Result<Vec<u8>, EndpointError> {
    let mut len = [0; 4];
    told.read_exact(&mut len).map_err(EndpointError::io(SHORT))?;
    let len = u64::from(u32::from_le_bytes(len));
    if len > limits::DOCUMENT {
        return Err(Breach(format!("a config of {len} bytes")).into());
    }
    let mut config = Vec::new();
    told.take(len).read_to_end(&mut config).map_err(EndpointError::io(SHORT))?;
    match config.len() as u64 == len {
        true => Ok(config),
        false => Err(EndpointError::Protocol(SHORT.into())),
    }
}

/// Writes the config.
pub(crate) fn put_config(config: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(config.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(config)
}

/// How contents are told in columns.
pub(crate) fn mode(whole: bool) -> Mode {
    if whole { Mode::Literals } else { Mode::References }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::section::SectionWriter;
    use dsync_delta::batch::Effort;

    #[test]
    fn a_config_has_its_length_in_front() {
        let mut out = Vec::new();
        put_config(b"{}", &mut out).unwrap();
        assert_eq!(out, *b"\x02\0\0\0{}");
    }

    #[test]
    fn a_config_is_read_as_it_was_written_and_no_longer_than_it_may_be() {
        let written = |len: u32, config: &[u8]| {
            let mut out = Vec::new();
            let mut section = SectionWriter::new(&mut out, Effort::Level(1));
            section.write_all(&len.to_le_bytes()).unwrap();
            section.write_all(config).unwrap();
            section.finish().unwrap();
            out
        };
        let read = |bytes: Vec<u8>| take_config(&mut SectionReader::new(&bytes[..]));
        assert_eq!(read(written(2, b"{}")).unwrap(), b"{}");
        assert_eq!(read(written(2, b"{}and what follows")).unwrap(), b"{}");
        assert!(read(written(3, b"{}")).is_err());
        let too_long = read(written(limits::DOCUMENT as u32 + 1, b"{}")).unwrap_err();
        assert!(too_long.to_string().contains("broke the protocol"), "{too_long}");
    }
}
