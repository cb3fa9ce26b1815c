//! The start of a stream, and encoders tried on it.

use super::*;
use crate::Flavour;
use crate::inputs::{noise, stream, text};

const ZLIB: CompressionMethod = CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 };

#[test]
fn a_start_of_any_length_passes_the_encoder_of_the_stream() {
    let plain = [text(300_000), noise(200_000, 5, 1)].concat();
    let blob = stream(ZLIB, &plain);
    for len in [0, 1, 2, 100, 20_000, blob.len() - 1, blob.len()] {
        assert_eq!(Prefix::of(&blob[..len]).agreed(ZLIB), None, "{len}");
    }
}

#[test]
fn other_encoders_differ_within_their_first_block() {
    let plain = [text(300_000), noise(200_000, 5, 1)].concat();
    let prefix_of = stream(ZLIB, &plain);
    let prefix = Prefix::of(&prefix_of);
    for other in [
        CompressionMethod::Go { level: 6 },
        CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 6 },
        CompressionMethod::Go { level: 1 },
    ] {
        let agreed = prefix.agreed(other).expect("it differs");
        assert!((1..=plain.len() as u64).contains(&agreed), "{other} {agreed}");
    }
}

/// The end of a stream is compared, too, if it is within the start.
#[test]
fn the_end_of_a_short_stream_counts() {
    let plain = text(300);
    let blob = stream(ZLIB, &plain);
    let with_footer = [&blob[..], &[0; 8]].concat();
    assert_eq!(Prefix::of(&with_footer).agreed(ZLIB), None);
    // Go ends a stream by an empty block more.
    assert_eq!(Prefix::of(&with_footer).agreed(CompressionMethod::Go { level: 6 }), Some(300));
}

#[test]
fn damaged_and_endless_starts_are_inflated_as_far_as_it_goes() {
    let zeros = stream(ZLIB, &vec![0; 2 * LONGEST_PLAIN]);
    let prefix = Prefix::of(&zeros);
    assert!(prefix.plain.len() <= LONGEST_PLAIN && prefix.rest.is_none());
    assert_eq!(prefix.agreed(ZLIB), None);
    let mut damaged = stream(ZLIB, &text(9000));
    let len = damaged.len();
    damaged[len / 2..].fill(0xff);
    let prefix = Prefix::of(&damaged);
    assert!(prefix.plain.len() < 9000 && prefix.rest.is_none());
}
