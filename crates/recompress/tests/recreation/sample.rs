//! Bytes of many kinds, always the same: words, numbers, noise, zeros, few letters, and all of it again with changes.

/// A generator of Marsaglia's xorshift family ("Xorshift RNGs", 2003).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Mostly small, as ranks of words are.
    fn rank(&mut self, limit: usize) -> usize {
        let most = self.below(limit) + 1;
        self.below(most)
    }
}

/// The sample, of `len` bytes. A shorter one is the start of a longer one.
pub(crate) fn sample(len: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let words: Vec<Vec<u8>> = (0..3000)
        .map(|_| {
            let letters = 2 + random.rank(12);
            (0..letters).map(|_| b"etaoinshrdlcumwfgypbvkjxqz"[random.rank(26)]).collect()
        })
        .collect();
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let part = 200 + random.below(60_000);
        let end = bytes.len() + part;
        match random.below(9) {
            0..=2 => prose(&mut bytes, end, &words, &mut random),
            3 => numbers(&mut bytes, end, &mut random),
            4 => bytes.extend((0..part).map(|_| random.next() as u8)),
            5 => bytes.resize(end, 0),
            6 => bytes.extend((0..part).map(|_| b"ACGT"[random.below(4)])),
            _ => again(&mut bytes, end, &mut random),
        }
        while bytes.len() % 512 != 0 {
            bytes.push(0);
        }
    }
    bytes.truncate(len);
    bytes
}

fn prose(bytes: &mut Vec<u8>, end: usize, words: &[Vec<u8>], random: &mut Random) {
    while bytes.len() < end {
        bytes.extend_from_slice(&words[random.rank(words.len())]);
        bytes.push(if random.below(11) == 0 { b'\n' } else { b' ' });
    }
}

fn numbers(bytes: &mut Vec<u8>, end: usize, random: &mut Random) {
    let mut number = 0u32;
    while bytes.len() < end {
        number = number.wrapping_add(random.rank(5000) as u32);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

/// Earlier bytes, with a few of them changed.
fn again(bytes: &mut Vec<u8>, end: usize, random: &mut Random) {
    let from = random.below(bytes.len() + 1);
    let mut at = bytes.len().saturating_sub(random.below(70_000)).min(bytes.len());
    if random.below(2) == 0 {
        at = from;
    }
    while bytes.len() < end {
        let byte = bytes.get(at).copied().unwrap_or(b'.');
        bytes.push(if random.below(90) == 0 { random.next() as u8 } else { byte });
        at += 1;
    }
}
