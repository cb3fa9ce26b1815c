//! Finds the fields of an image: walks its code, then each section of which the format is known.

use crate::fields::{Fields, Use};
use crate::image::{Image, Machine};
use crate::{arm, data, dwarf, frames, golang, x86};

/// Types of sections (System V ABI, "Sections").
const SHT_RELA: u32 = 4;
const SHT_DYNSYM: u32 = 11;

/// All fields of an image.
pub(crate) fn fields<'a>(image: &'a Image<'a>, what: Use<'a>) -> Fields<'a> {
    let mut fields = Fields::new(image, what);
    let mut tables = Vec::new();
    for section in image.sections.iter().filter(|section| section.is_code) {
        fields.begin(section);
        match image.machine {
            Machine::X86 => x86::walk(&mut fields, section, &mut tables),
            Machine::Arm => arm::walk(&mut fields, section),
        }
    }
    outside_code(&mut fields, tables);
    fields
}

/// Adds the fields outside of code. `tables` are addresses that code loads.
fn outside_code(fields: &mut Fields<'_>, tables: Vec<u32>) {
    data::jumps(fields, tables);
    for section in &fields.image.sections {
        match section.kind {
            SHT_RELA if section.is_mapped => data::relocations(fields, section),
            data::SHT_SYMTAB | SHT_DYNSYM => data::symbols(fields, section),
            _ => match section.name {
                b".eh_frame_hdr" => frames::index(fields, section),
                b".eh_frame" => frames::frames(fields, section),
                // As far as it is understood.
                b".debug_info" => dwarf::entries(fields, section),
                b".debug_loc" => dwarf::locations(fields, section),
                b".debug_aranges" | b".debug_addr" | b".debug_ranges" => dwarf::words(fields, section),
                b".debug_line" => dwarf::lines(fields, section),
                b".gopclntab" => golang::lines(fields, section).unwrap_or_default(),
                _ if fields.image.is_fixed && section.is_mapped && !section.is_code => {
                    data::pointers(fields, section)
                }
                _ => {}
            },
        }
    }
}
