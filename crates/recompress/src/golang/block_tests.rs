//! Go's choice between stored blocks, the fixed codes and codes of their own.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::reader::{BlockShape, DeflateReader};
use crate::inputs::{inflate, noise, text};

fn literals(plain: &[u8]) -> Vec<Token> {
    plain.iter().map(|byte| Token::literal(*byte)).collect()
}

/// The shape of the first block, its tokens, and the bits up to its end.
fn written(write: impl FnOnce(&mut BlockWriter)) -> (BlockShape, Vec<u8>, u64) {
    let mut blocks = BlockWriter::new();
    write(&mut blocks);
    let bits = blocks.sink.bits();
    blocks.finish();
    let block = DeflateReader::new(&blocks.sink.bytes[..]).block().expect("it is valid");
    assert!(!block.is_last);
    (block.shape, inflate(&blocks.sink.bytes), bits)
}

#[test]
fn the_smallest_shape_is_taken() {
    for plain in
        [noise(1000, 256, 1), noise(1000, 200, 2), noise(9000, 256, 3), text(2000), b"ab".to_vec(), vec![]]
    {
        let tokens = literals(&plain);
        let (with, made, bits) = written(|blocks| blocks.smallest(&tokens, Some(&plain)));
        assert_eq!(made, plain);
        let (without, made, bits_without) = written(|blocks| blocks.smallest(&tokens, None));
        assert_eq!(made, plain);
        assert!(without != BlockShape::Stored, "what is not known cannot be stored");
        let mut stored = Sink::default();
        stored.stored(&plain);
        assert!(bits <= bits_without && bits <= stored.bits() + 7);
        let fixed = 3 + Counts::of(&tokens).cost(&BlockCodes::fixed()) + 7;
        assert!(bits <= fixed, "{bits} {fixed}");
        // A stored block counts with the four bytes of its length and one for its kind.
        if (plain.len() as u64 + 5) * 8 < bits_without {
            assert_eq!(with, BlockShape::Stored);
        }
    }
}

#[test]
fn noise_is_stored_and_few_bytes_have_the_fixed_codes() {
    let noise = noise(1000, 256, 1);
    assert_eq!(written(|blocks| blocks.smallest(&literals(&noise), Some(&noise))).0, BlockShape::Stored);
    assert_eq!(written(|blocks| blocks.smallest(&literals(b"ab"), Some(b"ab"))).0, BlockShape::Fixed);
    let text = text(4000);
    assert!(matches!(written(|blocks| blocks.smallest(&literals(&text), Some(&text))).0, BlockShape::Own(_)));
}

/// Bits after the symbols count only where a stored block is possible, and there for all three shapes alike.
#[test]
fn a_block_that_is_too_long_is_not_stored() {
    let plain = noise(STORED + 1, 256, 5);
    let (shape, made, _) = written(|blocks| blocks.smallest(&literals(&plain), Some(&plain)));
    assert!(shape != BlockShape::Stored && made == plain);
    let (shape, made, _) =
        written(|blocks| blocks.smallest(&literals(&plain[..STORED]), Some(&plain[..STORED])));
    assert!(shape == BlockShape::Stored && made == plain[..STORED]);
}

/// Level 1 stores where codes save less than a sixteenth.
#[test]
fn codes_that_save_too_little_are_not_used() {
    // Over 2^n letters a literal has n bits: 8 save nothing, 7 an eighth.
    for (letters, is_stored) in [(256, true), (250, true), (128, false), (16, false)] {
        let plain = noise(30_000, letters, 6);
        for made in [
            written(|blocks| blocks.literals(&plain)),
            written(|blocks| blocks.own_codes(&literals(&plain), &plain)),
        ] {
            assert_eq!((made.0 == BlockShape::Stored, made.1 == plain), (is_stored, true), "{letters}");
        }
    }
}

#[test]
fn a_distance_always_has_a_code() {
    // Without a match there is one distance with a code of one bit, as RFC 1951 allows.
    let BlockShape::Own(head) = written(|blocks| blocks.literals(&text(3000))).0 else {
        panic!("it has codes")
    };
    let lens: Vec<u8> = head.distances.iter().map(|code| code.len).collect();
    assert_eq!((lens[0], lens[1..].iter().max()), (1, Some(&0)));
    let counts = completed(Counts::of(&[Token::literal(1), Token::matched(3, 5)]));
    assert_eq!((counts.literals[END], counts.distances[0]), (1, 0));
}

proptest! {
    #[test]
    fn blocks_one_after_the_other_are_inflated(parts in vec((0..3u8, vec(0..40u8, 1..700)), 1..9)) {
        let mut blocks = BlockWriter::new();
        for (kind, plain) in &parts {
            match kind {
                0 => blocks.smallest(&literals(plain), Some(plain)),
                1 => blocks.own_codes(&literals(plain), plain),
                _ => blocks.literals(plain),
            }
        }
        blocks.finish();
        let plain: Vec<u8> = parts.into_iter().flat_map(|(_, plain)| plain).collect();
        prop_assert!(inflate(&blocks.sink.bytes) == plain);
    }
}
