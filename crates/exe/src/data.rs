//! Addresses outside of code: relocations, symbols, tables of jumps, pointers.

use crate::fields::{Fields, Form};
use crate::image::{Section, read};
use crate::token::{self, BY_TARGET, of_name};

/// `sh_type` of the table of symbols; that of dynamic ones has its names elsewhere.
pub(crate) const SHT_SYMTAB: u32 = 2;
/// The fewest entries of a table of jumps.
const JUMPS: usize = 3;

/// Tables of distances from their own begin to code.
pub(crate) fn jumps(fields: &mut Fields<'_>, mut tables: Vec<u32>) {
    tables.sort_unstable();
    tables.dedup();
    let image = fields.image;
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
                let token = token::BY_BASE + number as u32;
                fields.add_data(begin + 4 * number, Form::Distance, (target, table), || token);
            }
        }
    }
}

/// Entries of 24 bytes: the place, what to do there, and an address.
pub(crate) fn relocations(fields: &mut Fields<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (fields.image.bytes, fields.image.mapped.clone());
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let number = |at| read::<8>(bytes, at).and_then(|value| u32::try_from(value).ok());
        let is_address = |addr: &u32| mapped.contains(addr);
        let (place, target) = (number(at).filter(is_address), number(at + 16).filter(is_address));
        if let Some(place) = place {
            fields.add_data(at, Form::Long, (place, place), || BY_TARGET);
        }
        if let Some(target) = target {
            fields.add_data(at + 16, Form::Long, (target, target), || BY_TARGET);
        }
        // Some linkers write the address to its place, too.
        let there = place.and_then(|place| Some((fields.image.at(place)?, place)));
        if let (Some((there, place)), Some(target)) = (there, target) {
            let at = there.range.start + (place - there.addr) as usize;
            if number(at) == Some(target) {
                fields.add_data(at, Form::Long, (target, target), || token::PLACE);
            }
        }
    }
}

/// Entries of 24 bytes: first where the name is among the names, then, in the second eight, the address.
pub(crate) fn symbols(fields: &mut Fields<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (fields.image.bytes, fields.image.mapped.clone());
    let names = fields.image.named(if section.kind == SHT_SYMTAB { b".strtab" } else { b".dynstr" });
    for at in section.range.clone().step_by(24) {
        if at + 24 > section.range.end {
            break;
        }
        let name = read::<4>(bytes, at).unwrap_or_default() as usize;
        if let Some(names) = names.filter(|names| name > 0 && name < names.range.len()) {
            let place = (names.addr_of(names.range.start + name), names.addr);
            let name = &bytes[names.range.start + name..names.range.end];
            fields.add_data(at, Form::Distance, place, || of_name(name));
        }
        let addr = read::<8>(bytes, at + 8).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            fields.add_data(at + 8, Form::Long, (addr, addr), || BY_TARGET);
        }
    }
}

/// Where addresses are those that the program runs at, any eight bytes that look like one.
pub(crate) fn pointers(fields: &mut Fields<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (fields.image.bytes, fields.image.mapped.clone());
    let skew = section.addr.wrapping_neg() as usize % 8;
    let mut at = section.range.start + skew;
    while at + 8 <= section.range.end {
        let addr = read::<8>(bytes, at).and_then(|addr| u32::try_from(addr).ok());
        if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
            fields.add_data(at, Form::Long, (addr, addr), || BY_TARGET);
        }
        at += 8;
    }
}
