//! Encodes the parts of a stream between its checkpoints on several threads.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use crate::Method;
use crate::blocks::Ends;
use crate::checkpoint::{Checkpoint, FARTHEST, Mark, history};
use crate::ordered::encode_all;

/// Lookahead beyond a segment that an encoder needs to decide as it did, in bytes: enough to fill its window.
const AHEAD: u64 = 1 << 16;

/// A stream with checkpoints.
pub(crate) struct Segments<'a> {
    pub(crate) method: Method,
    pub(crate) checkpoints: &'a [Checkpoint],
}

/// A segment with what is before it and after it, as far as the encoder must know that.
struct Segment {
    from: Checkpoint,
    plain: Vec<u8>,
    /// Where it ends; none for the last.
    to: Option<Checkpoint>,
}

impl Segments<'_> {
    /// Writes the deflate stream of the plain bytes. Returns their CRC-32 and length, and the length of the stream.
    ///
    /// Fails where the checkpoints are not those of the stream and that shows.
    pub(crate) fn run(&self, plain: impl Read, out: impl Write, threads: NonZeroUsize) -> io::Result<Ends> {
        let mut reader = Reader {
            plain,
            ends: Ends::default(),
            known: Vec::new(),
            from: Some(Checkpoint::default()),
            rest: self.checkpoints.iter(),
        };
        let mut joint = Joint { out, last: 0, used: 0, len: 0 };
        encode_all(threads, || reader.next(), |segment| self.encode(&segment), |part| joint.add(part?))?;
        Ok(Ends { stream: joint.len, ..reader.ends })
    }

    fn encode(&self, segment: &Segment) -> io::Result<Part> {
        let mut encoder = self.method.resume(segment.from, &segment.plain).ok_or_else(misfit)?;
        let Some(to) = segment.to else {
            encoder.finish();
            let bytes = std::mem::take(encoder.output());
            return Ok(Part { from: segment.from.bits, to: 0, bytes });
        };
        let marks = encoder.marks();
        let is_end = |mark: &&Mark| (mark.plain, mark.is_waiting) == (to.plain, to.is_waiting);
        let bits = marks.iter().find(is_end).ok_or_else(misfit)?.bits;
        encoder.finish();
        let mut bytes = std::mem::take(encoder.output());
        bytes.truncate(bits.div_ceil(8) as usize);
        if let Some(last) = bytes.last_mut().filter(|_| !bits.is_multiple_of(8)) {
            *last &= (1 << (bits % 8)) - 1;
        }
        Ok(Part { from: segment.from.bits, to: (bits % 8) as u8, bytes })
    }
}

fn misfit() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the checkpoints of a compressed layer are not its own")
}

/// Plain bytes, segment by segment.
struct Reader<'a, R> {
    plain: R,
    ends: Ends,
    /// Input from the start of the next segment's history on.
    known: Vec<u8>,
    /// Where the next segment begins; none after the last.
    from: Option<Checkpoint>,
    rest: std::slice::Iter<'a, Checkpoint>,
}

impl<R: Read> Reader<'_, R> {
    fn next(&mut self) -> io::Result<Option<Segment>> {
        let Some(from) = self.from.take() else { return Ok(None) };
        let to = self.rest.next().copied();
        let start = from.plain - history(from.plain) as u64;
        let end = match to {
            Some(to) => to.plain.saturating_add(AHEAD),
            // One more tells that the last is not longer than it may be.
            None => from.plain.saturating_add(FARTHEST + 1),
        };
        self.read_to(end)?;
        let known = start + self.known.len() as u64;
        let Some(next) = to else {
            return match known < end {
                true => Ok(Some(Segment { from, plain: std::mem::take(&mut self.known), to })),
                false => Err(misfit()),
            };
        };
        if known <= next.plain {
            return Err(misfit());
        }
        let next_start = next.plain - history(next.plain) as u64;
        let tail = self.known[(next_start - start) as usize..].to_vec();
        self.from = Some(next);
        Ok(Some(Segment { from, plain: std::mem::replace(&mut self.known, tail), to }))
    }

    /// Reads until so many plain bytes were read, or to the end.
    fn read_to(&mut self, end: u64) -> io::Result<()> {
        let before = self.known.len();
        let wanted = end.saturating_sub(self.ends.plain);
        self.plain.by_ref().take(wanted).read_to_end(&mut self.known)?;
        self.ends.crc.update(&self.known[before..]);
        self.ends.plain += (self.known.len() - before) as u64;
        Ok(())
    }
}

/// The output of a segment.
struct Part {
    /// Bits of the first byte that are not its own, which are 0, and of the last that are used; 0 if it is full.
    from: u8,
    to: u8,
    bytes: Vec<u8>,
}

/// Joins parts that begin and end within bytes.
#[derive(Default)]
struct Joint<W> {
    out: W,
    /// The byte that is not full, and how many bits of it are used.
    last: u8,
    used: u8,
    /// Bytes that were written.
    len: u64,
}

impl<W: Write> Joint<W> {
    fn add(&mut self, mut part: Part) -> io::Result<()> {
        if part.from != self.used {
            return Err(misfit());
        }
        if let Some(first) = part.bytes.first_mut() {
            *first |= self.last;
        }
        self.used = part.to;
        self.last = if part.to > 0 { part.bytes.pop().unwrap_or_default() } else { 0 };
        self.len += part.bytes.len() as u64;
        self.out.write_all(&part.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::Flavour;
    use crate::checkpoint::{LAST, are_valid};

    #[test]
    fn parts_share_a_byte() {
        let mut joint = Joint::<Vec<u8>>::default();
        joint.add(Part { from: 0, to: 3, bytes: vec![7, 0b101] }).expect("memory does not fail");
        joint.add(Part { from: 3, to: 5, bytes: vec![0b1_1000] }).expect("memory does not fail");
        joint.add(Part { from: 5, to: 0, bytes: vec![0b0100_0000, 9] }).expect("memory does not fail");
        assert_eq!((&joint.out[..], joint.len), (&[7, 0b0101_1101, 9][..], 3));
        assert!(joint.add(Part { from: 1, to: 0, bytes: vec![2] }).is_err());
    }

    fn methods() -> Vec<Method> {
        let levels = [4, 5, 6, 7, 9];
        let zlib = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu]
            .into_iter()
            .flat_map(move |flavour| levels.map(|level| Method::Zlib { flavour, level }));
        zlib.chain(levels.map(|level| Method::Go { level })).collect()
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
            (any::<u64>(), 0..90_000usize, 2..50u64)
                .prop_map(move |(seed, len, most)| noise((seed, len), most)),
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
    fn whole(method: Method, plain: &[u8]) -> (Vec<u8>, Vec<Checkpoint>) {
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

    fn in_segments(method: Method, checkpoints: &[Checkpoint], plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let threads = NonZeroUsize::new(2).expect("two are some");
        let ends = Segments { method, checkpoints }.run(plain, &mut out, threads)?;
        assert_eq!((ends.stream, ends.plain), (out.len() as u64, plain.len() as u64));
        Ok(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

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
        let method = Method::Go { level: 6 };
        let plain = vec![0; FARTHEST as usize + 2];
        let checkpoints = [Checkpoint { plain: 1, ..Checkpoint::default() }];
        let error = in_segments(method, &checkpoints, &plain).expect_err("it is too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
