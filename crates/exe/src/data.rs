//! Finds references outside of code: in relocations, symbols, jump tables, and pointers.

use crate::context::{self, BY_TARGET, of_name};
use crate::image::{Section, read};
use crate::references::{Address, Form, References};

/// `sh_type` of the table of symbols; that of dynamic ones has its names elsewhere.
pub(crate) const SHT_SYMTAB: u32 = 2;
/// The fewest entries of a jump table.
const JUMPS: usize = 3;

/// Jump tables: distances to code from the beginning of the table.
pub(crate) fn jumps(references: &mut References<'_>, mut tables: Vec<u32>) {
    tables.sort_unstable();
    tables.dedup();
    let image = references.image;
    let is_code = |addr: u32| image.at(addr).is_some_and(|section| section.is_code);
    for (number, &table) in tables.iter().enumerate() {
        let Some(section) = image.at(table).filter(|section| !section.is_code && table % 4 == 0) else {
            continue;
        };
        let next =
            tables.get(number + 1).copied().unwrap_or(u32::MAX).min(section.addr_of(section.range.end));
        let begin = section.range.start + (table - section.addr) as usize;
        let entry = |number: usize| {
            let distance = read::<4>(image.bytes, begin + 4 * number).unwrap_or_default() as u32;
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
                    Form::Distance,
                    Address::relative(target, table),
                    || context,
                );
            }
        }
    }
}

/// Relocations with addends (`Elf64_Rela`): offset, kind, addend.
pub(crate) fn relocations(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.image.bytes, references.image.mapped.clone());
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let number = |at| read::<8>(bytes, at).and_then(|value| u32::try_from(value).ok());
        let is_address = |addr: &u32| mapped.contains(addr);
        let (offset, target) = (number(at).filter(is_address), number(at + 16).filter(is_address));
        if let Some(offset) = offset {
            references.add_data(at, Form::Long, Address::absolute(offset), || BY_TARGET);
        }
        if let Some(target) = target {
            references.add_data(at + 16, Form::Long, Address::absolute(target), || BY_TARGET);
        }
        // Some linkers write the addend to the relocated place as well.
        let there = offset.and_then(|offset| Some((references.image.at(offset)?, offset)));
        if let (Some((there, offset)), Some(target)) = (there, target) {
            let at = there.range.start + (offset - there.addr) as usize;
            if number(at) == Some(target) {
                references.add_data(at, Form::Long, Address::absolute(target), || context::PLACE);
            }
        }
    }
}

/// Symbols (`Elf64_Sym`): an offset in the string table, and in bytes 8 to 16 an address.
pub(crate) fn symbols(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.image.bytes, references.image.mapped.clone());
    let names = references.image.named(if section.kind == SHT_SYMTAB { b".strtab" } else { b".dynstr" });
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let name = read::<4>(bytes, at).unwrap_or_default() as usize;
        if let Some(names) = names.filter(|names| name > 0 && name < names.range.len()) {
            let address = Address::relative(names.addr_of(names.range.start + name), names.addr);
            let name = &bytes[names.range.start + name..names.range.end];
            references.add_data(at, Form::Distance, address, || of_name(name));
        }
        let addr = read::<8>(bytes, at + 8).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            references.add_data(at + 8, Form::Long, Address::absolute(addr), || BY_TARGET);
        }
    }
}

/// Pointers of a program at fixed addresses: any eight aligned bytes whose value is one.
pub(crate) fn pointers(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.image.bytes, references.image.mapped.clone());
    let skew = section.addr.wrapping_neg() as usize % 8;
    let mut at = section.range.start + skew;
    while at + 8 <= section.range.end {
        let addr = read::<8>(bytes, at).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            references.add_data(at, Form::Long, Address::absolute(addr), || BY_TARGET);
        }
        at += 8;
    }
}
