//! Rewrites the addresses in an old version of an executable to those of a new one, as Courgette and Zucchini do, so that
//! the old version is a better basis for a delta.
//!
//! A program that is linked again has other addresses nearly everywhere, although only a few functions changed: each call
//! and each load has the distance to its target. [`plan`] computes an [`AddressMap`] from two versions, [`align`] applies it
//! to the old one. Both ends compute the same bytes, whatever the file and the map are; a wrong map costs bytes and nothing
//! else.
//!
//! With and without an old version, [`absolute`] replaces distances in code by addresses (a branch filter, as 7-Zip's BCJ),
//! so that calls of one function are equal bytes; [`relative`] takes that back.
//!
//! Bytes in, bytes out: no files, no batches.

mod aarch64;
mod arm;
mod code;
mod data;
mod dwarf;
mod fields;
mod find;
mod fit;
mod frames;
mod golang;
mod image;
mod map;
mod pair;
#[cfg(test)]
mod testing;
mod token;
mod x86;

pub use code::{Code, absolute, find_code, make_absolute, relative};
use fields::{Field, Fields, Use};
use fit::Votes;
use image::Image;
pub use image::Machine;
use map::Map;
use pair::pair;
use token::{BY_TARGET, mix};

/// A map from the addresses of an old version to those of a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMap(Map);

/// Gain of an address that the map moves right, in quarters of a byte.
const WORTH: usize = 6;
/// The least gain of a map, in bytes.
const LEAST: usize = 64;
/// The size from which on glibc gives a freed allocation back.
const KEPT: usize = 33 << 20;

impl AddressMap {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// Decodes it; `None` where the bytes are no map.
    pub fn decode(bytes: &[u8]) -> Option<AddressMap> {
        Map::decode(bytes).map(AddressMap)
    }
}

/// Allocates beyond the allocator's mmap threshold, so that freeing gives the memory back to the system.
///
/// glibc keeps freed allocations of up to 32 MiB, and several as long as a file would add to all that comes after. Room
/// that is never written to costs nothing.
pub fn roomy<T>(many: usize) -> Vec<T> {
    Vec::with_capacity(many.max(KEPT / size_of::<T>()))
}

/// True if a file that begins so may have an address map. 20 bytes are enough.
pub fn is_candidate(begin: &[u8]) -> bool {
    image::may_be(begin)
}

/// The addresses in a file: all of it that a map is computed from. Takes about as much memory as the file.
#[derive(Debug)]
pub struct Addresses {
    machine: Machine,
    code: Vec<Field>,
    data: Vec<Field>,
}

impl Addresses {
    /// Finds them; `None` where the file is of no kind that is understood.
    pub fn of(bytes: &[u8]) -> Option<Addresses> {
        let image = Image::parse(bytes)?;
        let Fields { mut code, mut data, .. } = find::fields(&image, Use::Keep);
        code.shrink_to_fit();
        data.shrink_to_fit();
        Some(Addresses { machine: image.machine, code, data })
    }
}

/// Computes the map from the addresses of an old version to those of a new one; `None` where it is not worth its bytes.
pub fn plan(mut old: Addresses, mut new: Addresses) -> Option<AddressMap> {
    if old.machine != new.machine {
        return None;
    }
    let code = pair(&old.code, &new.code);
    let mut votes = Votes::default();
    vote(&mut votes, (&old.code, &new.code), &code);
    let map = votes.fit();
    tell_by_map(&mut old.data, &map);
    tell_by_map(&mut new.data, &Map::default());
    let data = pair(&old.data, &new.data);
    vote(&mut votes, (&old.data, &new.data), &data);
    let map = votes.fit();
    drop(votes);

    let mut right = 0;
    for (olds, news, pairs) in [(&old.code, &new.code, &code), (&old.data, &new.data, &data)] {
        let gains = pairs.iter().map(|(old, new)| olds[*old as usize].gain(&map, &news[*new as usize]));
        right += gains.sum::<i64>();
    }
    let plan = AddressMap(map);
    let worth = usize::try_from(right).unwrap_or(0) * WORTH / 4;
    (worth > plan.encode().len() + LEAST).then_some(plan)
}

/// Gives an old version the addresses of the new one, with code as [`absolute`] leaves that of the new one. What is no such file stays as
/// it is. Takes as much memory as the file.
pub fn align(old: &[u8], plan: &AddressMap) -> Vec<u8> {
    let mut aligned = roomy(old.len());
    aligned.extend_from_slice(old);
    if let Some(image) = Image::parse(old) {
        find::fields(&image, Use::Write(&plan.0, &mut aligned));
    }
    aligned
}

fn vote(votes: &mut Votes, (old, new): (&[Field], &[Field]), pairs: &[(u32, u32)]) {
    votes.reserve(2 * pairs.len());
    for (before, after) in pairs {
        let (before, after) = (&old[*before as usize], &new[*after as usize]);
        if before.form == after.form {
            votes.add(before.target, after.target);
            if before.base != before.target {
                votes.add(before.base, after.base);
            }
        }
    }
}

/// Sets the tokens of fields that are told by where their targets or their bases go.
fn tell_by_map(fields: &mut [Field], map: &Map) {
    for field in fields {
        field.token = match field.token {
            BY_TARGET => mix(map.moved(field.target), field.len() as u32),
            token @ token::BY_BASE..token::BY_HASH => mix(map.moved(field.base), token),
            token => token,
        };
    }
}
