//! Branch filter: code in batches has addresses in the place of distances, method 3 of `docs/batch.md`.
//!
//! The source knows where in its files code is, and says so; how that becomes addresses and distances again follows from
//! the bytes, so the target need not know files at all.

use std::io;

use dsync_delta::batch::{self, BatchError, Effort, Items};
use dsync_exe::{Machine, absolute, relative};
use dsync_proto::{FilteredRange, FilteredRanges, decode as from_wire, encode as to_wire, limits};

use super::batch::{Coded, Uncoded};
use super::section;

/// The method, as the first byte of a batch.
const FILTERED: u8 = batch::BatchMethod::BranchFilter as u8;

/// Code in an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemCode {
    /// The number of the item.
    pub(crate) item: usize,
    /// The range of its bytes.
    pub(crate) from: u64,
    pub(crate) len: u64,
    /// The address of the first of them.
    pub(crate) addr: u32,
    pub(crate) machine: Machine,
}

/// Code in a batch, item by item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BatchCode {
    pub(crate) new: Vec<ItemCode>,
    pub(crate) old: Vec<ItemCode>,
}

impl ItemCode {
    pub(crate) fn goes_on_with(&self, next: &ItemCode) -> bool {
        self.from + self.len == next.from && u64::from(self.addr) + self.len == u64::from(next.addr)
    }
}

/// The number of a machine.
fn number(machine: Machine) -> u8 {
    match machine {
        Machine::X86 => 0,
        Machine::Aarch64 => 1,
    }
}

fn machine(number: u8) -> Option<Machine> {
    [Machine::X86, Machine::Aarch64].into_iter().find(|machine| self::number(*machine) == number)
}

/// Codes a batch.
pub(crate) fn encode(batch: Uncoded<'_>, code: &BatchCode, effort: Effort) -> io::Result<Vec<u8>> {
    let Uncoded { mut bytes, begin, old_lens, new_lens, .. } = batch;
    let ranges = FilteredRanges { new: wire(&code.new, new_lens), old: wire(&code.old, old_lens) };
    let mut packed = Vec::new();
    if !ranges.new.is_empty() {
        let (old, new) = bytes.split_at_mut(begin);
        each(new, &ranges.new, absolute).ok_or_else(malformed)?;
        each(old, &ranges.old, absolute).ok_or_else(malformed)?;
        packed.push(FILTERED);
        section::write(&to_wire(&ranges).map_err(io::Error::other)?, effort, &mut packed)?;
    }
    packed.append(&mut batch::encode_joined(&bytes, begin, new_lens, effort)?);
    Ok(packed)
}

/// Decodes a batch into all new items, one after the other.
pub(crate) fn decode(batch: Coded<'_>, mut packed: &[u8]) -> io::Result<Vec<u8>> {
    let Coded { mut old, old_lens, new_lens, .. } = batch;
    let ranges = read_ranges(&mut packed)?;
    each(&mut old, &ranges.old, absolute).ok_or_else(malformed)?;
    let old = Items { bytes: &old, lens: old_lens };
    let mut new = batch::decode(old, new_lens, packed).map_err(io::Error::other)?;
    each(&mut new, &ranges.new, relative).ok_or_else(malformed)?;
    Ok(new)
}

/// Decodes the bytes that the first part of a batch gives. The last of them may be wrong where they are code.
pub(crate) fn decode_prefix(batch: Coded<'_>, mut packed: &[u8]) -> Vec<u8> {
    let Coded { mut old, old_lens, new_lens, .. } = batch;
    let Ok(ranges) = read_ranges(&mut packed) else { return Vec::new() };
    if each(&mut old, &ranges.old, absolute).is_none() {
        return Vec::new();
    }
    let mut new = batch::decode_prefix(Items { bytes: &old, lens: old_lens }, new_lens, packed);
    let (mut left, mut within) = (new.len() as u64, Vec::new());
    for range in ranges.new {
        let Some(room) = left.checked_sub(range.gap) else { break };
        within.push(FilteredRange { len: range.len.min(room), ..range });
        left = room.saturating_sub(range.len);
    }
    match each(&mut new, &within, relative) {
        Some(()) => new,
        None => Vec::new(),
    }
}

/// Reads where code is, of a batch that went through the filter.
fn read_ranges(packed: &mut &[u8]) -> io::Result<FilteredRanges> {
    let Some(mut rest) = packed.strip_prefix(&[FILTERED]) else { return Ok(FilteredRanges::default()) };
    let ranges = section::read(&mut rest, limits::CODE).map_err(io::Error::other)?;
    *packed = rest;
    from_wire(&ranges).map_err(io::Error::other)
}

/// The code of items as it crosses.
fn wire(code: &[ItemCode], lens: &[u64]) -> Vec<FilteredRange> {
    let mut ranges = Vec::with_capacity(code.len());
    let (mut item, mut begin, mut end) = (0, 0, 0);
    for code in code {
        begin += lens[item..code.item].iter().sum::<u64>();
        item = code.item;
        let from = begin + code.from;
        ranges.push(FilteredRange {
            gap: from - end,
            len: code.len,
            addr: code.addr,
            machine: number(code.machine),
        });
        end = from + code.len;
    }
    ranges
}

/// Changes the bytes of code; `None` where one is not within the bytes, or of no machine.
fn each(mut bytes: &mut [u8], ranges: &[FilteredRange], change: fn(&mut [u8], Machine, u32)) -> Option<()> {
    for FilteredRange { gap, len, addr, machine } in ranges {
        let (_, rest) = bytes.split_at_mut_checked(usize::try_from(*gap).ok()?)?;
        let (code, rest) = rest.split_at_mut_checked(usize::try_from(*len).ok()?)?;
        change(code, self::machine(*machine)?, *addr);
        bytes = rest;
    }
    Some(())
}

fn malformed() -> io::Error {
    io::Error::other(BatchError::Malformed("code that is not within the bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_is_not_within_the_bytes_is_refused() {
        let bytes = vec![0x90; 1000];
        let batch =
            Uncoded { bytes: bytes.clone(), begin: 0, old_lens: &[], new_lens: &[1000], pairs: &[None] };
        let plain = encode(batch, &BatchCode::default(), Effort::Level(9)).unwrap();
        let decode = |packed: &[u8]| {
            let batch = Coded { old: Vec::new(), old_lens: &[], new_lens: &[1000], pairs: &[None] };
            decode(batch, packed)
        };
        let range = |(gap, len, machine)| FilteredRange { gap, len, addr: 0, machine };
        let decoded = |new: &[(u64, u64, u8)], old: &[(u64, u64, u8)]| {
            let [new, old] = [new, old].map(|ranges| ranges.iter().copied().map(range).collect());
            let code = to_wire(&FilteredRanges { new, old }).unwrap();
            let mut packed = vec![FILTERED];
            section::write(&code, Effort::Level(9), &mut packed).unwrap();
            decode(&[packed, plain.clone()].concat())
        };
        assert_eq!(decoded(&[(500, 500, 0)], &[]).unwrap(), bytes);
        for (new, old) in [
            (&[(500, 501, 0)][..], &[][..]),
            (&[(u64::MAX, 1, 0)], &[]),
            (&[(0, 1000, 0), (1, 1, 0)], &[]),
            (&[(0, 1000, 2)], &[]),
            (&[], &[(0, 1, 0)]),
        ] {
            assert!(decoded(new, old).is_err(), "{new:?} {old:?}");
        }
        for cut in 1..20 {
            assert!(decode(&[FILTERED].repeat(cut)).is_err());
        }
    }

    #[test]
    fn code_goes_on_where_the_next_has_the_next_bytes_and_the_next_address() {
        let code = |from, len, addr| ItemCode { item: 0, from, len, addr, machine: Machine::X86 };
        let first = code(100, 50, 4096);
        assert!(first.goes_on_with(&code(150, 9, 4146)));
        assert!(!first.goes_on_with(&code(151, 9, 4146)), "there are bytes between them");
        assert!(!first.goes_on_with(&code(150, 9, 4147)), "it is at another address");
    }
}
