//! ELF files of a few sections, for tests of what finds references in them.

use crate::elf::{Elf, Machine};
use crate::references::{Action, AddressForm};
use crate::search;

/// The address of `.text`, which each file has, of 64 bytes.
pub(crate) const TEXT: u32 = 0x1000;

/// A section of a built file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SectionSpec<'a> {
    pub(crate) name: &'a str,
    /// `sh_type`.
    pub(crate) kind: u32,
    /// `sh_flags`: 2 has an address, 4 is executed.
    pub(crate) flags: u64,
    pub(crate) addr: u64,
    pub(crate) bytes: &'a [u8],
}

impl<'a> SectionSpec<'a> {
    pub(crate) fn code(addr: u32, bytes: &'a [u8]) -> SectionSpec<'a> {
        SectionSpec { name: ".text", kind: 1, flags: 6, addr: addr.into(), bytes }
    }

    /// Data with an address, or without one.
    pub(crate) fn data(name: &'a str, addr: Option<u32>, bytes: &'a [u8]) -> SectionSpec<'a> {
        let flags = 2 * u64::from(addr.is_some());
        SectionSpec { name, kind: 1, flags, addr: addr.unwrap_or(0).into(), bytes }
    }

    pub(crate) fn of_kind(self, kind: u32) -> SectionSpec<'a> {
        SectionSpec { kind, ..self }
    }
}

/// The load address of a program: that of the file, or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linked {
    Fixed,
    Anywhere,
}

/// A file of these sections, in this order, and the names.
pub(crate) fn build(machine: Machine, linked: Linked, parts: &[SectionSpec<'_>]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
    bytes.resize(64, 0);
    let (mut names, mut headers) = (vec![0], vec![0; 64]);
    for part in [parts, &[SectionSpec::data(".shstrtab", None, &[])]].concat() {
        let at = names.len();
        names.extend([part.name.as_bytes(), &[0]].concat());
        let from = bytes.len();
        bytes.extend(if part.name == ".shstrtab" { &names[..] } else { part.bytes });
        headers.extend([(at as u32).to_le_bytes(), part.kind.to_le_bytes()].concat());
        let numbers = [part.flags, part.addr, from as u64, (bytes.len() - from) as u64, 0, 1, 0];
        headers.extend(numbers.map(u64::to_le_bytes).concat());
    }
    let count = (headers.len() / 64) as u16;
    let table = bytes.len() as u64;
    bytes.extend(headers);
    let kind: u16 = if linked == Linked::Fixed { 2 } else { 3 };
    let machine: u16 = if machine == Machine::X86 { 62 } else { 183 };
    for (at, number) in [(16, kind), (18, machine), (58, 64), (60, count), (62, count - 1)] {
        bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
    }
    bytes[40..48].copy_from_slice(&table.to_le_bytes());
    bytes
}

/// A library for x86-64 of `.text` and these sections: name, address, bytes.
pub(crate) fn elf(sections: &[(&str, Option<u32>, &[u8])]) -> Vec<u8> {
    let parts = sections.iter().map(|(name, addr, bytes)| SectionSpec::data(name, *addr, bytes));
    let parts: Vec<SectionSpec<'_>> =
        [SectionSpec::code(TEXT, &[0x90; 64])].into_iter().chain(parts).collect();
    build(Machine::X86, Linked::Anywhere, &parts)
}

/// The references in code: the offset of each in `.text`, its form, and its target.
pub(crate) fn found_in_code(file: &[u8]) -> Vec<(usize, AddressForm, u32)> {
    let elf = Elf::parse(file).unwrap();
    let start = elf.named(b".text").unwrap().range.start;
    let references = search::references(&elf, Action::Collect).code.into_iter();
    references.map(|found| (found.at as usize - start, found.form, found.address.target)).collect()
}

/// The references in data: the offset of each in the section of this name, its form, its target and its base.
pub(crate) fn found(file: &[u8], section: &str) -> Vec<(usize, AddressForm, u32, u32)> {
    let elf = Elf::parse(file).unwrap();
    let range = elf.named(section.as_bytes()).unwrap().range.clone();
    let references = search::references(&elf, Action::Collect).data.into_iter();
    let here = references.filter(|found| range.contains(&(found.at as usize)));
    here.map(|found| (found.at as usize - range.start, found.form, found.address.target, found.address.base))
        .collect()
}

/// The first address of a section.
pub(crate) fn addr(file: &[u8], section: &str) -> u32 {
    Elf::parse(file).unwrap().named(section.as_bytes()).unwrap().addr
}
