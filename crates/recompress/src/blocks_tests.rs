//! Independent blocks on several threads, against the encoder of one.

use super::*;
use crate::inputs::{noise, stream, text};

fn on(method: CompressionMethod, plain: impl Read, threads: usize) -> io::Result<(Vec<u8>, Ends)> {
    let mut out = Vec::new();
    let blocks = IndependentBlocks::of(method).expect("its blocks are independent");
    let ends = blocks.run(plain, &mut out, NonZeroUsize::new(threads).expect("there is one"))?;
    Ok((out, ends))
}

#[test]
fn several_threads_make_the_stream_of_one() {
    let pgzip = CompressionMethod::Pgzip { release: Release::Exact, level: 5, block: 20_000 };
    let pigz = CompressionMethod::Pigz { level: 6, block: 32 << 10 };
    for (method, block) in [(pgzip, 20_000), (pigz, 32 << 10)] {
        for len in [0, 1, block - 1, block, block + 1, 2 * block, 2 * block + 1, 7 * block + 123] {
            for plain in [text(len), noise(len, 256, 1)] {
                let expected = stream(method, &plain);
                for threads in [1, 2, 5] {
                    let (out, ends) = on(method, &plain[..], threads).unwrap();
                    assert!(out == expected, "{method} {len} {threads}");
                    let mut crc = Crc::new();
                    crc.update(&plain);
                    assert_eq!(
                        (ends.crc.sum(), ends.plain, ends.stream),
                        (crc.sum(), len as u64, out.len() as u64)
                    );
                }
            }
        }
    }
}

#[test]
fn only_independent_blocks_are_encoded_beside_each_other() {
    for method in [
        CompressionMethod::Go { level: 6 },
        CompressionMethod::Zlib { flavour: crate::Flavour::Gnu, level: 6 },
        CompressionMethod::PigzChained { level: 6, block: 1 << 17 },
        CompressionMethod::Klauspost { release: Release::Full, level: 5 },
    ] {
        assert!(IndependentBlocks::of(method).is_none(), "{method}");
    }
}

/// pgzip ends a stream with an empty block after a full one, pigz with the full one.
#[test]
fn the_last_block_is_full_or_an_empty_one_follows() {
    let pieces = |may_end_full: bool, len: usize| {
        let plain = vec![1u8; len];
        let mut pieces = PlainBlocks {
            plain: &plain[..],
            ends: Ends::default(),
            size: 100,
            may_end_full,
            next: None,
            tail: Vec::new(),
            is_ended: false,
        };
        let mut lens = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            assert_eq!(piece.before.len(), if lens.is_empty() { 0 } else { 100 });
            lens.push((piece.plain.len(), piece.is_last));
        }
        lens
    };
    for may_end_full in [true, false] {
        assert_eq!(pieces(may_end_full, 0), [(0, true)]);
        assert_eq!(pieces(may_end_full, 99), [(99, true)]);
        assert_eq!(pieces(may_end_full, 150), [(100, false), (50, true)]);
    }
    assert_eq!(pieces(true, 200), [(100, false), (100, true)]);
    assert_eq!(pieces(false, 200), [(100, false), (100, false), (0, true)]);
}

#[test]
fn a_failure_of_the_reader_comes_back() {
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let plain = text(70_000);
    let method = CompressionMethod::Pigz { level: 1, block: 32 << 10 };
    let error = on(method, plain.chain(Torn), 2).err().expect("it is torn");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
