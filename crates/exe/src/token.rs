//! Tokens of fields outside of code, by which a field is found in another version: its kind, its place in a table, or a
//! hash of a name.
//!
//! From [`BY_BASE`] on a token is the distance of a field from its base, and becomes one of where that goes.

/// Of a field that is to get the token of where its target goes.
pub(crate) const BY_TARGET: u32 = 0;
pub(crate) const PLACE: u32 = 1;
pub(crate) const FRAME: u32 = 3;
pub(crate) const COMMON: u32 = 4;
pub(crate) const EXTRA: u32 = 5;
pub(crate) const GO: u32 = 16;
pub(crate) const BY_BASE: u32 = 32;
/// The initial value of a hash.
pub(crate) const BY_HASH: u32 = 0x8000_0000;

/// The bytes of a name that count.
const MOST: usize = 256;

/// The token of a name that ends with a zero. A hash that Rust's compiler puts at the end of one does not count, since it is
/// another for each build.
pub(crate) fn of_name(name: &[u8]) -> u32 {
    let name = &name[..name.len().min(MOST)];
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = match name {
        [name @ .., b'1', b'7', b'h', _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b'E'] => name,
        name => name,
    };
    name.iter().fold(0, |token, byte| mix(token, (*byte).into())) | BY_HASH
}

/// Mixes another number into a token.
pub(crate) fn mix(token: u32, more: u32) -> u32 {
    let mixed = (token ^ more).wrapping_mul(0x85eb_ca6b);
    (mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae35).rotate_left(13)
}
