//! Reading bytes, a word at a time.

use super::*;

#[test]
fn a_word_is_little_endian_and_may_be_short() {
    assert_eq!(word(&[1, 2]), 0x0201);
    assert_eq!(word(&[1, 0, 0, 0, 0, 0, 0, 2, 9]), 0x0200_0000_0000_0001);
}
