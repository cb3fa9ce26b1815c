//! Rewrites the addresses in an old version of an executable to those of a new one, as Courgette and Zucchini do, so
//! that the old version is a better basis for a delta.
//!
//! A program that is linked again has other addresses nearly everywhere, although only a few functions changed: each
//! call and each load has the distance to its target. [`map_addresses`] computes an [`AddressMap`] from two versions,
//! [`align`] applies it to the old one. Both ends compute the same bytes, whatever the file and the map are; a wrong
//! map costs bytes and nothing else.
//!
//! With and without an old version, [`absolute`] replaces distances in code by addresses (a branch filter, as 7-Zip's
//! BCJ), so that calls of one function are equal bytes; [`relative`] is its inverse.
//!
//! The modules follow the data:
//!
//! * `elf` parses a file into sections;
//! * `search` finds the references in each: in code (`x86`, `aarch64`) and outside of it (`data`, `eh_frame`, `dwarf`,
//!   `gopclntab`). Each has a `context`, by which it is found in another version (`references`);
//! * `matching` pairs the references of two versions, `votes` fits an `address_map` to the pairs;
//! * `alignment` does all of that for two files, and applies the map;
//! * `branch_filter` is independent of these.
//!
//! Bytes in, bytes out: no files, no batches.

mod aarch64;
mod address_map;
mod alignment;
mod branch_filter;
mod context;
mod data;
mod dwarf;
mod eh_frame;
mod elf;
mod gopclntab;

mod matching;
mod memory;
mod references;
mod search;
#[cfg(test)]
mod testing;
mod votes;
mod x86;

pub use address_map::AddressMap;
pub use alignment::{Addresses, align, is_candidate, map_addresses};
pub use branch_filter::{CodeRange, absolute, find_code, make_absolute, relative};
pub use elf::Machine;
pub use memory::roomy;
