//! The alphabet of RFC 1951, section 3.2.5: which symbol stands for a length or a distance, and how many bits
//! say the rest.

use super::bits::PrefixCode;

/// Bytes, the end of a block, and lengths.
pub(crate) const LITERALS: usize = 286;
/// Symbols of distances.
pub(crate) const DISTANCES: usize = 30;
/// Symbols of the code for code lengths.
pub(crate) const META: usize = 19;
/// The symbol that ends a block.
pub(crate) const END: usize = 256;
/// The symbol of the shortest length.
pub(crate) const LENGTHS: usize = 257;
/// The longest match, in bytes.
pub(crate) const LONGEST: usize = 258;
/// The farthest match, in bytes.
pub(crate) const FARTHEST: usize = 1 << 15;
/// The most bytes that a stored block has.
pub(crate) const STORED: usize = 65535;

/// The order of the lengths of the codes for [`META`] in the head of a block.
pub(crate) const META_ORDER: [usize; META] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Bits that follow a symbol of lengths; the first is that of [`LENGTHS`].
pub(crate) const LENGTH_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// The length less 3 at which a symbol begins.
pub(crate) const LENGTH_BASE: [u8; 29] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192,
    224, 255,
];
/// Bits that follow a symbol of distances.
pub(crate) const DISTANCE_BITS: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// The distance less 1 at which a symbol begins.
pub(crate) const DISTANCE_BASE: [u16; DISTANCES] = [
    0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072,
    4096, 6144, 8192, 12288, 16384, 24576,
];

/// The symbol of each length less 3, counted from [`LENGTHS`].
const LENGTH_SYMBOL: [u8; 256] = {
    let mut symbols = [0; 256];
    let mut symbol = 0;
    while symbol < 29 {
        let mut at = LENGTH_BASE[symbol] as usize;
        while at < 256 {
            symbols[at] = symbol as u8;
            at += 1;
        }
        symbol += 1;
    }
    symbols
};

/// The symbol of each distance less 1 below 256; beyond, of that distance shifted right by 7. There the first place
/// is that of [`FARTHEST`], which stands for no distance.
const DISTANCE_SYMBOL: [[u8; 256]; 2] = {
    let mut symbols = [[0; 256], [DISTANCES as u8; 256]];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let base = DISTANCE_BASE[symbol] as usize;
        let mut at = base;
        while at < 256 {
            symbols[0][at] = symbol as u8;
            at += 1;
        }
        at = base >> 7;
        while base >= 256 && at < 256 {
            symbols[1][at] = symbol as u8;
            at += 1;
        }
        symbol += 1;
    }
    symbols
};

/// The symbol of a length less 3, counted from [`LENGTHS`].
#[inline]
pub(crate) fn length_symbol(length: u8) -> usize {
    LENGTH_SYMBOL[usize::from(length)].into()
}

/// The symbol of a distance less 1, or [`DISTANCES`] of [`FARTHEST`].
#[inline]
pub(crate) fn distance_symbol(distance: usize) -> usize {
    let far = usize::from(distance >= 256);
    DISTANCE_SYMBOL[far][(distance >> (7 * far)) & 255].into()
}

/// The fixed code for literals and lengths, RFC 1951 section 3.2.6.
pub(crate) fn fixed_literals() -> [PrefixCode; LITERALS] {
    std::array::from_fn(|symbol| {
        let (code, len) = match symbol {
            0..144 => (symbol + 0x30, 8),
            144..256 => (symbol - 144 + 0x190, 9),
            256..280 => (symbol - 256, 7),
            _ => (symbol - 280 + 0xc0, 8),
        };
        PrefixCode::from_high(code as u16, len)
    })
}

/// The fixed code for distances.
pub(crate) fn fixed_distances() -> [PrefixCode; DISTANCES] {
    std::array::from_fn(|symbol| PrefixCode::from_high(symbol as u16, 5))
}

/// The bits that follow the symbols, for so many of each. `literals` begins with bytes.
pub(crate) fn extra_bits(literals: &[u32], distances: &[u32]) -> u64 {
    let lengths = literals.iter().skip(LENGTHS).zip(&LENGTH_BITS);
    let distances = distances.iter().zip(&DISTANCE_BITS);
    lengths.chain(distances).map(|(count, bits)| u64::from(*count) * u64::from(*bits)).sum()
}

#[cfg(test)]
#[path = "alphabet_tests.rs"]
mod tests;
