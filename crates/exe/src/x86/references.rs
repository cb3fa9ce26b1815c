//! Finds the references in x86-64 code.

use super::instruction::instruction;
use crate::elf::{Section, read};
use crate::references::{Address, AddressForm, References};

/// Adds the references in a section of code, and to `tables` the addresses that `lea` loads.
pub(crate) fn walk(references: &mut References<'_>, section: &Section<'_>, tables: &mut Vec<u32>) {
    let (bytes, mapped) = (references.elf.bytes, references.elf.mapped.clone());
    let mut at = section.range.start;
    while at < section.range.end {
        let found = instruction(&bytes[at..section.range.end]);
        let end = section.addr_of(at + found.len);
        if references.elf.is_fixed {
            for part in found.absolute.into_iter().flatten() {
                let target = read::<4>(bytes, at + part).unwrap_or_default() as u32;
                if mapped.contains(&target) {
                    let here = section.addr_of(at + part);
                    references.add_code(at + part, AddressForm::Word, Address::relative(target, here), 0);
                }
            }
        }
        if let Some(part) = found.relative {
            let distance = read::<4>(bytes, at + part).unwrap_or_default() as u32;
            let target = end.wrapping_add(distance);
            let address = Address::relative(target, section.addr_of(at + part));
            let form = if found.is_jump { AddressForm::Distance } else { AddressForm::Absolute };
            if mapped.contains(&target) {
                references.add_code(at + part, form, address, 0);
                if found.is_lea {
                    tables.push(target);
                }
            } else if form == AddressForm::Absolute {
                references.add_plain(at + part, form, address);
            }
        }
        at += found.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Machine;
    use crate::testing::{Linked, SectionSpec, TEXT, build, found_in_code};

    fn file(linked: Linked, code: &[u8]) -> Vec<u8> {
        let parts = [SectionSpec::code(TEXT, code), SectionSpec::data(".data", Some(0x2000), &[0; 64])];
        build(Machine::X86, linked, &parts)
    }

    #[test]
    fn calls_jumps_and_loads_are_found_with_their_targets() {
        let cases: [(&[u8], usize, AddressForm, u32); 6] = [
            (&[0xe8, 0x10, 0, 0, 0], 1, AddressForm::Absolute, TEXT + 5 + 0x10),
            (&[0xe9, 0x10, 0, 0, 0], 1, AddressForm::Distance, TEXT + 5 + 0x10),
            (&[0x0f, 0x84, 0x10, 0, 0, 0], 2, AddressForm::Distance, TEXT + 6 + 0x10),
            (&[0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0], 3, AddressForm::Absolute, 0x2000),
            (&[0x48, 0x8b, 0x0d, 0xf9, 0x0f, 0, 0], 3, AddressForm::Absolute, 0x2000),
            // An immediate behind the distance: it counts from the end of the instruction.
            (&[0x80, 0x3d, 0xf9, 0x0f, 0, 0, 7], 2, AddressForm::Absolute, 0x2000),
        ];
        for (code, at, form, target) in cases {
            let padded = [code, &[0x90; 40]].concat();
            assert_eq!(found_in_code(&file(Linked::Anywhere, &padded)), [(at, form, target)], "{code:02x?}");
        }
    }

    #[test]
    fn immediates_are_addresses_in_a_program_at_fixed_addresses_only() {
        // mov edi, 0x2000; mov eax, [0x2008 + rax * 8]
        let code = [&[0xbf, 0, 0x20, 0, 0][..], &[0x8b, 0x04, 0xc5, 8, 0x20, 0, 0], &[0x90; 20]].concat();
        assert_eq!(
            found_in_code(&file(Linked::Fixed, &code)),
            [(1, AddressForm::Word, 0x2000), (8, AddressForm::Word, 0x2008)]
        );
        assert_eq!(found_in_code(&file(Linked::Anywhere, &code)), []);
    }

    #[test]
    fn what_leads_out_of_the_file_is_no_reference() {
        for code in [&[0xe8, 0, 0, 0x10, 0][..], &[0xe9, 0, 0, 0, 0x80], &[0x48, 0x8d, 0x05, 0, 0, 0x10, 0]] {
            assert_eq!(
                found_in_code(&file(Linked::Anywhere, &[code, &[0x90; 20]].concat())),
                [],
                "{code:02x?}"
            );
        }
    }

    #[test]
    fn a_context_is_of_the_bytes_before_it_but_for_addresses() {
        let call = |distance: u8| [0xe8, distance, 0, 0, 0];
        let contexts = |code: &[u8]| {
            let bytes = file(Linked::Anywhere, &[code, &[0x90; 60]].concat());
            let elf = crate::elf::Elf::parse(&bytes).unwrap();
            let found = crate::search::references(&elf, crate::references::Action::Collect).code;
            found.iter().map(|found| found.context).collect::<Vec<_>>()
        };
        let one = contexts(
            &[&[0x31, 0xc0][..], &call(1), &[0x31, 0xc9], &call(2), &[0x31, 0xc9], &call(3)].concat(),
        );
        let other = contexts(
            &[&[0x31, 0xc0][..], &call(9), &[0x31, 0xc9], &call(8), &[0x31, 0xc0], &call(7)].concat(),
        );
        assert_eq!(one[..2], other[..2]);
        assert_ne!(one[2], other[2]);
        assert_ne!(one[0], one[1]);
        assert_eq!(one[1], one[2]);
    }
}
