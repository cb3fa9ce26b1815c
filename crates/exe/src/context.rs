//! Contexts of references outside of code, by which a reference is found in another version: its kind, its number in a
//! table, or a hash of a name.
//!
//! From [`BY_BASE`] to [`BY_HASH`] a context is a number in a table, which is mixed with where the map moves the base.

/// The context of a reference that is found by where the map moves its target.
pub(crate) const BY_TARGET: u32 = 0;
pub(crate) const PLACE: u32 = 1;
pub(crate) const FRAME: u32 = 3;
pub(crate) const COMMON: u32 = 4;
pub(crate) const EXTRA: u32 = 5;
pub(crate) const GO: u32 = 16;
pub(crate) const BY_BASE: u32 = 32;
/// The initial value of a hash.
pub(crate) const BY_HASH: u32 = 0x8000_0000;

/// The bytes of a name that are hashed.
const MOST: usize = 256;

/// The context of a name that ends with a zero. The hash that Rust's compiler puts at its end is left out, since each
/// build has another.
pub(crate) fn of_name(name: &[u8]) -> u32 {
    let name = &name[..name.len().min(MOST)];
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = match name {
        [name @ .., b'1', b'7', b'h', _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b'E'] => name,
        name => name,
    };
    name.iter().fold(0, |context, byte| mix(context, (*byte).into())) | BY_HASH
}

/// Mixes another number into a context.
pub(crate) fn mix(context: u32, more: u32) -> u32 {
    let mixed = (context ^ more).wrapping_mul(0x85eb_ca6b);
    (mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae35).rotate_left(13)
}
