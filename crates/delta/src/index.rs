//! Where a host finds contents.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::ContentId;

/// Contents by what a peer says of them: the short id and the length. `L` is where one lies.
#[derive(Debug, Clone)]
pub struct Index<L> {
    /// `None` for a location: two different contents answer to this name.
    known: HashMap<(u64, u64), (ContentId, Option<L>)>,
}

impl<L> Default for Index<L> {
    fn default() -> Self {
        Index { known: HashMap::new() }
    }
}

impl<L: Copy> Index<L> {
    /// An index that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes where a content of `len` bytes lies. Of several places the first counts.
    pub fn insert(&mut self, id: ContentId, len: u64, location: L) {
        match self.known.entry((id.short(), len)) {
            Entry::Vacant(entry) => {
                entry.insert((id, Some(location)));
            }
            Entry::Occupied(mut entry) => {
                if entry.get().0 != id {
                    entry.get_mut().1 = None;
                }
            }
        }
    }

    /// Where the content is that a peer names so; `None` also where the name fits two contents.
    pub fn lookup_short(&self, short: u64, len: u64) -> Option<L> {
        self.known.get(&(short, len)).and_then(|(_, location)| *location)
    }

    /// How many names it knows, ambiguous ones included.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8, last: u8) -> ContentId {
        let mut bytes = [first; 16];
        bytes[15] = last;
        ContentId::from_bytes(bytes)
    }

    #[test]
    fn the_first_place_counts() {
        let mut index = Index::new();
        assert!(index.is_empty());
        index.insert(id(1, 0), 100, "here");
        index.insert(id(1, 0), 100, "there");
        index.insert(id(1, 0), 101, "elsewhere");
        assert_eq!(index.lookup_short(id(1, 0).short(), 100), Some("here"));
        assert_eq!(index.lookup_short(id(1, 0).short(), 102), None);
        assert_eq!(index.lookup_short(id(2, 0).short(), 100), None);
        assert_eq!(index.len(), 2);
    }

    #[test]
    fn a_name_of_two_contents_names_none() {
        let mut index = Index::new();
        index.insert(id(1, 0), 100, "a");
        index.insert(id(1, 9), 100, "b");
        index.insert(id(1, 0), 100, "a");
        assert_eq!(index.lookup_short(id(1, 0).short(), 100), None);
    }
}
