//! Tokens as bits, read again by a parser that shares no table with the writer.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::reader::DeflateReader;

#[test]
fn tokens_are_counted_by_their_symbols() {
    let tokens = [Token::literal(7), Token::matched(258, 1), Token::matched(257, 32768), Token::literal(7)];
    let counts = Counts::of(&tokens);
    assert_eq!((counts.literals[7], counts.literals[285], counts.literals[284]), (2, 1, 1));
    assert_eq!((counts.distances[0], counts.distances[29]), (1, 1));
    assert_eq!(counts.literals.iter().sum::<u32>(), 4);
    assert_eq!(counts.distances.iter().sum::<u32>(), 2);
    assert_eq!(counts.extra(), 5 + 13);
}

#[test]
fn tokens_are_written_as_the_standard_says() {
    let mut sink = Sink::default();
    BlockCodes::fixed().write_block(&mut sink, &[Token::literal(0), Token::matched(12, 6)]);
    sink.align();
    // 00110000; 265 is 0000101 hence 0001001, and 1; 4 is 00100, and 1; 0000000.
    assert_eq!(sink.bytes, [0b0000_1100, 0b1100_1000, 0b0010_0100, 0b0000_0000]);
}

/// The tokens of a block with these codes, written and read again.
fn read_again(codes: &BlockCodes, tokens: &[Token]) -> Vec<Token> {
    let mut sink = Sink::default();
    sink.put(0b011, 3);
    codes.write_block(&mut sink, tokens);
    sink.align();
    DeflateReader::new(&sink.bytes[..]).block().expect("the block is valid").tokens
}

#[test]
fn every_length_and_every_distance_is_read_again() {
    // The reader needs as many bytes as the farthest match reaches.
    let start = (0..FARTHEST).map(|at| Token::literal((at % 251) as u8));
    let lengths = (3..=258).map(|length| Token::matched(length, 1 + length * 97 % FARTHEST));
    let distances = (0..DISTANCES).flat_map(|symbol| {
        let base = usize::from(DISTANCE_BASE[symbol]) + 1;
        [base, base + (1 << DISTANCE_BITS[symbol]) - 1].map(|distance| Token::matched(3, distance))
    });
    let tokens: Vec<Token> = start.chain(lengths).chain(distances).collect();
    assert_eq!(read_again(&BlockCodes::fixed(), &tokens), tokens);
}

proptest! {
    #[test]
    fn the_cost_is_what_is_written(
        literals in vec(any::<u8>(), 1..300),
        matches in vec((3..=258usize, any::<prop::sample::Index>()), 0..60),
    ) {
        let mut tokens: Vec<Token> = literals.iter().map(|byte| Token::literal(*byte)).collect();
        tokens.extend(matches.iter().map(|(length, at)| Token::matched(*length, at.index(literals.len()) + 1)));
        let mut counts = Counts::of(&tokens);
        counts.literals[END] = 1;
        let codes = BlockCodes::fixed();
        let mut sink = Sink::default();
        codes.write_block(&mut sink, &tokens);
        prop_assert_eq!(sink.bits(), counts.cost(&codes) + counts.extra());
        prop_assert_eq!(read_again(&codes, &tokens), tokens);
    }
}

#[test]
fn no_tokens_are_the_end_alone() {
    let mut sink = Sink::default();
    BlockCodes::fixed().write_block(&mut sink, &[]);
    assert_eq!((sink.bits(), Counts::of(&[]).literals), (7, [0; LITERALS]));
    assert_eq!(read_again(&BlockCodes::fixed(), &[]), []);
}
