//! Joining: what goes wrong is encoded apart, and a layer that is not the one meant is never passed off as it.

use std::io::{self, Write};
use std::sync::Arc;

use crate::support::{LIMITS, Layer};
use crate::tars::{END, body, entry};
use dsync_core::Digest;
use dsync_delta::header_delta::{Assembly, Decoder, Encoder, Mode, Origin};
use dsync_delta::{ChunkSource, JoinError, join};

/// A file of 100 bytes.
fn layer() -> Layer {
    Layer::new([entry(b'0', &body(100, 1)), END.to_vec()].concat())
}

fn assembly() -> Assembly {
    let mut encoded = Vec::new();
    Encoder::new(&[], Mode::References).layer(&layer().index, &mut encoded).unwrap();
    Decoder::new(&[], Mode::References, LIMITS).layer(&mut &encoded[..]).unwrap()
}

/// Gives these bytes whatever is asked for, and ignores errors if encoded so.
struct Fixed {
    bytes: Vec<u8>,
    ignore: bool,
}

impl ChunkSource for Fixed {
    fn copy(&mut self, _: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        let result = out.write_all(&self.bytes);
        if self.ignore { Ok(()) } else { result }
    }
}

fn join_with(bytes: &[u8], ignore: bool, out: &mut dyn Write) -> Result<(), JoinError> {
    join(&assembly(), &mut Fixed { bytes: bytes.to_vec(), ignore }, out)
}

/// Takes so many bytes, then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_right_chunk_makes_the_layer() {
    let mut out = Vec::new();
    join_with(&body(100, 1), false, &mut out).unwrap();
    assert_eq!(Digest::of(&out), layer().index.digest);
}

#[test]
fn a_wrong_chunk_is_a_mismatch() {
    let error = join_with(&body(100, 2), false, &mut io::sink()).unwrap_err();
    let got = Digest::of(&[entry(b'0', &body(100, 2)), END.to_vec()].concat());
    match error {
        JoinError::Mismatch { expected, got: is } => {
            assert_eq!((expected, is), (layer().index.digest, got))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lengths_are_enforced_even_on_a_source_that_ignores_errors() {
    for ignore in [false, true] {
        for len in [0, 99, 101, 200] {
            let mut out = Vec::new();
            match join_with(&body(len, 1), ignore, &mut out).unwrap_err() {
                JoinError::Length { from: Origin::Literal(0), expected: 100, got } => {
                    assert_eq!(got, len as u64)
                }
                other => panic!("{other:?}"),
            }
            assert!(out.len() <= 512 + 100);
        }
    }
}

#[test]
fn a_full_disk_is_no_fault_of_the_source() {
    for room in [0, 1, 512, 550, 1100] {
        for ignore in [false, true] {
            let error = join_with(&body(100, 1), ignore, &mut Full(room)).unwrap_err();
            assert!(matches!(error, JoinError::Write(_)), "{room}: {error:?}");
        }
    }
}

/// Has nothing.
struct Empty;

impl ChunkSource for Empty {
    fn copy(&mut self, _: Origin, _: u64, _: &mut dyn Write) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[test]
fn a_missing_chunk_is_named() {
    let error = join(&assembly(), &mut Empty, &mut io::sink()).unwrap_err();
    assert!(matches!(error, JoinError::Chunk { from: Origin::Literal(0), len: 100, .. }), "{error:?}");
}

/// Has the chunks of a layer, writes them in parts, and says which were asked for.
struct Recorded<'a> {
    layer: &'a Layer,
    basis: &'a Layer,
    asked: Vec<(Origin, u64)>,
    part: usize,
}

impl ChunkSource for Recorded<'_> {
    fn copy(&mut self, from: Origin, len: u64, out: &mut dyn Write) -> io::Result<()> {
        self.asked.push((from, len));
        let bytes = match from {
            Origin::Basis { chunk, .. } => self.basis.chunk(chunk as usize),
            Origin::Literal(number) => self.layer.chunk(number as usize),
        };
        bytes.chunks(self.part).try_for_each(|part| out.write_all(part))?;
        out.write_all(b"")?;
        out.flush()
    }
}

#[test]
fn chunks_are_asked_for_in_the_order_of_the_layer_with_their_lengths() {
    // The last one ends with the layer; the others are unpadded, of whole blocks, and in several chunks.
    let files = [body(512, 1), body(300_000, 2), body(100, 3), body(700, 4)];
    let mut bytes: Vec<u8> = files.iter().flat_map(|file| entry(b'0', file)).collect();
    bytes.truncate(bytes.len() - 324);
    let layer = Layer::new(bytes);
    let basis = Layer::new([entry(b'0', &files[2]), entry(b'0', b""), END.to_vec()].concat());
    let indexes = [&*basis.index];
    let mut encoded = Vec::new();
    let mut encoder = Encoder::new(&indexes, Mode::References);
    encoder.layer(&layer.index, &mut encoded).unwrap();
    let assembly = Decoder::new(&indexes, Mode::References, LIMITS).layer(&mut &encoded[..]).unwrap();
    for part in [1, 7, 512, 1 << 20] {
        // Literals are numbered as the chunks of the layer, but for the one in the basis: so the source has them by
        // hand.
        let chunks = layer.index.chunks();
        let mut source = Recorded { layer: &layer, basis: &basis, asked: Vec::new(), part };
        let literals: Vec<usize> = encoder.literals().iter().map(|literal| literal.chunk as usize).collect();
        let mut by_literal = ByLiteral { inner: &mut source, literals };
        let mut out = Vec::new();
        join(&assembly, &mut by_literal, &mut out).unwrap();
        assert!(out == layer.bytes, "another layer");
        let lens: Vec<u64> = source.asked.iter().map(|(_, len)| *len).collect();
        assert_eq!(lens, chunks.iter().map(|chunk| chunk.len).collect::<Vec<_>>());
        let known =
            source.asked.iter().filter(|(from, _)| matches!(from, Origin::Basis { layer: 0, chunk: 0 }));
        assert_eq!(known.count(), 1);
    }
}

/// Maps literals to the chunks of their layer.
struct ByLiteral<'a, 'b> {
    inner: &'a mut Recorded<'b>,
    literals: Vec<usize>,
}

impl ChunkSource for ByLiteral<'_, '_> {
    fn copy(&mut self, from: Origin, len: u64, out: &mut dyn Write) -> io::Result<()> {
        let from = match from {
            Origin::Literal(number) => Origin::Literal(self.literals[number as usize] as u32),
            basis => basis,
        };
        self.inner.copy(from, len, out)
    }
}

#[test]
fn a_layer_without_chunks_asks_for_none() {
    for bytes in [Vec::new(), END.to_vec(), entry(b'5', b""), body(300, 1), vec![0; 100_000]] {
        let layer = Layer::new(bytes);
        let mut encoded = Vec::new();
        Encoder::new(&[], Mode::References).layer(&layer.index, &mut encoded).unwrap();
        let assembly = Decoder::new(&[], Mode::References, LIMITS).layer(&mut &encoded[..]).unwrap();
        let mut out = Vec::new();
        join(&assembly, &mut Empty, &mut out).unwrap();
        assert_eq!(out, layer.bytes);
    }
}

#[test]
fn an_assembly_of_another_diff_id_or_without_an_origin_is_no_layer() {
    let mut other = assembly();
    Arc::make_mut(&mut other.index).digest = Digest::of(b"another layer");
    let error = join(&other, &mut Fixed { bytes: body(100, 1), ignore: false }, &mut io::sink()).unwrap_err();
    assert!(
        matches!(error, JoinError::Mismatch { expected, .. } if expected == Digest::of(b"another layer"))
    );
    let mut short = assembly();
    short.origins.clear();
    let error = join(&short, &mut Fixed { bytes: body(100, 1), ignore: false }, &mut io::sink()).unwrap_err();
    assert!(matches!(error, JoinError::Mismatch { .. }));
}

/// Fails at first, as an interrupted call does, then takes a byte at a time.
struct Slow {
    out: Vec<u8>,
    interrupted: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        match (self.interrupted, bytes.first()) {
            (true, _) => Err(io::ErrorKind::Interrupted.into()),
            (false, None) => Ok(0),
            (false, Some(byte)) => {
                self.out.push(*byte);
                Ok(1)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_interrupted_write_is_no_failure() {
    let mut out = Slow { out: Vec::new(), interrupted: false };
    join_with(&body(100, 1), false, &mut out).unwrap();
    assert_eq!(Digest::of(&out.out), layer().index.digest);
}
