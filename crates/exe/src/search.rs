//! Finds the references of an ELF file: in its code, then in each section whose format is known.

use crate::elf::{Elf, Machine};
use crate::references::{Action, References};
use crate::{aarch64, data, dwarf, eh_frame, gopclntab, x86};

/// Types of sections (System V ABI, "Sections").
const SHT_RELA: u32 = 4;
const SHT_DYNSYM: u32 = 11;

/// All references of an ELF file.
pub(crate) fn references<'a>(elf: &'a Elf<'a>, action: Action<'a>) -> References<'a> {
    let mut references = References::new(elf, action);
    let mut tables = Vec::new();
    for section in elf.sections.iter().filter(|section| section.is_code) {
        references.begin(section);
        match elf.machine {
            Machine::X86 => x86::references::walk(&mut references, section, &mut tables),
            Machine::Aarch64 => aarch64::references::walk(&mut references, section),
        }
    }
    outside_code(&mut references, tables);
    references
}

/// Adds the references outside of code. `tables` are addresses that code loads.
fn outside_code(references: &mut References<'_>, tables: Vec<u32>) {
    data::jumps(references, tables);
    for section in &references.elf.sections {
        match section.kind {
            SHT_RELA if section.is_mapped => data::relocations(references, section),
            data::SHT_SYMTAB | SHT_DYNSYM => data::symbols(references, section),
            _ => match section.name {
                b".eh_frame_hdr" => eh_frame::index(references, section),
                b".eh_frame" => eh_frame::frames(references, section),
                b".debug_info" => dwarf::entries(references, section),
                b".debug_loc" => dwarf::locations(references, section),
                b".debug_aranges" | b".debug_addr" | b".debug_ranges" => dwarf::words(references, section),
                b".debug_line" => dwarf::lines(references, section),
                b".gopclntab" => gopclntab::lines(references, section).unwrap_or_default(),
                _ if references.elf.is_fixed && section.is_mapped && !section.is_code => {
                    data::pointers(references, section)
                }
                _ => {}
            },
        }
    }
}
