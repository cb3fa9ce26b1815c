//! References: the addresses that an ELF file holds in its code and data, each with the form in which it is encoded.

use crate::aarch64::instruction;
use crate::address_map::AddressMap;
use crate::context::mix;
use crate::elf::{Elf, Section};
use crate::memory::roomy;

/// The encoding of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressForm {
    /// Four bytes: the target less the base.
    Distance,
    /// The same, but written as [`absolute`](crate::absolute) does.
    Absolute,
    /// Four bytes.
    Word,
    /// Eight bytes.
    Long,
    /// aarch64, the distance in instructions, in `bits` bits from bit `from` on.
    Jump { bits: u8, from: u8 },
    /// aarch64, `bl`: the distance in instructions, written as an address.
    Call,
    /// aarch64, `adr`: the distance in bytes.
    Adr,
    /// aarch64, `adrp`: the distance in pages, written as an address.
    Page,
    /// aarch64: the offset in the page, divided by 2 to the power of `scale`.
    Low { scale: u8 },
}

/// The address that a reference means, and the one that it is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) target: u32,
    /// The target itself where the reference is absolute.
    pub(crate) base: u32,
}

impl Address {
    pub(crate) fn absolute(target: u32) -> Self {
        Address { target, base: target }
    }

    pub(crate) fn relative(target: u32, base: u32) -> Self {
        Address { target, base }
    }

    /// Both by a map.
    fn moved(self, map: &AddressMap) -> Self {
        Address { target: map.moved(self.target), base: map.moved(self.base) }
    }
}

/// An address in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    /// Its offset in the file.
    pub(crate) at: u32,
    pub(crate) address: Address,
    /// Context hash: of the bytes around it but for addresses, by which it is found in another version.
    pub(crate) context: u32,
    pub(crate) form: AddressForm,
}

impl Reference {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        if self.form == AddressForm::Long { 8 } else { 4 }
    }

    /// Writes it with its address moved by the map.
    pub(crate) fn write(&self, map: &AddressMap, bytes: &mut [u8]) {
        let at = self.at as usize;
        let Some(field) = bytes.get_mut(at..at + self.len()) else { return };
        if self.form == AddressForm::Long {
            let moved = map.shift(self.address.target) as i64 as u64;
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

    /// 1 if the map makes it equal to the reference of another version; -1 if it was equal and the map breaks that.
    pub(crate) fn gain(&self, map: &AddressMap, other: &Reference) -> i64 {
        let wanted = self.encoded(other.address);
        let after = self.encoded(self.address.moved(map));
        i64::from(after == wanted) - i64::from(self.encoded(self.address) == wanted)
    }

    /// The encoded value of another address.
    fn encoded(&self, Address { target, base }: Address) -> u32 {
        match self.form {
            AddressForm::Distance | AddressForm::Jump { .. } | AddressForm::Adr => target.wrapping_sub(base),
            AddressForm::Absolute | AddressForm::Call | AddressForm::Word | AddressForm::Long => target,
            AddressForm::Page => target >> 12,
            AddressForm::Low { .. } => target & 0xfff,
        }
    }

    fn moved(&self, word: u32, map: &AddressMap) -> u32 {
        let Address { target, base } = self.address.moved(map);
        let put = |value: u32, bits: u8, from: u8| {
            let mask = (1 << bits) - 1;
            word & !(mask << from) | (value & mask) << from
        };
        match self.form {
            AddressForm::Distance => {
                let moved = map.shift(self.address.target).wrapping_sub(map.shift(self.address.base));
                word.wrapping_add(moved as u32)
            }
            AddressForm::Absolute => target.swap_bytes(),
            AddressForm::Word | AddressForm::Long => word.wrapping_add(map.shift(self.address.target) as u32),
            AddressForm::Jump { bits, from } => {
                put((target.wrapping_sub(base) as i32 >> 2) as u32, bits, from)
            }
            AddressForm::Call => put(target >> 2, 26, 0),
            AddressForm::Adr => instruction::with_adr(word, target.wrapping_sub(base)),
            AddressForm::Page => instruction::with_adr(word, target >> 12),
            AddressForm::Low { scale } => put((target & 0xfff) >> scale, 12, 10),
        }
    }
}

/// The treatment of the references that a search finds.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    /// References are collected, to be paired with those of another version.
    Collect,
    /// References are rewritten to the addresses that a map gives them.
    Rewrite(&'a AddressMap, &'a mut [u8]),
}

/// The references of an ELF file that were found until now.
#[derive(Debug)]
pub(crate) struct References<'a> {
    pub(crate) elf: &'a Elf<'a>,
    /// Those in instructions.
    pub(crate) code: Vec<Reference>,
    /// All others.
    pub(crate) data: Vec<Reference>,
    action: Action<'a>,
    /// The beginning of the context of the next one in code.
    gap: usize,
}

/// Bytes before a reference that its context hash covers.
const GAP: usize = 64;

impl<'a> References<'a> {
    /// An empty list.
    pub(crate) fn new(elf: &'a Elf<'a>, action: Action<'a>) -> Self {
        References { elf, code: roomy(0), data: roomy(0), action, gap: 0 }
    }

    /// Begins a section of code.
    pub(crate) fn begin(&mut self, section: &Section<'_>) {
        self.gap = section.range.start;
    }

    /// Adds one in code; `rest` are its own bits that are no address.
    pub(crate) fn add_code(&mut self, at: usize, form: AddressForm, address: Address, rest: u32) {
        let mut reference = Reference { at: at as u32, address, context: rest ^ SEED, form };
        if let Action::Rewrite(map, bytes) = &mut self.action {
            return reference.write(map, bytes);
        }
        let from = self.gap.max(at.saturating_sub(GAP)).min(at);
        for chunk in self.elf.bytes[from..at].chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            reference.context = mix(reference.context, u32::from_le_bytes(word));
        }
        reference.context = mix(reference.context, (at - from) as u32);
        self.gap = at + reference.len();
        self.code.push(reference);
    }

    /// Adds one in data; its context is computed only where it is needed.
    pub(crate) fn add_data(
        &mut self,
        at: usize,
        form: AddressForm,
        address: Address,
        context: impl FnOnce() -> u32,
    ) {
        let mut reference = Reference { at: at as u32, address, context: 0, form };
        match &mut self.action {
            Action::Rewrite(map, bytes) => reference.write(map, bytes),
            Action::Collect => {
                reference.context = context();
                self.data.push(reference);
            }
        }
    }

    /// Adds one that is written but not paired: what is in code says enough about its target.
    pub(crate) fn add_plain(&mut self, at: usize, form: AddressForm, address: Address) {
        if let Action::Rewrite(map, bytes) = &mut self.action {
            Reference { at: at as u32, address, context: 0, form }.write(map, bytes);
        }
    }
}

const SEED: u32 = 0x9e37_79b9;

#[cfg(test)]
mod tests {
    use super::*;

    /// A reference at the beginning, after it was written by a map that moves these two.
    fn written(form: AddressForm, value: u64, address: Address, [target, base]: [i32; 2]) -> u64 {
        let mut ranges = [(address.target, target), (address.base, base)];
        ranges.sort_unstable();
        let ranges = if address.target == address.base { &ranges[..1] } else { &ranges[..] };
        let map = AddressMap::new(
            ranges.iter().map(|range| range.0).collect(),
            ranges.iter().map(|range| range.1).collect(),
        );
        let reference = Reference { at: 1, address, context: 0, form };
        let mut bytes = [&[0xaa][..], &value.to_le_bytes(), &[0xbb]].concat();
        reference.write(&map, &mut bytes);
        assert_eq!((bytes[0], bytes[9]), (0xaa, 0xbb), "the bytes beside it stay");
        u64::from_le_bytes(bytes[1..9].try_into().unwrap())
    }

    const HIGH: u64 = 0x1122_3344_0000_0000;

    #[test]
    fn each_form_is_written_in_its_own_way() {
        let relative = Address::relative(0x2000, 0x1000);
        let absolute = Address::absolute(0x2000);
        // The words of aarch64 have other bits around, which stay.
        let adr = |word: u32, distance: u32| u64::from(instruction::with_adr(word, distance));
        let cases = [
            (AddressForm::Distance, HIGH | 0xffc, relative, [16, 4], HIGH | 0x1008),
            (AddressForm::Absolute, HIGH | 0xffc, relative, [16, 4], HIGH | 0x1020_0000),
            (AddressForm::Word, HIGH | 0x2000, absolute, [-16, -16], HIGH | 0x1ff0),
            (AddressForm::Long, 0x2000, absolute, [16, 16], 0x2010),
            // A displacement behind the target, and one across the word.
            (AddressForm::Long, HIGH, absolute, [-16, -16], HIGH - 16),
            (AddressForm::Word, HIGH | 0x2008, absolute, [16, 16], HIGH | 0x2018),
            (AddressForm::Call, HIGH | 0x9400_0400, relative, [16, 4], HIGH | 0x9400_0804),
            (
                AddressForm::Jump { bits: 26, from: 0 },
                HIGH | 0x1400_0400,
                relative,
                [16, 4],
                HIGH | 0x1400_0403,
            ),
            (
                AddressForm::Jump { bits: 26, from: 0 },
                HIGH | 0x1400_0400,
                relative,
                [-0x1010, 0],
                HIGH | 0x17ff_fffc,
            ),
            (
                AddressForm::Jump { bits: 19, from: 5 },
                HIGH | 0x5400_8001,
                relative,
                [16, 4],
                HIGH | 0x5400_8061,
            ),
            (
                AddressForm::Jump { bits: 14, from: 5 },
                HIGH | 0x3600_8001,
                relative,
                [16, 4],
                HIGH | 0x3600_8061,
            ),
            (
                AddressForm::Adr,
                HIGH | adr(0x1000_0005, 0x1000),
                relative,
                [17, 4],
                HIGH | adr(0x1000_0005, 0x100d),
            ),
            (
                AddressForm::Page,
                HIGH | adr(0x9000_0005, 1),
                relative,
                [0x3000, 0],
                HIGH | adr(0x9000_0005, 5),
            ),
            (AddressForm::Low { scale: 0 }, HIGH | 0x9100_0021, absolute, [0x123, 0x123], HIGH | 0x9104_8c21),
            (AddressForm::Low { scale: 3 }, HIGH | 0xf940_0021, absolute, [0x18, 0x18], HIGH | 0xf940_0c21),
        ];
        for (form, value, address, moves, expected) in cases {
            let got = written(form, value, address, moves);
            assert_eq!(got, expected, "{form:?}: {got:x} instead of {expected:x}");
        }
    }

    #[test]
    fn a_reference_beyond_the_end_is_not_written() {
        let map = AddressMap::new(vec![0], vec![1]);
        for (form, len) in [(AddressForm::Word, 4), (AddressForm::Long, 8)] {
            let mut bytes = vec![0; len + 9];
            for at in [10, 9 + len as u32, u32::MAX] {
                Reference { at, address: Address::absolute(5), context: 0, form }.write(&map, &mut bytes);
            }
            assert!(bytes.iter().all(|byte| *byte == 0), "{form:?}");
        }
    }

    #[test]
    fn a_gain_is_what_the_map_makes_equal_less_what_it_breaks() {
        let reference = |target, base| Reference {
            at: 0,
            address: Address::relative(target, base),
            context: 0,
            form: AddressForm::Distance,
        };
        let map = AddressMap::new(vec![100, 200], vec![10, 20]);
        // Both move alike, so nothing changes; the target moves as it has to; it need not have moved; neither way is
        // right.
        assert_eq!(reference(150, 120).gain(&map, &reference(160, 130)), 0);
        assert_eq!(reference(150, 50).gain(&map, &reference(160, 50)), 1);
        assert_eq!(reference(150, 50).gain(&map, &reference(250, 150)), -1);
        assert_eq!(reference(150, 50).gain(&map, &reference(999, 50)), 0);
    }
}
