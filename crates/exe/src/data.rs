//! Finds references outside of code: in relocations, symbols, jump tables, and pointers.

use crate::context::{self, BY_TARGET, of_name};
use crate::elf::{Section, read};
use crate::references::{Address, AddressForm, References};

/// `sh_type` of the table of symbols; that of dynamic ones has its names elsewhere.
pub(crate) const SHT_SYMTAB: u32 = 2;
/// The fewest entries of a jump table.
const JUMPS: usize = 3;

/// Jump tables: distances to code from the beginning of the table.
pub(crate) fn jumps(references: &mut References<'_>, mut tables: Vec<u32>) {
    tables.sort_unstable();
    tables.dedup();
    let elf = references.elf;
    let is_code = |addr: u32| elf.at(addr).is_some_and(|section| section.is_code);
    for (number, &table) in tables.iter().enumerate() {
        let Some(section) = elf.at(table).filter(|section| !section.is_code && table % 4 == 0) else {
            continue;
        };
        let next =
            tables.get(number + 1).copied().unwrap_or(u32::MAX).min(section.addr_of(section.range.end));
        let begin = section.range.start + (table - section.addr) as usize;
        let entry = |number: usize| {
            let distance = read::<4>(elf.bytes, begin + 4 * number).unwrap_or_default() as u32;
            Some(table.wrapping_add(distance)).filter(|target| is_code(*target))
        };
        let most = (next - table) as usize / 4;
        let count = (0..most).take_while(|number| entry(*number).is_some()).count();
        if count < JUMPS {
            continue;
        }
        for number in 0..count {
            if let Some(target) = entry(number) {
                // Shorter than a file.
                let context = context::BY_BASE + number as u32;
                references.add_data(
                    begin + 4 * number,
                    AddressForm::Distance,
                    Address::relative(target, table),
                    || context,
                );
            }
        }
    }
}

/// Relocations with addends (`Elf64_Rela`): offset, kind, addend.
pub(crate) fn relocations(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.elf.bytes, references.elf.mapped.clone());
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let number = |at| read::<8>(bytes, at).and_then(|value| u32::try_from(value).ok());
        let is_address = |addr: &u32| mapped.contains(addr);
        let (offset, target) = (number(at).filter(is_address), number(at + 16).filter(is_address));
        if let Some(offset) = offset {
            references.add_data(at, AddressForm::Long, Address::absolute(offset), || BY_TARGET);
        }
        if let Some(target) = target {
            references.add_data(at + 16, AddressForm::Long, Address::absolute(target), || BY_TARGET);
        }
        // Some linkers write the addend to the relocated place as well.
        let there = offset.and_then(|offset| Some((references.elf.at(offset)?, offset)));
        if let (Some((there, offset)), Some(target)) = (there, target) {
            let at = there.range.start + (offset - there.addr) as usize;
            if number(at) == Some(target) {
                references.add_data(at, AddressForm::Long, Address::absolute(target), || context::PLACE);
            }
        }
    }
}

/// Symbols (`Elf64_Sym`): an offset in the string table, and in bytes 8 to 16 an address.
pub(crate) fn symbols(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.elf.bytes, references.elf.mapped.clone());
    let names = references.elf.named(if section.kind == SHT_SYMTAB { b".strtab" } else { b".dynstr" });
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let name = read::<4>(bytes, at).unwrap_or_default() as usize;
        if let Some(names) = names.filter(|names| name > 0 && name < names.range.len()) {
            let address = Address::relative(names.addr_of(names.range.start + name), names.addr);
            let name = &bytes[names.range.start + name..names.range.end];
            references.add_data(at, AddressForm::Distance, address, || of_name(name));
        }
        let addr = read::<8>(bytes, at + 8).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            references.add_data(at + 8, AddressForm::Long, Address::absolute(addr), || BY_TARGET);
        }
    }
}

/// Pointers of a program at fixed addresses: any eight aligned bytes whose value is one.
pub(crate) fn pointers(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.elf.bytes, references.elf.mapped.clone());
    let skew = section.addr.wrapping_neg() as usize % 8;
    let mut at = section.range.start + skew;
    while at + 8 <= section.range.end {
        let addr = read::<8>(bytes, at).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            references.add_data(at, AddressForm::Long, Address::absolute(addr), || BY_TARGET);
        }
        at += 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Machine;
    use crate::testing::{Linked, SectionSpec, TEXT, build, elf, found};

    /// A jump table of these targets, at 0x2000, which code loads with `lea`.
    fn with_table(load: u32, entries: &[u32]) -> Vec<u8> {
        let distance = load.wrapping_sub(TEXT + 7).to_le_bytes();
        let code = [&[0x48, 0x8d, 0x05][..], &distance, &[0x90; 57]].concat();
        let table: Vec<u8> =
            entries.iter().flat_map(|target| target.wrapping_sub(load).to_le_bytes()).collect();
        let parts = [SectionSpec::code(TEXT, &code), SectionSpec::data(".rodata", Some(0x2000), &table)];
        build(Machine::X86, Linked::Anywhere, &parts)
    }

    #[test]
    fn a_jump_table_has_three_entries_or_more_and_ends_with_the_first_that_is_no_code() {
        let targets =
            |count: usize| -> Vec<u32> { (0..count as u32).map(|number| TEXT + 9 * number).collect() };
        let expected = |count: usize| -> Vec<(usize, AddressForm, u32, u32)> {
            targets(count)
                .into_iter()
                .enumerate()
                .map(|(number, target)| (4 * number, AddressForm::Distance, target, 0x2000))
                .collect()
        };
        for count in [3, 5] {
            assert_eq!(found(&with_table(0x2000, &targets(count)), ".rodata"), expected(count));
            let more = [&targets(count)[..], &[0x9000, TEXT, TEXT, TEXT]].concat();
            assert_eq!(found(&with_table(0x2000, &more), ".rodata"), expected(count));
        }
        assert_eq!(found(&with_table(0x2000, &targets(2)), ".rodata"), []);
        // Addresses in no section, unaligned ones, and code.
        assert_eq!(found(&with_table(0x2002, &targets(5)), ".rodata"), []);
        assert_eq!(found(&with_table(TEXT + 16, &targets(5)), ".rodata"), []);
    }

    #[test]
    fn relocations_refer_to_their_place_their_addend_and_what_lies_there() {
        let place = 0x3000_u64;
        let entry = |place: u64, addend: u64| [place, 8, addend].map(u64::to_le_bytes).concat();
        let relocations = [
            entry(place, u64::from(TEXT) + 4),
            entry(place + 8, 5),
            entry(1 << 40, TEXT.into()),
            entry(9, u64::MAX),
        ]
        .concat();
        let data = [u64::from(TEXT) + 4, u64::from(TEXT)].map(u64::to_le_bytes).concat();
        let parts = [
            SectionSpec::code(TEXT, &[0x90; 64]),
            SectionSpec::data(".rela.dyn", Some(0x2000), &relocations).of_kind(4),
            SectionSpec::data(".data", Some(0x3000), &data),
        ];
        let file = build(Machine::X86, Linked::Anywhere, &parts);
        let long = |at: usize, addr: u32| (at, AddressForm::Long, addr, addr);
        let expected = [long(0, 0x3000), long(16, TEXT + 4), long(24, 0x3008), long(64, TEXT)];
        assert_eq!(found(&file, ".rela.dyn"), expected);
        // Only where the addend is written as well.
        assert_eq!(found(&file, ".data"), [long(0, TEXT + 4)]);
        // A table that ends within an entry, and one without an address.
        for (addr, end) in [(Some(0x2000), 23), (Some(0x2000), 47), (None, 96)] {
            let parts = [
                SectionSpec::code(TEXT, &[0x90; 64]),
                SectionSpec::data(".rela.dyn", addr, &relocations[..end]).of_kind(4),
            ];
            let file = build(Machine::X86, Linked::Anywhere, &parts);
            assert_eq!(found(&file, ".rela.dyn").len(), if end == 47 { 1 } else { 0 }, "{end}");
        }
    }

    #[test]
    fn symbols_refer_to_their_names_and_addresses() {
        let symbol =
            |name: u32, addr: u64| [&name.to_le_bytes()[..], &[0; 4], &addr.to_le_bytes(), &[0; 8]].concat();
        let symbols =
            [symbol(1, TEXT.into()), symbol(5, 0), symbol(0, 1 << 40), symbol(99, u64::from(TEXT) + 63)]
                .concat();
        for (kind, names) in [(SHT_SYMTAB, ".strtab"), (11, ".dynstr")] {
            let parts = [
                SectionSpec::code(TEXT, &[0x90; 64]),
                SectionSpec::data(".symbols", None, &symbols).of_kind(kind),
                SectionSpec::data(names, Some(0x4000), b"\0one\0two\0"),
                SectionSpec::data(".other", Some(0x5000), b"\0one\0two\0"),
            ];
            let file = build(Machine::X86, Linked::Anywhere, &parts);
            let expected = [
                (0, AddressForm::Distance, 0x4001, 0x4000),
                (8, AddressForm::Long, TEXT, TEXT),
                (24, AddressForm::Distance, 0x4005, 0x4000),
                (80, AddressForm::Long, TEXT + 63, TEXT + 63),
            ];
            assert_eq!(found(&file, ".symbols"), expected, "{names}");
        }
    }

    #[test]
    fn pointers_are_those_of_programs_at_fixed_addresses() {
        let words = [u64::from(TEXT), 7, u64::from(TEXT) + (1 << 32), 0x3000].map(u64::to_le_bytes).concat();
        // The section begins four bytes before the first pointer.
        let bytes = [&[0xee; 4][..], &words, &[0xee; 3]].concat();
        let file = |linked| {
            let parts =
                [SectionSpec::code(TEXT, &[0x90; 64]), SectionSpec::data(".data", Some(0x2ffc), &bytes)];
            build(Machine::X86, linked, &parts)
        };
        let expected = [(4, AddressForm::Long, TEXT, TEXT), (28, AddressForm::Long, 0x3000, 0x3000)];
        assert_eq!(found(&file(Linked::Fixed), ".data"), expected);
        assert_eq!(found(&file(Linked::Anywhere), ".data"), []);
        assert_eq!(found(&elf(&[(".data", Some(0x3000), &words)]), ".data"), []);
    }

    #[test]
    fn names_with_another_hash_of_the_compiler_are_the_same() {
        let name = |text: &str| of_name(text.as_bytes());
        let hashed = |hash: &str| name(&format!("_ZN4core3fmt5write17h{hash}E\0rest"));
        assert_eq!(hashed("0123456789abcdef"), hashed("fedcba9876543210"));
        assert_ne!(hashed("0123456789abcdef"), name("_ZN4core3fmt4read17h0123456789abcdefE\0"));
        assert_ne!(name("one\0two"), name("two\0two"));
        assert_eq!(name("one\0two"), name("one\0"));
        // A long name is compared by its beginning.
        assert_eq!(name(&"n".repeat(256)), name(&"n".repeat(5000)));
        assert_ne!(name(&"n".repeat(255)), name(&"n".repeat(256)));
    }
}
