//! The branch filter of aarch64: `bl` and `adrp`, as in xz.

use super::instruction::{CALL, adr, is_call, is_page, with_adr};

/// Replaces the distance of each call and page by `convert(distance, base)`, both in the same units: of the address of
/// the instruction for a forward filter, minus it for the inverse.
pub(crate) fn convert(code: &mut [u8], addr: u32, convert: fn(u32, u32) -> u32) {
    let skew = code.len().min(addr.wrapping_neg() as usize % 4);
    let mut here = addr.wrapping_add(skew as u32);
    for bytes in code[skew..].as_chunks_mut().0 {
        let word = u32::from_le_bytes(*bytes);
        let changed = if is_call(word) {
            word & CALL | convert(word, here >> 2) & !CALL
        } else if is_page(word) {
            with_adr(word, convert(adr(word), here >> 12))
        } else {
            word
        };
        *bytes = changed.to_le_bytes();
        here = here.wrapping_add(4);
    }
}
