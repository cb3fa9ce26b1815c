//! Literals in Huffman codes, in one stream or four, with a new code or the one before.
//!
//! RFC 8878, 4.2; a port of klauspost's `huff0/compress.go`.

use super::bits::BitWriter;
use super::fse::{self, FseTable, high_bit};

/// The longest code, in bits.
const LONGEST: u32 = 11;
/// States of the table that codes weights, as a power of two.
const WEIGHTS_LOG: u32 = 6;
/// Minimum gain for which literals are Huffman-coded: 1/16.
const LEAST_SAVED: u32 = 4;

/// The result of coding literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodedLiterals {
    /// They are coded, after the new code.
    New,
    /// They are coded in the code before.
    Reused,
    /// All are the same.
    Same,
    /// There is too little to save.
    Not,
}

/// A symbol's code.
#[derive(Debug, Clone, Copy, Default)]
struct SymbolCode {
    value: u16,
    bits: u8,
}

/// The code of all symbols up to the last that is used.
#[derive(Debug, Clone)]
struct HuffmanTable {
    codes: [SymbolCode; 256],
    symbols: usize,
    longest: u32,
}

/// The coder of literals, with what it knows of the block before.
pub(super) struct LiteralsCoder {
    before: Option<Box<HuffmanTable>>,
    /// The decoder knows the code before.
    pub(super) may_reuse: bool,
    /// The last coded literals.
    pub(super) out: Vec<u8>,
}

impl LiteralsCoder {
    pub(super) fn new() -> Self {
        Self { before: None, may_reuse: false, out: Vec::new() }
    }

    /// Codes literals, of which there are more than 16, in four streams or one.
    pub(super) fn encode(&mut self, literals: &[u8], four: bool) -> CodedLiterals {
        self.out.clear();
        if !self.may_reuse {
            self.before = None;
        }
        let counts = counted(literals);
        let most = counts.iter().max().map_or(0, |most| *most as usize);
        let wanted = literals.len() - (literals.len() >> LEAST_SAVED);
        if most >= literals.len() {
            return CodedLiterals::Same;
        }
        if most == 1 || most < literals.len() >> 7 {
            return CodedLiterals::Not;
        }
        let symbols = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let codes = HuffmanTable::of(&counts[..symbols], literals.len());
        let before = self.before.as_deref().filter(|before| self.may_reuse && before.has(&counts[..symbols]));
        if let Some(before) =
            before.filter(|before| before.size(&counts) <= codes.size(&counts) || 12 >= wanted)
        {
            let is_coded = before.streams(literals, four, &mut self.out);
            return if is_coded && self.out.len() < wanted {
                CodedLiterals::Reused
            } else {
                CodedLiterals::Not
            };
        }
        if !codes.write(&mut self.out)
            || !codes.streams(literals, four, &mut self.out)
            || self.out.len() >= wanted
        {
            return CodedLiterals::Not;
        }
        match &mut self.before {
            Some(before) => **before = codes,
            None => self.before = Some(Box::new(codes)),
        }
        CodedLiterals::New
    }
}

/// The frequency of each byte.
fn counted(literals: &[u8]) -> [u32; 256] {
    // Two tables, since the same byte often follows.
    let mut counts = [[0u32; 256]; 2];
    let mut pairs = literals.chunks_exact(2);
    for pair in &mut pairs {
        counts[0][usize::from(pair[0])] += 1;
        counts[1][usize::from(pair[1])] += 1;
    }
    let [mut sum, other] = counts;
    pairs.remainder().iter().for_each(|byte| sum[usize::from(*byte)] += 1);
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
    sum
}

impl HuffmanTable {
    /// The code for what was counted: two symbols or more, `total` in all.
    fn of(counts: &[u32], total: usize) -> Self {
        let (lengths, longest) = lengths(counts, best_log(total, counts.len()));
        let mut of_length = [0u16; LONGEST as usize + 2];
        lengths.iter().filter(|length| **length > 0).for_each(|length| of_length[usize::from(*length)] += 1);
        let mut next = [0u16; LONGEST as usize + 2];
        let mut least = 0;
        for length in (1..=longest as usize).rev() {
            next[length] = least;
            least = (least + of_length[length]) >> 1;
        }
        let mut codes = [SymbolCode::default(); 256];
        for (code, length) in codes.iter_mut().zip(&lengths) {
            let next = &mut next[usize::from(*length)];
            *code = SymbolCode { value: *next, bits: *length };
            *next += 1;
        }
        Self { codes, symbols: counts.len(), longest }
    }

    /// True if all counted symbols have a code.
    fn has(&self, counts: &[u32]) -> bool {
        counts.len() <= self.symbols
            && counts.iter().zip(&self.codes).all(|(count, code)| *count == 0 || code.bits > 0)
    }

    /// The bytes of what was counted, without the code itself.
    fn size(&self, counts: &[u32]) -> u32 {
        let bits: u32 =
            counts.iter().zip(&self.codes).map(|(count, code)| count * u32::from(code.bits)).sum();
        (bits + 7) >> 3
    }

    /// Writes the code; false where that is not worth it.
    fn write(&self, out: &mut Vec<u8>) -> bool {
        // The last weight is known from the others.
        let count = self.symbols - 1;
        let weights: Vec<u8> = self.codes[..count]
            .iter()
            .map(|code| if code.bits == 0 { 0 } else { (self.longest + 1) as u8 - code.bits })
            .collect();
        if count >= 2
            && let Some(coded) = coded(&weights).filter(|coded| coded.len() < self.symbols >> 1)
        {
            out.push(coded.len() as u8);
            out.extend_from_slice(&coded);
            return true;
        }
        if count > 128 {
            return false;
        }
        out.push(128 | (count as u8).wrapping_sub(1));
        out.extend(weights.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)));
        true
    }

    /// Writes literals; false where they are too long.
    fn streams(&self, literals: &[u8], four: bool, out: &mut Vec<u8>) -> bool {
        if !four {
            self.stream(literals, out);
            return true;
        }
        let lengths = out.len();
        out.extend_from_slice(&[0; 6]);
        for (at, part) in literals.chunks(literals.len().div_ceil(4)).enumerate() {
            let start = out.len();
            self.stream(part, out);
            let Ok(len) = u16::try_from(out.len() - start) else { return false };
            // The last is what is left.
            if at < 3 {
                out[lengths + 2 * at..][..2].copy_from_slice(&len.to_le_bytes());
            }
        }
        true
    }

    /// One stream, from the last literal to the first.
    fn stream(&self, literals: &[u8], out: &mut Vec<u8>) {
        let mut bits = BitWriter::new(out);
        let (fours, rest) = literals.as_chunks::<4>();
        let code = |byte: u8| self.codes[usize::from(byte)];
        let add = |bits: &mut BitWriter<'_>, a: u8, b: u8| {
            let (a, b) = (code(a), code(b));
            bits.add(
                u64::from(a.value) | u64::from(b.value) << a.bits,
                u32::from(a.bits) + u32::from(b.bits),
            );
        };
        for byte in rest.iter().rev() {
            bits.add(u64::from(code(*byte).value), u32::from(code(*byte).bits));
        }
        for [a, b, c, d] in fours.iter().rev() {
            bits.flush();
            add(&mut bits, *d, *c);
            bits.flush();
            add(&mut bits, *b, *a);
        }
        bits.close();
    }
}

/// The longest code to aim at.
fn best_log(total: usize, symbols: usize) -> u32 {
    let least = (high_bit(total as u32) + 1).min(high_bit(symbols as u32 - 1) + 2);
    let affordable = high_bit(total as u32 - 1).wrapping_sub(1);
    affordable.min(LONGEST).max(least).clamp(5, LONGEST)
}

/// Weights in states; none where that makes them no shorter.
fn coded(weights: &[u8]) -> Option<Vec<u8>> {
    let mut counts = [0u32; 16];
    weights.iter().for_each(|weight| counts[usize::from(*weight & 15)] += 1);
    let most = *counts.iter().max()?;
    if most as usize == weights.len() || most == 1 || weights.len() < 3 {
        return None;
    }
    let symbols = counts.iter().rposition(|count| *count > 0)? + 1;
    let log = fse::best_log(WEIGHTS_LOG, weights.len(), symbols, 1);
    let table = FseTable::of(&counts[..symbols], weights.len(), log)?;
    let mut out = Vec::new();
    table.write(&mut out);
    let mut bits = BitWriter::new(&mut out);
    // Two coders take turns, so that the one of the first weight is `first`.
    let (last, others) = weights.split_last()?;
    let (before, others) = others.split_last()?;
    let (mut turn, mut other) = (table.begin(*last), table.begin(*before));
    for weight in others.iter().rev() {
        bits.flush();
        turn.encode(*weight, &mut bits);
        std::mem::swap(&mut turn, &mut other);
    }
    // After the first weight, the turn is that of the coder that has not coded it.
    turn.finish(&mut bits);
    other.finish(&mut bits);
    bits.close();
    (out.len() < weights.len()).then_some(out)
}

/// A node of the tree: leaves come first, the most frequent before the others.
#[derive(Debug, Clone, Copy, Default)]
struct HuffmanNode {
    count: u32,
    parent: u16,
    symbol: u8,
    bits: u8,
}

/// The length of each code, and the longest.
fn lengths(counts: &[u32], most: u32) -> (Vec<u8>, u32) {
    let mut nodes = sorted(counts);
    let used = nodes.iter().rposition(|node| node.count > 0).map_or(0, |last| last + 1);
    let first = nodes.len();
    nodes.resize(first + used - 1, HuffmanNode { count: 1 << 30, ..HuffmanNode::default() });
    let (mut leaf, mut inner) = (used, first);
    for node in first..nodes.len() {
        let mut sum = 0;
        for _ in 0..2 {
            // A leaf is taken only where it is rarer than the next node.
            let inner_count = nodes.get(inner).filter(|_| inner < node).map_or(1 << 30, |node| node.count);
            let is_leaf = leaf > 0 && nodes[leaf - 1].count < inner_count;
            let taken = if is_leaf {
                leaf -= 1;
                leaf
            } else {
                inner += 1;
                inner - 1
            };
            sum += nodes[taken].count;
            nodes[taken].parent = node as u16;
        }
        nodes[node].count = sum;
    }
    for node in (0..nodes.len() - 1).rev() {
        if node < used || node >= first {
            nodes[node].bits = nodes[usize::from(nodes[node].parent)].bits + 1;
        }
    }
    let longest = limit(&mut nodes[..used], most);
    let mut lengths = vec![0; counts.len()];
    nodes[..used].iter().for_each(|node| lengths[usize::from(node.symbol)] = node.bits);
    (lengths, longest)
}

/// The symbols, the most frequent first; in which order those are that are equally frequent counts, too.
fn sorted(counts: &[u32]) -> Vec<HuffmanNode> {
    let mut starts = [0usize; 33];
    for count in counts {
        starts[high_bit(count + 1) as usize] += 1;
    }
    // Of each bucket: how many are in those of more frequent symbols.
    for bucket in (1..starts.len()).rev() {
        starts[bucket - 1] += starts[bucket];
    }
    let mut ends = starts;
    let mut nodes = vec![HuffmanNode::default(); counts.len()];
    for (symbol, count) in counts.iter().enumerate() {
        let bucket = high_bit(count + 1) as usize + 1;
        let mut at = ends[bucket];
        ends[bucket] += 1;
        while at > starts[bucket] && *count > nodes[at - 1].count {
            nodes[at] = nodes[at - 1];
            at -= 1;
        }
        nodes[at] = HuffmanNode { count: *count, symbol: symbol as u8, ..HuffmanNode::default() };
    }
    nodes
}

/// Shortens codes above `most` bits, and lengthens others for it. Returns the longest.
fn limit(nodes: &mut [HuffmanNode], most: u32) -> u32 {
    let most = most as u8;
    let largest = nodes.last().map_or(0, |node| node.bits);
    if largest <= most {
        return u32::from(largest);
    }
    let Shortened { mut cost, mut at } = shorten(nodes, largest, most);
    let mut last = last_of_each(nodes, at, most);
    while cost > 0 {
        cost -= lengthen(nodes, &mut last, cost, most);
    }
    while cost < 0 {
        let node = if last[1] == NO_NODE {
            while nodes[at].bits == most {
                at -= 1;
            }
            at + 1
        } else {
            last[1] + 1
        };
        nodes[node].bits -= 1;
        last[1] = node;
        cost += 1;
    }
    u32::from(most)
}

/// Codes that were shortened.
struct Shortened {
    /// The codes of the longest length by which there are too many now.
    cost: i64,
    /// The last node with a shorter code than the longest.
    at: usize,
}

/// Shortens codes above `most` bits, of which the longest has `largest`.
fn shorten(nodes: &mut [HuffmanNode], largest: u8, most: u8) -> Shortened {
    let mut cost = 0i64;
    let base = 1i64 << (largest - most);
    let mut at = nodes.len() - 1;
    while nodes[at].bits > most {
        cost += base - (1 << (largest - nodes[at].bits));
        nodes[at].bits = most;
        at -= 1;
    }
    while nodes[at].bits == most {
        at -= 1;
    }
    Shortened { cost: cost >> (largest - most), at }
}

const NO_NODE: usize = usize::MAX;

/// The last node of each length below `most`, by how much shorter it is.
type LastNodes = [usize; LONGEST as usize + 2];

/// The last nodes of each length, of those up to `at`.
fn last_of_each(nodes: &[HuffmanNode], at: usize, most: u8) -> LastNodes {
    let mut last = [NO_NODE; LONGEST as usize + 2];
    let mut bits = most;
    for node in (0..=at).rev() {
        if nodes[node].bits < bits {
            bits = nodes[node].bits;
            last[usize::from(most - bits)] = node;
        }
    }
    last
}

/// Lengthens the code that pays for most of `cost`. Returns the codes of the longest length that it makes room for.
fn lengthen(nodes: &mut [HuffmanNode], last: &mut LastNodes, cost: i64, most: u8) -> i64 {
    let mut less = high_bit(cost as u32) as usize + 1;
    while less > 1 {
        let (high, low) = (last[less], last[less - 1]);
        if high != NO_NODE && (low == NO_NODE || nodes[high].count <= 2 * nodes[low].count) {
            break;
        }
        less -= 1;
    }
    while less <= LONGEST as usize && last[less] == NO_NODE {
        less += 1;
    }
    if last[less - 1] == NO_NODE {
        last[less - 1] = last[less];
    }
    let node = last[less];
    nodes[node].bits += 1;
    last[less] = match node.checked_sub(1) {
        Some(before) if usize::from(most - nodes[before].bits) == less => before,
        _ => NO_NODE,
    };
    1 << (less - 1)
}

#[cfg(test)]
#[path = "huffman_tests.rs"]
mod tests;
