//! Finds references in unwind tables (`.eh_frame` and its index; Linux Standard Base, "Exception Frames").

use std::collections::HashMap;

use crate::context::{self, BY_TARGET};
use crate::elf::{Section, read};
use crate::references::{Address, AddressForm, References};

/// The index: pairs of a function and its record, both as distances from the index.
pub(crate) fn index(references: &mut References<'_>, section: &Section<'_>) {
    const USUAL: &[u8] = &[1, 0x1b, 3, 0x3b];
    let bytes = references.elf.bytes;
    if !bytes[section.range.clone()].starts_with(USUAL) {
        return;
    }
    let base = section.addr;
    for at in section.range.clone().step_by(8).skip(1) {
        // Twelve bytes are before the pairs.
        let at = at + 4;
        let (Some(function), Some(record)) = (read::<4>(bytes, at), read::<4>(bytes, at + 4)) else { break };
        if at + 8 > section.range.end {
            break;
        }
        let target = |distance: u64| base.wrapping_add(distance as u32);
        references
            .add_data(at, AddressForm::Distance, Address::relative(target(function), base), || BY_TARGET);
        references.add_data(at + 4, AddressForm::Distance, Address::relative(target(record), base), || {
            context::FRAME
        });
    }
}

/// The format that records of one common entry (CIE) share.
#[derive(Clone, Copy, Default)]
struct Common {
    /// Functions are encoded as distances of four bytes.
    has_distances: bool,
    /// Records have one more address, of the exception table (LSDA), in the same encoding.
    has_lsda: bool,
}

/// The records.
pub(crate) fn frames(references: &mut References<'_>, section: &Section<'_>) {
    let bytes = references.elf.bytes;
    let mut kinds: HashMap<usize, Common> = HashMap::new();
    let mut at = section.range.start;
    while at + 8 <= section.range.end {
        let len = read::<4>(bytes, at).unwrap_or_default() as usize;
        let end = at + 4 + len;
        if len < 4 || end > section.range.end {
            break;
        }
        let here = at + 4;
        let back = read::<4>(bytes, here).unwrap_or_default() as u32;
        if back == 0 {
            kinds.insert(at, common(&bytes[here + 4..end]));
        } else if let Some(begin) = here.checked_sub(back as usize) {
            let kind = kinds.get(&begin).copied().unwrap_or_default();
            if kind.has_distances && len >= 12 {
                let addr = section.addr_of(here);
                references.add_data(
                    here,
                    AddressForm::Distance,
                    Address::relative(addr, addr.wrapping_sub(back)),
                    || context::COMMON,
                );
                let mut add = |at: usize, context: u32| {
                    let (base, distance) =
                        (section.addr_of(at), read::<4>(bytes, at).unwrap_or_default() as u32);
                    if distance != 0 {
                        references.add_data(
                            at,
                            AddressForm::Distance,
                            Address::relative(base.wrapping_add(distance), base),
                            || context,
                        );
                    }
                };
                add(here + 4, BY_TARGET);
                if kind.has_lsda && len >= 17 && bytes[here + 12] == 4 {
                    add(here + 13, context::EXTRA);
                }
            }
        }
        at = end;
    }
}

/// Reads a common entry, from behind its mark.
fn common(record: &[u8]) -> Common {
    let parse = |record: &[u8]| -> Option<Common> {
        let (&version, rest) = record.split_first()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (letters, mut rest) = (rest.get(..end)?, rest.get(end + 1..)?);
        let letters = letters.strip_prefix(b"z")?;
        if version != 1 {
            return None;
        }
        // Two factors, a register, and how long the rest is.
        for _ in 0..4 {
            let end = rest.iter().position(|byte| *byte < 0x80)?;
            rest = rest.get(end + 1..)?;
        }
        let mut common = Common::default();
        for letter in letters {
            match letter {
                b'R' => common.has_distances = *rest.first()? == 0x1b,
                b'L' => common.has_lsda = *rest.first()? == 0x1b,
                b'P' => rest = rest.get(4..)?,
                b'S' | b'B' => continue,
                _ => return None,
            }
            rest = rest.get(1..)?;
        }
        Some(common)
    };
    parse(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TEXT, elf, found};

    const AT: u32 = 0x2000;

    /// A common entry whose records have functions and exception tables as distances, and one record of it.
    fn frames() -> Vec<u8> {
        let kind =
            [&0_u32.to_le_bytes()[..], b"\x01zPLR\0\x01\x78\x10\x07\x9b\0\0\0\0\x1b\x1b\0\0\0"].concat();
        let mut frames = [&(kind.len() as u32).to_le_bytes()[..], &kind].concat();
        let at = frames.len() as u32;
        frames.extend(20_u32.to_le_bytes());
        frames.extend((at + 4).to_le_bytes());
        frames.extend((TEXT + 7).wrapping_sub(AT + at + 8).to_le_bytes());
        frames.extend(9_u32.to_le_bytes());
        frames.push(4);
        frames.extend(AT.wrapping_sub(AT + at + 17).to_le_bytes());
        frames.resize(at as usize + 24, 0);
        frames
    }

    #[test]
    fn records_refer_to_their_kind_their_function_and_their_exception_table() {
        let frames = frames();
        let at = frames.len() - 24;
        let addr = |at: usize| AT + at as u32;
        let expected = [
            (at + 4, AddressForm::Distance, addr(at + 4), AT),
            (at + 8, AddressForm::Distance, TEXT + 7, addr(at + 8)),
            (at + 17, AddressForm::Distance, AT, addr(at + 17)),
        ];
        assert_eq!(found(&elf(&[(".eh_frame", Some(AT), &frames)]), ".eh_frame"), expected);
    }

    #[test]
    fn the_index_refers_to_functions_and_records() {
        let words = [0x3b03_1b01, 0, 1, TEXT.wrapping_sub(AT), 0x40].map(u32::to_le_bytes).concat();
        let expected = [(12, AddressForm::Distance, TEXT, AT), (16, AddressForm::Distance, AT + 0x40, AT)];
        assert_eq!(found(&elf(&[(".eh_frame_hdr", Some(AT), &words)]), ".eh_frame_hdr"), expected);
    }
}
