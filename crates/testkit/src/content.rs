//! The bytes of a file, described in a few numbers that can be shrunk.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::linked::{Machine, linked};

/// The bytes of a file: a base, and edits of it. The same description gives the same bytes everywhere and always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The kind of the base.
    pub kind: ContentKind,
    /// Another base for each seed.
    pub seed: u32,
    /// Bytes of the base; about that many where the kind has a shape of its own.
    pub len: u32,
    /// Applied one after the other.
    pub edits: Vec<Edit>,
}

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// Lines of words.
    Text,
    /// Bytes that do not compress.
    Noise,
    /// The same 64 bytes again and again.
    Repeats,
    /// Nothing but zeros.
    Zeros,
    /// A gzip file of text; edits are made in the text.
    Gzip,
    /// An ELF executable for x86-64.
    Executable,
}

/// A change of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// The offset, in 1/65536 of the length.
    pub at: u16,
    /// The action at the offset.
    pub action: Action,
    /// Bytes that are inserted, deleted or overwritten.
    pub len: u16,
}

/// The action of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Puts noise before what is there.
    Insert,
    /// Takes bytes away.
    Delete,
    /// Replaces bytes by noise.
    Overwrite,
}

impl Content {
    /// Lines of words, never edited.
    pub fn text(seed: u32, len: u32) -> Content {
        Content { kind: ContentKind::Text, seed, len, edits: Vec::new() }
    }

    /// Bytes that do not compress, never edited.
    pub fn noise(seed: u32, len: u32) -> Content {
        Content { kind: ContentKind::Noise, ..Content::text(seed, len) }
    }

    /// The same content after one more edit.
    #[must_use]
    pub fn edited(mut self, edit: Edit) -> Content {
        self.edits.push(edit);
        self
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let len = self.len as usize;
        let mut random = Random::new(u64::from(self.seed));
        let mut bytes = match self.kind {
            ContentKind::Text | ContentKind::Gzip => text(&mut random, len),
            ContentKind::Noise => random.bytes(len),
            ContentKind::Repeats => random.bytes(64).into_iter().cycle().take(len).collect(),
            ContentKind::Zeros => vec![0; len],
            // A function takes some 150 bytes, its string and its relocation 50 more.
            ContentKind::Executable => {
                linked(Machine::X86, &self.seed.to_string(), (len / 200).clamp(1, 80), &[])
            }
        };
        for (number, edit) in self.edits.iter().enumerate() {
            edit.apply(&mut bytes, Random::new((u64::from(self.seed) << 32) | (number as u64 + 1)));
        }
        if self.kind == ContentKind::Gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(&bytes).expect("memory takes all that is written to it");
            return gzip.finish().expect("memory takes all that is written to it");
        }
        bytes
    }
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>, mut random: Random) {
        let at = bytes.len() * usize::from(self.at) / 65536;
        let end = (at + usize::from(self.len)).min(bytes.len());
        match self.action {
            Action::Insert => drop(bytes.splice(at..at, random.bytes(usize::from(self.len)))),
            Action::Delete => drop(bytes.drain(at..end)),
            Action::Overwrite => bytes[at..end].copy_from_slice(&random.bytes(end - at)),
        }
    }
}

fn text(random: &mut Random, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "import ", "return ", "layer", "= ", "def ", "value", "(self)", ":\n", "\n", "    ", "for ", "in ",
        "image", "if not ", "# ", "None",
    ];
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        let number = random.next();
        for word in 0..8 {
            bytes.extend_from_slice(WORDS[(number >> (word * 4)) as usize % 16].as_bytes());
        }
        bytes.extend_from_slice(format!("{:x}\n", number >> 48).as_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// SplitMix64: numbers that look random, from a seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed ^ 0x5ee_d0f_1ab)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_has_its_length_and_is_the_same_each_time() {
        for kind in [ContentKind::Text, ContentKind::Noise, ContentKind::Repeats, ContentKind::Zeros] {
            let content = Content { kind, ..Content::text(7, 3001) };
            assert_eq!(content.bytes().len(), 3001, "{kind:?}");
            assert_eq!(content.bytes(), content.bytes(), "{kind:?}");
        }
        assert_ne!(Content::text(1, 100).bytes(), Content::text(2, 100).bytes());
    }

    #[test]
    fn edits_change_what_they_say() {
        let base = Content::noise(1, 1000);
        let edit = |action| base.clone().edited(Edit { at: 1 << 15, action, len: 10 }).bytes();
        let plain = base.bytes();
        let inserted = edit(Action::Insert);
        assert_eq!((&inserted[..500], &inserted[510..]), (&plain[..500], &plain[500..]));
        let deleted = edit(Action::Delete);
        assert_eq!((&deleted[..500], &deleted[500..]), (&plain[..500], &plain[510..]));
        let overwritten = edit(Action::Overwrite);
        assert_eq!((&overwritten[..500], &overwritten[510..]), (&plain[..500], &plain[510..]));
        assert_ne!(overwritten, plain);
        let empty = Content::text(1, 0).edited(Edit { at: 65535, action: Action::Delete, len: 9 });
        assert_eq!(empty.bytes(), b"");
    }
}
