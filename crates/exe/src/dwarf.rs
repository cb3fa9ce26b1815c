//! Finds references in debug information (DWARF 2 to 5, 32-bit): offsets in other sections, and addresses of code.
//!
//! Only the attributes of entries and their forms are read, not what they mean.

use std::collections::HashMap;

use dsync_core::varint;

use crate::context::{self, BY_TARGET, mix};
use crate::image::{Section, read};
use crate::references::{Address, Form, References};

/// Limit on the bytes of abbreviations that are read, as a multiple of their section: units may share them.
const SHARED: usize = 4;
/// Limit on the attributes that are read, for each byte of the section: some attributes have no bytes.
const STEPS: usize = 4;

/// Attributes whose offsets are in another section than that of location lists.
const LINES: u64 = 0x10;
const RANGES: u64 = 0x55;
const BASES: std::ops::RangeInclusive<u64> = 0x72..=0x74;

/// Reads numbers one after the other, up to an end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
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
}

/// Attributes and their forms, by the code of the abbreviation less one.
type Abbreviations = Vec<Vec<(u64, u64)>>;

fn abbreviations(cursor: &mut Cursor<'_>) -> Option<Abbreviations> {
    const IMPLICIT: u64 = 0x21;
    let mut all = Vec::new();
    loop {
        let code = cursor.leb()?;
        if code == 0 {
            return Some(all);
        }
        // As all compilers number them.
        if code != all.len() as u64 + 1 {
            return None;
        }
        cursor.leb()?;
        cursor.skip(1)?;
        let mut attributes = Vec::new();
        loop {
            let (attribute, form) = (cursor.leb()?, cursor.leb()?);
            if form == IMPLICIT {
                cursor.leb()?;
            }
            if (attribute, form) == (0, 0) {
                break;
            }
            attributes.push((attribute, form));
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

/// The entries of all units.
pub(crate) fn entries(references: &mut References<'_>, section: &Section<'_>) {
    let image = references.image;
    let Some(abbreviated) = image.named(b".debug_abbrev") else { return };
    let named = |name: &[u8]| image.named(name);
    let targets = Targets {
        strings: named(b".debug_str"),
        line_strings: named(b".debug_line_str"),
        lines: named(b".debug_line"),
        ranges: named(b".debug_ranges"),
        locations: named(b".debug_loc"),
    };
    let mut known: HashMap<usize, Option<Abbreviations>> = HashMap::new();
    let mut steps = section.range.len() * STEPS;
    let mut left = abbreviated.range.len() * SHARED;
    let mut begin = section.range.start;
    while let Some(len) = read::<4>(&image.bytes[..section.range.end], begin) {
        let end = begin + 4 + len as usize;
        if end > section.range.end {
            break;
        }
        let mut cursor = Cursor { bytes: &image.bytes[..end], at: begin + 4 };
        let table = header(&mut cursor).and_then(|table| {
            let table = usize::try_from(table).ok()?.checked_add(abbreviated.range.start)?;
            let bytes = image.bytes.get(..abbreviated.range.end)?;
            let read = known.entry(table).or_insert_with(|| {
                let mut cursor = Cursor { bytes, at: table };
                let read = if left > 0 { abbreviations(&mut cursor) } else { None };
                left = left.saturating_sub(cursor.at - table);
                read
            });
            read.as_ref()
        });
        if let Some(table) = table {
            // References before the first unknown form are kept.
            unit(references, &mut cursor, (section, section.addr_of(begin)), table, &targets, &mut steps)
                .unwrap_or_default();
        }
        begin = end;
    }
}

/// Reads the header of a unit. Returns the offset of its abbreviations.
fn header(cursor: &mut Cursor<'_>) -> Option<u64> {
    match cursor.fixed::<2>()? {
        2..=4 => {
            let table = cursor.fixed::<4>()?;
            cursor.skip(1)?;
            Some(table)
        }
        5 => {
            let kind = cursor.fixed::<1>()?;
            cursor.skip(1)?;
            let table = cursor.fixed::<4>()?;
            cursor.skip(match kind {
                4 | 5 => 8,
                2 | 6 => 12,
                _ => 0,
            })?;
            Some(table)
        }
        _ => None,
    }
}

fn unit(
    references: &mut References<'_>,
    cursor: &mut Cursor<'_>,
    (section, begin): (&Section<'_>, u32),
    table: &Abbreviations,
    targets: &Targets<'_>,
    steps: &mut usize,
) -> Option<()> {
    let mapped = references.image.mapped.clone();
    while cursor.at < cursor.bytes.len() {
        let code = cursor.leb()?;
        if code == 0 {
            continue;
        }
        for &(attribute, form) in table.get(usize::try_from(code - 1).ok()?)? {
            *steps = steps.checked_sub(1)?;
            let at = cursor.at;
            let hash = mix(attribute as u32, form as u32) | context::BY_HASH;
            let mut add_offset = |section: Option<&Section<'_>>, distance: u64, context: u32| {
                let Some(section) = section.filter(|section| distance < section.range.len() as u64) else {
                    return;
                };
                let target = section.addr + distance as u32;
                references.add_data(at, Form::Distance, Address::relative(target, section.addr), || context);
            };
            match form {
                // addr
                0x01 => {
                    let addr = u32::try_from(cursor.fixed::<8>()?).ok();
                    if let Some(addr) = addr.filter(|addr| mapped.contains(addr)) {
                        references.add_data(at, Form::Long, Address::absolute(addr), || BY_TARGET);
                    }
                }
                // strp, line_strp
                0x0e | 0x1f => {
                    let section = if form == 0x0e { targets.strings } else { targets.line_strings };
                    let distance = cursor.fixed::<4>()?;
                    if let Some(section) = section.filter(|section| distance < section.range.len() as u64) {
                        let name = &references.image.bytes
                            [section.range.start + distance as usize..section.range.end];
                        let target = section.addr + distance as u32;
                        references.add_data(
                            at,
                            Form::Distance,
                            Address::relative(target, section.addr),
                            || context::of_name(name),
                        );
                    }
                }
                // ref_addr
                0x10 => add_offset(Some(section), cursor.fixed::<4>()?, hash),
                // ref4
                0x13 => {
                    let distance = cursor.fixed::<4>()? as u32;
                    references.add_data(
                        at,
                        Form::Distance,
                        Address::relative(begin.wrapping_add(distance), begin),
                        || hash,
                    );
                }
                // sec_offset
                0x17 => {
                    let section = match attribute {
                        LINES => targets.lines,
                        RANGES => targets.ranges,
                        attribute if BASES.contains(&attribute) => None,
                        _ => targets.locations,
                    };
                    add_offset(section, cursor.fixed::<4>()?, hash);
                }
                // exprloc
                0x18 => {
                    let len = cursor.leb()?;
                    let at = cursor.at;
                    cursor.skip(len)?;
                    let addr = read::<8>(cursor.bytes, at + 1).and_then(|addr| u32::try_from(addr).ok());
                    if let (9, Some(3), Some(addr)) = (len, read::<1>(cursor.bytes, at), addr)
                        && mapped.contains(&addr)
                    {
                        references.add_data(at + 1, Form::Long, Address::absolute(addr), || BY_TARGET);
                    }
                }
                0x19 | 0x21 => {}
                0x0b | 0x0c | 0x11 | 0x25 | 0x29 => cursor.skip(1)?,
                0x05 | 0x12 | 0x26 | 0x2a => cursor.skip(2)?,
                0x27 | 0x2b => cursor.skip(3)?,
                0x06 | 0x28 | 0x2c => cursor.skip(4)?,
                0x07 | 0x14 | 0x20 => cursor.skip(8)?,
                0x1e => cursor.skip(16)?,
                0x08 => while cursor.fixed::<1>()? != 0 {},
                0x0d | 0x0f | 0x15 | 0x1a | 0x1b | 0x22 | 0x23 => drop(cursor.leb()?),
                0x03 => {
                    let len = cursor.fixed::<2>()?;
                    cursor.skip(len)?;
                }
                0x04 => {
                    let len = cursor.fixed::<4>()?;
                    cursor.skip(len)?;
                }
                0x0a => {
                    let len = cursor.fixed::<1>()?;
                    cursor.skip(len)?;
                }
                0x09 => {
                    let len = cursor.leb()?;
                    cursor.skip(len)?;
                }
                _ => return None,
            }
        }
    }
    Some(())
}

/// Location lists (DWARF up to 4): two addresses of code, and an expression after its length.
pub(crate) fn locations(references: &mut References<'_>, section: &Section<'_>) {
    let mut at = section.range.start;
    while at + 16 <= section.range.end {
        let (from, to) = (long(references, at), long(references, at + 8));
        at += 16;
        if (from, to) != (0, 0) && from != u64::MAX {
            at += 2 + read::<2>(references.image.bytes, at).unwrap_or_default() as usize;
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
    let bytes = references.image.bytes;
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
    let value = read::<8>(references.image.bytes, at).unwrap_or_default();
    if let Some(addr) = u32::try_from(value).ok().filter(|addr| references.image.mapped.contains(addr)) {
        references.add_plain(at, Form::Long, Address::absolute(addr));
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
            (12, Form::Distance, strings + 3, strings),
            (16, Form::Long, TEXT + 5, TEXT + 5),
            (24, Form::Distance, lines, lines),
            (31, Form::Distance, info + 11, info),
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
