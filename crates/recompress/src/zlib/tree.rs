//! Length-limited Huffman codes as zlib makes them: a heap, in which the shallower of equal trees is first, and
//! lengths mended where they are too long.
//!
//! A port of `build_tree` and `gen_bitlen` of zlib's `trees.c`.

use crate::deflate::bits::{LONGEST, PrefixCode, canonical};

/// A tree while it is made. Nodes from `symbols` on are not leaves.
struct CodeTree {
    counts: Vec<u32>,
    depths: Vec<u8>,
    parents: Vec<usize>,
    heap: Vec<usize>,
    /// Nodes as they left the heap, the rarest first.
    sorted: Vec<usize>,
}

/// The codes for such counts, each of at most `longest` bits. There are always two codes at least.
pub(super) fn codes<const N: usize>(counts: &[u32; N], longest: usize) -> [PrefixCode; N] {
    let mut tree = CodeTree::of(counts);
    tree.join();
    let lens = tree.lens(N, longest);
    canonical(&lens)
}

impl CodeTree {
    fn of(counts: &[u32]) -> Self {
        let mut tree = Self {
            counts: counts.to_vec(),
            depths: vec![0; counts.len()],
            parents: vec![0; 2 * counts.len()],
            heap: (0..counts.len()).filter(|symbol| counts[*symbol] > 0).collect(),
            sorted: Vec::with_capacity(2 * counts.len()),
        };
        let mut last = tree.heap.last().copied();
        while tree.heap.len() < 2 {
            // Symbols 0 or 1 are added where there are fewer than two.
            let symbol = match last {
                None => 0,
                Some(last) if last < 2 => last + 1,
                Some(_) => 0,
            };
            last = last.max(Some(symbol));
            tree.counts[symbol] = 1;
            tree.heap.push(symbol);
        }
        tree
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        (self.counts[a], self.depths[a]) <= (self.counts[b], self.depths[b])
    }

    /// Moves a node down until it is before its sons.
    fn sift(&mut self, mut at: usize) {
        let node = self.heap[at];
        loop {
            let mut son = 2 * at + 1;
            if son >= self.heap.len() {
                break;
            }
            if son + 1 < self.heap.len() && self.is_before(self.heap[son + 1], self.heap[son]) {
                son += 1;
            }
            if self.is_before(node, self.heap[son]) {
                break;
            }
            self.heap[at] = self.heap[son];
            at = son;
        }
        self.heap[at] = node;
    }

    /// Joins the two rarest nodes until one is left.
    fn join(&mut self) {
        for at in (0..self.heap.len() / 2).rev() {
            self.sift(at);
        }
        while self.heap.len() >= 2 {
            let first = self.heap.swap_remove(0);
            self.sift(0);
            let second = self.heap[0];
            self.sorted.extend([first, second]);
            let node = self.counts.len();
            self.counts.push(self.counts[first] + self.counts[second]);
            self.depths.push(self.depths[first].max(self.depths[second]) + 1);
            self.parents[first] = node;
            self.parents[second] = node;
            self.heap[0] = node;
            self.sift(0);
        }
    }

    /// The length of the code for each symbol.
    fn lens(&self, symbols: usize, longest: usize) -> Vec<usize> {
        let mut lens = vec![0; self.counts.len()];
        let mut many = [0usize; LONGEST + 1];
        let mut too_long = 0usize;
        for node in self.sorted.iter().rev() {
            let mut len = lens[self.parents[*node]] + 1;
            if len > longest {
                len = longest;
                too_long += 1;
            }
            lens[*node] = len;
            if *node < symbols {
                many[len] += 1;
            }
        }
        if too_long > 0 {
            shorten(&mut many, longest, too_long);
            let mut leaves = self.sorted.iter().filter(|node| **node < symbols);
            for len in (1..=longest).rev() {
                for leaf in leaves.by_ref().take(many[len]) {
                    lens[*leaf] = len;
                }
            }
        }
        lens.truncate(symbols);
        lens
    }
}

/// Mends how many codes of each length there are, so that they fit.
fn shorten(many: &mut [usize; LONGEST + 1], longest: usize, mut too_long: usize) {
    while too_long > 0 {
        let Some(len) = (1..longest).rev().find(|len| many[*len] > 0) else { break };
        many[len] -= 1;
        many[len + 1] += 2;
        many[longest] -= 1;
        too_long = too_long.saturating_sub(2);
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
