//! Go's table of functions and lines (`.gopclntab`, from Go 1.20 on): all in it is told by distances from some part of it.

use crate::data::token;
use crate::fields::{BY_TARGET, Fields, Form};
use crate::image::{Section, UNMAPPED, read};

/// Where what functions have besides would be: only the distance is known, not from where.
const BESIDES: u32 = UNMAPPED + (UNMAPPED >> 1);
const NOTHING: u64 = 0xffff_ffff;

/// Adds the addresses of the table; `None` where it is of another version, or ends early.
pub(crate) fn lines(fields: &mut Fields<'_>, section: &Section<'_>) -> Option<()> {
    let (bytes, begin) = (fields.image.bytes, section.range.start);
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
    let text = fields.image.named(b".text")?.addr;
    let (names, lines, records) = (part(3)?, part(6)?, part(7)?);
    let base = |at: usize| section.addr_of(at);
    let (names, lines) = (base(names), base(lines));
    let distance = |at: usize| read::<4>(bytes, at);
    let mut end = 0;
    let mut add = |at: usize, base: u32, distance: u64, token: u32| {
        fields.add_data(at, Form::Distance, (base.wrapping_add(distance as u32), base), token);
    };
    for function in 0..functions {
        let at = records + 8 * function;
        add(at, text, distance(at)?, BY_TARGET);
        add(at + 4, base(records), distance(at + 4)?, token::GO);
    }
    for function in 0..functions {
        let at = records.checked_add(distance(records + 8 * function + 4)? as usize)?;
        // In order, so that none is looked at twice.
        if at < end {
            continue;
        }
        add(at, text, distance(at)?, BY_TARGET);
        add(at + 4, names, distance(at + 4)?, token::GO + 1);
        for (token, place) in [(2, 16), (3, 20), (4, 24)] {
            let distance = distance(at + place)?;
            if distance != 0 {
                add(at + place, lines, distance, token::GO + token);
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
                add(rest + 4 * number, lines, distance, token::GO + 5);
            }
        }
        for number in tables..tables + others {
            let distance = distance(rest + 4 * number)?;
            if distance != NOTHING {
                add(rest + 4 * number, BESIDES, distance, token::GO + 6);
            }
        }
    }
    Some(())
}
