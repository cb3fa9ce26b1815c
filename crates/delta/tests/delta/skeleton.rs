//! The wire form of a skeleton: its bytes, and what becomes of bytes that are none.

use std::io;

use dsync_core::DiffId;
use dsync_delta::{ContentId, Layout, Limits, Piece, Segment, Skeleton, SkeletonError, skeleton};
use proptest::prelude::*;

const NO_LIMITS: Limits = Limits { len: u64::MAX, pairs: u64::MAX, verbatim: u64::MAX };

fn id(short: u64) -> ContentId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&short.to_le_bytes());
    ContentId::from_bytes(bytes)
}

fn verbatim(len: u64) -> Segment {
    Segment::Verbatim { len }
}

fn content(short: u64, len: u64) -> Segment {
    Segment::Content { id: id(short), len }
}

fn layout(segments: Vec<Segment>) -> Layout {
    let len = segments.iter().map(Segment::len).sum();
    Layout { diff_id: DiffId::from_bytes(std::array::from_fn(|at| at as u8)), len, segments }
}

fn encode(layout: &Layout) -> Vec<u8> {
    let mut wire = Vec::new();
    skeleton::encode(layout, &mut io::repeat(b'v'), &mut wire).unwrap();
    wire
}

fn decode(mut wire: &[u8], limits: &Limits) -> Result<Skeleton, SkeletonError> {
    skeleton::decode(&mut wire, limits, &mut io::sink())
}

/// Protocol: whoever changes these bytes changes the protocol's number.
#[test]
fn golden_bytes() {
    let layout = layout(vec![
        verbatim(512),
        content(0x1122_3344_5566_7788, 1000),
        verbatim(24 + 512),
        content(1, 64),
        content(u64::MAX, 300),
        verbatim(5),
        content(0, 77),
        verbatim(435 + 1024),
    ]);
    #[rustfmt::skip]
    let head = [
        // diff id
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
        0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
        0xf1, 0x1e, // len: 3953
        0x05, // pairs
        // verbatim lengths
        0x02, // nothing to pad, one block
        0x02, // the padding of 1000, one block
        0x01, // 0 bytes: less than the padding of 64
        0x0b, // 5 bytes: less than the padding of 300
        0x04, // the padding of 77, two blocks
        // content lengths
        0xe8, 0x07, // 1000
        0x40, // 64
        0xac, 0x02, // 300
        0x4d, // 77
        0x00, // the last pair has none
        // short ids
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ];
    let wire = encode(&layout);
    let (got, rest) = wire.split_at(head.len());
    assert_eq!(got, head);
    assert_eq!(rest, vec![b'v'; 512 + 536 + 5 + 1459]);
    assert_eq!(decode(&encode(&layout), &NO_LIMITS).unwrap(), Skeleton::from(&layout));
}

#[test]
fn an_empty_layer_has_a_skeleton() {
    let empty = layout(Vec::new());
    assert_eq!(encode(&empty)[32..], [0, 0]);
    assert_eq!(decode(&encode(&empty), &NO_LIMITS).unwrap(), Skeleton::from(&empty));
}

#[test]
fn skeletons_follow_one_another() {
    let (first, second) = (layout(vec![content(1, 100), verbatim(9)]), layout(vec![verbatim(3)]));
    let wire = [encode(&first), encode(&second)].concat();
    let mut input = &wire[..];
    for layout in [&first, &second] {
        let mut verbatim = Vec::new();
        let skeleton = skeleton::decode(&mut input, &NO_LIMITS, &mut verbatim).unwrap();
        assert_eq!(skeleton, Skeleton::from(layout));
        assert_eq!(verbatim.len() as u64, layout.verbatim_len());
    }
    assert!(input.is_empty());
}

#[test]
fn too_few_verbatim_bytes_are_no_skeleton() {
    let error =
        skeleton::encode(&layout(vec![verbatim(9)]), &mut &b"12345678"[..], &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn every_limit_is_kept() {
    let wire = encode(&layout(vec![verbatim(10), content(1, 100), verbatim(1), content(2, 100)]));
    let limits = Limits { len: 211, pairs: 2, verbatim: 11 };
    assert!(decode(&wire, &limits).is_ok());
    for (limits, what) in [
        (Limits { len: 210, ..limits }, "bytes"),
        (Limits { pairs: 1, ..limits }, "files"),
        (Limits { verbatim: 10, ..limits }, "header bytes"),
    ] {
        match decode(&wire, &limits) {
            Err(SkeletonError::Limit { what: got, .. }) => assert_eq!(got, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// The bytes after the diff id, and why they are refused.
#[test]
fn malformed_skeletons_are_refused() {
    let cases: [(&[u8], &str); 9] = [
        (&[0x80, 0x00], "a number in no valid form"),
        (&[10, 1, 21, 1], "the pieces are longer than the layer"),
        (&[10, 1, 17, 1], "the pieces are shorter than the layer"),
        (&[10, 2, 0, 0, 0, 10], "an empty content"),
        (&[10, 1, 0, 0], "an empty content"),
        (&[10, 2, 0, 0, 10, 0], "the pieces are longer than the layer"), // padding, and no block
        (&[10, 1, 1, 10], "a length in the longer of two forms"),
        (&[10, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1], "a length beyond 64 bits"),
        (
            &[10, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1],
            "the pieces are longer than the layer",
        ),
    ];
    for (bytes, expected) in cases {
        let wire = [&[0; 32][..], bytes, &[0; 600]].concat();
        match decode(&wire, &NO_LIMITS) {
            Err(SkeletonError::Malformed(why)) => assert_eq!(why, expected, "{bytes:?}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn a_number_alone_allocates_nothing() {
    // A peer that claims 2^63 pairs, or as many verbatim bytes, and then says no more. Were any of it
    // reserved, the allocation would abort the test.
    let many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let pairs = [&[0; 32][..], &[0], &many].concat();
    assert!(matches!(decode(&pairs, &NO_LIMITS), Err(SkeletonError::Read(_))));
    let verbatim =
        [&[0; 32][..], &many, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]].concat();
    assert!(matches!(decode(&verbatim, &NO_LIMITS), Err(SkeletonError::Read(_))));
}

/// What a decoded skeleton is encoded to.
fn encode_again(skeleton: &Skeleton, bytes: &[u8]) -> Vec<u8> {
    let segment = |piece: &Piece| match *piece {
        Piece::Verbatim { len } => verbatim(len),
        Piece::Content { short, len } => content(short, len),
    };
    let segments = skeleton.segments.iter().map(segment).collect();
    let layout = Layout { diff_id: skeleton.diff_id, len: skeleton.len, segments };
    let mut wire = Vec::new();
    skeleton::encode(&layout, &mut &bytes[..], &mut wire).unwrap();
    wire
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let len = || prop_oneof![1..1500u64, (1..9u64).prop_map(|blocks| blocks * 512), 1..10_000u64];
    let pair = (prop::option::of(len()), any::<u64>(), prop_oneof![len(), 1 << 30..1u64 << 40]);
    (proptest::collection::vec(pair, 0..20), prop::option::of(len())).prop_map(|(pairs, end)| {
        let pair = |(before, short, len): (Option<u64>, u64, u64)| {
            before.map(verbatim).into_iter().chain([content(short, len)])
        };
        pairs.into_iter().flat_map(pair).chain(end.map(verbatim)).collect()
    })
}

proptest! {
    #[test]
    fn skeletons_round_trip(segments in segments()) {
        let layout = layout(segments);
        prop_assert_eq!(decode(&encode(&layout), &NO_LIMITS).unwrap(), Skeleton::from(&layout));
    }

    #[test]
    fn a_cut_skeleton_is_refused(segments in segments(), cut in any::<prop::sample::Index>()) {
        let wire = encode(&layout(segments));
        let result = decode(&wire[..cut.index(wire.len())], &NO_LIMITS);
        prop_assert!(matches!(result, Err(SkeletonError::Read(_))), "{result:?}");
    }

    /// Whatever is accepted is the one encoding of what it says.
    #[test]
    fn there_is_one_encoding_only(
        segments in segments(),
        flips in proptest::collection::vec((32..150usize, any::<u8>()), 1..4),
    ) {
        let mut wire = encode(&layout(segments));
        for (at, value) in flips {
            if let Some(byte) = wire.get_mut(at) {
                *byte = value;
            }
        }
        let mut verbatim = Vec::new();
        let mut input = &wire[..];
        if let Ok(skeleton) = skeleton::decode(&mut input, &NO_LIMITS, &mut verbatim) {
            let consumed = wire.len() - input.len();
            prop_assert!(encode_again(&skeleton, &verbatim) == wire[..consumed]);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_trouble(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let wire = [&[0; 32][..], &bytes].concat();
        let _ = decode(&bytes, &NO_LIMITS);
        if let Ok(skeleton) = decode(&wire, &NO_LIMITS) {
            prop_assert!(skeleton.segments.len() <= bytes.len());
        }
    }
}
