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
pub(crate) struct Image<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) machine: Machine,
    /// Linked at fixed addresses: it runs where the file says.
    pub(crate) is_fixed: bool,
    /// In the order of the file; none overlaps another.
    pub(crate) sections: Vec<Section<'a>>,
    /// Those with addresses, by them: the first address, and which section.
    addresses: Vec<(u32, usize)>,
    /// From the lowest address to the highest.
    pub(crate) mapped: Range<u32>,
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

impl<'a> Image<'a> {
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
        let mut addresses: Vec<_> = with_addrs.map(|(number, section)| (section.addr, number)).collect();
        addresses.sort_unstable();
        Some(Image { bytes, machine, is_fixed, sections, addresses, mapped })
    }

    /// The section with this name.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The section with this address.
    pub(crate) fn at(&self, addr: u32) -> Option<&Section<'a>> {
        let after = self.addresses.partition_point(|(first, _)| *first <= addr);
        let section = &self.sections[self.addresses[after.checked_sub(1)?].1];
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
