//! aarch64 instructions that hold a distance, and its bits in them (Arm, "Architecture Reference Manual for
//! A-profile", C4).

/// The bits that say that it is a call.
pub(crate) const CALL: u32 = 0xfc00_0000;
/// The bits of the distance of `adr` and `adrp`.
pub(crate) const ADR: u32 = 3 << 29 | 0x7_ffff << 5;

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

/// The instruction with another distance.
pub(crate) fn with_adr(word: u32, distance: u32) -> u32 {
    word & !ADR | (distance & 3) << 29 | (distance >> 2 & 0x7_ffff) << 5
}
