//! Inputs at which encoders change their ways: the reach of matches, the longest match, full blocks, long codes.

use super::sample::Random;

/// The longest match of deflate, in bytes.
const LONGEST: usize = 258;

/// Bytes to encode, and a name that says what is special about them.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) plain: Vec<u8>,
}

/// All inputs, always the same. Together about 2 MB.
pub(crate) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut add = |name: String, plain: Vec<u8>| inputs.push(Input { name, plain });
    for len in 0..=300 {
        add(format!("short-{len}"), text(len));
    }
    // The reach of one encoder or the other: of matches of three and four bytes, of zlib's window, of deflate's.
    for distance in [4094, 4095, 4096, 4097, 32504, 32505, 32506, 32507, 32508, 32762, 32764]
        .into_iter()
        .chain(32766..=32769)
    {
        add(format!("repeat-at-{distance}"), repeated_at(distance, 64));
    }
    for distance in [4095, 4096, 4097] {
        for len in [3, 4] {
            add(format!("repeat-of-{len}-at-{distance}"), repeated_at(distance, len));
        }
    }
    for len in (LONGEST - 2..=LONGEST + 5).chain([2 * LONGEST, 2 * LONGEST + 1, 2 * LONGEST + 3]) {
        add(format!("run-{len}"), [vec![b'a'; len + 1], text(40)].concat());
    }
    for period in [2, 3, 7, 255, 256, 257, 258, 259, 1000] {
        add(format!("period-{period}"), noise(period, 256, 7).into_iter().cycle().take(9000).collect());
    }
    // Full blocks of tokens, of stored bytes, and of zstd.
    for len in [16_382, 16_383, 16_384, 32_766, 32_767, 32_768, 65_534, 65_535, 65_536, 65_537] {
        add(format!("noise-{len}"), noise(len, 256, 11));
    }
    for len in [65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073] {
        add(format!("text-{len}"), text(len));
    }
    for letters in [1, 2, 3, 4, 16, 64, 128, 250] {
        add(format!("letters-{letters}"), noise(20_000, letters, 13));
    }
    add("fibonacci".into(), fibonacci(22));
    add("all-bytes".into(), (0..=255).collect());
    add("all-bytes-twice".into(), (0..=255u8).flat_map(|byte| [byte; 2]).collect());
    add("noise-and-zeros".into(), stripes(12_000));
    add("noise-between-text".into(), [text(20_000), noise(40_000, 256, 17), text(20_000)].concat());
    add("zeros-300000".into(), vec![0; 300_000]);
    inputs
}

/// Bytes of an alphabet of so many.
pub(crate) fn noise(len: usize, letters: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed << 32);
    (0..len).map(|_| random.below(letters) as u8).collect()
}

/// Numbered lines, which share much with those before.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let line = |number: usize| format!("{number:05} the quick brown fox, {}\n", number * number % 89);
    let mut text: Vec<u8> = (0..len / 25 + 1).flat_map(|number| line(number).into_bytes()).collect();
    text.truncate(len);
    text
}

/// Noise in which the first bytes, so many, come again at a distance, and nothing else does.
pub(crate) fn repeated_at(distance: usize, len: usize) -> Vec<u8> {
    let mut bytes = noise(distance, 256, distance as u64);
    bytes.extend_from_within(..len);
    bytes.extend(noise(300, 256, 19));
    bytes
}

/// Bytes of which each is as frequent as the two rarer ones before it together, so that codes become too long.
fn fibonacci(symbols: usize) -> Vec<u8> {
    let (mut count, mut next) = (1, 1);
    let mut bytes = Vec::new();
    for symbol in 0..symbols {
        bytes.resize(bytes.len() + count, symbol as u8 * 7);
        (count, next) = (next, count + next);
    }
    let mut random = Random(23);
    for at in (1..bytes.len()).rev() {
        bytes.swap(at, random.below(at + 1));
    }
    bytes
}

/// Noise and zeros in turn, each stripe a little longer than the one before.
fn stripes(most: usize) -> Vec<u8> {
    (1..most).step_by(1111).flat_map(|len| [noise(len, 256, len as u64), vec![0; len]].concat()).collect()
}
