//! Parses an ELF file as far as needed: its machine, its sections, and the bytes at an address.
//!
//! Only 64-bit little-endian programs and libraries for x86-64 and aarch64 (System V ABI, "Object Files"). A malformed
//! section is left out; it is never an error.

use std::ops::Range;

/// Addresses of a program are below this; a section without one is given one from here on, by its offset in the file.
pub(crate) const UNMAPPED: u32 = 0x8000_0000;
/// Longer files are not parsed, in bytes.
pub(crate) const LONGEST: usize = 128 << 20;

pub(crate) const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
pub(crate) const SHF_EXECUTE: u64 = 4;

/// The instruction set of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86,
    /// aarch64.
    Aarch64,
}

/// The machine that the header of a file names.
pub(crate) fn machine(header: &[u8]) -> Option<Machine> {
    match read::<2>(header, 18)? {
        62 => Some(Machine::X86),
        183 => Some(Machine::Aarch64),
        _ => None,
    }
}

/// A section of the file.
#[derive(Debug, Clone)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: u32,
    /// Its bytes in the file.
    pub(crate) range: Range<usize>,
    /// The address of its first byte.
    pub(crate) addr: u32,
    pub(crate) is_code: bool,
    pub(crate) is_mapped: bool,
}

impl Section<'_> {
    /// The address of a byte of the file that is in it.
    pub(crate) fn addr_of(&self, at: usize) -> u32 {
        // No overflow: a mapped section ends below UNMAPPED, and files are at most LONGEST.
        self.addr + (at - self.range.start) as u32
    }
}

/// A program or library.
#[derive(Debug)]
pub(crate) struct Elf<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) machine: Machine,
    /// Linked at fixed addresses: it runs where the file says.
    pub(crate) is_fixed: bool,
    /// The sections in the order of the file; none overlaps another.
    pub(crate) sections: Vec<Section<'a>>,
    /// The mapped sections, by their addresses.
    mapped_sections: Vec<MappedSection>,
    /// The addresses from the lowest to the highest.
    pub(crate) mapped: Range<u32>,
}

/// A section with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct MappedSection {
    /// The address of its first byte.
    addr: u32,
    /// Its number in [`Elf::sections`].
    number: usize,
}

/// A little-endian number of `N` bytes.
pub(crate) fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut number = [0; 8];
    number[..N].copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    Some(u64::from_le_bytes(number))
}

/// True if a file begins as a 64-bit little-endian program or library for a known machine.
pub(crate) fn may_be(begin: &[u8]) -> bool {
    let is = |at: usize, values: &[u64]| read::<2>(begin, at).is_some_and(|value| values.contains(&value));
    begin.starts_with(b"\x7fELF\x02\x01") && is(16, &[2, 3]) && machine(begin).is_some()
}

impl<'a> Elf<'a> {
    /// Parses a file; `None` where it is of another kind, or has no code.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > LONGEST || !may_be(bytes) {
            return None;
        }
        let is_fixed = read::<2>(bytes, 16)? == 2;
        let machine = machine(bytes)?;
        let table = usize::try_from(read::<8>(bytes, 40)?).ok()?;
        let (size, count) = (read::<2>(bytes, 58)? as usize, read::<2>(bytes, 60)? as usize);
        let names = read::<2>(bytes, 62)? as usize;
        let header = |number: usize| {
            let from = number.checked_mul(size)?.checked_add(table)?;
            bytes.get(from..from.checked_add(64)?)
        };
        let names = header(names).and_then(|names| file_range(bytes, names)).unwrap_or_default();
        let mut sections: Vec<Section<'_>> =
            (0..count).filter_map(header).filter_map(|header| section(bytes, header, &names)).collect();
        sections.sort_by_key(|section| (section.range.start, section.range.end));
        let mut end = 0;
        sections.retain(|section| {
            let is_apart = section.range.start >= end;
            end = end.max(section.range.end);
            is_apart
        });
        let mapped = || sections.iter().filter(|section| section.is_mapped);
        let first = mapped().map(|section| section.addr).min().unwrap_or_default();
        let last = mapped().map(|section| section.addr_of(section.range.end)).max().unwrap_or_default();
        let mut mapped = first..last;
        // Sections that are not in the file come last: zeroed variables (`.bss`).
        for header in (0..count).filter_map(header) {
            let (kind, flags) = (read::<4>(header, 4)? as u32, read::<8>(header, 8)?);
            let end = read::<8>(header, 16)?.checked_add(read::<8>(header, 32)?);
            if let (SHT_NOBITS, true, Some(end)) = (kind, flags & SHF_ALLOC != 0, end) {
                mapped.end = mapped.end.max(u32::try_from(end).unwrap_or(0).min(UNMAPPED));
            }
        }
        if sections.iter().all(|section| !section.is_code) {
            return None;
        }
        let with_addrs = sections.iter().enumerate().filter(|(_, section)| section.is_mapped);
        let mut mapped_sections: Vec<MappedSection> =
            with_addrs.map(|(number, section)| MappedSection { addr: section.addr, number }).collect();
        mapped_sections.sort_unstable();
        Some(Elf { bytes, machine, is_fixed, sections, mapped_sections, mapped })
    }

    /// The section with this name.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section with this address.
    pub(crate) fn at(&self, addr: u32) -> Option<&Section<'a>> {
        let after = self.mapped_sections.partition_point(|section| section.addr <= addr);
        let section = &self.sections[self.mapped_sections[after.checked_sub(1)?].number];
        (addr < section.addr_of(section.range.end)).then_some(section)
    }
}

/// The bytes that a section header describes.
fn file_range(bytes: &[u8], header: &[u8]) -> Option<Range<usize>> {
    let from = usize::try_from(read::<8>(header, 24)?).ok()?;
    let to = from.checked_add(usize::try_from(read::<8>(header, 32)?).ok()?)?;
    (to <= bytes.len()).then_some(from..to)
}

fn section<'a>(bytes: &'a [u8], header: &[u8], names: &Range<usize>) -> Option<Section<'a>> {
    let kind = read::<4>(header, 4)? as u32;
    let range = file_range(bytes, header)?;
    if matches!(kind, 0 | SHT_NOBITS) || range.is_empty() {
        return None;
    }
    let flags = read::<8>(header, 8)?;
    let is_mapped = flags & SHF_ALLOC != 0;
    let addr = match is_mapped {
        true => u32::try_from(read::<8>(header, 16)?).ok()?,
        // Files are short enough.
        false => UNMAPPED + range.start as u32,
    };
    if is_mapped && u64::from(addr) + range.len() as u64 > u64::from(UNMAPPED) {
        return None;
    }
    let name = bytes.get(names.clone())?.get(read::<4>(header, 0)? as usize..).unwrap_or_default();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(Section { name, kind, range, addr, is_code: is_mapped && flags & SHF_EXECUTE != 0, is_mapped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Linked, SectionSpec, TEXT, build};

    const CODE: &[u8] = &[0x90; 64];

    fn library(parts: &[SectionSpec<'_>]) -> Vec<u8> {
        build(Machine::X86, Linked::Anywhere, parts)
    }

    fn names<'a>(elf: &'a Elf<'_>) -> Vec<&'a str> {
        elf.sections.iter().map(|section| std::str::from_utf8(section.name).unwrap()).collect()
    }

    /// The file with other bytes in its header.
    fn with(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    /// The offset of a section's header.
    fn header_of(file: &[u8], number: usize) -> usize {
        read::<8>(file, 40).unwrap() as usize + 64 * number
    }

    #[test]
    fn only_64_bit_little_endian_programs_and_libraries_are_parsed() {
        let file = library(&[SectionSpec::code(TEXT, CODE)]);
        assert!(Elf::parse(&file).is_some_and(|elf| !elf.is_fixed && elf.machine == Machine::X86));
        let fixed = build(Machine::Aarch64, Linked::Fixed, &[SectionSpec::code(TEXT, CODE)]);
        assert!(Elf::parse(&fixed).is_some_and(|elf| elf.is_fixed && elf.machine == Machine::Aarch64));
        // 32 bits, the other byte order, an object file, a core dump, another machine, another magic number.
        for (at, byte) in [(4, 1), (5, 2), (16, 1), (16, 4), (18, 3), (18, 40), (0, 0x7e), (3, b'G')] {
            let other = with(&file, at, &[byte]);
            assert!(Elf::parse(&other).is_none() && !may_be(&other), "{at}");
        }
        for end in 0..20 {
            assert!(!may_be(&file[..end]) && Elf::parse(&file[..end]).is_none());
        }
        // Without code there is nothing to do.
        assert!(Elf::parse(&library(&[SectionSpec::data(".data", Some(0x2000), CODE)])).is_none());
    }

    #[test]
    fn sections_come_in_the_order_of_the_file_whatever_that_of_their_headers_is() {
        let file = library(&[
            SectionSpec::data(".b", Some(0x3000), &[2; 32]),
            SectionSpec::code(TEXT, CODE),
            SectionSpec::data(".a", Some(0x2000), &[1; 32]),
        ]);
        let swapped = {
            let (one, other) = (header_of(&file, 1), header_of(&file, 3));
            let headers = [file[other..other + 64].to_vec(), file[one..one + 64].to_vec()];
            with(&with(&file, one, &headers[0]), other, &headers[1])
        };
        for file in [&file, &swapped] {
            let elf = Elf::parse(file).unwrap();
            assert_eq!(names(&elf), [".b", ".text", ".a", ".shstrtab"]);
            // By their addresses they are found all the same.
            let at = |addr| elf.at(addr).map(|section| std::str::from_utf8(section.name).unwrap());
            assert_eq!(
                [0xfff, TEXT, TEXT + 63, TEXT + 64].map(at),
                [None, Some(".text"), Some(".text"), None]
            );
            assert_eq!(
                [0x2000, 0x201f, 0x2020, 0x3000, 0x4000].map(at),
                [Some(".a"), Some(".a"), None, Some(".b"), None]
            );
            assert_eq!(elf.mapped, TEXT..0x3020);
        }
    }

    #[test]
    fn a_section_that_overlaps_one_before_it_is_left_out() {
        let file =
            library(&[SectionSpec::code(TEXT, CODE), SectionSpec::data(".data", Some(0x2000), &[1; 32])]);
        // The second begins a byte before the end of the first, and within it.
        for from in [64 + 63_u64, 64 + 10] {
            let overlapping = with(&file, header_of(&file, 2) + 24, &from.to_le_bytes());
            assert_eq!(names(&Elf::parse(&overlapping).unwrap()), [".text", ".shstrtab"], "{from}");
        }
        // Of two that begin together the shorter one comes first; here no code is left.
        let covered = with(&file, header_of(&file, 2) + 24, &64_u64.to_le_bytes());
        assert!(Elf::parse(&covered).is_none());
        // The first one is longer than it seems, up to the end of the file.
        let long = (file.len() as u64 - 64).to_le_bytes();
        let long = with(&file, header_of(&file, 1) + 32, &long);
        assert_eq!(names(&Elf::parse(&long).unwrap()), [".text"]);
    }

    #[test]
    fn sections_out_of_bounds_are_left_out() {
        let file =
            library(&[SectionSpec::code(TEXT, CODE), SectionSpec::data(".data", Some(0x2000), &[1; 32])]);
        let second = header_of(&file, 2);
        let is_there = |file: &[u8]| names(&Elf::parse(file).unwrap()).contains(&".data");
        assert!(is_there(&file));
        for (what, at, value) in [
            ("begins behind the file", 24, file.len() as u64 + 1),
            ("begins behind all numbers", 24, u64::MAX),
            ("ends behind the file", 32, file.len() as u64),
            ("ends behind all numbers", 32, u64::MAX),
            ("is empty", 32, 0),
            ("lies above the low addresses", 16, 0x8000_0000),
            ("ends above the low addresses", 16, 0x7fff_fff0),
            ("lies above 32 bits", 16, 1 << 32),
        ] {
            assert!(!is_there(&with(&file, second + at, &value.to_le_bytes())), "{what}");
        }
        for kind in [0_u32, SHT_NOBITS] {
            assert!(!is_there(&with(&file, second + 4, &kind.to_le_bytes())));
        }
        assert!(
            is_there(&with(&file, second + 16, &0x7fff_ffe0_u64.to_le_bytes())),
            "up to the last low address"
        );
        // A name behind the names has no bytes; of names that are none no section has one.
        let unnamed = with(&file, second, &u32::MAX.to_le_bytes());
        assert_eq!(names(&Elf::parse(&unnamed).unwrap())[1], "");
        for number in [0_u16, 77, u16::MAX] {
            let unnamed = with(&file, 62, &number.to_le_bytes());
            assert!(
                Elf::parse(&unnamed)
                    .is_none_or(|elf| elf.sections.iter().all(|section| section.name.is_empty()))
            );
        }
    }

    #[test]
    fn a_table_of_sections_out_of_bounds_is_none() {
        let file = library(&[SectionSpec::code(TEXT, CODE)]);
        for table in [file.len() as u64, u64::MAX, u64::MAX - 63, 1 << 40] {
            assert!(Elf::parse(&with(&file, 40, &table.to_le_bytes())).is_none(), "{table}");
        }
        // Entries that are shorter or longer than they are, and more of them than there are.
        for (at, value) in [(58, 0_u16), (58, 1), (58, u16::MAX), (60, u16::MAX), (60, 0)] {
            if let Some(elf) = Elf::parse(&with(&file, at, &value.to_le_bytes())) {
                assert!(elf.sections.iter().all(|section| section.range.end <= file.len()));
            }
        }
        // The file ends anywhere.
        for end in 0..file.len() {
            if let Some(elf) = Elf::parse(&file[..end]) {
                assert!(elf.sections.iter().all(|section| section.range.end <= end));
            }
        }
    }

    #[test]
    fn zeroed_variables_extend_the_addresses() {
        let file =
            library(&[SectionSpec::code(TEXT, CODE), SectionSpec::data(".bss", Some(0x5000), &[0; 16])]);
        let header = header_of(&file, 2);
        let bss = with(&file, header + 4, &SHT_NOBITS.to_le_bytes());
        let bss = with(&bss, header + 32, &0x1_0000_u64.to_le_bytes());
        assert_eq!(Elf::parse(&bss).unwrap().mapped, TEXT..0x1_5000);
        // As far as addresses go.
        let long = with(&bss, header + 32, &0x7fff_ffff_u64.to_le_bytes());
        assert_eq!(Elf::parse(&long).unwrap().mapped.end, UNMAPPED);
        for size in [1 << 40, u64::MAX] {
            let longer = with(&bss, header + 32, &size.to_le_bytes());
            assert!(Elf::parse(&longer).is_none_or(|elf| elf.mapped.end <= UNMAPPED));
        }
    }
}
