//! The entropy decoders of RFC 8878 (4.1 and 4.2), as plain as the text has them, to read what the coders write.

/// Bits of a stream that is read backwards: it begins below the highest bit of its last byte that is set.
pub(super) struct Backward<'a> {
    bytes: &'a [u8],
    /// Bits that are left; below 0 where more were read than there are, which are 0.
    left: i64,
}

impl<'a> Backward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let last = *bytes.last().expect("a stream has a byte at least");
        assert!(last != 0, "the bit that ends the stream is missing");
        Self { bytes, left: 8 * bytes.len() as i64 - i64::from(last.leading_zeros()) - 1 }
    }

    pub(super) fn bits(&mut self, count: u32) -> u64 {
        let mut value = 0;
        for _ in 0..count {
            self.left -= 1;
            let bit = usize::try_from(self.left).map_or(0, |at| self.bytes[at / 8] >> (at % 8) & 1);
            value = value << 1 | u64::from(bit);
        }
        value
    }

    pub(super) fn left(&self) -> i64 {
        self.left
    }
}

/// A row of a decoding table: the symbol, the bits to read, and the state to which they are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Row {
    pub(super) symbol: u8,
    pub(super) bits: u32,
    pub(super) base: u16,
}

/// The decoding table of a distribution: RFC 8878, 4.1.1, "From normalized distribution to decoding tables".
pub(super) fn rows(norm: &[i16], log: u32) -> Vec<Row> {
    let size = 1usize << log;
    let mut symbols = vec![None; size];
    let mut high = size;
    for (symbol, _) in norm.iter().enumerate().filter(|(_, share)| **share == -1) {
        high -= 1;
        symbols[high] = Some(symbol as u8);
    }
    let mut at = 0;
    for (symbol, share) in norm.iter().enumerate() {
        for _ in 0..(*share).max(0) {
            assert_eq!(symbols[at], None);
            symbols[at] = Some(symbol as u8);
            at = (at + (size >> 1) + (size >> 3) + 3) % size;
            while symbols[at].is_some() && at >= high {
                at = (at + (size >> 1) + (size >> 3) + 3) % size;
            }
        }
    }
    assert_eq!(at, 0, "the distribution does not fill the states");
    let mut next: Vec<u32> = norm.iter().map(|share| share.unsigned_abs().into()).collect();
    symbols
        .into_iter()
        .map(|symbol| {
            let symbol = symbol.expect("every state has a symbol");
            let state = next[usize::from(symbol)];
            next[usize::from(symbol)] += 1;
            let bits = log - state.ilog2();
            Row { symbol, bits, base: ((state << bits) - (1 << log)) as u16 }
        })
        .collect()
}

/// A distribution as it is written, its accuracy, and the bytes that it has: RFC 8878, 4.1.1.
pub(super) fn distribution(bytes: &[u8]) -> (Vec<i16>, u32, usize) {
    let mut at = 0;
    let bit = |at: usize| i32::from(bytes.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1));
    let peek = |at: usize, count: u32| (0..count as usize).fold(0, |value, nth| value | bit(at + nth) << nth);
    let log = peek(at, 4) as u32 + 5;
    at += 4;
    let mut left = 1i32 << log;
    let mut norm = Vec::new();
    while left > 0 {
        let width = (left + 1).ilog2() + 1;
        let small = (1 << width) - 1 - (left + 1);
        let mut value = peek(at, width);
        let low = value & ((1 << (width - 1)) - 1);
        if low < small {
            value = low;
            at += width as usize - 1;
        } else {
            at += width as usize;
            if value >= 1 << (width - 1) {
                value -= small;
            }
        }
        let share = value - 1;
        left -= share.abs();
        norm.push(share as i16);
        let mut is_followed = share == 0;
        while is_followed {
            let zeros = peek(at, 2);
            at += 2;
            norm.extend(std::iter::repeat_n(0, zeros as usize));
            is_followed = zeros == 3;
        }
    }
    assert_eq!(left, 0);
    (norm, log, at.div_ceil(8))
}

/// The weights at the head of Huffman-coded literals, the last of them as well, and the bytes that they have: RFC 8878,
/// 4.2.1.
pub(super) fn weights(bytes: &[u8]) -> (Vec<u8>, usize) {
    let head = usize::from(bytes[0]);
    let (mut weights, size) = match head {
        128.. => {
            let count = head - 127;
            let weight = |at: usize| bytes[1 + at / 2] >> (4 * (1 - at % 2)) & 15;
            ((0..count).map(weight).collect::<Vec<u8>>(), 1 + count.div_ceil(2))
        }
        _ => (interleaved(&bytes[1..1 + head]), 1 + head),
    };
    let sum: u32 = weights.iter().filter(|weight| **weight > 0).map(|weight| 1 << (weight - 1)).sum();
    let left = sum.next_power_of_two().max((sum + 1).next_power_of_two()) - sum;
    assert!(left.is_power_of_two(), "the last weight is no power of two");
    weights.push(left.ilog2() as u8 + 1);
    (weights, size)
}

/// Two coders of weights in turn, until the stream has fewer bits than one of them needs.
fn interleaved(bytes: &[u8]) -> Vec<u8> {
    let (norm, log, used) = distribution(bytes);
    let rows = rows(&norm, log);
    let mut stream = Backward::new(&bytes[used..]);
    let mut states = [stream.bits(log) as usize, stream.bits(log) as usize];
    let mut weights = Vec::new();
    loop {
        let row = rows[states[0]];
        weights.push(row.symbol);
        if stream.left() < i64::from(row.bits) {
            weights.push(rows[states[1]].symbol);
            return weights;
        }
        states[0] = usize::from(row.base) + stream.bits(row.bits) as usize;
        states.swap(0, 1);
    }
}

/// The code of each symbol with a weight, as its bits and their number: RFC 8878, 4.2.1, "Conversion from weights to
/// Huffman prefix codes": from the least weight on, by symbols, counted from 0.
pub(super) fn prefix_codes(weights: &[u8]) -> Vec<Option<(u16, u32)>> {
    let sum: u32 = weights.iter().filter(|weight| **weight > 0).map(|weight| 1 << (weight - 1)).sum();
    let longest = sum.ilog2();
    let mut codes = vec![None; weights.len()];
    let mut next = 0u32;
    for weight in 1..=longest as u8 {
        let bits = longest + 1 - u32::from(weight);
        for symbol in (0..weights.len()).filter(|symbol| weights[*symbol] == weight) {
            codes[symbol] = Some(((next >> (weight - 1)) as u16, bits));
            next += 1 << (weight - 1);
        }
    }
    assert_eq!(next, 1 << longest);
    codes
}

/// One stream of literals, to its last bit.
pub(super) fn literals(codes: &[Option<(u16, u32)>], bytes: &[u8]) -> Vec<u8> {
    let mut stream = Backward::new(bytes);
    let mut literals = Vec::new();
    while stream.left() > 0 {
        let (mut code, mut bits) = (0, 0);
        let symbol = loop {
            code = code << 1 | stream.bits(1) as u16;
            bits += 1;
            if let Some(symbol) = codes.iter().position(|known| *known == Some((code, bits))) {
                break symbol;
            }
            assert!(bits < 12, "no code begins so");
        };
        literals.push(symbol as u8);
    }
    assert_eq!(stream.left(), 0);
    literals
}
