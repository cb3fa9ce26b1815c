//! Old and new versions of an executable, and address maps of a peer.

use dsync_exe::{AddressMap, Addresses, align, make_absolute, map_addresses};

use crate::pieces::{joined, parts};
use crate::{Memory, Target};

/// Two ELF files of any sections, whose addresses are mapped; and a map of any bytes.
pub(in crate::targets) const EXECUTABLES: Target = Target {
    name: "executables",
    run,
    // Several vectors that are as long as a file have room for 33 MiB each.
    memory: Memory { least: 512 << 20, factor: 4 << 10 },
    seeds,
};

fn run(input: &[u8]) {
    let parts = parts(input, 16);
    let [how, hostile, sections @ ..] = &parts[..] else { return };
    let how = |at: usize| how.get(at).copied().unwrap_or_default();
    let (old, new) = match how(0) & 1 {
        0 => {
            let (old, new) = sections.split_at(sections.len() / 2);
            (elf(how(1), old), elf(how(1), new))
        }
        // The same file, whose sections lie elsewhere.
        _ => (elf(how(1), sections), elf(how(1) ^ 0x10, sections)),
    };
    if let (Some(before), Some(after)) = (Addresses::of(&old), Addresses::of(&new))
        && let Some(made) = map_addresses(before, after)
    {
        follow(&old, &made);
    }
    if let Some(map) = AddressMap::decode(hostile) {
        follow(&old, &map);
    }
    let mut changed = new.clone();
    make_absolute(&mut changed);
    assert_eq!(changed.len(), new.len());
}

/// A map is decoded as it was encoded, and both ends come to the same bytes with it.
fn follow(old: &[u8], map: &AddressMap) {
    let decoded = AddressMap::decode(&map.encode());
    assert_eq!(decoded.as_ref(), Some(map), "a map is decoded as another");
    let here = align(old, map);
    assert_eq!(here.len(), old.len(), "a file got another length");
    assert!(decoded.is_some_and(|map| align(old, &map) == here), "both ends have other bytes");
}

/// Names of sections that are looked into.
const NAMES: [&str; 16] = [
    ".text",
    ".eh_frame",
    ".eh_frame_hdr",
    ".rela.dyn",
    ".data.rel.ro",
    ".got",
    ".gopclntab",
    ".debug_info",
    ".debug_abbrev",
    ".debug_line",
    ".debug_loclists",
    ".debug_rnglists",
    ".debug_addr",
    ".symtab",
    ".dynsym",
    ".rodata",
];

/// A file of these sections: of each the first byte names it, the next two are its address, the fourth its kind.
fn elf(how: u8, sections: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
    bytes.resize(64, 0);
    let (mut names, mut headers) = (vec![0], vec![0; 64]);
    for section in sections {
        let [name, low, high, kind, content @ ..] = section else { continue };
        let name = NAMES[usize::from(*name) % NAMES.len()];
        let addr = u64::from(u16::from_le_bytes([*low, *high])) << (how >> 4 & 1) << (how >> 1 & 7);
        header(&mut headers, &mut names, name, addr, u32::from(*kind), (bytes.len(), content.len()));
        bytes.extend_from_slice(content);
    }
    let from = bytes.len();
    let len = names.len() + ".shstrtab".len() + 1;
    header(&mut headers, &mut names, ".shstrtab", 0, 3, (from, len));
    bytes.extend(&names);
    let (table, count) = (bytes.len() as u64, (headers.len() / 64) as u16);
    bytes.extend(headers);
    let machine: u16 = if how & 1 == 0 { 62 } else { 183 };
    let kind: u16 = if how & 0x20 == 0 { 3 } else { 2 };
    for (at, number) in [(16, kind), (18, machine), (58, 64), (60, count), (62, count - 1)] {
        bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
    }
    bytes[40..48].copy_from_slice(&table.to_le_bytes());
    bytes
}

fn header(
    headers: &mut Vec<u8>,
    names: &mut Vec<u8>,
    name: &str,
    addr: u64,
    kind: u32,
    (from, len): (usize, usize),
) {
    headers.extend((names.len() as u32).to_le_bytes());
    names.extend(name.as_bytes());
    names.push(0);
    headers.extend(kind.max(1).to_le_bytes());
    let flags = if name == ".text" { 6 } else { 2 * u64::from(addr > 0) };
    for number in [flags, addr, from as u64, len as u64, 0, 1, 0] {
        headers.extend(number.to_le_bytes());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let code: Vec<u8> = (0..40_u32)
        .flat_map(|at| {
            [&[0xe8][..], &(at * 96).to_le_bytes(), &[0x48, 0x8d, 5], &(at * 64).to_le_bytes()].concat()
        })
        .collect();
    let text = [&[0, 0, 0x10, 1][..], &code].concat();
    let frames = b"\x01\0\x20\x01\x14\0\0\0\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0\x14\0\0\0\x1c\0\0\0\0\x10\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut words = vec![5, 0, 0x30, 1];
    words.extend((0..60_u64).flat_map(|at| (0x1000 + at * 8).to_le_bytes()));
    let mut relocations = vec![3, 0, 0x40, 4];
    relocations
        .extend((0..30_u64).flat_map(|at| [0x3000 + at * 8, 8, 0x1000 + at * 4]).flat_map(u64::to_le_bytes));
    let map = [2, 0x80, 0x20, 0x80, 0x40, 0x20, 0x10];
    let debug = b"\x08\0\0\x01\x01\x11\x01\x11\x01\x12\x06\0\0\x02\x2e\0\x03\x0e\x11\x01\0\0\0";
    let info = b"\x07\0\0\x01\x30\0\0\0\x04\0\0\0\0\0\x08\x01\0\x10\0\0\0\0\0\0\x40\0\0\0\x02\x05\0\0\0\x10\x10\0\0\0\0\0\0\0";
    vec![
        joined(&[&[1, 0], &map, &text, &frames[..], &words, &relocations]),
        joined(&[&[1, 1], &map, &text, &words]),
        joined(&[&[0, 0x20], &map, &text, debug, info, &text, debug, info]),
    ]
}
