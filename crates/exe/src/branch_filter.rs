//! The branch filter: code with absolute addresses in place of distances.
//!
//! A call holds the distance to a function, so each call of it is other bytes. With the address of the function they
//! are equal, and a compressor finds them, as the filters of 7-Zip and xz do ("BCJ"; Igor Pavlov, Lasse Collin). Those
//! for x86-64 go by the first byte of calls and jumps. This one decodes the lengths of instructions, and converts
//! operands relative to the instruction pointer as well, but no jumps: they stay within a function, which moves as one.
//! An address has its highest byte first, which varies least. On aarch64 calls and pages are converted, as in xz.

use std::io;
use std::ops::Range;

use crate::elf::{self, Machine, SHF_EXECUTE, UNMAPPED, read};
use crate::{aarch64, x86};

/// Bytes of an ELF header, and of a section's.
const HEADER: usize = 64;
/// Files with a longer table of sections are left alone, in bytes.
const LONGEST_TABLE: u64 = 1 << 20;

/// A range of code in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRange {
    /// Its bytes in the file.
    pub range: Range<u64>,
    /// The address of its first byte.
    pub addr: u32,
    /// The instruction set.
    pub machine: Machine,
}

/// Finds the code of a file of `len` bytes that [`absolute`] converts, in the order of the file, without overlaps.
/// `read_at` fills a buffer from an offset of the file.
pub fn find_code(
    len: u64,
    mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Vec<CodeRange>> {
    if len < HEADER as u64 {
        return Ok(Vec::new());
    }
    let mut header = [0; HEADER];
    read_at(0, &mut header)?;
    let number = |at: usize| read::<2>(&header, at).unwrap_or_default();
    let table = read::<8>(&header, 40).unwrap_or_default();
    let size = number(58) * number(60);
    let is_within = table.checked_add(size).is_some_and(|end| end <= len);
    let machine = elf::machine(&header).filter(|_| elf::may_be(&header));
    let Some(machine) = machine else { return Ok(Vec::new()) };
    if number(58) != HEADER as u64 || !is_within || size > LONGEST_TABLE {
        return Ok(Vec::new());
    }
    // It has at most 1 MiB.
    let mut headers = vec![0; size as usize];
    read_at(table, &mut headers)?;
    let mut found: Vec<CodeRange> =
        headers.chunks_exact(HEADER).filter_map(|header| code(header, machine, len)).collect();
    found.sort_by_key(|code| (code.range.start, code.range.end));
    let mut end = 0;
    found.retain(|code| {
        let is_apart = code.range.start >= end;
        end = end.max(code.range.end);
        is_apart
    });
    Ok(found)
}

/// The code that a section header describes.
fn code(header: &[u8], machine: Machine, len: u64) -> Option<CodeRange> {
    let (kind, flags) = (read::<4>(header, 4)? as u32, read::<8>(header, 8)?);
    let is_code = flags & SHF_EXECUTE != 0 && !matches!(kind, 0 | elf::SHT_NOBITS);
    let (addr, from, size) = (read::<8>(header, 16)?, read::<8>(header, 24)?, read::<8>(header, 32)?);
    let end = from.checked_add(size).filter(|end| *end <= len)?;
    let is_low = addr.checked_add(size).is_some_and(|end| end <= UNMAPPED.into());
    (is_code && is_low && size > 0).then_some(CodeRange { range: from..end, addr: addr as u32, machine })
}

/// Replaces distances by addresses, in code whose first byte has this address.
pub fn absolute(code: &mut [u8], machine: Machine, addr: u32) {
    match machine {
        Machine::X86 => x86::filter::convert(code, addr, |distance, end| {
            u32::from_le_bytes(distance).wrapping_add(end).to_be_bytes()
        }),
        Machine::Aarch64 => aarch64::filter::convert(code, addr, u32::wrapping_add),
    }
}

/// The inverse of [`absolute`].
pub fn relative(code: &mut [u8], machine: Machine, addr: u32) {
    match machine {
        Machine::X86 => x86::filter::convert(code, addr, |distance, end| {
            u32::from_be_bytes(distance).wrapping_sub(end).to_le_bytes()
        }),
        Machine::Aarch64 => aarch64::filter::convert(code, addr, u32::wrapping_sub),
    }
}

/// Applies [`absolute`] to all code of a file.
pub fn make_absolute(file: &mut [u8]) {
    let read_at = |at: u64, out: &mut [u8]| {
        let from = usize::try_from(at).map_err(io::Error::other)?;
        let there = file.get(from..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    };
    for CodeRange { range, addr, machine } in find_code(file.len() as u64, read_at).unwrap_or_default() {
        // They are within the file.
        absolute(&mut file[range.start as usize..range.end as usize], machine, addr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TEXT, elf};

    fn found(file: &[u8]) -> Vec<CodeRange> {
        let read_at = |at: u64, out: &mut [u8]| {
            out.copy_from_slice(&file[at as usize..][..out.len()]);
            Ok(())
        };
        find_code(file.len() as u64, read_at).unwrap()
    }

    #[test]
    fn sections_of_code_are_found() {
        let file = elf(&[(".data", Some(0x2000), b"data")]);
        assert_eq!(found(&file), [CodeRange { range: 64..128, addr: TEXT, machine: Machine::X86 }]);
        assert_eq!(found(&file[..200]), []);
        assert_eq!(found(b"#!/bin/sh"), []);
        assert_eq!(found(&[0; 100]), []);
        let with = |at: usize, value: u8| {
            let mut file = file.clone();
            file[at] = value;
            found(&file)
        };
        assert_eq!(with(18, 183)[0].machine, Machine::Aarch64);
        assert_eq!(with(18, 40), []);
        assert_eq!(with(61, 0xff), []);
    }

    /// Asserts that code at this address becomes this by the filter, and itself again by its inverse.
    fn assert_becomes(machine: Machine, addr: u32, code: &[u8], expected: &[u8]) {
        let mut changed = code.to_vec();
        absolute(&mut changed, machine, addr);
        assert_eq!(changed, expected);
        relative(&mut changed, machine, addr);
        assert_eq!(changed, code);
    }

    #[test]
    fn calls_and_loads_of_x86_become_addresses_and_jumps_stay() {
        let code = [
            &[0xe8, 0x10, 0, 0, 0][..],
            &[0x48, 0x8d, 0x05, 0x20, 0, 0, 0],
            &[0xe9, 1, 0, 0, 0],
            &[0x0f, 0x84, 2, 0, 0, 0],
        ];
        let expected = [
            &[0xe8, 0, 0, 0x10, 0x15][..],
            &[0x48, 0x8d, 0x05, 0, 0, 0x10, 0x2c],
            &[0xe9, 1, 0, 0, 0],
            &[0x0f, 0x84, 2, 0, 0, 0],
        ];
        assert_becomes(Machine::X86, 0x1000, &code.concat(), &expected.concat());
    }

    #[test]
    fn calls_and_pages_of_arm_become_addresses_and_jumps_stay() {
        // Two bytes before the first instruction; `bl .+8`, `adrp x0, .+0x3000`, `b .+8`, `bl .-4`.
        let words = |words: [u32; 4]| [&[1, 2][..], &words.map(u32::to_le_bytes).concat(), &[3]].concat();
        let code = words([0x9400_0002, 0xf000_0000, 0x1400_0002, 0x97ff_ffff]);
        let expected = words([0x9400_1002, 0xf000_0020, 0x1400_0002, 0x9400_1002]);
        assert_becomes(Machine::Aarch64, 0x3ffe, &code, &expected);
    }

    #[test]
    fn any_bytes_are_restored() {
        let mut state: u64 = 1;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(50_000)
        .collect();
        for addr in [0, 0x1234, u32::MAX] {
            for machine in [Machine::X86, Machine::Aarch64] {
                let mut changed = bytes.clone();
                absolute(&mut changed, machine, addr);
                assert_ne!(changed, bytes);
                relative(&mut changed, machine, addr);
                assert_eq!(changed, bytes);
            }
        }
    }

    #[test]
    fn code_out_of_bounds_or_of_no_bytes_is_left_out() {
        let file = elf(&[(".data", Some(0x2000), b"data")]);
        let table = read::<8>(&file, 40).unwrap() as usize;
        let with = |at: usize, value: u64| {
            let mut file = file.clone();
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
            found(&file)
        };
        let text = table + 64;
        assert_eq!(with(text + 32, 64).len(), 1);
        for (what, at, value) in [
            ("is empty", text + 32, 0),
            ("ends behind the file", text + 32, file.len() as u64),
            ("ends behind all numbers", text + 32, u64::MAX),
            ("begins behind the file", text + 24, file.len() as u64),
            ("lies above the low addresses", text + 16, 1 << 31),
            ("lies above all numbers", text + 16, u64::MAX),
            ("is not executed", text + 8, 2),
            ("has a table behind the file", 40, file.len() as u64 - 64),
            ("has a table behind all numbers", 40, u64::MAX),
        ] {
            assert_eq!(with(at, value), [], "{what}");
        }
        // The data becomes code: it comes in the order of the file, and not where it overlaps.
        let data = table + 128;
        let mut both = file.clone();
        both[data + 8..data + 16].copy_from_slice(&6_u64.to_le_bytes());
        assert_eq!(
            found(&both).iter().map(|code| code.range.clone()).collect::<Vec<_>>(),
            [64..128, 128..132]
        );
        for from in [64_u64, 100, 127] {
            both[data + 24..data + 32].copy_from_slice(&from.to_le_bytes());
            assert_eq!(found(&both).len(), 1, "{from}");
        }
        // A read that fails is an error of the caller, and no code.
        let failing = |at: u64, out: &mut [u8]| match at {
            0 => {
                out.copy_from_slice(&file[..out.len()]);
                Ok(())
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        assert!(find_code(file.len() as u64, failing).is_err());
    }
}
