//! Finds the references in aarch64 code: calls, jumps, and pages with the offsets in them.

use super::instruction::{ADR, CALL, adr, is_call, is_page};
use crate::image::{Section, read};
use crate::references::{Address, Form, References};

/// Instructions after an `adrp` among which the one that uses its page is looked for.
const AHEAD: usize = 8;

/// Adds the references in a section of code.
pub(crate) fn walk(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.image.bytes, references.image.mapped.clone());
    let word = |at: usize| match at + 4 <= section.range.end {
        true => read::<4>(bytes, at).unwrap_or_default() as u32,
        false => 0,
    };
    // The pages that registers hold.
    let mut pages: [Option<u32>; 32] = [None; 32];
    let skew = section.addr.wrapping_neg() as usize % 4;
    let mut at = section.range.start + skew;
    while at + 4 <= section.range.end {
        let (code, here) = (word(at), section.addr_of(at));
        let (first, second) = ((code & 31) as usize, (code >> 5 & 31) as usize);
        let mut add = |form: Form, target: u32, mask: u32| {
            if mapped.contains(&target) {
                references.add_code(at, form, Address::relative(target, here), code & !mask);
            } else if matches!(form, Form::Call | Form::Page) {
                references.add_plain(at, form, Address::relative(target, here));
            }
        };
        let jump = |bits: u8, from: u8| {
            let distance = (code << (32 - bits - from)) as i32 >> (32 - bits) << 2;
            (here.wrapping_add(distance as u32), ((1 << bits) - 1) << from)
        };
        let mut page = None;
        if is_call(code) || code & CALL == 0x1400_0000 {
            let (target, mask) = jump(26, 0);
            let form = if is_call(code) { Form::Call } else { Form::Jump { bits: 26, from: 0 } };
            add(form, target, mask);
            pages = [None; 32];
        } else if code & 0xff00_0010 == 0x5400_0000
            || code & 0x7e00_0000 == 0x3400_0000
            || code & 0x3b00_0000 == 0x1800_0000
        {
            let (target, mask) = jump(19, 5);
            add(Form::Jump { bits: 19, from: 5 }, target, mask);
        } else if code & 0x7e00_0000 == 0x3600_0000 {
            let (target, mask) = jump(14, 5);
            add(Form::Jump { bits: 14, from: 5 }, target, mask);
        } else if code & 0x1f00_0000 == 0x1000_0000 {
            let distance = ((adr(code) << 11) as i32 >> 11) as u32;
            let mask = ADR;
            if !is_page(code) {
                add(Form::Adr, here.wrapping_add(distance), mask);
            } else {
                let held = (here & !0xfff).wrapping_add(distance << 12);
                page = Some(held);
                let uses = (1..=AHEAD).map(|step| word(at + 4 * step));
                let mut lows = uses.filter(|code| code >> 5 & 31 == first as u32).filter_map(low);
                let offset = lows.next().map_or(0, |(offset, _)| offset);
                add(Form::Page, held.wrapping_add(offset), mask);
            }
        } else if let (Some((offset, scale)), Some(held)) = (low(code), pages[second]) {
            add(Form::Low { scale }, held.wrapping_add(offset), 0xfff << 10);
        } else if code & 0xfe00_0000 == 0xd600_0000 {
            pages = [None; 32];
        }
        pages[first] = page;
        at += 4;
    }
}

/// The offset in a page that an addition, a load or a store has, and the logarithm of its unit.
fn low(code: u32) -> Option<(u32, u8)> {
    let offset = code >> 10 & 0xfff;
    if code & 0xffc0_0000 == 0x9100_0000 {
        return Some((offset, 0));
    }
    if code & 0x3b00_0000 == 0x3900_0000 {
        let is_vector = code >> 26 & 1 == 1;
        let is_quad = is_vector && code >> 30 == 0 && code >> 23 & 1 == 1;
        let scale = if is_quad { 4 } else { (code >> 30) as u8 };
        return Some((offset << scale, scale)).filter(|(offset, _)| *offset < 0x1000);
    }
    None
}
