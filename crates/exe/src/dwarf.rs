//! Finds references in debug information (DWARF 2 to 5, 32-bit): offsets in other sections, and addresses of code.
//!
//! Only the attributes of entries and their forms are read, not what they mean.

use std::collections::HashMap;

use dsync_core::varint;

use crate::context::{self, BY_TARGET, mix};
use crate::elf::{Elf, Section, read};
use crate::references::{Address, AddressForm, References};

/// Limit on the bytes of abbreviations that are read, as a multiple of their section: units may share them.
const SHARED: usize = 4;
/// Limit on the attributes that are read, for each byte of the section: some attributes have no bytes.
const STEPS: usize = 4;

/// Attributes whose offsets are in another section than that of location lists.
const LINES: u64 = 0x10;
const RANGES: u64 = 0x55;
const BASES: std::ops::RangeInclusive<u64> = 0x72..=0x74;

/// Forms of attributes that hold references (`DW_FORM`).
mod form {
    pub(super) const ADDR: u64 = 0x01;
    pub(super) const STRP: u64 = 0x0e;
    pub(super) const REF_ADDR: u64 = 0x10;
    pub(super) const REF4: u64 = 0x13;
    pub(super) const SEC_OFFSET: u64 = 0x17;
    pub(super) const EXPRLOC: u64 = 0x18;
    pub(super) const LINE_STRP: u64 = 0x1f;
}

/// Reads numbers one after the other, up to an end.
struct DwarfReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl DwarfReader<'_> {
    fn fixed<const N: usize>(&mut self) -> Option<u64> {
        let number = read::<N>(self.bytes, self.at)?;
        self.at += N;
        Some(number)
    }

    /// LEB128; of a signed one the bits.
    fn leb(&mut self) -> Option<u64> {
        let mut rest = self.bytes.get(self.at..)?;
        let number = varint::take_padded(&mut rest);
        self.at = self.bytes.len() - rest.len();
        number
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(len).ok()?).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// Skips the value of a form without references; `None` for an unknown form.
    fn skip_value(&mut self, form: u64) -> Option<()> {
        match form {
            0x19 | 0x21 => Some(()),
            0x0b | 0x0c | 0x11 | 0x25 | 0x29 => self.skip(1),
            0x05 | 0x12 | 0x26 | 0x2a => self.skip(2),
            0x27 | 0x2b => self.skip(3),
            0x06 | 0x28 | 0x2c => self.skip(4),
            0x07 | 0x14 | 0x20 => self.skip(8),
            0x1e => self.skip(16),
            0x08 => {
                while self.fixed::<1>()? != 0 {}
                Some(())
            }
            0x0d | 0x0f | 0x15 | 0x1a | 0x1b | 0x22 | 0x23 => self.leb().map(drop),
            0x03 => self.fixed::<2>().and_then(|len| self.skip(len)),
            0x04 => self.fixed::<4>().and_then(|len| self.skip(len)),
            0x0a => self.fixed::<1>().and_then(|len| self.skip(len)),
            0x09 => self.leb().and_then(|len| self.skip(len)),
            _ => None,
        }
    }
}

/// An attribute of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Attribute {
    /// Its meaning (`DW_AT`).
    name: u64,
    /// The encoding of its value (`DW_FORM`).
    form: u64,
}

/// The attributes of each abbreviation, by its code less one.
type Abbreviations = Vec<Vec<Attribute>>;

fn abbreviations(reader: &mut DwarfReader<'_>) -> Option<Abbreviations> {
    const IMPLICIT: u64 = 0x21;
    let mut all = Vec::new();
    loop {
        let code = reader.leb()?;
        if code == 0 {
            return Some(all);
        }
        // As all compilers number them.
        if code != all.len() as u64 + 1 {
            return None;
        }
        reader.leb()?;
        reader.skip(1)?;
        let mut attributes = Vec::new();
        loop {
            let attribute = Attribute { name: reader.leb()?, form: reader.leb()? };
            if attribute.form == IMPLICIT {
                reader.leb()?;
            }
            if attribute == (Attribute { name: 0, form: 0 }) {
                break;
            }
            attributes.push(attribute);
        }
        all.push(attributes);
    }
}

/// The sections that entries refer to.
struct Targets<'a> {
    strings: Option<&'a Section<'a>>,
    line_strings: Option<&'a Section<'a>>,
    lines: Option<&'a Section<'a>>,
    ranges: Option<&'a Section<'a>>,
    locations: Option<&'a Section<'a>>,
}

impl<'a> Targets<'a> {
    fn of(elf: &'a Elf<'a>) -> Self {
        Targets {
            strings: elf.named(b".debug_str"),
            line_strings: elf.named(b".debug_line_str"),
            lines: elf.named(b".debug_line"),
            ranges: elf.named(b".debug_ranges"),
            locations: elf.named(b".debug_loc"),
        }
    }
}

/// The entries of all units.
pub(crate) fn entries(references: &mut References<'_>, section: &Section<'_>) {
    let elf = references.elf;
    let Some(abbreviated) = elf.named(b".debug_abbrev") else { return };
    let targets = Targets::of(elf);
    let mut known: HashMap<usize, Option<Abbreviations>> = HashMap::new();
    let mut steps = section.range.len() * STEPS;
    let mut left = abbreviated.range.len() * SHARED;
    let mut begin = section.range.start;
    while let Some(len) = read::<4>(&elf.bytes[..section.range.end], begin) {
        let end = begin + 4 + len as usize;
        if end > section.range.end {
            break;
        }
        let mut reader = DwarfReader { bytes: &elf.bytes[..end], at: begin + 4 };
        let table = header(&mut reader).and_then(|table| {
            let table = usize::try_from(table).ok()?.checked_add(abbreviated.range.start)?;
            let bytes = elf.bytes.get(..abbreviated.range.end)?;
            let read = known.entry(table).or_insert_with(|| {
                let mut reader = DwarfReader { bytes, at: table };
                let read = if left > 0 { abbreviations(&mut reader) } else { None };
                left = left.saturating_sub(reader.at - table);
                read
            });
            read.as_ref()
        });
        if let Some(table) = table {
            let addr = section.addr_of(begin);
            let mut unit = Unit { references: &mut *references, reader, section, addr, targets: &targets };
            // References before the first unknown form are kept.
            unit.entries(table, &mut steps).unwrap_or_default();
        }
        begin = end;
    }
}

/// Reads the header of a unit. Returns the offset of its abbreviations.
fn header(reader: &mut DwarfReader<'_>) -> Option<u64> {
    match reader.fixed::<2>()? {
        2..=4 => {
            let table = reader.fixed::<4>()?;
            reader.skip(1)?;
            Some(table)
        }
        5 => {
            let kind = reader.fixed::<1>()?;
            reader.skip(1)?;
            let table = reader.fixed::<4>()?;
            reader.skip(match kind {
                4 | 5 => 8,
                2 | 6 => 12,
                _ => 0,
            })?;
            Some(table)
        }
        _ => None,
    }
}

/// A unit whose entries are being read.
struct Unit<'u, 'a> {
    references: &'u mut References<'a>,
    reader: DwarfReader<'a>,
    section: &'u Section<'u>,
    /// The address of the unit's first byte.
    addr: u32,
    targets: &'u Targets<'a>,
}

impl Unit<'_, '_> {
    /// Reads all entries; `None` at an unknown form, and where the unit ends early or takes more than `steps`.
    fn entries(&mut self, table: &Abbreviations, steps: &mut usize) -> Option<()> {
        while self.reader.at < self.reader.bytes.len() {
            let code = self.reader.leb()?;
            if code == 0 {
                continue;
            }
            for attribute in table.get(usize::try_from(code - 1).ok()?)? {
                *steps = steps.checked_sub(1)?;
                self.attribute(*attribute)?;
            }
        }
        Some(())
    }

    /// Reads the value of an attribute.
    fn attribute(&mut self, Attribute { name, form }: Attribute) -> Option<()> {
        let context = mix(name as u32, form as u32) | context::BY_HASH;
        match form {
            form::ADDR => self.address(),
            form::STRP => self.string(self.targets.strings),
            form::LINE_STRP => self.string(self.targets.line_strings),
            form::REF_ADDR => self.offset(Some(self.section), context),
            form::REF4 => self.entry(context),
            form::SEC_OFFSET => {
                let section = match name {
                    LINES => self.targets.lines,
                    RANGES => self.targets.ranges,
                    name if BASES.contains(&name) => None,
                    _ => self.targets.locations,
                };
                self.offset(section, context)
            }
            form::EXPRLOC => self.expression(),
            form => self.reader.skip_value(form),
        }
    }

    /// An address of code or data.
    fn address(&mut self) -> Option<()> {
        let at = self.reader.at;
        let addr = self.reader.fixed::<8>()?;
        self.add_address(at, addr);
        Some(())
    }

    fn add_address(&mut self, at: usize, addr: u64) {
        let mapped = &self.references.elf.mapped;
        if let Some(addr) = u32::try_from(addr).ok().filter(|addr| mapped.contains(addr)) {
            self.references.add_data(at, AddressForm::Long, Address::absolute(addr), || BY_TARGET);
        }
    }

    /// An offset in a section of strings.
    fn string(&mut self, strings: Option<&Section<'_>>) -> Option<()> {
        let at = self.reader.at;
        let distance = self.reader.fixed::<4>()?;
        if let Some(strings) = strings.filter(|strings| distance < strings.range.len() as u64) {
            let bytes = self.references.elf.bytes;
            let name = &bytes[strings.range.start + distance as usize..strings.range.end];
            let address = Address::relative(strings.addr + distance as u32, strings.addr);
            self.references.add_data(at, AddressForm::Distance, address, || context::of_name(name));
        }
        Some(())
    }

    /// An offset in another section.
    fn offset(&mut self, section: Option<&Section<'_>>, context: u32) -> Option<()> {
        let at = self.reader.at;
        let distance = self.reader.fixed::<4>()?;
        if let Some(section) = section.filter(|section| distance < section.range.len() as u64) {
            let address = Address::relative(section.addr + distance as u32, section.addr);
            self.references.add_data(at, AddressForm::Distance, address, || context);
        }
        Some(())
    }

    /// An offset in the unit.
    fn entry(&mut self, context: u32) -> Option<()> {
        let at = self.reader.at;
        let distance = self.reader.fixed::<4>()? as u32;
        let address = Address::relative(self.addr.wrapping_add(distance), self.addr);
        self.references.add_data(at, AddressForm::Distance, address, || context);
        Some(())
    }

    /// An expression: the address of one that is nothing else (`DW_OP_addr`).
    fn expression(&mut self) -> Option<()> {
        let len = self.reader.leb()?;
        let at = self.reader.at;
        self.reader.skip(len)?;
        let (op, addr) = (read::<1>(self.reader.bytes, at), read::<8>(self.reader.bytes, at + 1));
        if let (9, Some(3), Some(addr)) = (len, op, addr) {
            self.add_address(at + 1, addr);
        }
        Some(())
    }
}

/// Location lists (DWARF up to 4): two addresses of code, and an expression after its length.
pub(crate) fn locations(references: &mut References<'_>, section: &Section<'_>) {
    let mut at = section.range.start;
    while at + 16 <= section.range.end {
        let (from, to) = (long(references, at), long(references, at + 8));
        at += 16;
        if (from, to) != (0, 0) && from != u64::MAX {
            at += 2 + read::<2>(references.elf.bytes, at).unwrap_or_default() as usize;
        }
    }
}

/// Words of eight bytes, of which some are addresses of code.
pub(crate) fn words(references: &mut References<'_>, section: &Section<'_>) {
    let mut at = section.range.start;
    while at + 8 <= section.range.end {
        long(references, at);
        at += 8;
    }
}

/// Line number programs: an address follows `DW_LNE_set_address`, an opcode of three bytes.
pub(crate) fn lines(references: &mut References<'_>, section: &Section<'_>) {
    let bytes = references.elf.bytes;
    let mut at = section.range.start;
    while at + 11 <= section.range.end {
        if bytes[at..].starts_with(&[0, 9, 2]) {
            long(references, at + 3);
            at += 11;
        } else {
            at += 1;
        }
    }
}

/// Adds eight bytes as a reference if they are an address. Returns their value.
fn long(references: &mut References<'_>, at: usize) -> u64 {
    let value = read::<8>(references.elf.bytes, at).unwrap_or_default();
    if let Some(addr) = u32::try_from(value).ok().filter(|addr| references.elf.mapped.contains(addr)) {
        references.add_plain(at, AddressForm::Long, Address::absolute(addr));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TEXT, addr, elf, found};

    /// One unit of version 4: a name, an address of code, lines, and in a second entry one to the first.
    fn unit() -> Vec<u8> {
        let mut unit = [&4_u16.to_le_bytes()[..], &0_u32.to_le_bytes(), &[8]].concat();
        unit.push(1);
        unit.extend(3_u32.to_le_bytes());
        unit.extend(u64::from(TEXT + 5).to_le_bytes());
        unit.extend(0_u32.to_le_bytes());
        unit.push(2);
        unit.extend([7, 7]);
        unit.extend(11_u32.to_le_bytes());
        unit.push(0);
        [&(unit.len() as u32).to_le_bytes()[..], &unit].concat()
    }

    const ABBREVIATIONS: &[u8] =
        &[1, 0x11, 1, 3, 0x0e, 0x11, 1, 0x10, 0x17, 0, 0, 2, 0x2e, 0, 0x3a, 5, 0x49, 0x13, 0, 0, 0];

    #[test]
    fn entries_refer_to_strings_code_lines_and_each_other() {
        let file = elf(&[
            (".debug_abbrev", None, ABBREVIATIONS),
            (".debug_info", None, &unit()),
            (".debug_str", None, b"ab\0name\0"),
            (".debug_line", None, &[0; 16]),
        ]);
        let [info, strings, lines] =
            [".debug_info", ".debug_str", ".debug_line"].map(|name| addr(&file, name));
        let expected = [
            (12, AddressForm::Distance, strings + 3, strings),
            (16, AddressForm::Long, TEXT + 5, TEXT + 5),
            (24, AddressForm::Distance, lines, lines),
            (31, AddressForm::Distance, info + 11, info),
        ];
        assert_eq!(found(&file, ".debug_info"), expected);
    }

    #[test]
    fn a_truncated_unit_is_left_alone() {
        let whole = unit();
        for end in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            if let Some(len) = cut.get_mut(..4) {
                len.copy_from_slice(&(end as u32 - 4).to_le_bytes());
            }
            let file = elf(&[
                (".debug_abbrev", None, ABBREVIATIONS),
                (".debug_info", None, &[&cut[..], &[0]].concat()),
            ]);
            assert!(found(&file, ".debug_info").len() <= 2, "{end}");
        }
    }
}
