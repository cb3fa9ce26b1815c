//! A piecewise-constant map from the addresses of an old version to those of a new one.

use dsync_core::varint;

/// A map from the addresses of an old version to those of a new one: ranges that move by the same distance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressMap {
    /// Each larger than the one before.
    starts: Vec<u32>,
    shifts: Vec<i32>,
    /// For each block of addresses, the number of ranges that begin before it.
    index: Vec<u32>,
}

/// The bits of an address within its block.
const BLOCK: u32 = 14;

impl AddressMap {
    /// A map of ranges in order.
    pub(crate) fn new(starts: Vec<u32>, shifts: Vec<i32>) -> Self {
        let last = starts.last().map_or(0, |last| last >> BLOCK);
        let mut index = Vec::with_capacity(last as usize + 2);
        for block in 0..=last {
            let from = index.last().map_or(0, |from| *from as usize);
            let here = starts[from..].iter().take_while(|start| **start >> BLOCK < block).count();
            index.push((from + here) as u32);
        }
        index.push(starts.len() as u32);
        AddressMap { starts, shifts, index }
    }

    /// The distance by which an address moves.
    pub(crate) fn shift(&self, addr: u32) -> i32 {
        let block = (addr >> BLOCK) as usize;
        let last = self.index.len().saturating_sub(1);
        let from = self.index.get(block.min(last)).map_or(0, |from| *from as usize);
        let to = self.index.get((block + 1).min(last)).map_or(0, |to| *to as usize);
        let number = from + self.starts[from..to].partition_point(|start| *start <= addr);
        number.checked_sub(1).map_or(0, |number| self.shifts[number])
    }

    /// The new address of this one.
    pub(crate) fn moved(&self, addr: u32) -> u32 {
        addr.wrapping_add_signed(self.shift(addr))
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::write(self.starts.len() as u64, &mut out);
        let mut last = 0;
        for start in &self.starts {
            varint::write((start - last).into(), &mut out);
            last = *start;
        }
        let mut last: i32 = 0;
        for shift in &self.shifts {
            let step = shift.wrapping_sub(last);
            varint::write(varint::zigzag(step.into()), &mut out);
            last = *shift;
        }
        out
    }

    /// Decodes it; `None` where the bytes are no map.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let count = take(&mut bytes)? as usize;
        if count > bytes.len() / 2 {
            return None;
        }
        let mut starts = Vec::with_capacity(count);
        let mut last: u32 = 0;
        for number in 0..count {
            let step = take(&mut bytes)?;
            last = last.checked_add(step).filter(|_| step > 0 || number == 0)?;
            starts.push(last);
        }
        let mut shifts = Vec::with_capacity(count);
        let mut last: i32 = 0;
        for _ in 0..count {
            let step = take(&mut bytes)?;
            last = last.wrapping_add(varint::unzigzag(step.into()) as i32);
            shifts.push(last);
        }
        bytes.is_empty().then(|| AddressMap::new(starts, shifts))
    }
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    varint::take(bytes).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn map(ranges: &[(u32, i32)]) -> AddressMap {
        AddressMap::new(
            ranges.iter().map(|range| range.0).collect(),
            ranges.iter().map(|range| range.1).collect(),
        )
    }

    #[test]
    fn addresses_move_with_the_range_that_they_are_in() {
        let map = map(&[(0x1000, 16), (0x4000, -16), (0x4001, 0), (0xffff_0000, 0x10_0000)]);
        for (addr, moved) in [
            (0, 0),
            (0xfff, 0xfff),
            (0x1000, 0x1010),
            (0x3fff, 0x400f),
            (0x4000, 0x3ff0),
            (0x4001, 0x4001),
            (0xfffe_ffff, 0xfffe_ffff),
            // Beyond the last address it begins anew.
            (0xffff_0000, 0xf_0000),
            (u32::MAX, 0xf_ffff),
        ] {
            assert_eq!(map.moved(addr), moved, "{addr:x}");
        }
        assert_eq!(AddressMap::default().moved(7), 7);
        assert_eq!(AddressMap::new(vec![0], vec![-1]).moved(0), u32::MAX);
    }

    #[test]
    fn the_bytes_are_pinned() {
        // Two ranges: from 0x80 on 3 farther, from 0x100 on 5 back, which is 8 less.
        assert_eq!(map(&[(0x80, 3), (0x100, -5)]).encode(), [2, 0x80, 1, 0x80, 1, 6, 15]);
        assert_eq!(AddressMap::default().encode(), [0]);
    }

    #[test]
    fn bytes_that_are_no_map_are_refused() {
        let sound = map(&[(0x80, 3), (0x100, -5)]).encode();
        for end in 0..sound.len() {
            assert_eq!(AddressMap::decode(&sound[..end]), None, "{end}");
        }
        for bytes in [
            &[&sound[..], &[0]].concat()[..],
            // A range that begins where the one before does, and beyond the last address.
            &[2, 5, 0, 0, 0],
            &[2, 0xff, 0xff, 0xff, 0xff, 0xf, 1, 0, 0],
            // Numbers of more than 32 bits, and with zeros at their end.
            &[1, 0xff, 0xff, 0xff, 0xff, 0x1f, 0],
            &[1, 5, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[1, 0x85, 0, 0],
            // More ranges than there are bytes for.
            &[0xff, 0xff, 0xff, 0xff, 0xf, 1, 1],
            &[3, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(AddressMap::decode(bytes), None, "{bytes:?}");
        }
        // Only the first range may begin at 0.
        assert!(AddressMap::decode(&[1, 0, 5]).is_some());
    }

    proptest! {
        #[test]
        fn a_map_moves_addresses_as_its_ranges_say_and_is_decoded_as_it_was(
            ranges in vec((prop_oneof![0_u32..100_000, any::<u32>()], any::<i32>()), 0..40),
            addrs in vec(prop_oneof![0_u32..100_000, any::<u32>()], 0..40),
        ) {
            let ranges: std::collections::BTreeMap<u32, i32> = ranges.into_iter().collect();
            let map = AddressMap::new(ranges.keys().copied().collect(), ranges.values().copied().collect());
            // At each end of a range, and anywhere.
            let ends = ranges.keys().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)]);
            for addr in ends.chain(addrs) {
                let shift = ranges.range(..=addr).next_back().map_or(0, |(_, shift)| *shift);
                prop_assert_eq!(map.moved(addr), addr.wrapping_add_signed(shift), "{:x}", addr);
            }
            prop_assert_eq!(AddressMap::decode(&map.encode()), Some(map));
        }
    }
}
