//! Pairs the references of two versions, computes the address map of the pairs, and applies it.

use crate::address_map::AddressMap;
use crate::context::{self, BY_TARGET, mix};
use crate::elf::{self, Elf, Machine};
use crate::matching::{ReferencePair, pair};
use crate::memory::roomy;
use crate::references::{Action, Reference, References};
use crate::search;
use crate::votes::Votes;

/// Gain of an address that the map moves right, in quarters of a byte.
const WORTH: usize = 6;
/// The least gain of a map, in bytes.
const LEAST: usize = 64;

/// True if the first 20 bytes of a file are those of a 64-bit ELF program or library for a known machine.
pub fn is_candidate(begin: &[u8]) -> bool {
    elf::may_be(begin)
}

/// The references of a file, from which a map is computed. Takes about as much memory as the file.
#[derive(Debug)]
pub struct Addresses {
    machine: Machine,
    code: Vec<Reference>,
    data: Vec<Reference>,
}

impl Addresses {
    /// Finds them; `None` where the file is not one that [`is_candidate`] accepts, or has no code.
    pub fn of(bytes: &[u8]) -> Option<Addresses> {
        let elf = Elf::parse(bytes)?;
        let References { mut code, mut data, .. } = search::references(&elf, Action::Collect);
        code.shrink_to_fit();
        data.shrink_to_fit();
        Some(Addresses { machine: elf.machine, code, data })
    }
}

/// Computes the map from the addresses of an old version to those of a new one; `None` where it is not worth its bytes.
pub fn map_addresses(mut old: Addresses, mut new: Addresses) -> Option<AddressMap> {
    if old.machine != new.machine {
        return None;
    }
    let code = pair(&old.code, &new.code);
    let mut votes = Votes::default();
    vote(&mut votes, &old.code, &new.code, &code);
    let map = votes.fit();
    set_contexts(&mut old.data, &map);
    set_contexts(&mut new.data, &AddressMap::default());
    let data = pair(&old.data, &new.data);
    vote(&mut votes, &old.data, &new.data, &data);
    let map = votes.fit();
    drop(votes);

    let right = gain(&map, &old.code, &new.code, &code) + gain(&map, &old.data, &new.data, &data);
    let worth = usize::try_from(right).unwrap_or(0) * WORTH / 4;
    (worth > map.encode().len() + LEAST).then_some(map)
}

/// Rewrites the addresses of an old version by a map, with its code as [`absolute`](crate::absolute) leaves that of the
/// new one. A file of another kind stays as it is. Takes as much memory as the file.
pub fn align(old: &[u8], map: &AddressMap) -> Vec<u8> {
    let mut aligned = roomy(old.len());
    aligned.extend_from_slice(old);
    if let Some(elf) = Elf::parse(old) {
        search::references(&elf, Action::Rewrite(map, &mut aligned));
    }
    aligned
}

/// Adds a vote for each address of each pair.
fn vote(votes: &mut Votes, old: &[Reference], new: &[Reference], pairs: &[ReferencePair]) {
    votes.reserve(2 * pairs.len());
    for pair in pairs {
        let (before, after) = (&old[pair.old as usize], &new[pair.new as usize]);
        if before.form == after.form {
            let (before, after) = (before.address, after.address);
            votes.add(before.target, after.target);
            if before.base != before.target {
                votes.add(before.base, after.base);
            }
        }
    }
}

/// The addresses of pairs that the map makes equal, less those that it breaks.
fn gain(map: &AddressMap, old: &[Reference], new: &[Reference], pairs: &[ReferencePair]) -> i64 {
    pairs.iter().map(|pair| old[pair.old as usize].gain(map, &new[pair.new as usize])).sum()
}

/// Sets the contexts of references that are identified by where the map moves their target or their base.
fn set_contexts(references: &mut [Reference], map: &AddressMap) {
    for reference in references {
        reference.context = match reference.context {
            BY_TARGET => mix(map.moved(reference.address.target), reference.len() as u32),
            context @ context::BY_BASE..context::BY_HASH => mix(map.moved(reference.address.base), context),
            context => context,
        };
    }
}
