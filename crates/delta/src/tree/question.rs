//! A question as bytes.

use super::{ITEMS_MAX, SHORT, TreeError};
use crate::varint;

/// Nothing of [`ITEMS_MAX`] items has more levels.
const LEVELS: usize = 24;

/// Does the other side have these nodes?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// 0 for items.
    pub(super) level: usize,
    /// How many items there are, in the first question.
    pub(super) items: Option<usize>,
    /// For each node that is open, how many of these make it up; one number in the first question.
    pub(super) counts: Vec<usize>,
    /// The nodes.
    pub(super) hashes: Vec<[u8; SHORT]>,
}

impl Question {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.counts.len() * 2 + self.hashes.len() * SHORT);
        for number in [self.level].iter().chain(&self.items).chain(&self.counts) {
            varint::write(*number as u64, &mut bytes);
        }
        bytes.extend(self.hashes.as_flattened());
        bytes
    }

    /// Reads a question while `open` nodes are open, or the first one.
    pub(super) fn from_bytes(mut bytes: &[u8], open: Option<usize>) -> Result<Self, TreeError> {
        let level = number(&mut bytes)?;
        if level > LEVELS {
            return Err(TreeError::Question("too high a level"));
        }
        let items = if open.is_none() { Some(number(&mut bytes)?) } else { None };
        if items.is_some_and(|items| items > ITEMS_MAX) {
            return Err(TreeError::Question("too many items"));
        }
        let mut counts = Vec::new();
        let mut left = ITEMS_MAX;
        for _ in 0..open.unwrap_or(1) {
            let count = number(&mut bytes)?;
            left = left.checked_sub(count).ok_or(TreeError::Question("too many nodes"))?;
            if count == 0 {
                return Err(TreeError::Question("a node of nothing"));
            }
            counts.push(count);
        }
        let (hashes, rest) = bytes.as_chunks::<SHORT>();
        if !rest.is_empty() || hashes.len() != ITEMS_MAX - left {
            return Err(TreeError::Question("another number of nodes than announced"));
        }
        Ok(Question { level, items, counts, hashes: hashes.to_vec() })
    }
}

fn number(bytes: &mut &[u8]) -> Result<usize, TreeError> {
    let number = varint::read(bytes).map_err(|_| TreeError::Question("it ends early"))?;
    number.and_then(|number| usize::try_from(number).ok()).ok_or(TreeError::Question("no number"))
}
