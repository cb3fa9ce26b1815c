//! The config of an image, and each layer as a header delta against the basis.
//!
//! One stream, a section: the length of the config (4 bytes, little-endian) and the config, which is empty where the
//! documents of the image crossed; then the layers.

use std::io::{self, Read, Write};
use std::sync::Arc;

use dsync_core::LayerKey;
use dsync_delta::LayerIndex;
use dsync_delta::batch::Effort;
use dsync_delta::header_delta::{Assembly, Decoder, Encoder, HeaderDeltaError, Limits, Literal, Mode};
use dsync_proto::limits;

use super::{Attempt, Step};
use crate::coding::section::{SectionReader, SectionWriter};
use crate::failure::{Breach, EndpointError};
use crate::layers::memory::Memory;
use crate::link::Link;

/// The source's half. Returns the literals of the new layers, and how many bytes the step took.
pub(crate) fn send(
    link: &Link,
    config: &[u8],
    new: &[Arc<LayerIndex>],
    basis: &[&LayerIndex],
    mode: Mode,
    effort: Effort,
) -> Result<(Vec<Literal>, u64), EndpointError> {
    let mut encoder = Encoder::new(basis, mode);
    let mut out = link.data_writer();
    let mut section = SectionWriter::new(&mut out, effort);
    let packed = write_config(config, &mut section)
        .and_then(|()| new.iter().try_for_each(|index| encoder.layer(index, &mut section)))
        .and_then(|()| section.finish());
    let sent = packed.and_then(|packed| out.finish().map(|()| packed));
    let sent = sent.map_err(EndpointError::io(Step::Headers.sent()))?;
    Ok((encoder.into_literals(), sent))
}

/// The config and the headers, as they arrive.
pub(crate) struct Headers {
    /// Empty where the documents of the image crossed.
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Assembly>,
    /// The literals of all layers, in the order in which they are sent.
    pub(crate) literals: Vec<Literal>,
}

/// The target's half, for the layers that it asked for.
pub(crate) fn receive(
    link: &mut Link,
    wanted: &[LayerKey],
    basis: &[&LayerIndex],
    mode: Mode,
    memory: Memory,
) -> Result<Headers, EndpointError> {
    let awaited = || EndpointError::io(Step::Headers.awaited());
    let mut section = SectionReader::new(link.data_reader());
    let config = read_config(&mut section).map_err(awaited())?;
    let mut decoder = Decoder::new(basis, mode, limits_of(memory));
    let built_on = match mode == Mode::Literals || basis.is_empty() {
        true => BuiltOn::Nothing,
        false => BuiltOn::Basis,
    };
    let layers = wanted.iter().map(|key| next_layer(&mut decoder, &mut section, key, built_on));
    let layers = layers.collect::<Result<_, _>>()?;
    section.finish().and_then(|stream| stream.finish()).map_err(awaited())?;
    Ok(Headers { config, layers, literals: decoder.into_literals() })
}

/// The most that a source may claim of all layers together: more is refused before it costs anything.
pub(super) fn limits_of(memory: Memory) -> Limits {
    let memory = usize::try_from(memory.share()).unwrap_or(usize::MAX);
    Limits { len: limits::LAYER, entries: limits::ENTRIES, memory }
}

/// The layers that header deltas are read against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltOn {
    /// None: nothing about them can have been mistaken, so a delta that cannot be read is a breach.
    Nothing,
    /// Those that both ends know.
    Basis,
}

/// Reads a layer, which must be this one.
pub(super) fn next_layer(
    decoder: &mut Decoder<'_>,
    input: &mut dyn Read,
    key: &LayerKey,
    built_on: BuiltOn,
) -> Result<Assembly, EndpointError> {
    let assembly = decoder.layer(input).map_err(|error| match error {
        HeaderDeltaError::Short | HeaderDeltaError::Malformed(_) if built_on == BuiltOn::Nothing => {
            Breach(error.to_string()).into()
        }
        error => EndpointError::from(error),
    })?;
    let got = assembly.index.digest;
    match got == key.digest() {
        true => Ok(assembly),
        false => Err(EndpointError::Protocol(format!("the source offers layer {got} instead of {key}"))),
    }
}

fn read_config(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    input.read_exact(&mut len)?;
    let len = u64::from(u32::from_le_bytes(len));
    if len > limits::DOCUMENT {
        return Err(Breach(format!("a config of {len} bytes")).into());
    }
    let mut config = Vec::new();
    input.take(len).read_to_end(&mut config)?;
    match config.len() as u64 == len {
        true => Ok(config),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn write_config(config: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(config.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(config)
}

/// The mode of header deltas.
pub(crate) fn mode(attempt: Attempt) -> Mode {
    match attempt {
        Attempt::Delta => Mode::References,
        Attempt::FullResend => Mode::Literals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_its_length_in_front() {
        let mut out = Vec::new();
        write_config(b"{}", &mut out).unwrap();
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
        let read = |bytes: Vec<u8>| read_config(&mut SectionReader::new(&bytes[..]));
        assert_eq!(read(written(2, b"{}")).unwrap(), b"{}");
        assert_eq!(read(written(2, b"{}and what follows")).unwrap(), b"{}");
        assert!(read(written(3, b"{}")).is_err());
        let too_long = read(written(limits::DOCUMENT as u32 + 1, b"{}")).unwrap_err();
        assert!(too_long.to_string().contains("broke the protocol"), "{too_long}");
    }
}
