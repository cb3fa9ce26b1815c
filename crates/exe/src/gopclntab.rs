//! Finds references in Go's table of functions and lines (`.gopclntab`, from Go 1.20 on; `runtime/symtab.go`):
//! distances from parts of the table.

use crate::context::{self, BY_TARGET};
use crate::elf::{Elf, Section, UNMAPPED, read};
use crate::references::{Address, AddressForm, References};

/// A stand-in base for the data of functions (`funcdata`), of which only distances are known.
const BESIDES: u32 = UNMAPPED + (UNMAPPED >> 1);
const NOTHING: u64 = 0xffff_ffff;

/// The parts of the table.
struct Table<'a> {
    /// The file up to the end of the table.
    bytes: &'a [u8],
    functions: usize,
    /// The address of the program's code.
    text: u32,
    /// The addresses of the names, and of the encoded lines.
    names: u32,
    lines: u32,
    /// The offset of the functions in the file: an index of them, then a record of each.
    records: usize,
}

impl<'a> Table<'a> {
    /// Reads the header; `None` where the table is of another version, or ends early.
    fn parse(elf: &Elf<'a>, section: &Section<'_>) -> Option<Table<'a>> {
        let begin = section.range.start;
        let bytes = elf.bytes.get(..section.range.end)?;
        if read::<4>(bytes, begin)? != 0xffff_fff1 || read::<1>(bytes, begin + 7)? != 8 {
            return None;
        }
        let head = |number: usize| read::<8>(bytes, begin + 8 + 8 * number);
        let part = |number: usize| {
            let at = usize::try_from(head(number)?).ok()?.checked_add(begin)?;
            (at < section.range.end).then_some(at)
        };
        let functions = usize::try_from(head(0)?).ok()?.min(section.range.len() / 8);
        let text = elf.named(b".text")?.addr;
        let (names, lines, records) = (part(3)?, part(6)?, part(7)?);
        let (names, lines) = (section.addr_of(names), section.addr_of(lines));
        Some(Table { bytes, functions, text, names, lines, records })
    }

    fn distance(&self, at: usize) -> Option<u64> {
        read::<4>(self.bytes, at)
    }

    /// Passes the distances in the record of a function to `add`. Returns the end of the record.
    fn function(&self, at: usize, add: &mut Add<'_>) -> Option<usize> {
        add(at, self.text, self.distance(at)?, BY_TARGET);
        add(at + 4, self.names, self.distance(at + 4)?, context::GO + 1);
        for (context, field) in [(2, 16), (3, 20), (4, 24)] {
            let distance = self.distance(at + field)?;
            if distance != 0 {
                add(at + field, self.lines, distance, context::GO + context);
            }
        }
        let tables = self.distance(at + 28)? as usize;
        let others = read::<1>(self.bytes, at + 43)? as usize;
        let rest = at + 44;
        let end = rest.checked_add(tables.checked_add(others)?.checked_mul(4)?)?;
        if end > self.bytes.len() {
            return None;
        }
        for number in 0..tables {
            let distance = self.distance(rest + 4 * number)?;
            if distance != 0 {
                add(rest + 4 * number, self.lines, distance, context::GO + 5);
            }
        }
        for number in tables..tables + others {
            let distance = self.distance(rest + 4 * number)?;
            if distance != NOTHING {
                add(rest + 4 * number, BESIDES, distance, context::GO + 6);
            }
        }
        Some(end)
    }
}

/// Takes a reference: its offset in the file, its base, its distance from that, and its context.
type Add<'a> = dyn FnMut(usize, u32, u64, u32) + 'a;

/// Adds the references of the table; `None` where it is of another version, or ends early.
pub(crate) fn lines(references: &mut References<'_>, section: &Section<'_>) -> Option<()> {
    let table = Table::parse(references.elf, section)?;
    let base = section.addr_of(table.records);
    let mut add = |at: usize, base: u32, distance: u64, context: u32| {
        let address = Address::relative(base.wrapping_add(distance as u32), base);
        references.add_data(at, AddressForm::Distance, address, || context);
    };
    for function in 0..table.functions {
        let at = table.records + 8 * function;
        add(at, table.text, table.distance(at)?, BY_TARGET);
        add(at + 4, base, table.distance(at + 4)?, context::GO);
    }
    let mut end = 0;
    for function in 0..table.functions {
        let record = table.distance(table.records + 8 * function + 4)?;
        let at = table.records.checked_add(record as usize)?;
        // In order, so that none is looked at twice.
        if at >= end {
            end = table.function(at, &mut add)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TEXT, elf, found};

    #[test]
    fn functions_refer_to_their_code_their_name_and_their_lines() {
        const AT: u32 = 0x2000;
        let mut table = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8].to_vec();
        // One function; names, units, files, lines and functions, of which names are at 72, lines at 88, functions at
        // 96.
        table.extend([1, 1, 0, 72, 80, 80, 88, 96].map(u64::to_le_bytes).concat());
        table.resize(96, 0);
        table.extend([16, 12].map(u32::to_le_bytes).concat());
        table.extend(32_u32.to_le_bytes());
        // Its address, name, two numbers, three times lines, how many more lines, two numbers, and one of what it has
        // besides.
        table.extend([16, 2, 0, 0, 1, 2, 0, 1, 0, 0, 1 << 24, 3, 0xffff_ffff].map(u32::to_le_bytes).concat());
        let expected = [
            (96, TEXT + 16, TEXT),
            (100, AT + 96 + 12, AT + 96),
            (108, TEXT + 16, TEXT),
            (112, AT + 72 + 2, AT + 72),
            (124, AT + 88 + 1, AT + 88),
            (128, AT + 88 + 2, AT + 88),
            (152, AT + 88 + 3, AT + 88),
        ];
        let file = elf(&[(".gopclntab", Some(AT), &table)]);
        assert_eq!(
            found(&file, ".gopclntab"),
            expected.map(|(at, target, base)| (at, AddressForm::Distance, target, base))
        );
    }
}
