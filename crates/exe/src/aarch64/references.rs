//! Finds the references in aarch64 code: calls, jumps, and pages with the offsets in them.

use super::instruction::{ADR, CALL, adr, is_call, is_page};
use crate::elf::{Section, read};
use crate::references::{Address, AddressForm, References};

/// Instructions after an `adrp` among which the one that uses its page is looked for.
const AHEAD: usize = 8;

/// Adds the references in a section of code.
pub(crate) fn walk(references: &mut References<'_>, section: &Section<'_>) {
    let (bytes, mapped) = (references.elf.bytes, references.elf.mapped.clone());
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
        let mut add = |form: AddressForm, target: u32, mask: u32| {
            if mapped.contains(&target) {
                references.add_code(at, form, Address::relative(target, here), code & !mask);
            } else if matches!(form, AddressForm::Call | AddressForm::Page) {
                references.add_plain(at, form, Address::relative(target, here));
            }
        };
        let mut page = None;
        if let Some(Immediate { bits, from }) = branch(code) {
            let distance = (code << (32 - bits - from)) as i32 >> (32 - bits) << 2;
            let form = if is_call(code) { AddressForm::Call } else { AddressForm::Jump { bits, from } };
            add(form, here.wrapping_add(distance as u32), ((1 << bits) - 1) << from);
            if bits == 26 {
                pages = [None; 32];
            }
        } else if code & 0x1f00_0000 == 0x1000_0000 {
            let distance = ((adr(code) << 11) as i32 >> 11) as u32;
            if !is_page(code) {
                add(AddressForm::Adr, here.wrapping_add(distance), ADR);
            } else {
                let held = (here & !0xfff).wrapping_add(distance << 12);
                page = Some(held);
                let uses = (1..=AHEAD).map(|step| word(at + 4 * step));
                let mut lows = uses.filter(|code| code >> 5 & 31 == first as u32).filter_map(low);
                let offset = lows.next().map_or(0, |low| low.offset);
                add(AddressForm::Page, held.wrapping_add(offset), ADR);
            }
        } else if let (Some(PageOffset { offset, scale }), Some(held)) = (low(code), pages[second]) {
            add(AddressForm::Low { scale }, held.wrapping_add(offset), 0xfff << 10);
        } else if code & 0xfe00_0000 == 0xd600_0000 {
            pages = [None; 32];
        }
        pages[first] = page;
        at += 4;
    }
}

/// The bits of an instruction that hold a distance in instructions.
struct Immediate {
    bits: u8,
    /// The lowest of them.
    from: u8,
}

/// The distance that a call, a jump or a load relative to itself has.
fn branch(code: u32) -> Option<Immediate> {
    let is = |mask: u32, value: u32| code & mask == value;
    if is_call(code) || is(CALL, 0x1400_0000) {
        Some(Immediate { bits: 26, from: 0 })
    } else if is(0xff00_0010, 0x5400_0000) || is(0x7e00_0000, 0x3400_0000) || is(0x3b00_0000, 0x1800_0000) {
        Some(Immediate { bits: 19, from: 5 })
    } else if is(0x7e00_0000, 0x3600_0000) {
        Some(Immediate { bits: 14, from: 5 })
    } else {
        None
    }
}

/// An offset in a page.
struct PageOffset {
    offset: u32,
    /// The logarithm of its unit.
    scale: u8,
}

/// The offset in a page that an addition, a load or a store has.
fn low(code: u32) -> Option<PageOffset> {
    let offset = code >> 10 & 0xfff;
    if code & 0xffc0_0000 == 0x9100_0000 {
        return Some(PageOffset { offset, scale: 0 });
    }
    if code & 0x3b00_0000 == 0x3900_0000 {
        let is_vector = code >> 26 & 1 == 1;
        let is_quad = is_vector && code >> 30 == 0 && code >> 23 & 1 == 1;
        let scale = if is_quad { 4 } else { (code >> 30) as u8 };
        return Some(PageOffset { offset: offset << scale, scale }).filter(|low| low.offset < 0x1000);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Machine;
    use crate::testing::{Linked, SectionSpec, build, found_in_code};

    const AT: u32 = 0x1_0000;

    /// A library with these instructions, from an address on, and a page of data at 0x20000.
    fn library(addr: u32, words: &[u32]) -> Vec<u8> {
        let code = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let skew = vec![0xee; addr.wrapping_neg() as usize % 4];
        let code = [&skew[..], &code].concat();
        let parts =
            [SectionSpec::code(addr, &code), SectionSpec::data(".data", Some(0x2_0000), &[0; 0x1000])];
        build(Machine::Aarch64, Linked::Anywhere, &parts)
    }

    #[test]
    fn branches_and_loads_of_each_form_are_found() {
        let cases = [
            ("bl .+8", 0x9400_0002, AddressForm::Call, 8),
            ("bl .-0", 0x9400_0000, AddressForm::Call, 0),
            ("b .+16", 0x1400_0004, AddressForm::Jump { bits: 26, from: 0 }, 16),
            ("b.ne .+32", 0x5400_0101, AddressForm::Jump { bits: 19, from: 5 }, 32),
            ("cbz x1, .+4", 0xb400_0021, AddressForm::Jump { bits: 19, from: 5 }, 4),
            ("cbnz w1, .+4", 0x3500_0021, AddressForm::Jump { bits: 19, from: 5 }, 4),
            ("ldr x1, .+8", 0x5800_0041, AddressForm::Jump { bits: 19, from: 5 }, 8),
            ("tbz w1, #0, .+12", 0x3600_0061, AddressForm::Jump { bits: 14, from: 5 }, 12),
            ("tbnz w1, #3, .+12", 0x3718_0061, AddressForm::Jump { bits: 14, from: 5 }, 12),
            ("adr x1, .+9", 0x3000_0041, AddressForm::Adr, 9),
        ];
        for (text, word, form, distance) in cases {
            let file = library(AT, &[word, 0, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(found_in_code(&file), [(0, form, AT + distance)], "{text}");
        }
        // Backwards; in the second word, of a section that does not begin at a word.
        let file = library(AT + 2, &[0xd503_201f, 0xd503_201f, 0x97ff_ffff]);
        assert_eq!(found_in_code(&file), [(10, AddressForm::Call, AT + 8)]);
    }

    #[test]
    fn what_leads_out_of_the_file_is_no_reference() {
        // `b`, `b.eq`, `cbz` and `adr` far away; calls and pages are written as addresses, but not paired.
        for word in [0x17ff_0000, 0x5480_0000, 0xb480_0001, 0x1080_0001, 0x97ff_0000, 0x9040_0001] {
            assert_eq!(found_in_code(&library(AT, &[word])), [], "{word:x}");
        }
        assert_eq!(found_in_code(&library(AT, &[0xd65f_03c0, 0xd503_201f, 0xaa01_03e0])), []);
    }

    #[test]
    fn the_offset_in_a_page_belongs_to_the_adrp_of_its_register() {
        // adrp x1, 0x20000; add x1, x1, #0x10; ldr x2, [x1, #0x18]
        let page = 0x9000_0081;
        let file = library(AT, &[page, 0x9100_4021]);
        assert_eq!(
            found_in_code(&file),
            [(0, AddressForm::Page, 0x2_0010), (4, AddressForm::Low { scale: 0 }, 0x2_0010)]
        );
        let file = library(AT, &[page, 0xf940_0c22]);
        assert_eq!(
            found_in_code(&file),
            [(0, AddressForm::Page, 0x2_0018), (4, AddressForm::Low { scale: 3 }, 0x2_0018)]
        );
        // ldrb, ldr w, and a vector of 16 bytes have units of their own.
        for (word, offset, scale) in [(0x3940_0c22, 3, 0), (0xb940_0c22, 12, 2), (0x3dc0_0c22, 48, 4)] {
            let file = library(AT, &[page, word]);
            assert_eq!(
                found_in_code(&file)[1],
                (4, AddressForm::Low { scale }, 0x2_0000 + offset),
                "{word:x}"
            );
        }
        // Another register, one that was overwritten, and one after a call or a return.
        for between in [0x9100_4042, 0xd280_0001, 0x9400_0001, 0xd65f_03c0] {
            let file = library(AT, &[page, between, 0x9100_4021]);
            let lows = found_in_code(&file)
                .into_iter()
                .filter(|found| matches!(found.1, AddressForm::Low { .. }) && found.0 == 8);
            assert_eq!(lows.count(), usize::from(between == 0x9100_4042), "{between:x}");
        }
        // Too far behind the page to tell its target, which then is its begin.
        let far = [&[page][..], &[0xd503_201f; AHEAD], &[0x9100_4021]].concat();
        assert_eq!(found_in_code(&library(AT, &far))[0], (0, AddressForm::Page, 0x2_0000));
    }
}
