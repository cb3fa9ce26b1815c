//! Tokens of every length and distance.

use super::*;

#[test]
fn tokens_keep_what_they_are_made_of() {
    assert_eq!(Token::literal(255).first(), 255);
    assert_eq!(usize::from(Token::literal(255).distance()), FARTHEST);
    for (length, distance) in [(3, 1), (258, 32768), (17, 4096)] {
        let token = Token::matched(length, distance);
        assert_eq!(token.first(), 256 + length - 3);
        assert_eq!(usize::from(token.distance()) + 1, distance);
    }
}

#[test]
fn every_length_and_distance_comes_back() {
    for length in 3..=258 {
        for distance in [1, 2, 255, 256, 257, 32_767, 32_768] {
            let token = Token::matched(length, distance);
            assert_eq!((token.len(), token.byte()), (length, None));
            assert_eq!(usize::from(token.length()) + 3, length);
            assert_eq!(usize::from(token.distance()) + 1, distance);
        }
    }
    for byte in 0..=255 {
        let token = Token::literal(byte);
        assert_eq!((token.len(), token.byte()), (1, Some(byte)));
        // No match has this place, so that a literal is never counted as a distance.
        assert_eq!(usize::from(token.distance()), FARTHEST);
    }
}
