//! Address maps of programs as a linker makes them, and of what is left of them when they are damaged.

use dsync_delta::batch::{self, Effort, Items};
use dsync_exe::{AddressMap, Addresses, align, is_candidate, make_absolute};
use dsync_testkit::{Machine, linked};
use proptest::prelude::*;

const FUNCTIONS: usize = 2000;
const MORE: &[usize] = &[17, 300, 301, 1500];

fn map(old: &[u8], new: &[u8]) -> Option<AddressMap> {
    dsync_exe::map_addresses(Addresses::of(old)?, Addresses::of(new)?)
}

/// Bytes of a new version by an old one.
fn cost(old: &[u8], new: &[u8]) -> usize {
    let (old_len, new_len) = ([old.len() as u64], [new.len() as u64]);
    let (old, new) = (Items { bytes: old, lens: &old_len }, Items { bytes: new, lens: &new_len });
    batch::encode(old, new, Effort::Level(9)).expect("a batch of bytes in memory").len()
}

#[test]
fn a_program_that_was_linked_again_costs_a_tenth() {
    for machine in [Machine::X86, Machine::Aarch64] {
        let old = linked(machine, "tenth", FUNCTIONS, &[]);
        let new = linked(machine, "tenth", FUNCTIONS, MORE);
        let found = map(&old, &new).unwrap();
        let aligned = align(&old, &found);
        assert_eq!(aligned.len(), old.len());
        let mut absolute = new.clone();
        make_absolute(&mut absolute);
        let (without, with) = (cost(&old, &new), cost(&aligned, &absolute) + found.encode().len());
        assert!(with * 10 < without, "{machine:?}: {without} without, {with} with");
    }
}

#[test]
fn a_map_is_decoded_as_it_was_encoded() {
    let old = linked(Machine::X86, "crosses", FUNCTIONS, &[]);
    let found = map(&old, &linked(Machine::X86, "crosses", FUNCTIONS, MORE)).unwrap();
    assert_eq!(AddressMap::decode(&found.encode()), Some(found));
}

#[test]
fn where_nothing_moved_there_is_no_map() {
    let old = linked(Machine::X86, "same", FUNCTIONS, &[]);
    assert_eq!(map(&old, &old), None);
}

#[test]
fn programs_for_different_machines_have_no_map() {
    let [x86, arm] = [Machine::X86, Machine::Aarch64].map(|machine| linked(machine, "both", FUNCTIONS, &[]));
    assert_eq!(map(&x86, &arm), None);
}

#[test]
fn only_programs_are_candidates_and_nothing_else_changes() {
    let old = linked(Machine::X86, "else", FUNCTIONS, &[]);
    let found = map(&old, &linked(Machine::X86, "else", FUNCTIONS, MORE)).unwrap();
    assert!(is_candidate(&old[..20]));
    for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &old[1..]] {
        assert!(!is_candidate(other));
        assert_eq!(map(other, &old), None);
        assert_eq!(align(other, &found), other);
    }
}

/// A program in which some bytes are others, and which may end early.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let machine = prop_oneof![Just(Machine::X86), Just(Machine::Aarch64)];
    let more = prop::collection::vec(0..40_usize, 0..3);
    // Where the headers are is where damage tells most; what is below zero counts from the end.
    let place = prop_oneof![0..64_i64, 0..30_000_i64, -500..0_i64];
    let damage = prop::collection::vec((place, any::<u8>()), 0..20);
    (machine, more, damage, prop::option::of(0..30_000_usize)).prop_map(|(machine, more, damage, end)| {
        let mut bytes = linked(machine, "damaged", 40, &more);
        for (at, byte) in damage {
            let at = if at < 0 { at + bytes.len() as i64 } else { at };
            if let Some(there) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                *there = byte;
            }
        }
        bytes.truncate(end.unwrap_or(usize::MAX));
        bytes
    })
}

proptest! {
    #[test]
    fn damage_is_survived(old in damaged(), new in damaged()) {
        if let Some(found) = map(&old, &new) {
            prop_assert_eq!(align(&old, &found).len(), old.len());
            prop_assert_eq!(AddressMap::decode(&found.encode()), Some(found));
        }
    }

    #[test]
    fn any_map_is_survived(old in damaged(), steps in prop::collection::vec((1..5000_u32, any::<i32>()), 0..50)) {
        let mut bytes = Vec::new();
        let mut write = |mut value: u32| {
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        };
        write(steps.len() as u32);
        steps.iter().for_each(|(start, _)| write(*start));
        steps.iter().for_each(|(_, shift)| write(*shift as u32));
        let found = AddressMap::decode(&bytes).unwrap();
        prop_assert_eq!(found.encode(), bytes);
        prop_assert_eq!(align(&old, &found).len(), old.len());
    }

    #[test]
    fn any_bytes_are_a_map_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(found) = AddressMap::decode(&bytes) {
            prop_assert_eq!(found.encode(), bytes);
        }
    }
}
