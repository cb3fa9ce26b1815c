//! Sections of any bytes under the names that are parsed: nothing panics, and both ends come to the same.

use dsync_exe::{AddressMap, Addresses, align, find_code, make_absolute, map_addresses};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names of sections that are looked into, and the types of some.
const NAMES: [(&str, u32); 16] = [
    (".text", 1),
    (".eh_frame", 1),
    (".eh_frame_hdr", 1),
    (".rela.dyn", 4),
    (".symtab", 2),
    (".dynsym", 11),
    (".strtab", 3),
    (".dynstr", 3),
    (".gopclntab", 1),
    (".debug_info", 1),
    (".debug_abbrev", 1),
    (".debug_line", 1),
    (".debug_loc", 1),
    (".debug_ranges", 1),
    (".debug_str", 1),
    (".rodata", 1),
];

/// Words that mean something in one of the formats, between others.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        any::<u32>().prop_map(|word| word.to_le_bytes().to_vec()),
        (0_u32..0x400).prop_map(|word| word.to_le_bytes().to_vec()),
        (0x1000_u64..0x9000).prop_map(|word| word.to_le_bytes().to_vec()),
        Just(vec![0xff; 8]),
        Just(vec![0x80; 12]),
        // The begin of a Go table, of an unwind entry and its index, of a unit, and of abbreviations.
        Just([&0xffff_fff1_u32.to_le_bytes()[..], &[0, 0, 1, 8, 3, 0, 0, 0, 0, 0, 0, 0]].concat()),
        Just(b"\x14\0\0\0\0\0\0\0\x01zPLR\0\x01\x78\x10\x07\x9b\0\0\0\0\x1b\x1b\0\0\0".to_vec()),
        Just(b"\x01\x1b\x03\x3b".to_vec()),
        Just(b"\x20\0\0\0\x04\0\0\0\0\0\x08\x01".to_vec()),
        Just(b"\x01\x11\x01\x03\x0e\x11\x01\x49\x13\x10\x17\x02\x18\0\0".to_vec()),
        Just(b"\0\x09\x02".to_vec()),
    ];
    vec(word, 0..60).prop_map(|words| words.concat())
}

#[derive(Debug, Clone)]
struct File {
    is_x86: bool,
    is_fixed: bool,
    sections: Vec<(usize, u32, Vec<u8>)>,
    /// Bytes of the file that are others.
    damage: Vec<(prop::sample::Index, u8)>,
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
        bytes.resize(64, 0);
        let (mut names, mut headers) = (vec![0_u8], vec![0_u8; 64]);
        let mut add = |name: &str, kind: u32, addr: u64, content: Option<&[u8]>| {
            headers.extend((names.len() as u32).to_le_bytes());
            headers.extend(kind.to_le_bytes());
            names.extend([name.as_bytes(), &[0]].concat());
            let from = bytes.len() as u64;
            bytes.extend(content.unwrap_or(&names));
            let flags = if name == ".text" { 6 } else { 2 * u64::from(addr > 0) };
            for number in [flags, addr, from, bytes.len() as u64 - from, 0, 1, 0] {
                headers.extend(number.to_le_bytes());
            }
        };
        for (number, page, content) in &self.sections {
            let (name, kind) = NAMES[*number];
            add(name, kind, u64::from(*page) * 0x1000, Some(content));
        }
        add(".shstrtab", 3, 0, None);
        let (table, count) = (bytes.len() as u64, (headers.len() / 64) as u16);
        bytes.extend(headers);
        let kind: u16 = if self.is_fixed { 2 } else { 3 };
        let machine: u16 = if self.is_x86 { 62 } else { 183 };
        for (at, number) in [(16, kind), (18, machine), (58, 64), (60, count), (62, count - 1)] {
            bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
        }
        bytes[40..48].copy_from_slice(&table.to_le_bytes());
        for (at, byte) in &self.damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        bytes
    }
}

fn file() -> impl Strategy<Value = File> {
    let section = (0..NAMES.len(), 0_u32..9, content());
    let text = (Just(0), 1_u32..9, content());
    let sections = (text, vec(section, 0..8)).prop_map(|(text, mut sections)| {
        sections.push(text);
        sections
    });
    let damage =
        prop_oneof![3 => Just(Vec::new()), 1 => vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)];
    (any::<bool>(), any::<bool>(), sections, damage).prop_map(|(is_x86, is_fixed, sections, damage)| File {
        is_x86,
        is_fixed,
        sections,
        damage,
    })
}

fn map() -> impl Strategy<Value = AddressMap> {
    vec((1_u32..0x2000, any::<i32>()), 0..12).prop_map(|ranges| {
        let number = |mut value: u32, out: &mut Vec<u8>| {
            while value >= 0x80 {
                out.push(value as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        };
        let mut bytes = vec![ranges.len() as u8];
        ranges.iter().for_each(|range| number(range.0, &mut bytes));
        ranges.iter().for_each(|range| number(range.1 as u32, &mut bytes));
        AddressMap::decode(&bytes).expect("a map")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_sections_are_aligned_to_as_many_bytes(file in file(), map in map()) {
        let bytes = file.bytes();
        let aligned = align(&bytes, &map);
        prop_assert_eq!(aligned.len(), bytes.len());
        prop_assert_eq!(align(&bytes, &map), aligned);
        let mut filtered = bytes.clone();
        make_absolute(&mut filtered);
        prop_assert_eq!(filtered.len(), bytes.len());
    }

    #[test]
    fn any_two_files_have_a_map_or_none(old in file(), new in file()) {
        let (old, new) = (old.bytes(), new.bytes());
        if let (Some(before), Some(after)) = (Addresses::of(&old), Addresses::of(&new))
            && let Some(map) = map_addresses(before, after)
        {
            prop_assert_eq!(AddressMap::decode(&map.encode()), Some(map.clone()));
            prop_assert_eq!(align(&old, &map).len(), old.len());
        }
    }

    #[test]
    fn code_is_within_the_file_and_apart(file in file()) {
        let bytes = file.bytes();
        let read_at = |at: u64, out: &mut [u8]| {
            let from = usize::try_from(at).expect("within the file");
            out.copy_from_slice(bytes.get(from..from + out.len()).expect("within the file"));
            Ok(())
        };
        let mut end = 0;
        for code in find_code(bytes.len() as u64, read_at).unwrap() {
            prop_assert!(code.range.start >= end && code.range.start < code.range.end);
            end = code.range.end;
        }
        prop_assert!(end <= bytes.len() as u64);
    }
}
