//! The head of a block as Go writes it, read again.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::codes::BlockCodes;
use crate::deflate::reader::BitReader;

/// The symbols of a head, and the number after each.
fn symbols(head: &EncodedHead) -> Vec<(u8, u8)> {
    head.0.runs.iter().map(|run| (run.symbol, run.extra)).collect()
}

#[test]
fn runs_are_cut_into_the_longest_pieces() {
    let code = |len| PrefixCode { bits: 0, len };
    let mut literals = vec![code(8); 10];
    literals.extend(vec![code(0); 250]);
    let head = EncodedHead::new(&literals, &[code(8), code(8), code(0), code(0)]);
    let expected = [(8, 0), (16, 3), (16, 0), (18, 127), (18, 101), (8, 0), (8, 0), (0, 0), (0, 0)];
    assert_eq!(symbols(&head), expected);
    let mut sink = Sink::default();
    head.write(&mut sink);
    sink.align();
    assert_eq!(sink.bytes.len() as u64, head.size().div_ceil(8));
}

/// Reads a head, and says how many bits it has.
fn read_again(head: &EncodedHead) -> (Vec<u8>, Vec<u8>, u64) {
    let mut sink = Sink::default();
    head.write(&mut sink);
    let bits = sink.bits();
    sink.align();
    // Before the head are three bits for the kind of the block.
    let mut shifted = Sink::default();
    let all: Vec<u64> =
        sink.bytes.iter().flat_map(|byte| (0..8).map(move |at| u64::from(byte >> at & 1))).collect();
    assert_eq!(all[..3], [0, 0, 1]);
    all[3..bits as usize].iter().for_each(|bit| shifted.put(*bit, 1));
    shifted.align();
    let read = BitReader::new(&shifted.bytes[..]).head().expect("the head is valid");
    assert_eq!(read.bits, bits - 3);
    (read.literals.map(|code| code.len).to_vec(), read.distances.map(|code| code.len).to_vec(), bits)
}

proptest! {
    #[test]
    fn lengths_are_read_again(
        mut literals in vec(prop_oneof![Just(0u32), Just(1u32), 0..9000u32], 257..=286),
        distances in vec(prop_oneof![Just(0u32), 1..9000u32], 1..=30),
    ) {
        literals[256] = 1;
        let mut codes = BlockCodes::none();
        make_codes(&literals, 15, &mut codes.literals);
        make_codes(&distances, 15, &mut codes.distances);
        let head = EncodedHead::new(&codes.literals[..literals.len()], &codes.distances[..distances.len()]);
        let (of_literals, of_distances, bits) = read_again(&head);
        prop_assert_eq!(of_literals, codes.literals.map(|code| code.len).to_vec());
        prop_assert_eq!(of_distances, codes.distances.map(|code| code.len).to_vec());
        prop_assert_eq!(bits, head.size());
    }
}

/// Runs of all lengths at the boundaries of the three symbols that repeat: 16 for 3 to 6, 17 for 3 to 10 and 18 for 11
/// to 138. A run goes on from the literals into the distances.
#[test]
fn runs_of_any_length_are_read_again() {
    let code = |len| PrefixCode { bits: 0, len };
    for run in (1..=30).chain([137, 138, 139, 148, 149, 255]) {
        for len in [0, 8] {
            let mut literals = vec![code(9); 257 - run.min(250)];
            literals.extend(vec![code(len); run.min(250)]);
            literals.truncate(257);
            let distances = [code(len), code(len), code(5)];
            let head = EncodedHead::new(&literals, &distances);
            let covered: usize = symbols(&head)
                .into_iter()
                .map(|(symbol, after)| match symbol {
                    16 | 17 => usize::from(after) + 3,
                    18 => usize::from(after) + 11,
                    _ => 1,
                })
                .sum();
            assert_eq!(covered, 260, "{run} {len}");
            assert!(symbols(&head).into_iter().all(|(symbol, after)| match symbol {
                16 => after < 4,
                17 => after < 8,
                18 => after < 128,
                _ => after == 0,
            }));
        }
    }
}

#[test]
fn four_lengths_of_lengths_are_always_written() {
    // Only the lengths 0 and 8 are used, which come fourth and fifth.
    let code = |len| PrefixCode { bits: 0, len };
    let mut literals = vec![code(8); 255];
    literals.extend([code(0), code(8)]);
    assert_eq!(EncodedHead::new(&literals, &[code(8)]).0.of_meta(), 5);
    // 16 to 18 and 0 are the first four.
    assert_eq!(EncodedHead::new(&vec![code(0); 257], &[code(0)]).0.of_meta(), 4);
}
