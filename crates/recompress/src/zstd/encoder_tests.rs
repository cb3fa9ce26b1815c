//! Frames of zstd: their heads, and blocks of all levels, read by libzstd.

use proptest::prelude::*;

use super::*;
use crate::inputs::{encoded, noise, text};
use crate::zstd::frame::{FrameHead, IS_SINGLE};
use crate::zstd::history;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn places_are_counted_anew_unnoticed(
        seed in proptest::collection::vec(0..5u8, 1..900),
        level in proptest::sample::select(vec![ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better, ZstdLevel::Best]),
    ) {
        let plain: Vec<u8> = (0..700_000usize).map(|at| seed[(at + at / 7919) % seed.len()]).collect();
        // A small window, which is left soon.
        let new = || Zstd {
            finder: match level {
                ZstdLevel::Fastest => Box::new(fast::Fast::new(1 << 17)),
                ZstdLevel::Default => Box::new(double::Double::new(1 << 17)),
                ZstdLevel::Better => Box::new(better::Better::new(Generation::V1_18, 1 << 17)),
                ZstdLevel::Best => Box::new(best::Best::new(1 << 17)),
            },
            ..Zstd::new(Generation::V1_18, level, 0)
        };
        let mut old = new();
        old.finder.history().first = history::MOST - 150_000;
        prop_assert!(encoded(old, &plain) == encoded(new(), &plain));
    }
}

#[test]
fn heads_tell_lengths_in_as_few_bytes_as_fit() {
    let rest = |len| head_alone(len).split_off(4);
    assert_eq!(rest(1), [4, 0]);
    assert_eq!(rest(1000), [0x44, 0, 0xe8, 2]);
    assert_eq!(rest(1024), [0x44, 8, 0, 3]);
    assert_eq!(rest(1025), [0x64, 1, 3]);
    assert_eq!(rest(65_791), [0x64, 0xff, 0xff]);
    assert_eq!(rest(65_792), [0xa4, 0, 1, 1, 0]);
}

fn kinds() -> impl Iterator<Item = (Generation, ZstdLevel)> {
    let levels = [ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better, ZstdLevel::Best];
    let all = Generation::ALL.into_iter().flat_map(move |generation| levels.map(|level| (generation, level)));
    all.filter(|(generation, level)| level.is_of(*generation))
}

fn read(frame: &[u8], len: usize) -> Vec<u8> {
    zstd::bulk::decompress(frame, len).expect("the frame is valid")
}

/// The blocks of a frame: RFC 8878, 3.1.1.2: the type and the size in the head.
fn blocks_of(frame: &[u8], head: usize) -> Vec<(u8, usize)> {
    let mut rest = &frame[head..];
    let mut blocks = Vec::new();
    loop {
        let word = u32::from_le_bytes([rest[0], rest[1], rest[2], 0]);
        let (kind, size) = (word as u8 >> 1 & 3, (word >> 3) as usize);
        blocks.push((kind, size));
        rest = &rest[3 + if kind == 1 { 1 } else { size }..];
        if word & 1 == 1 {
            assert_eq!(rest.len(), 4, "the checksum follows");
            return blocks;
        }
    }
}

#[test]
fn short_inputs_of_all_lengths_are_read_by_libzstd() {
    for (generation, level) in kinds().filter(|(_, level)| *level != ZstdLevel::Best) {
        for len in 1..120 {
            for plain in [text(len), vec![7; len], noise(len, 256, 1), noise(len, 2, 2)] {
                let frame = encoded(Zstd::new(generation, level, 0), &plain);
                assert!(read(&frame, len) == plain, "{generation:?} {level} {len}");
            }
        }
    }
    for len in [1, 15, 16, 17, 31, 32, 300] {
        let frame = encoded(Zstd::new(Generation::V1_18, ZstdLevel::Best, 0), &text(len));
        assert!(read(&frame, len) == text(len), "{len}");
    }
}

#[test]
fn lengths_around_blocks_are_read_by_libzstd() {
    for (generation, level) in kinds() {
        let block = level.block();
        for len in [block - 1, block, block + 1, block + 16, 3 * block + 1] {
            let plain = [text(len / 2), noise(len - len / 2, 200, 3)].concat();
            let frame = encoded(Zstd::new(generation, level, 0), &plain);
            assert!(read(&frame, len) == plain, "{generation:?} {level} {len}");
        }
    }
}

/// A frame of one block that is not full tells its length; any other its window, as a block may come after it.
#[test]
fn a_full_block_is_not_the_last() {
    for (generation, level) in kinds() {
        let block = level.block();
        let frame = encoded(Zstd::new(generation, level, 0), &noise(block, 256, 4));
        assert_eq!(frame[4..6], [HAS_CHECKSUM, window_byte(level.window(generation))]);
        let blocks = blocks_of(&frame, 6);
        assert_eq!((blocks.len(), blocks[1]), (2, (0, 0)), "{generation:?} {level}");
        let alone = encoded(Zstd::new(generation, level, 0), &noise(block - 1, 256, 4));
        assert_eq!(alone[4] & IS_SINGLE, IS_SINGLE);
        assert_eq!(encoded(Zstd::new(generation, level, 0), &[])[4..9], [4, frame[5], 1, 0, 0]);
    }
}

/// RFC 8878, 3.1.1.1.2: a mantissa of 0, and an exponent that is counted from 1 KiB.
#[test]
fn windows_are_told_as_the_standard_says() {
    for (window, exponent) in [(1 << 10, 0), (1 << 11, 1), (4 << 20, 12), (8 << 20, 13), (16 << 20, 14)] {
        assert_eq!(window_byte(window), exponent << 3);
    }
}

#[test]
fn matches_do_not_pass_the_window() {
    // The frame tells 128 KiB in place of the window of the level: libzstd checks each distance against it.
    let window = 1 << 17;
    for distance in [(1 << 17) - 1, 1 << 17, (1 << 17) + 1] {
        let block = noise(4000, 256, 5);
        let plain = [&block[..], &text(distance - block.len()), &block, b"end"].concat();
        let new = |finder: Box<dyn Finder>, level| Zstd {
            finder,
            window,
            ..Zstd::new(Generation::V1_18, level, 0)
        };
        let encoders = [
            new(Box::new(fast::Fast::new(window)), ZstdLevel::Fastest),
            new(Box::new(double::Double::new(window)), ZstdLevel::Default),
            new(Box::new(better::Better::new(Generation::V1_18, window)), ZstdLevel::Better),
            new(Box::new(best::Best::new(window)), ZstdLevel::Best),
        ];
        for (encoder, level) in encoders.into_iter().zip(kinds().map(|(_, level)| level)) {
            let frame = encoded(encoder, &plain);
            assert_eq!(frame[5], window_byte(window));
            assert!(read(&frame, plain.len()) == plain, "{level} {distance}");
        }
    }
}

#[test]
fn a_flush_ends_the_first_block() {
    for flushed in [1, 8, 31, 32, 300, 5000] {
        for (generation, level) in kinds().filter(|(_, level)| *level != ZstdLevel::Best) {
            let plain = text(9000);
            let frame = encoded(Zstd::new(generation, level, flushed), &plain);
            assert!(read(&frame, plain.len()) == plain);
            let (kind, size) = blocks_of(&frame, 6)[0];
            if flushed < 32 {
                assert_eq!((kind, size), (0, flushed), "{generation:?} {level}");
                assert_eq!(FrameHead::of(&frame).expect("it is a head").flushed(level), flushed);
            }
        }
    }
}

#[test]
fn it_does_not_matter_in_what_parts_bytes_come() {
    let plain = [text(150_000), noise(80_000, 7, 6)].concat();
    for (generation, level) in kinds() {
        let frame = encoded(Zstd::new(generation, level, 8), &plain);
        for part in [1, 7, 4096, 131_072, 131_073] {
            if part == 1 && level == ZstdLevel::Best {
                continue;
            }
            let mut encoder = Zstd::new(generation, level, 8);
            plain.chunks(part).for_each(|part| encoder.write(part));
            encoder.finish();
            assert!(*encoder.output() == frame, "{generation:?} {level} {part}");
        }
    }
}

#[test]
fn generations_beside_each_other_write_what_each_writes() {
    let plain = [text(140_000), vec![0; 200_000], noise(140_000, 16, 7)].concat();
    for level in [ZstdLevel::Fastest, ZstdLevel::Default] {
        assert!(level.is_alike(Generation::V1_15, Generation::V1_18));
        for generation in Generation::ALL {
            let mut all = Zstd::of_all(&Generation::ALL, level, 0);
            let frame = encoded(Zstd::new(generation, level, 0), &plain);
            all.write(&plain);
            all.finish();
            assert_eq!(all.retain(|output| output == frame), Some(frame.len()));
            // A newer one may make the same of these bytes.
            let left = all.generation().expect("one is left");
            assert!(encoded(Zstd::new(left, level, 0), &plain) == frame, "{left:?}");
        }
    }
    assert!(!ZstdLevel::Better.is_alike(Generation::V1_16, Generation::V1_18));
    assert!(ZstdLevel::Better.is_alike(Generation::V1_15, Generation::V1_16));
    let mut none = Zstd::new(Generation::V1_15, ZstdLevel::Fastest, 0);
    assert_eq!((none.retain(|_| false), none.generation()), (None, None));
}

/// The head of a frame tells which encoders may have written it.
#[test]
fn heads_are_those_of_this_encoder_or_none() {
    let head = |bytes: &[u8]| FrameHead::of(&[&MAGIC[..], bytes].concat());
    assert!(head(&[4, 0x60, 0, 0, 0]).is_some());
    // Without a checksum, with a dictionary, with a reserved bit.
    for flags in [0, 5, 6, 7, 12, 0x24 | 8] {
        assert!(head(&[flags, 0x60, 0, 0, 0]).is_none(), "{flags}");
    }
    assert!(head(&[4, 0x60, 0, 0]).is_none());
    assert!(FrameHead::of(&[0x28, 0xb5, 0x2f, 0xfe, 4, 0x60, 0, 0, 0]).is_none());
    let windows = |byte| {
        let head = head(&[4, byte, 0, 0, 0]).expect("it is a head");
        kinds().filter(|(generation, level)| head.may_be_of(*generation, *level)).collect::<Vec<_>>()
    };
    // 4 MiB is that of the fastest level, 16 MiB of `better` until 1.17.
    assert!(windows(12 << 3).iter().all(|(_, level)| *level == ZstdLevel::Fastest));
    assert_eq!(windows(12 << 3).len(), 3);
    let better = [(Generation::V1_16, ZstdLevel::Better), (Generation::V1_15, ZstdLevel::Better)];
    assert_eq!(windows(14 << 3), better);
    assert_eq!(windows(20 << 3), []);
    // The window of a short frame fits it, whatever the level.
    assert_eq!(windows(0).len(), kinds().count());
    // A first block that is coded, or the last, or as long as a block may be, was not flushed.
    let flushed = |block: u32| {
        let [a, b, c, _] = block.to_le_bytes();
        head(&[4, 0x60, a, b, c]).expect("it is a head").flushed(ZstdLevel::Fastest)
    };
    assert_eq!([8 << 3, 8 << 3 | 1, 8 << 3 | 4, (64 << 10) << 3].map(flushed), [8, 0, 0, 0]);
    // Bytes that are all the same take one.
    assert_eq!([8 << 3 | 2, 8 << 3 | 3].map(flushed), [8, 0]);
}
