//! Branch filter: code in batches has addresses in the place of distances, method 3 of `docs/batch.md`.
//!
//! The source knows where in its files code is, and says so; how that becomes addresses and distances again follows from
//! the bytes, so the target need not know files at all.

use std::io;

use dsync_delta::batch::{self, BatchError, Effort, Items};
use dsync_exe::{Machine, absolute, relative};
use dsync_proto::{decode as from_wire, encode as to_wire, limits, room};
use serde::{Deserialize, Serialize};

use super::batch::{Coded, Uncoded};
use super::section;

/// The method, as the first byte of a batch.
const ABSOLUTE: u8 = 3;
/// Code in an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemCode {
    /// Which item.
    pub(crate) item: usize,
    /// Which of its bytes.
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

/// Of each range in all items, one after the other: the bytes between the one before and it, its length, its address, its machine.
type Places = Vec<(u64, u64, u32, u8)>;

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

/// Where code is, as postcard encodes it.
#[derive(Debug, Serialize, Deserialize)]
struct WireCode {
    #[serde(deserialize_with = "room::list")]
    new: Places,
    #[serde(deserialize_with = "room::list")]
    old: Places,
}

/// Codes a batch.
pub(crate) fn encode(batch: Uncoded<'_>, code: &BatchCode, effort: Effort) -> io::Result<Vec<u8>> {
    let Uncoded { mut bytes, begin, old_lens, new_lens, pairs } = batch;
    let ranges = WireCode { new: places(&code.new, new_lens), old: places(&code.old, old_lens) };
    let mut packed = Vec::new();
    if !ranges.new.is_empty() {
        let (old, new) = bytes.split_at_mut(begin);
        each(new, &ranges.new, absolute).ok_or_else(malformed)?;
        each(old, &ranges.old, absolute).ok_or_else(malformed)?;
        packed.push(ABSOLUTE);
        section::write(&to_wire(&ranges).map_err(io::Error::other)?, effort, &mut packed)?;
    }
    packed.append(&mut batch::encode_joined(&bytes, begin, new_lens, pairs, effort)?);
    Ok(packed)
}

/// Decodes a batch into all new items, one after the other.
pub(crate) fn decode(batch: Coded<'_>, mut packed: &[u8]) -> io::Result<Vec<u8>> {
    let Coded { mut old, old_lens, new_lens, pairs } = batch;
    let mut ranges = WireCode { new: Vec::new(), old: Vec::new() };
    if let Some(mut rest) = packed.strip_prefix(&[ABSOLUTE]) {
        ranges = from_wire(&section::read(&mut rest, limits::CODE).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        packed = rest;
    }
    each(&mut old, &ranges.old, absolute).ok_or_else(malformed)?;
    let old = Items { bytes: &old, lens: old_lens };
    let mut new = batch::decode(old, new_lens, pairs, packed).map_err(io::Error::other)?;
    each(&mut new, &ranges.new, relative).ok_or_else(malformed)?;
    Ok(new)
}

fn places(code: &[ItemCode], lens: &[u64]) -> Places {
    let mut places = Vec::with_capacity(code.len());
    let (mut item, mut begin, mut end) = (0, 0, 0);
    for range in code {
        begin += lens[item..range.item].iter().sum::<u64>();
        item = range.item;
        let from = begin + range.from;
        places.push((from - end, range.len, range.addr, number(range.machine)));
        end = from + range.len;
    }
    places
}

/// Changes the bytes of code; `None` where one is not within the bytes, or of no machine.
fn each(mut bytes: &mut [u8], places: &Places, change: fn(&mut [u8], Machine, u32)) -> Option<()> {
    for (gap, len, addr, machine) in places {
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
        let decoded = |new: Places, old: Places| {
            let mut packed = vec![ABSOLUTE];
            section::write(&to_wire(&WireCode { new, old }).unwrap(), Effort::Level(9), &mut packed).unwrap();
            decode(&[packed, plain.clone()].concat())
        };
        assert_eq!(decoded(vec![(500, 500, 0, 0)], vec![]).unwrap(), bytes);
        for (new, old) in [
            (vec![(500, 501, 0, 0)], vec![]),
            (vec![(u64::MAX, 1, 0, 0)], vec![]),
            (vec![(0, 1000, 0, 0), (1, 1, 0, 0)], vec![]),
            (vec![(0, 1000, 0, 2)], vec![]),
            (vec![], vec![(0, 1, 0, 0)]),
        ] {
            assert!(decoded(new.clone(), old.clone()).is_err(), "{new:?} {old:?}");
        }
        for cut in 1..20 {
            assert!(decode(&[ABSOLUTE].repeat(cut)).is_err());
        }
    }
}
