//! Finds references in Go's table of functions and lines (`.gopclntab`, from Go 1.20 on; `runtime/symtab.go`): distances
//! from parts of the table.

use crate::context::{self, BY_TARGET};
use crate::image::{Section, UNMAPPED, read};
use crate::references::{Address, Form, References};

/// A stand-in base for the data of functions (`funcdata`), of which only distances are known.
const BESIDES: u32 = UNMAPPED + (UNMAPPED >> 1);
const NOTHING: u64 = 0xffff_ffff;

/// Adds the references of the table; `None` where it is of another version, or ends early.
pub(crate) fn lines(references: &mut References<'_>, section: &Section<'_>) -> Option<()> {
    let (bytes, begin) = (references.image.bytes, section.range.start);
    let bytes = bytes.get(..section.range.end)?;
    if read::<4>(bytes, begin)? != 0xffff_fff1 || read::<1>(bytes, begin + 7)? != 8 {
        return None;
    }
    let head = |number: usize| read::<8>(bytes, begin + 8 + 8 * number);
    let part = |number: usize| {
        let at = usize::try_from(head(number)?).ok()?.checked_add(begin)?;
        (at < section.range.end).then_some(at)
    };
    let functions = usize::try_from(head(0)?).ok()?.min(section.range.len() / 8);
    let text = references.image.named(b".text")?.addr;
    let (names, lines, records) = (part(3)?, part(6)?, part(7)?);
    let base = |at: usize| section.addr_of(at);
    let (names, lines) = (base(names), base(lines));
    let distance = |at: usize| read::<4>(bytes, at);
    let mut end = 0;
    let mut add = |at: usize, base: u32, distance: u64, context: u32| {
        references.add_data(
            at,
            Form::Distance,
            Address::relative(base.wrapping_add(distance as u32), base),
            || context,
        );
    };
    for function in 0..functions {
        let at = records + 8 * function;
        add(at, text, distance(at)?, BY_TARGET);
        add(at + 4, base(records), distance(at + 4)?, context::GO);
    }
    for function in 0..functions {
        let at = records.checked_add(distance(records + 8 * function + 4)? as usize)?;
        // In order, so that none is looked at twice.
        if at < end {
            continue;
        }
        add(at, text, distance(at)?, BY_TARGET);
        add(at + 4, names, distance(at + 4)?, context::GO + 1);
        for (context, field) in [(2, 16), (3, 20), (4, 24)] {
            let distance = distance(at + field)?;
            if distance != 0 {
                add(at + field, lines, distance, context::GO + context);
            }
        }
        let (tables, others) = (distance(at + 28)? as usize, read::<1>(bytes, at + 43)? as usize);
        let rest = at + 44;
        end = rest.checked_add(tables.checked_add(others)?.checked_mul(4)?)?;
        if end > section.range.end {
            return None;
        }
        for number in 0..tables {
            let distance = distance(rest + 4 * number)?;
            if distance != 0 {
                add(rest + 4 * number, lines, distance, context::GO + 5);
            }
        }
        for number in tables..tables + others {
            let distance = distance(rest + 4 * number)?;
            if distance != NOTHING {
                add(rest + 4 * number, BESIDES, distance, context::GO + 6);
            }
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
        // One function; names, units, files, lines and functions, of which names are at 72, lines at 88, functions at 96.
        table.extend([1, 1, 0, 72, 80, 80, 88, 96].map(u64::to_le_bytes).concat());
        table.resize(96, 0);
        table.extend([16, 12].map(u32::to_le_bytes).concat());
        table.extend(32_u32.to_le_bytes());
        // Where it is, name, two numbers, three times lines, how many more lines, two numbers, and one of what it has besides.
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
            expected.map(|(at, target, base)| (at, Form::Distance, target, base))
        );
    }
}
