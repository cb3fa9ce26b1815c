//! The least cost of a length-limited prefix code, by two ways that share nothing with the encoders: package-merge as
//! published (Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990), and all codes
//! tried.

/// The bits that the counted symbols take in the best code of at most `limit` bits; 0 counts have no code.
pub(crate) fn least_cost(counts: &[u32], limit: usize) -> u64 {
    let mut coins: Vec<u64> =
        counts.iter().filter(|count| **count > 0).map(|count| u64::from(*count)).collect();
    coins.sort_unstable();
    assert!(coins.len() >= 2 && coins.len() <= 1 << limit);
    let mut list = coins.clone();
    for _ in 1..limit {
        let mut next: Vec<u64> = list.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect();
        next.extend(&coins);
        next.sort_unstable();
        list = next;
    }
    list[..2 * coins.len() - 2].iter().sum()
}

/// The same by trying all lengths. Counts are few and sorted.
fn least_by_trial(counts: &[u32], limit: u32, space: u32) -> Option<u64> {
    let Some((first, others)) = counts.split_first() else { return Some(0) };
    (1..=limit)
        .filter_map(|len| {
            let left = space.checked_sub(1 << (limit - len))?;
            Some(u64::from(*first) * u64::from(len) + least_by_trial(others, limit, left)?)
        })
        .min()
}

/// The part of the code space that lengths use, in parts of 2^`limit`.
pub(crate) fn space(lens: impl IntoIterator<Item = u8>, limit: usize) -> u32 {
    lens.into_iter().filter(|len| *len > 0).map(|len| 1 << (limit - usize::from(len))).sum()
}

/// The bits that the counted symbols take in codes of these lengths.
pub(crate) fn cost(counts: &[u32], lens: &[u8]) -> u64 {
    counts.iter().zip(lens).map(|(count, len)| u64::from(*count) * u64::from(*len)).sum()
}

/// Counts that need the longest codes: each is the sum of the two before.
pub(crate) fn fibonacci(symbols: usize) -> Vec<u32> {
    let mut counts = vec![1, 1];
    while counts.len() < symbols {
        counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
    }
    counts
}

#[test]
fn package_merge_finds_what_trying_all_codes_finds() {
    for counts in
        [&[1, 1][..], &[1, 2, 3], &[1, 1, 1, 1, 1], &[1, 1, 2, 3, 5, 8], &[1, 1, 1, 9, 9, 30], &[7; 6]]
    {
        for limit in 3..=5 {
            assert_eq!(Some(least_cost(counts, limit)), least_by_trial(counts, limit as u32, 1 << limit));
        }
    }
}
