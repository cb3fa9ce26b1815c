//! Joining: what goes wrong is encoded apart, and a layer that is not the one meant is never passed off as it.

use std::io::{self, Write};

use crate::support::{LIMITS, Layer};
use crate::tars::{END, body, entry};
use dsync_core::Digest;
use dsync_delta::header_delta::{Assembly, Decoder, Encoder, Mode, Origin};
use dsync_delta::{ContentSource, JoinError, join};

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

impl ContentSource for Fixed {
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
fn the_right_content_makes_the_layer() {
    let mut out = Vec::new();
    join_with(&body(100, 1), false, &mut out).unwrap();
    assert_eq!(Digest::of(&out), layer().index.digest);
}

#[test]
fn a_wrong_content_is_a_mismatch() {
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

impl ContentSource for Empty {
    fn copy(&mut self, _: Origin, _: u64, _: &mut dyn Write) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[test]
fn a_missing_content_is_named() {
    let error = join(&assembly(), &mut Empty, &mut io::sink()).unwrap_err();
    assert!(matches!(error, JoinError::Content { from: Origin::Literal(0), len: 100, .. }), "{error:?}");
}
