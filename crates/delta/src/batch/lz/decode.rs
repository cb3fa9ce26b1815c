//! Decodes symbols to bytes.

use super::literal::LiteralContext;
use super::model::Models;
use super::position::ItemPositions;
use super::symbol::Symbol;
use crate::batch::error::{BatchError, room};
use crate::batch::range::RangeDecoder;

/// Unpacks exactly `len` bytes.
pub(in crate::batch) fn unpack(
    old: &[u8],
    lens: &[u64],
    len: usize,
    packed: &[u8],
) -> Result<Vec<u8>, BatchError> {
    let mut coder = RangeDecoder::new(packed);
    let new = symbols(&mut coder, old, lens, len)?;
    if new.len() < len || !coder.is_spent() {
        return Err(BatchError::Malformed("the length differs from the announced one"));
    }
    Ok(new)
}

/// Unpacks the bytes that the first part of a batch of `len` bytes gives.
pub(in crate::batch) fn unpack_prefix(old: &[u8], lens: &[u64], len: usize, packed: &[u8]) -> Vec<u8> {
    symbols(&mut RangeDecoder::new(packed), old, lens, len).unwrap_or_default()
}

/// Decodes symbols until there are `len` bytes, or the input has ended.
fn symbols(
    coder: &mut RangeDecoder<'_>,
    old: &[u8],
    lens: &[u64],
    len: usize,
) -> Result<Vec<u8>, BatchError> {
    let mut models = Models::new();
    let mut positions = ItemPositions::new(lens);
    let mut new = room(len)?;
    // The byte at this distance, less one; zero before the first byte.
    let byte_at = |new: &[u8], back: u32| match new.len().checked_sub(back as usize + 1) {
        Some(at) => new[at],
        None => (old.len() + new.len()).checked_sub(back as usize + 1).map_or(0, |at| old[at]),
    };
    while new.len() < len {
        let position = positions.at(new.len());
        let after_literal = models.state.is_after_literal();
        let symbol = models.symbol(coder, position, Symbol::Literal);
        let literal = (symbol == Symbol::Literal).then(|| {
            let before = (0..4).fold(0, |all, back| all | u32::from(byte_at(&new, back)) << (8 * back));
            let expected = byte_at(&new, models.backs[0]);
            let context = LiteralContext { before, expected, differs: !after_literal, position };
            models.literals.code(coder, context, 0)
        });
        if coder.is_beyond() {
            break;
        }
        if let Some(byte) = literal {
            new.push(byte);
            continue;
        }
        let back = models.backs[0] as usize + 1;
        if symbol.len() > len - new.len() || back > old.len() + new.len() {
            return Err(BatchError::Malformed("a match reaches beyond the bytes"));
        }
        copy(old, &mut new, back, symbol.len());
    }
    Ok(new)
}

/// Appends `count` bytes that lie `back` bytes before the end; `back` is not 0 and not more than there are.
fn copy(old: &[u8], new: &mut Vec<u8>, back: usize, mut count: usize) {
    if back > new.len() {
        let from = old.len() - (back - new.len());
        let part = count.min(old.len() - from);
        new.extend_from_slice(&old[from..from + part]);
        count -= part;
    }
    // Copied bytes repeat with the same period, so ever longer parts may be copied.
    let from = new.len() - back.min(new.len());
    while count > 0 {
        let part = count.min(new.len() - from);
        new.extend_from_within(from..from + part);
        count -= part;
    }
}
