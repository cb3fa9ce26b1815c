//! aarch64 instructions that hold a distance, and the bits that it has in them (Arm, "Architecture Reference Manual for
//! A-profile", C4).

/// The bits that say that it is a call.
pub(crate) const CALL: u32 = 0xfc00_0000;
/// The bits of the distance of `adr` and `adrp`.
pub(crate) const ADR: u32 = 3 << 29 | 0x7_ffff << 5;

/// Puts addresses in the place of the distances of calls and pages, or takes that back: each distance is made another one, given that
/// from which it counts, in the same units.
pub(crate) fn change(code: &mut [u8], addr: u32, distance: fn(u32, u32) -> u32) {
    let skew = code.len().min(addr.wrapping_neg() as usize % 4);
    let mut here = addr.wrapping_add(skew as u32);
    for bytes in code[skew..].as_chunks_mut().0 {
        let word = u32::from_le_bytes(*bytes);
        let changed = if is_call(word) {
            word & CALL | distance(word, here >> 2) & !CALL
        } else if is_page(word) {
            with_adr(word, distance(adr(word), here >> 12))
        } else {
            word
        };
        *bytes = changed.to_le_bytes();
        here = here.wrapping_add(4);
    }
}

/// `bl`
pub(crate) fn is_call(word: u32) -> bool {
    word & CALL == 0x9400_0000
}

/// `adrp`
pub(crate) fn is_page(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// The distance of `adr` or `adrp`, of 21 bits.
pub(crate) fn adr(word: u32) -> u32 {
    (word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3
}

/// With another distance.
pub(crate) fn with_adr(word: u32, distance: u32) -> u32 {
    word & !ADR | (distance & 3) << 29 | (distance >> 2 & 0x7_ffff) << 5
}
