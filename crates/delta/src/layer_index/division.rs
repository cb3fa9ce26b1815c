//! Copies of a layer index with other contents: divided ones, or parts of files alone.

use std::ops::Range;

use super::builder::Builder;
use super::index::LayerIndex;

impl LayerIndex {
    /// The same layer with each content divided at `ends`, counted from its beginning; one without ends stays undivided. Ids
    /// are not kept. Also returns for each content the first that it became, and at the end their number.
    pub(crate) fn divided(&self, ends: &dyn Fn(usize) -> Vec<u64>) -> (LayerIndex, Vec<u32>) {
        let mut divided = Builder::default();
        let mut ordinals = Vec::with_capacity(self.contents.len() + 1);
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let mut contents = group.contents();
            for view in group.records() {
                divided.record(view.record.kind, view.fields(), view.body());
                for ordinal in contents.by_ref().take(view.record.contents) {
                    ordinals.push(ordinal_of(divided.contents()));
                    let len = self.contents.at(ordinal).len;
                    let mut from = 0;
                    for end in ends(ordinal).into_iter().filter(|end| *end < len).chain([len]) {
                        divided.content(None, end - from);
                        from = end;
                    }
                }
                if view.record.padded {
                    divided.pad();
                }
            }
        }
        ordinals.push(ordinal_of(divided.contents()));
        (divided.finish(self.digest, self.len).0, ordinals)
    }

    /// The entries for which `keep` has contents, with contents of these lengths in place of their own. This is no
    /// layer: the offsets of its contents have no meaning.
    pub(crate) fn with_contents(&self, keep: &mut dyn FnMut(Range<usize>) -> Vec<u64>) -> LayerIndex {
        let mut index = Builder::default();
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let contents = keep(group.contents());
            if contents.is_empty() {
                continue;
            }
            for view in group.records() {
                index.record(view.record.kind, view.fields(), view.body());
            }
            contents.into_iter().for_each(|len| index.content(None, len));
        }
        index.finish(self.digest, self.len).0
    }
}

/// Layers have fewer contents than a 32-bit number can count: each takes 24 bytes of memory, which is limited.
fn ordinal_of(content: usize) -> u32 {
    u32::try_from(content).unwrap_or(u32::MAX)
}
