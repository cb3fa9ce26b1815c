//! The places in an image that hold addresses: which, in what form, and of what.

use crate::image::{Image, Section};
use crate::map::Map;
use crate::token::mix;
use crate::{aarch64, roomy};

/// The encoding of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Four bytes: the target less the base.
    Distance,
    /// The same, but written as [`absolute`](crate::absolute) does.
    Absolute,
    /// Four bytes.
    Word,
    /// Eight bytes.
    Long,
    /// aarch64, the distance in instructions: so many bits, from this one on.
    Jump { bits: u8, from: u8 },
    /// aarch64, `bl`: the distance in instructions, written as an address.
    Call,
    /// aarch64, `adr`: the distance in bytes.
    Adr,
    /// aarch64, `adrp`: the distance in pages, written as an address.
    Page,
    /// aarch64: the place in the page, in units of so many bits.
    Low { scale: u8 },
}

/// An address in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Where it is in the file.
    pub(crate) at: u32,
    /// The address that is meant.
    pub(crate) target: u32,
    /// The address from which it is told; of itself where it is told whole.
    pub(crate) base: u32,
    /// Context hash: of the bytes around it but for addresses, by which it is found in another version.
    pub(crate) token: u32,
    pub(crate) form: Form,
}

impl Field {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        if self.form == Form::Long { 8 } else { 4 }
    }

    /// Writes it with the addresses that the map has instead.
    pub(crate) fn write(&self, map: &Map, bytes: &mut [u8]) {
        let at = self.at as usize;
        let Some(field) = bytes.get_mut(at..at + self.len()) else { return };
        if self.form == Form::Long {
            let moved = map.shift(self.target) as i64 as u64;
            let mut value = [0; 8];
            value.copy_from_slice(field);
            field.copy_from_slice(&u64::from_le_bytes(value).wrapping_add(moved).to_le_bytes());
            return;
        }
        let mut value = [0; 4];
        value.copy_from_slice(field);
        let value = self.moved(u32::from_le_bytes(value), map);
        field.copy_from_slice(&value.to_le_bytes());
    }

    /// 1 if the map makes it equal to the field of another version; -1 if it was equal and the map breaks that.
    pub(crate) fn gain(&self, map: &Map, other: &Field) -> i64 {
        let wanted = self.tells(other.target, other.base);
        let after = self.tells(map.moved(self.target), map.moved(self.base));
        i64::from(after == wanted) - i64::from(self.tells(self.target, self.base) == wanted)
    }

    /// The encoded value for these addresses.
    fn tells(&self, target: u32, base: u32) -> u32 {
        match self.form {
            Form::Distance | Form::Jump { .. } | Form::Adr => target.wrapping_sub(base),
            Form::Absolute | Form::Call | Form::Word | Form::Long => target,
            Form::Page => target >> 12,
            Form::Low { .. } => target & 0xfff,
        }
    }

    fn moved(&self, word: u32, map: &Map) -> u32 {
        let target = map.moved(self.target);
        let base = map.moved(self.base);
        let put = |value: u32, bits: u8, from: u8| {
            let mask = (1 << bits) - 1;
            word & !(mask << from) | (value & mask) << from
        };
        match self.form {
            Form::Distance => {
                let moved = map.shift(self.target).wrapping_sub(map.shift(self.base));
                word.wrapping_add(moved as u32)
            }
            Form::Absolute => target.swap_bytes(),
            Form::Word | Form::Long => word.wrapping_add(map.shift(self.target) as u32),
            Form::Jump { bits, from } => put((target.wrapping_sub(base) as i32 >> 2) as u32, bits, from),
            Form::Call => put(target >> 2, 26, 0),
            Form::Adr => aarch64::with_adr(word, target.wrapping_sub(base)),
            Form::Page => aarch64::with_adr(word, target >> 12),
            Form::Low { scale } => put((target & 0xfff) >> scale, 12, 10),
        }
    }
}

/// The purpose for which fields are found.
#[derive(Debug)]
pub(crate) enum Use<'a> {
    /// They are kept, to be looked for in another version.
    Keep,
    /// They are written with other addresses.
    Write(&'a Map, &'a mut [u8]),
}

/// The fields of an image that were found until now.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) image: &'a Image<'a>,
    /// Those in instructions.
    pub(crate) code: Vec<Field>,
    /// All others.
    pub(crate) data: Vec<Field>,
    what: Use<'a>,
    /// Where the bytes begin that tell the next one in code.
    gap: usize,
}

/// Bytes before a field that its context hash covers.
const GAP: usize = 64;

impl<'a> Fields<'a> {
    /// None yet.
    pub(crate) fn new(image: &'a Image<'a>, what: Use<'a>) -> Self {
        Fields { image, code: roomy(0), data: roomy(0), what, gap: 0 }
    }

    /// Begins a section of code.
    pub(crate) fn begin(&mut self, section: &Section<'_>) {
        self.gap = section.range.start;
    }

    /// Adds one in code, whose own bytes that are no address are `rest`.
    pub(crate) fn add_code(&mut self, at: usize, form: Form, (target, base): (u32, u32), rest: u32) {
        let mut field = Field { at: at as u32, target, base, token: rest ^ SEED, form };
        if let Use::Write(map, bytes) = &mut self.what {
            return field.write(map, bytes);
        }
        let from = self.gap.max(at.saturating_sub(GAP)).min(at);
        for chunk in self.image.bytes[from..at].chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            field.token = mix(field.token, u32::from_le_bytes(word));
        }
        field.token = mix(field.token, (at - from) as u32);
        self.gap = at + field.len();
        self.code.push(field);
    }

    /// Adds one in data. What its token is, is asked only where that is needed.
    pub(crate) fn add_data(
        &mut self,
        at: usize,
        form: Form,
        (target, base): (u32, u32),
        token: impl FnOnce() -> u32,
    ) {
        let mut field = Field { at: at as u32, target, base, token: 0, form };
        match &mut self.what {
            Use::Write(map, bytes) => field.write(map, bytes),
            Use::Keep => {
                field.token = token();
                self.data.push(field);
            }
        }
    }

    /// Adds one in data that is not looked for: its target is in code, which tells enough of it.
    pub(crate) fn add_plain(&mut self, at: usize, form: Form, (target, base): (u32, u32)) {
        if let Use::Write(map, bytes) = &mut self.what {
            Field { at: at as u32, target, base, token: 0, form }.write(map, bytes);
        }
    }
}

const SEED: u32 = 0x9e37_79b9;
