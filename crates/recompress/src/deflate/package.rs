//! Length-limited Huffman codes as Go makes them: a lazy form of package-merge, by "boundary" leaf counts.
//!
//! A port of `huffman_code.go` of Go's `compress/flate` (see the crate's `LICENSE-GO`), which klauspost's encoder
//! kept. Several codes are optimal for most counts, and this chooses the same one.

use super::bits::PrefixCode;

/// Codes are shorter than this.
const LIMIT: usize = 16;
/// More than any count or sum of counts.
const NEVER: u32 = i32::MAX as u32;

#[derive(Debug, Clone, Copy)]
struct Leaf {
    symbol: u16,
    count: u32,
}

/// The state of one level of the tree.
#[derive(Debug, Clone, Copy, Default)]
struct TreeLevel {
    /// The count of the last node.
    last: u32,
    /// The count of the next leaf, and of the next pair from the level below.
    next_leaf: u32,
    next_pair: u32,
    /// Nodes that are still to be made here.
    needed: usize,
}

/// Writes the code for each symbol, none where the count is 0. Codes have at most `longest` bits, which is below 16
/// and enough for all symbols. With two symbols or fewer each has one bit.
pub(crate) fn make_codes(counts: &[u32], longest: usize, codes: &mut [PrefixCode]) {
    let mut leaves = Vec::with_capacity(counts.len());
    for (symbol, (count, code)) in counts.iter().zip(codes.iter_mut()).enumerate() {
        *code = PrefixCode::default();
        if *count > 0 {
            leaves.push(Leaf { symbol: symbol as u16, count: *count });
        }
    }
    if leaves.len() <= 2 {
        for (index, leaf) in leaves.iter().enumerate() {
            codes[usize::from(leaf.symbol)] = PrefixCode { bits: index as u16, len: 1 };
        }
        return;
    }
    leaves.sort_unstable_by_key(|leaf| (leaf.count, leaf.symbol));
    let lens = how_many_of_each_len(&leaves, longest.min(leaves.len() - 1));
    give_codes(&lens, leaves, codes);
}

/// The number of leaves with a code of 1, 2, … bits. There are at least three leaves, the rarest first.
fn how_many_of_each_len(leaves: &[Leaf], longest: usize) -> [usize; LIMIT] {
    let count = |index: usize| leaves.get(index).map_or(NEVER, |leaf| leaf.count);
    // The number of leaves to the left of a level's last node, and of its ancestors at each level below.
    let mut left = [[0; LIMIT]; LIMIT];
    let mut levels = [TreeLevel::default(); LIMIT + 1];
    for level in 1..=longest {
        left[level][level] = 2;
        let pair = if level == 1 { NEVER } else { count(0) + count(1) };
        levels[level] = TreeLevel { last: count(1), next_leaf: count(2), next_pair: pair, needed: 0 };
    }
    levels[longest].needed = 2 * leaves.len() - 4;
    let mut level = longest;
    loop {
        let here = &mut levels[level];
        if here.next_pair == NEVER && here.next_leaf == NEVER {
            here.needed = 0;
            levels[level + 1].next_pair = NEVER;
            level += 1;
            continue;
        }
        let before = here.last;
        if here.next_leaf < here.next_pair {
            here.last = here.next_leaf;
            left[level][level] += 1;
            here.next_leaf = count(left[level][level]);
        } else {
            here.last = here.next_pair;
            let own = left[level][level];
            left[level] = left[level - 1];
            left[level][level] = own;
            levels[level - 1].needed = 2;
        }
        let here = &mut levels[level];
        here.needed -= 1;
        if here.needed > 0 {
            while levels[level - 1].needed > 0 {
                level -= 1;
            }
        } else if level == longest {
            break;
        } else {
            let pair = before + here.last;
            levels[level + 1].next_pair = pair;
            level += 1;
        }
    }
    let left = left[longest];
    let mut lens = [0; LIMIT];
    for level in 1..=longest {
        lens[longest + 1 - level] = left[level] - left[level - 1];
    }
    lens
}

/// Gives codes of rising length to rarer leaves, and among those of one length in the order of symbols: RFC 1951,
/// section 3.2.2.
fn give_codes(lens: &[usize; LIMIT], mut leaves: Vec<Leaf>, codes: &mut [PrefixCode]) {
    let mut code = 0u16;
    for (len, many) in lens.iter().enumerate() {
        code <<= 1;
        let mut chunk = leaves.split_off(leaves.len().saturating_sub(*many));
        chunk.sort_unstable_by_key(|leaf| leaf.symbol);
        for leaf in chunk {
            codes[usize::from(leaf.symbol)] = PrefixCode::from_high(code, len as u8);
            code += 1;
        }
    }
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
