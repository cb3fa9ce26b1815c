//! Joining: what goes wrong is told apart, and a layer that is not the one meant is never passed off as it.

use std::io::{self, Write};

use crate::support::{Store, scan};
use crate::tars::{body, build, items};
use dsync_core::DiffId;
use dsync_delta::{ContentSource, Contents, Index, JoinError, Piece, Skeleton, join};
use proptest::prelude::*;

/// One verbatim byte, then a content of 100 bytes named 7, then another verbatim byte.
fn skeleton() -> Skeleton {
    let layer = [b"<", &body(100, 1)[..], b">"].concat();
    let segments =
        vec![Piece::Verbatim { len: 1 }, Piece::Content { short: 7, len: 100 }, Piece::Verbatim { len: 1 }];
    Skeleton { diff_id: DiffId::of(&layer), len: 102, segments }
}

/// Gives these bytes whatever is asked for, and ignores errors if told so.
struct Fixed {
    bytes: Vec<u8>,
    ignore: bool,
}

impl ContentSource for Fixed {
    fn copy(&mut self, _: u64, _: u64, out: &mut dyn Write) -> io::Result<()> {
        let result = out.write_all(&self.bytes);
        if self.ignore { Ok(()) } else { result }
    }
}

fn join_with(bytes: &[u8], ignore: bool, out: &mut dyn Write) -> Result<(), JoinError> {
    join(&skeleton(), &mut &b"<>"[..], &mut Fixed { bytes: bytes.to_vec(), ignore }, out)
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
    assert_eq!(DiffId::of(&out), skeleton().diff_id);
}

#[test]
fn a_wrong_content_is_a_mismatch() {
    let error = join_with(&body(100, 2), false, &mut io::sink()).unwrap_err();
    let got = DiffId::of(&[b"<", &body(100, 2)[..], b">"].concat());
    match error {
        JoinError::Mismatch { expected, got: is } => assert_eq!((expected, is), (skeleton().diff_id, got)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lengths_are_enforced_even_on_a_source_that_ignores_errors() {
    for ignore in [false, true] {
        for len in [0, 99, 101, 200] {
            let mut out = Vec::new();
            match join_with(&body(len, 1), ignore, &mut out).unwrap_err() {
                JoinError::Length { short: 7, expected: 100, got } => assert_eq!(got, len as u64),
                other => panic!("{other:?}"),
            }
            assert!(out.len() <= 101);
        }
    }
}

#[test]
fn a_full_disk_is_no_fault_of_the_source() {
    for room in [0, 1, 50, 101] {
        for ignore in [false, true] {
            let error = join_with(&body(100, 1), ignore, &mut Full(room)).unwrap_err();
            assert!(matches!(error, JoinError::Write(_)), "{room}: {error:?}");
        }
    }
}

#[test]
fn a_missing_content_and_missing_headers_are_told_apart() {
    let error = join(&skeleton(), &mut &b"<>"[..], &mut Store::default(), &mut io::sink()).unwrap_err();
    assert!(matches!(error, JoinError::Content { short: 7, len: 100, .. }), "{error:?}");
    let mut source = Fixed { bytes: body(100, 1), ignore: false };
    let error = join(&skeleton(), &mut &b"<"[..], &mut source, &mut io::sink()).unwrap_err();
    assert!(matches!(error, JoinError::Verbatim(_)), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// The whole of it: the target holds some layers, lacks others, and is sent what its index does not find.
    #[test]
    fn what_is_held_and_what_is_sent_make_the_layers(held in items(), wanted in items()) {
        let held = build(&held);
        let bytes = build(&[wanted, Vec::new()].concat());
        let (basis, layout) = (scan(&held), scan(&bytes));
        let mut index = Index::new();
        for (offset, segment) in basis.spans() {
            if let dsync_delta::Segment::Content { id, len } = segment {
                index.insert(id, len, offset as usize);
            }
        }
        let source = Contents::of_layouts([&layout]).unwrap();
        let skeleton = Skeleton::from(&layout);
        let target = Contents::of([&skeleton]);
        prop_assert!(source.iter().eq(target.iter()));
        let wanted = target.wanted(|content| index.lookup_short(content.short, content.len).is_none());

        let mut store = Store::default();
        let all = Store::of(&layout, &bytes);
        for (ordinal, content) in source.iter().enumerate() {
            let name = (content.short, content.len);
            let bytes = match index.lookup_short(content.short, content.len) {
                Some(offset) => held[offset..][..content.len as usize].to_vec(),
                None => all.0[&name].clone(),
            };
            prop_assert_eq!(wanted.contains(ordinal), index.lookup_short(name.0, name.1).is_none());
            store.0.insert(name, bytes);
        }
        let verbatim = {
            let mut verbatim = Vec::new();
            io::copy(&mut layout.verbatim(io::Cursor::new(&bytes), 0), &mut verbatim).unwrap();
            verbatim
        };
        let mut joined = Vec::new();
        join(&skeleton, &mut &verbatim[..], &mut store, &mut joined).unwrap();
        prop_assert!(joined == bytes);
    }
}
