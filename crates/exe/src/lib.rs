//! Executables of docker-sync: an old version of a program, with the addresses that a new one has.
//!
//! A program that is linked again has other addresses nearly everywhere, although it is the same but for a few functions:
//! each call and each load tells how far away something is. [`plan`] finds out by how much what moved, [`align`] writes it
//! into the addresses of the old version, which is then far more like the new one, and serves as what that is coded
//! against. Both ends come to the same bytes, whatever the file and the plan are, and a mistake costs no more than
//! bytes.
//!
//! Where there is no old version, or beside one, [`absolute`] puts addresses in the place of distances in code, which is then more like
//! itself; [`relative`] takes that back.
//!
//! Knows no files and nothing of batches; bytes in, bytes out.

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

/// By how much the addresses of a file move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMap(Map);

/// What an address that comes out right is worth, in bytes, in quarters.
const WORTH: usize = 6;
/// A plan is worth this at least, in bytes.
const LEAST: usize = 64;
/// An allocation that the C library does not keep.
const KEPT: usize = 33 << 20;

impl AddressMap {
    /// The bytes by which it is told.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// Reads them; `None` where they are no plan.
    pub fn decode(bytes: &[u8]) -> Option<AddressMap> {
        Map::decode(bytes).map(AddressMap)
    }
}

/// An empty vector with room for so many, or more: for what is as long as a file.
///
/// The C library keeps what is given back to it of up to 32 MiB, and several of these would add to all that comes after.
/// Larger ones it takes from the system, where room that is never used costs nothing.
pub fn roomy<T>(many: usize) -> Vec<T> {
    Vec::with_capacity(many.max(KEPT / size_of::<T>()))
}

/// Whether a file that begins so may be one for which there are plans. 20 bytes are enough.
pub fn is_candidate(begin: &[u8]) -> bool {
    image::may_be(begin)
}

/// The addresses in a file: all of it that is needed for a plan. Takes about as much memory as the file.
#[derive(Debug)]
pub struct Addresses {
    machine: Machine,
    code: Vec<Field>,
    data: Vec<Field>,
}

impl Addresses {
    /// `None` where the file is none for which there are plans.
    pub fn of(bytes: &[u8]) -> Option<Addresses> {
        let image = Image::parse(bytes)?;
        let Fields { mut code, mut data, .. } = find::fields(&image, Use::Keep);
        code.shrink_to_fit();
        data.shrink_to_fit();
        Some(Addresses { machine: image.machine, code, data })
    }
}

/// How the addresses of an old version become those of a new one; `None` where that is not worth its bytes.
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
