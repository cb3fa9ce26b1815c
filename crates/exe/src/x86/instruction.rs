//! The lengths of x86-64 instructions, and where addresses are in them (Intel, "Software Developer's Manual", volume 2,
//! appendix A).
//!
//! Bytes that are no instruction are decoded as one; the decoder is in step again after a few.

/// The operands after an opcode, as flags.
const NONE: u8 = 0;
const MODRM: u8 = 1;
const BYTE: u8 = 2;
/// Four bytes, or two after the prefix 66.
const WORD: u8 = 4;
/// Eight bytes with REX.W.
const WIDE: u8 = 8;
const SHORT: u8 = 16;
/// A distance of four bytes.
const BRANCH: u8 = 32;
/// An immediate only where the register field is 0 or 1.
const TEST: u8 = 64;
const FAR: u8 = 128;

const ONE: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut op = 0;
    while op < 256 {
        table[op] = match op as u8 {
            0x00..=0x3f => match op & 7 {
                0..=3 => MODRM,
                4 => BYTE,
                5 => WORD,
                _ => NONE,
            },
            0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => MODRM,
            0x68 | 0xa9 => WORD,
            0x69 | 0x81 | 0xc7 => MODRM | WORD,
            0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => MODRM | BYTE,
            0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => BYTE,
            0xa0..=0xa3 => FAR,
            0xb8..=0xbf => WIDE,
            0xc2 | 0xca => SHORT,
            0xc8 => SHORT | BYTE,
            0xe8 | 0xe9 => BRANCH,
            0xf6 => MODRM | BYTE | TEST,
            0xf7 => MODRM | WORD | TEST,
            _ => NONE,
        };
        op += 1;
    }
    table
};

const TWO: [u8; 256] = {
    let mut table = [MODRM; 256];
    let mut op = 0;
    while op < 256 {
        table[op] = match op as u8 {
            0x04..=0x0c | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => NONE,
            0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => MODRM | BYTE,
            0x80..=0x8f => BRANCH,
            _ => MODRM,
        };
        op += 1;
    }
    table
};

/// An instruction: its length, and where in it four bytes may be an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) len: usize,
    /// A distance from its end.
    pub(crate) relative: Option<usize>,
    /// The distance is that of a jump.
    pub(crate) is_jump: bool,
    /// The address itself is loaded (`lea`), not the memory there.
    pub(crate) is_lea: bool,
    /// Displacement and immediate, which may be addresses in a program that is not moved.
    pub(crate) absolute: [Option<usize>; 2],
}

/// A byte that begins no instruction.
const UNKNOWN: Instruction =
    Instruction { len: 1, relative: None, is_jump: false, is_lea: false, absolute: [None; 2] };

/// The instruction that these bytes begin with; at least one byte long, and not longer than they are.
pub(crate) fn instruction(code: &[u8]) -> Instruction {
    complete(code).unwrap_or(UNKNOWN)
}

/// The instruction that these bytes begin with; `None` where they end before it does.
pub(super) fn complete(code: &[u8]) -> Option<Instruction> {
    parse(code).filter(|found| found.len <= code.len())
}

fn parse(code: &[u8]) -> Option<Instruction> {
    let mut reader = InstructionReader { code, at: 0 };
    let is_short = reader.prefixes()?;
    if reader.at > PREFIXES {
        return Some(UNKNOWN);
    }
    let is_wide = reader.rex()?;
    let Opcode { operands, is_jump, is_lea } = reader.opcode()?;
    let mut found = Instruction { is_lea, is_jump, ..Default::default() };
    let has_immediate = operands & MODRM == 0 || reader.modrm(operands, &mut found)?;
    if has_immediate {
        if operands & (WORD | WIDE) != 0 && !is_short && !(operands & WIDE != 0 && is_wide) {
            found.absolute[1] = Some(reader.at);
        }
        reader.at += immediate(operands, is_short, is_wide);
    }
    if operands & BRANCH != 0 {
        found.relative = Some(reader.at);
        reader.at += 4;
    }
    Some(Instruction { len: reader.at, ..found })
}

/// The most prefixes before an opcode.
const PREFIXES: usize = 14;

/// An opcode: what follows it, as the tables say.
struct Opcode {
    operands: u8,
    is_jump: bool,
    is_lea: bool,
}

/// Reads the parts of an instruction; each returns `None` where the bytes end before it does.
struct InstructionReader<'a> {
    code: &'a [u8],
    at: usize,
}

impl InstructionReader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.code.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Skips prefixes, one more than [`PREFIXES`] at most. True if one of them makes operands short.
    fn prefixes(&mut self) -> Option<bool> {
        let mut is_short = false;
        while self.at <= PREFIXES
            && let byte @ (0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) =
                *self.code.get(self.at)?
        {
            is_short |= byte == 0x66;
            self.at += 1;
        }
        Some(is_short)
    }

    /// Skips the prefix REX, if it is there. True if its bit W is set.
    fn rex(&mut self) -> Option<bool> {
        let byte = *self.code.get(self.at)?;
        let is_rex = byte & 0xf0 == 0x40;
        self.at += usize::from(is_rex);
        Some(is_rex && byte & 8 != 0)
    }

    fn opcode(&mut self) -> Option<Opcode> {
        let op = self.byte()?;
        let operands = match op {
            0x0f => return self.two_byte_opcode(),
            0xc5 => {
                self.at += 1;
                vector(1, self.byte()?)
            }
            0xc4 => {
                let map = self.byte()? & 0x1f;
                self.at += 1;
                vector(map, self.byte()?)
            }
            0x62 => {
                let map = self.byte()? & 7;
                self.at += 2;
                vector(map, self.byte()?)
            }
            _ => ONE[usize::from(op)],
        };
        Some(Opcode { operands, is_jump: op == 0xe9, is_lea: op == 0x8d })
    }

    /// The opcode after 0f.
    fn two_byte_opcode(&mut self) -> Option<Opcode> {
        let (operands, is_jump) = match self.byte()? {
            0x38 => {
                self.at += 1;
                (MODRM, false)
            }
            0x3a => {
                self.at += 1;
                (MODRM | BYTE, false)
            }
            op => (TWO[usize::from(op)], TWO[usize::from(op)] == BRANCH),
        };
        Some(Opcode { operands, is_jump, is_lea: false })
    }

    /// Skips ModRM, SIB and displacement. True if an immediate follows.
    fn modrm(&mut self, operands: u8, found: &mut Instruction) -> Option<bool> {
        let modrm = self.byte()?;
        let (mode, rm) = (modrm >> 6, modrm & 7);
        let mut displacement = match mode {
            1 => 1,
            2 => 4,
            _ => 0,
        };
        if mode != 3 && rm == 4 {
            let base = self.byte()? & 7;
            if mode == 0 && base == 5 {
                displacement = 4;
            }
        }
        if mode == 0 && rm == 5 {
            found.relative = Some(self.at);
            displacement = 4;
        } else if displacement == 4 {
            found.absolute[0] = Some(self.at);
        }
        self.at += displacement;
        Some(operands & TEST == 0 || modrm >> 3 & 7 < 2)
    }
}

/// The fields after an opcode of VEX or EVEX, by its map.
fn vector(map: u8, op: u8) -> u8 {
    match (map, op) {
        (1, 0x77) => NONE,
        (1, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) | (3, _) => MODRM | BYTE,
        _ => MODRM,
    }
}

/// Bytes of an immediate.
fn immediate(operands: u8, is_short: bool, is_wide: bool) -> usize {
    let word = if is_short { 2 } else { 4 };
    let fixed = usize::from(operands & BYTE != 0)
        + 2 * usize::from(operands & SHORT != 0)
        + 8 * usize::from(operands & FAR != 0);
    fixed
        + match operands & (WORD | WIDE) {
            WIDE if is_wide => 8,
            WORD | WIDE => word,
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_manual() {
        let cases: &[&[u8]] = &[
            &[0x90],
            &[0xc3],
            &[0xf3, 0x0f, 0x1e, 0xfa],
            &[0x48, 0x89, 0xe5],
            &[0x48, 0x8d, 0x05, 1, 0, 0, 0],
            &[0x48, 0x8b, 0x44, 0x24, 0x08],
            &[0x48, 0x8b, 0x84, 0x24, 8, 0, 0, 0],
            &[0x8b, 0x04, 0xc5, 0, 0, 0x40, 0],
            &[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0xb8, 1, 0, 0, 0],
            &[0x66, 0xb8, 1, 0],
            &[0xf6, 0x05, 0, 0, 0, 0, 1],
            &[0xf6, 0xd8],
            &[0xf7, 0xc7, 1, 0, 0, 0],
            &[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8],
            &[0xc5, 0xf8, 0x77],
            &[0xc5, 0xf9, 0x6f, 0x05, 0, 0, 0, 0],
            &[0xc4, 0xe3, 0x7d, 0x39, 0xc1, 1],
            &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x05, 0, 0, 0, 0],
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0x0f, 0x84, 0, 0, 0, 0],
            &[0xc8, 0, 0, 0],
            &[0xc7, 0x45, 0xfc, 1, 0, 0, 0],
        ];
        for case in cases {
            let followed = [case, &[0xcc; 16][..]].concat();
            assert_eq!(instruction(&followed).len, case.len(), "{case:02x?}");
        }
    }

    #[test]
    fn addresses_are_found() {
        let lea = instruction(&[0x48, 0x8d, 0x05, 1, 0, 0, 0]);
        assert_eq!((lea.relative, lea.is_lea), (Some(3), true));
        let call = instruction(&[0xe8, 1, 0, 0, 0]);
        assert_eq!((call.relative, call.is_jump), (Some(1), false));
        assert!(instruction(&[0xe9, 1, 0, 0, 0]).is_jump);
        assert!(instruction(&[0x0f, 0x84, 1, 0, 0, 0]).is_jump);
        assert_eq!(instruction(&[0xf6, 0x05, 0, 0, 0, 0, 1]).relative, Some(2));
        assert_eq!(instruction(&[0xbf, 0, 0, 0x40, 0]).absolute, [None, Some(1)]);
        assert_eq!(instruction(&[0x8b, 0x04, 0xc5, 0, 0, 0x40, 0]).absolute, [Some(3), None]);
    }

    #[test]
    fn a_truncated_instruction_is_one_byte() {
        assert_eq!(instruction(&[0xe8, 1]), Instruction { len: 1, ..Default::default() });
        assert_eq!(instruction(&[0x0f]).len, 1);
        assert_eq!(instruction(&[0x66; 20]).len, 1);
    }
}
