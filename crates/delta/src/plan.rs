//! Which contents are to be sent. Pure, and the same on both sides: from the same skeletons in the same
//! order source and target make the same list, so a bitmap over it is all the target has to answer.

mod wanted;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

pub use wanted::{Wanted, WantedError};

use crate::{ContentId, Layout, Skeleton};

/// A content that some layers are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The short id. With the length, it is what tells contents apart.
    pub short: u64,
    /// How many bytes.
    pub len: u64,
    /// How often the layers use it; at least once.
    pub uses: u64,
}

/// The different contents of some layers, numbered from 0 in order of first use.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    list: Vec<Content>,
    ordinals: HashMap<(u64, u64), usize>,
}

/// Two different contents of the source have the same short id and length. No target could tell them apart,
/// so these layers must be sent whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two contents of {len} bytes have the same short id {short:016x}")]
pub struct Collision {
    /// The short id that both have.
    pub short: u64,
    /// The length that both have.
    pub len: u64,
}

impl Contents {
    /// The contents of these layers, as the target sees them.
    pub fn of<'a>(skeletons: impl IntoIterator<Item = &'a Skeleton>) -> Self {
        let mut contents = Contents::default();
        for skeleton in skeletons {
            for (short, len) in skeleton.contents() {
                contents.add(short, len);
            }
        }
        contents
    }

    /// The contents of these layers, as the source sees them: equal to what [`Contents::of`] makes of their
    /// skeletons, and known to be unambiguous.
    pub fn of_layouts<'a>(layouts: impl IntoIterator<Item = &'a Layout>) -> Result<Self, Collision> {
        let mut contents = Contents::default();
        let mut ids: Vec<ContentId> = Vec::new();
        for layout in layouts {
            for (id, len) in layout.contents() {
                let short = id.short();
                match ids.get(contents.add(short, len)) {
                    None => ids.push(id),
                    Some(known) if *known == id => {}
                    Some(_) => return Err(Collision { short, len }),
                }
            }
        }
        Ok(contents)
    }

    /// Counts one use and returns the content's ordinal.
    fn add(&mut self, short: u64, len: u64) -> usize {
        match self.ordinals.entry((short, len)) {
            Entry::Occupied(entry) => {
                let ordinal = *entry.get();
                self.list[ordinal].uses += 1;
                ordinal
            }
            Entry::Vacant(entry) => {
                let ordinal = *entry.insert(self.list.len());
                self.list.push(Content { short, len, uses: 1 });
                ordinal
            }
        }
    }

    /// How many different contents.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the layers have no contents at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The content with this ordinal.
    pub fn get(&self, ordinal: usize) -> Option<Content> {
        self.list.get(ordinal).copied()
    }

    /// The ordinal of a content.
    pub fn ordinal(&self, short: u64, len: u64) -> Option<usize> {
        self.ordinals.get(&(short, len)).copied()
    }

    /// All of them, by ordinal.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Content> + '_ {
        self.list.iter().copied()
    }

    /// The bytes of all of them, each counted once.
    pub fn total_len(&self) -> u64 {
        // The lengths are a peer's; each layer's sum is checked, the sum of the sums is only shown.
        self.list.iter().fold(0, |sum, content| sum.saturating_add(content.len))
    }

    /// Those that a predicate wants, for instance all that an index does not have.
    pub fn wanted(&self, mut wants: impl FnMut(Content) -> bool) -> Wanted {
        let mut wanted = Wanted::none(self.len());
        for (ordinal, content) in self.iter().enumerate() {
            if wants(content) {
                wanted.insert(ordinal);
            }
        }
        wanted
    }

    /// The wanted ones with their ordinals, in the order in which they are sent.
    pub fn select<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = (usize, Content)> + 'a {
        self.iter().enumerate().filter(|(ordinal, _)| wanted.contains(*ordinal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;
    use dsync_core::DiffId;

    fn layout(contents: &[(u8, u8, u64)]) -> Layout {
        let segments: Vec<Segment> = contents
            .iter()
            .map(|&(first, last, len)| {
                let mut id = [first; 16];
                id[15] = last;
                Segment::Content { id: ContentId::from_bytes(id), len }
            })
            .collect();
        let len = segments.iter().map(Segment::len).sum();
        Layout { diff_id: DiffId::of(b""), len, segments }
    }

    #[test]
    fn contents_are_numbered_by_first_use_on_both_sides() {
        let layouts = [layout(&[(9, 0, 100), (1, 0, 100), (9, 0, 100)]), layout(&[(1, 0, 101), (9, 0, 100)])];
        let source = Contents::of_layouts(&layouts).unwrap();
        let skeletons: Vec<Skeleton> = layouts.iter().map(Skeleton::from).collect();
        let target = Contents::of(&skeletons);
        let rows =
            |contents: &Contents| contents.iter().map(|c| (c.short, c.len, c.uses)).collect::<Vec<_>>();
        let (nine, one) = (u64::from_le_bytes([9; 8]), u64::from_le_bytes([1; 8]));
        assert_eq!(rows(&source), [(nine, 100, 3), (one, 100, 1), (one, 101, 1)]);
        assert_eq!(rows(&source), rows(&target));
        assert_eq!(source.total_len(), 301);
        assert_eq!(source.ordinal(one, 101), Some(2));
        assert_eq!(source.ordinal(one, 102), None);
        assert_eq!(source.get(3), None);
    }

    #[test]
    fn the_source_sees_its_own_collisions() {
        let layouts = [layout(&[(1, 0, 100)]), layout(&[(1, 0, 101), (1, 7, 100)])];
        let short = u64::from_le_bytes([1; 8]);
        assert_eq!(Contents::of_layouts(&layouts).unwrap_err(), Collision { short, len: 100 });
        assert!(Contents::of_layouts(&layouts[..1]).is_ok());
    }

    #[test]
    fn what_is_wanted_comes_in_order() {
        let contents = Contents::of_layouts(&[layout(&[(3, 0, 70), (2, 0, 80), (1, 0, 90)])]).unwrap();
        let wanted = contents.wanted(|content| content.len != 80);
        assert_eq!(wanted.count(), 2);
        let sent: Vec<_> =
            contents.select(&wanted).map(|(ordinal, content)| (ordinal, content.len)).collect();
        assert_eq!(sent, [(0, 70), (2, 90)]);
    }
}
