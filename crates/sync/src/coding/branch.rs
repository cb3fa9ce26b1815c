//! Batches with code that tells addresses: method 3 of `docs/batch.md`.
//!
//! The source knows where in its files code is, and says so; how that becomes addresses and distances again follows from
//! the bytes, so the target need not know files at all.

use std::io;

use dsync_delta::batch::{self, BatchError, Effort, Items};
use dsync_exe::{Machine, absolute, relative};
use dsync_proto::{budget, decode as from_wire, encode as to_wire, limits};
use serde::{Deserialize, Serialize};

use super::section;

/// The method, as the first byte of a batch.
const ABSOLUTE: u8 = batch::Method::BranchFilter as u8;
/// Code in an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
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
pub(crate) struct Stretches {
    pub(crate) new: Vec<Stretch>,
    pub(crate) old: Vec<Stretch>,
}

impl Stretch {
    pub(crate) fn goes_on_with(&self, next: &Stretch) -> bool {
        self.from + self.len == next.from && u64::from(self.addr) + self.len == u64::from(next.addr)
    }
}

/// Of each stretch in all items, one after the other: the bytes between the one before and it, its length, its address, its machine.
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
    #[serde(deserialize_with = "budget::list")]
    new: Places,
    #[serde(deserialize_with = "budget::list")]
    old: Places,
}

/// Codes new items, given old ones: their bytes in one piece, which change, and where the new ones begin.
pub(crate) fn encode(
    (bytes, begin): (&mut [u8], usize),
    (old_lens, new_lens): (&[u64], &[u64]),
    pairs: &[Option<usize>],
    code: &Stretches,
    effort: Effort,
) -> io::Result<Vec<u8>> {
    let told = WireCode { new: places(&code.new, new_lens), old: places(&code.old, old_lens) };
    let mut packed = Vec::new();
    if !told.new.is_empty() {
        let (old, new) = bytes.split_at_mut(begin);
        each(new, &told.new, absolute).ok_or_else(malformed)?;
        each(old, &told.old, absolute).ok_or_else(malformed)?;
        packed.push(ABSOLUTE);
        section::write(&to_wire(&told).map_err(io::Error::other)?, effort, &mut packed)?;
    }
    packed.append(&mut batch::encode_joined(bytes, begin, new_lens, pairs, effort)?);
    Ok(packed)
}

/// All new items, one after the other; the bytes of the old ones change.
pub(crate) fn decode(
    (old, old_lens): (&mut [u8], &[u64]),
    new_lens: &[u64],
    pairs: &[Option<usize>],
    packed: &[u8],
) -> io::Result<Vec<u8>> {
    let mut packed = packed;
    let mut told = WireCode { new: Vec::new(), old: Vec::new() };
    if let Some(mut rest) = packed.strip_prefix(&[ABSOLUTE]) {
        told = from_wire(&section::read(&mut rest, limits::CODE).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        packed = rest;
    }
    each(old, &told.old, absolute).ok_or_else(malformed)?;
    let old = Items { bytes: old, lens: old_lens };
    let mut new = batch::decode(old, new_lens, pairs, packed).map_err(io::Error::other)?;
    each(&mut new, &told.new, relative).ok_or_else(malformed)?;
    Ok(new)
}

fn places(stretches: &[Stretch], lens: &[u64]) -> Places {
    let mut places = Vec::with_capacity(stretches.len());
    let (mut item, mut begin, mut end) = (0, 0, 0);
    for stretch in stretches {
        begin += lens[item..stretch.item].iter().sum::<u64>();
        item = stretch.item;
        let from = begin + stretch.from;
        places.push((from - end, stretch.len, stretch.addr, number(stretch.machine)));
        end = from + stretch.len;
    }
    places
}

/// Changes the bytes of stretches; `None` where one is not within the bytes, or of no machine.
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
        let encoded =
            encode((&mut bytes.clone(), 0), (&[], &[1000]), &[None], &Stretches::default(), Effort::Level(9));
        let plain = encoded.unwrap();
        let decode = |packed: &[u8]| decode((&mut [], &[]), &[1000], &[None], packed);
        let told = |new: Places, old: Places| {
            let mut packed = vec![ABSOLUTE];
            section::write(&to_wire(&WireCode { new, old }).unwrap(), Effort::Level(9), &mut packed).unwrap();
            decode(&[packed, plain.clone()].concat())
        };
        assert_eq!(told(vec![(500, 500, 0, 0)], vec![]).unwrap(), bytes);
        for (new, old) in [
            (vec![(500, 501, 0, 0)], vec![]),
            (vec![(u64::MAX, 1, 0, 0)], vec![]),
            (vec![(0, 1000, 0, 0), (1, 1, 0, 0)], vec![]),
            (vec![(0, 1000, 0, 2)], vec![]),
            (vec![], vec![(0, 1, 0, 0)]),
        ] {
            assert!(told(new.clone(), old.clone()).is_err(), "{new:?} {old:?}");
        }
        for cut in 1..20 {
            assert!(decode(&[ABSOLUTE].repeat(cut)).is_err());
        }
    }
}
