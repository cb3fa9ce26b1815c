//! Layers: real ones, and inputs that are mended to be layers.

use dsync_testkit::fixed;

const BLOCK: usize = 512;

/// Gives every header of a tar the checksum of what is in it, so that a field that a fuzzer changed is read.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        let own = String::from_utf8_lossy(&block[148..156]).into_owned();
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let is_right = u32::from_str_radix(own.trim_matches(['\0', ' ']), 8) == Ok(sum);
        let sum = if is_right { own } else { format!("{sum:06o}\0 ") };
        block[148..156].copy_from_slice(sum.as_bytes().first_chunk::<8>().unwrap_or(b"0\0      "));
    }
    bytes
}

/// Old and new layers of the fixed set of pairs, a few kilobytes each, that have this many bytes at most.
pub(crate) fn pairs(most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for pair in fixed::pairs() {
        let layers = |item: &dsync_testkit::Item| {
            let images = item.build().images;
            images
                .first()
                .map_or_else(Vec::new, |image| image.layers.iter().map(|layer| layer.to_vec()).collect())
        };
        let new: Vec<Vec<u8>> = layers(&pair.new);
        let old = pair.old.first().map_or_else(Vec::new, layers);
        // The changed layer is on top, as a rule.
        let pair = (old.last().cloned().unwrap_or_default(), new.last().cloned().unwrap_or_default());
        if !pair.1.is_empty() && pair.0.len() + pair.1.len() <= most && !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_pairs_that_differ() {
        let pairs = pairs(12 << 10);
        assert!(
            pairs.iter().filter(|(old, new)| old != new && !old.is_empty()).count() > 10,
            "{}",
            pairs.len()
        );
        assert!(pairs.iter().all(|(old, new)| sealed(old) == *old && sealed(new) == *new));
    }
}
