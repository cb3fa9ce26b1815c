//! Programs as a linker makes them, for tests of what knows about addresses; they are not meant to run.

use dsync_core::Digest;

/// For which machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86,
    /// aarch64.
    Aarch64,
}

/// The offset of the code, both in the file and in memory.
const TEXT: usize = 0x1000;
/// Entries of relocation tables.
const RELATIVE: usize = 24;

/// A position-independent program of so many functions that call each other and load strings, each function also in
/// a table of pointers. `more` names functions that are longer by some bytes, so that what comes after them moves. The same for the
/// same seed.
pub fn linked(machine: Machine, seed: &str, functions: usize, more: &[usize]) -> Vec<u8> {
    let random = |function: usize, number: usize| {
        let digest = Digest::of(format!("{seed} {function} {number}").as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    let calls = |function: usize| 4 + random(function, 0) as usize % 12;
    // An opcode and an immediate, a call, a load; each function begins at a multiple of 16.
    let step = |machine| if machine == Machine::X86 { 5 + 5 + 7 } else { 4 + 4 + 8 };
    let len = |function: usize| {
        let extra = if more.contains(&function) { 100 } else { 0 };
        (calls(function) * step(machine) + extra).next_multiple_of(16)
    };
    let mut begins = Vec::with_capacity(functions);
    let mut end = TEXT;
    for function in 0..functions {
        begins.push(end);
        end += len(function);
    }
    let strings = end.next_multiple_of(0x1000);
    let pointers = strings + 16 * functions;
    let relocations = pointers + 8 * functions;

    let mut bytes = vec![0; TEXT];
    for (function, &begin) in begins.iter().enumerate() {
        for call in 0..calls(function) {
            let [value, callee, string] = [1, 2, 3].map(|part| random(function, 3 * call + part));
            let callee = begins[callee as usize % functions];
            let string = strings + 16 * (string as usize % functions);
            match machine {
                Machine::X86 => {
                    bytes.push(0xb8 + (value % 8) as u8);
                    bytes.extend(value.to_le_bytes());
                    for (opcode, target) in [(&[0xe8][..], callee), (&[0x48, 0x8d, 0x3d], string)] {
                        bytes.extend(opcode);
                        let distance = target as i32 - (bytes.len() + 4) as i32;
                        bytes.extend(distance.to_le_bytes());
                    }
                }
                Machine::Aarch64 => {
                    bytes.extend((0x5280_0000 | (value & 0xffff) << 5).to_le_bytes());
                    let distance = (callee as i32 - bytes.len() as i32) / 4;
                    bytes.extend((0x9400_0000 | distance as u32 & 0x3ff_ffff).to_le_bytes());
                    let pages = (string >> 12) as u32 - (bytes.len() >> 12) as u32;
                    bytes.extend((0x9000_0001 | (pages & 3) << 29 | pages >> 2 << 5).to_le_bytes());
                    bytes.extend((0x9100_0021 | (string as u32 & 0xfff) << 10).to_le_bytes());
                }
            }
        }
        bytes.resize(begin + len(function), if machine == Machine::X86 { 0x90 } else { 0 });
    }
    bytes.resize(strings, 0);
    for string in 0..functions {
        bytes.extend(format!("text {:08x}\0\0\0", random(string, 0)).as_bytes());
    }
    bytes.resize(relocations, 0);
    for (function, begin) in begins.iter().enumerate() {
        for number in [pointers + 8 * function, 8, *begin] {
            bytes.extend((number as u64).to_le_bytes());
        }
    }
    let names = b"\0.text\0.rodata\0.data.rel.ro\0.rela.dyn\0.shstrtab\0";
    let names_at = bytes.len();
    bytes.extend(names);
    bytes.resize(bytes.len().next_multiple_of(8), 0);

    let sections = [
        [0; 6],
        [1, 1, 6, TEXT, end - TEXT, 0],
        [7, 1, 2, strings, 16 * functions, 0],
        [15, 1, 3, pointers, 8 * functions, 0],
        [28, 4, 2, relocations, RELATIVE * functions, RELATIVE],
        [38, 3, 0, names_at, names.len(), 0],
    ];
    let table = bytes.len();
    for [name, kind, flags, at, len, entry] in sections {
        bytes.extend((name as u32).to_le_bytes());
        bytes.extend((kind as u32).to_le_bytes());
        let addr = if flags == 0 { 0 } else { at };
        for number in [flags, addr, at, len, 0, 1, entry] {
            bytes.extend((number as u64).to_le_bytes());
        }
    }
    bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    let mut head = |at: usize, number: &[u8]| bytes[at..at + number.len()].copy_from_slice(number);
    head(16, &3_u16.to_le_bytes());
    head(18, &(if machine == Machine::X86 { 62_u16 } else { 183 }).to_le_bytes());
    head(40, &(table as u64).to_le_bytes());
    head(58, &64_u16.to_le_bytes());
    head(60, &(sections.len() as u16).to_le_bytes());
    head(62, &(sections.len() as u16 - 1).to_le_bytes());
    bytes
}
