//! Finds the references in x86-64 code.

use super::instruction::instruction;
use crate::image::{Section, read};
use crate::references::{Address, Form, References};

/// Adds the references in a section of code, and to `tables` the addresses that `lea` loads.
pub(crate) fn walk(references: &mut References<'_>, section: &Section<'_>, tables: &mut Vec<u32>) {
    let (bytes, mapped) = (references.image.bytes, references.image.mapped.clone());
    let mut at = section.range.start;
    while at < section.range.end {
        let found = instruction(&bytes[at..section.range.end]);
        let end = section.addr_of(at + found.len);
        if references.image.is_fixed {
            for part in found.absolute.into_iter().flatten() {
                let target = read::<4>(bytes, at + part).unwrap_or_default() as u32;
                if mapped.contains(&target) {
                    let here = section.addr_of(at + part);
                    references.add_code(at + part, Form::Word, Address::relative(target, here), 0);
                }
            }
        }
        if let Some(part) = found.relative {
            let distance = read::<4>(bytes, at + part).unwrap_or_default() as u32;
            let target = end.wrapping_add(distance);
            let address = Address::relative(target, section.addr_of(at + part));
            let form = if found.is_jump { Form::Distance } else { Form::Absolute };
            if mapped.contains(&target) {
                references.add_code(at + part, form, address, 0);
                if found.is_lea {
                    tables.push(target);
                }
            } else if form == Form::Absolute {
                references.add_plain(at + part, form, address);
            }
        }
        at += found.len;
    }
}
