//! Segments, joined to the stream of one thread.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::Flavour;
use crate::checkpoint::{LAST, are_valid};
use crate::inputs::noise;

#[test]
fn parts_share_a_byte() {
    let mut joint = Joint::<Vec<u8>>::default();
    joint.add(EncodedSegment { from: 0, to: 3, bytes: vec![7, 0b101] }).expect("memory does not fail");
    joint.add(EncodedSegment { from: 3, to: 5, bytes: vec![0b1_1000] }).expect("memory does not fail");
    joint.add(EncodedSegment { from: 5, to: 0, bytes: vec![0b0100_0000, 9] }).expect("memory does not fail");
    assert_eq!((&joint.out[..], joint.len), (&[7, 0b0101_1101, 9][..], 3));
    assert!(joint.add(EncodedSegment { from: 1, to: 0, bytes: vec![2] }).is_err());
}

fn methods() -> Vec<CompressionMethod> {
    let levels = [4, 5, 6, 7, 9];
    let zlib = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu]
        .into_iter()
        .flat_map(move |flavour| levels.map(|level| CompressionMethod::Zlib { flavour, level }));
    zlib.chain(levels.map(|level| CompressionMethod::Go { level })).collect()
}

/// Noise, few letters, runs of one byte, and all of it again: tokens of all kinds, stored blocks among them.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let noise = |(seed, len): (u64, usize), letters: u64| {
        let mut state = seed | 1;
        let mut next = move || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed | 1);
            ((state >> 33) % letters) as u8
        };
        (0..len).map(|_| next()).collect::<Vec<u8>>()
    };
    let piece = prop_oneof![
        (any::<u64>(), 0..90_000usize).prop_map(move |seed| noise(seed, 256)),
        (any::<u64>(), 0..90_000usize, 2..50u64).prop_map(move |(seed, len, most)| noise((seed, len), most)),
        (any::<u8>(), 0..400_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let order = vec((0..6usize, 0..5000usize), 1..40);
    (vec(piece, 2..6), order).prop_map(|(pieces, order)| {
        let cut = |(at, cut): &(usize, usize)| {
            let piece = &pieces[at % pieces.len()];
            piece[(*cut).min(piece.len())..].to_vec()
        };
        order.iter().flat_map(cut).collect()
    })
}

/// The stream, and all places where its encoder can be resumed.
fn whole(method: CompressionMethod, plain: &[u8]) -> (Vec<u8>, Vec<Checkpoint>) {
    let mut encoder = method.encoder();
    encoder.write(plain);
    let checkpoint = |mark: Mark| Checkpoint {
        plain: mark.plain,
        bits: (mark.bits % 8) as u8,
        is_waiting: mark.is_waiting,
    };
    let mut checkpoints: Vec<Checkpoint> = encoder.marks().into_iter().map(checkpoint).collect();
    checkpoints.retain(|checkpoint| checkpoint.plain + LAST <= plain.len() as u64);
    encoder.finish();
    (std::mem::take(encoder.output()), checkpoints)
}

fn in_segments(method: CompressionMethod, checkpoints: &[Checkpoint], plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let threads = NonZeroUsize::new(2).expect("two are some");
    let ends = Segments { method, checkpoints }.run(plain, &mut out, threads)?;
    assert_eq!((ends.stream, ends.plain), (out.len() as u64, plain.len() as u64));
    Ok(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn segments_make_the_stream(plain in plain(), method in select(methods()), few in 1..5usize) {
        let (stream, all) = whole(method, &plain);
        let some: Vec<Checkpoint> = all.into_iter().step_by(few).collect();
        prop_assert!(in_segments(method, &some, &plain).unwrap() == stream);
    }

    #[test]
    fn wrong_checkpoints_make_another_stream_or_fail(
        plain in plain(),
        method in select(methods()),
        wrong in vec((1..300_000u64, 0..8u8, any::<bool>()), 1..5),
        is_near: bool,
    ) {
        let right = whole(method, &plain).1;
        let mut at = 0;
        let mut checkpoints: Vec<Checkpoint> = wrong.into_iter().map(|(gap, bits, is_waiting)| {
            at += gap;
            Checkpoint { plain: at, bits, is_waiting }
        }).collect();
        if is_near {
            // The right places, but for what else is told of them.
            checkpoints.iter_mut().zip(right).for_each(|(wrong, right)| wrong.plain = right.plain);
            checkpoints.dedup_by_key(|checkpoint| checkpoint.plain);
            checkpoints.sort_by_key(|checkpoint| checkpoint.plain);
        }
        if are_valid(&checkpoints)
            && let Err(error) = in_segments(method, &checkpoints, &plain)
        {
            prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}

#[test]
fn a_tail_that_no_thread_can_hold_is_refused() {
    let method = CompressionMethod::Go { level: 6 };
    let plain = vec![0; FARTHEST as usize + 2];
    let checkpoints = [Checkpoint { plain: 1, ..Checkpoint::default() }];
    let error = in_segments(method, &checkpoints, &plain).expect_err("it is too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

fn segmented(
    method: CompressionMethod,
    checkpoints: &[Checkpoint],
    plain: impl Read,
    out: impl Write,
) -> io::Result<Ends> {
    Segments { method, checkpoints }.run(plain, out, NonZeroUsize::new(2).unwrap())
}

/// A stream with checkpoints of its own: noise over four letters, so that blocks are short.
fn checkpointed() -> (CompressionMethod, Vec<u8>, Vec<u8>, Vec<Checkpoint>) {
    let method = CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 };
    let plain = noise(500_000, 4, 1);
    let (stream, checkpoints) = whole(method, &plain);
    assert!(checkpoints.len() > 3);
    (method, plain, stream, checkpoints)
}

#[test]
fn checksum_and_lengths_are_those_of_all_segments() {
    let (method, plain, stream, checkpoints) = checkpointed();
    let mut out = Vec::new();
    let ends = segmented(method, &checkpoints, &plain[..], &mut out).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&plain);
    assert!(out == stream);
    assert_eq!(
        (ends.crc.sum(), ends.plain, ends.stream),
        (crc.sum(), plain.len() as u64, stream.len() as u64)
    );
}

#[test]
fn a_checkpoint_beyond_the_end_is_refused() {
    let (method, plain, _, checkpoints) = checkpointed();
    let last = checkpoints.last().unwrap().plain as usize;
    for len in [0, 1, last - 1, last] {
        let error =
            segmented(method, &checkpoints, &plain[..len], io::sink()).err().expect("it is too short");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{len}");
    }
}

#[test]
fn a_checkpoint_that_is_none_is_refused() {
    let (method, plain, _, checkpoints) = checkpointed();
    type Change = fn(&mut Checkpoint);
    let changes: [Change; 4] = [
        |checkpoint| checkpoint.plain += 1,
        |checkpoint| checkpoint.bits ^= 1,
        |checkpoint| checkpoint.is_waiting ^= true,
        |checkpoint| checkpoint.plain -= 300,
    ];
    for change in changes {
        let mut wrong = checkpoints.clone();
        change(&mut wrong[1]);
        let error = segmented(method, &wrong, &plain[..], io::sink()).err().expect("it is wrong");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    let greedy = CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 1 };
    let error = segmented(greedy, &checkpoints, &plain[..], io::sink()).err().expect("it cannot be resumed");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// Fails after so many bytes.
struct Torn(usize);

impl Read for Torn {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let len = piece.len().min(self.0);
        self.0 -= len;
        piece[..len].fill(7);
        if len == 0 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(len) }
    }
}

impl Write for Torn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.read(&mut vec![0; bytes.len()])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failures_of_reader_and_writer_come_back_as_they_are() {
    let (method, plain, _, checkpoints) = checkpointed();
    let error = segmented(method, &checkpoints, Torn(1000), io::sink()).err().expect("it is torn");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = segmented(method, &checkpoints, &plain[..], Torn(100)).err().expect("it is torn");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Each thread is given the history before the segment, the segment, and what the search looks at.
#[test]
fn segments_overlap_by_a_history_and_a_lookahead() {
    let plain: Vec<u8> = (0..400_000u32).map(|at| (at / 256) as u8).collect();
    let places = [100_000, 170_000, 240_000];
    let checkpoints = places.map(|plain| Checkpoint { plain, ..Checkpoint::default() });
    let mut reader = SegmentReader {
        plain: &plain[..],
        ends: Ends::default(),
        known: Vec::new(),
        from: Some(Checkpoint::default()),
        rest: checkpoints.iter(),
    };
    let mut froms = Vec::new();
    while let Some(segment) = reader.next().unwrap() {
        let start = segment.from.plain as usize - history(segment.from.plain);
        let end = segment.to.map_or(plain.len(), |to| to.plain as usize + AHEAD as usize);
        assert!(segment.plain == plain[start..end.min(plain.len())]);
        froms.push(segment.from.plain);
    }
    assert_eq!(froms, [0, 100_000, 170_000, 240_000]);
    assert_eq!(reader.ends.plain, 400_000);
}

#[test]
fn a_part_within_one_byte_is_joined() {
    let mut joint = Joint::<Vec<u8>>::default();
    joint.add(EncodedSegment { from: 0, to: 2, bytes: vec![0b10] }).unwrap();
    // Three bits, then none, then the rest.
    joint.add(EncodedSegment { from: 2, to: 5, bytes: vec![0b1_1000] }).unwrap();
    joint.add(EncodedSegment { from: 5, to: 5, bytes: vec![0] }).unwrap();
    joint.add(EncodedSegment { from: 5, to: 0, bytes: vec![0b1010_0000] }).unwrap();
    assert_eq!((&joint.out[..], joint.len), (&[0b1011_1010][..], 1));
}
