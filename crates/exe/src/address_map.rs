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
    /// From ranges in order.
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

    /// By how much this address moves.
    pub(crate) fn shift(&self, addr: u32) -> i32 {
        let block = (addr >> BLOCK) as usize;
        let last = self.index.len().saturating_sub(1);
        let from = self.index.get(block.min(last)).map_or(0, |from| *from as usize);
        let to = self.index.get((block + 1).min(last)).map_or(0, |to| *to as usize);
        let number = from + self.starts[from..to].partition_point(|start| *start <= addr);
        number.checked_sub(1).map_or(0, |number| self.shifts[number])
    }

    /// Where this address moves to.
    pub(crate) fn moved(&self, addr: u32) -> u32 {
        addr.wrapping_add_signed(self.shift(addr))
    }

    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self.starts.len() as u32, &mut out);
        let mut last = 0;
        for start in &self.starts {
            write(start - last, &mut out);
            last = *start;
        }
        let mut last: i32 = 0;
        for shift in &self.shifts {
            let step = shift.wrapping_sub(last);
            write((step << 1 ^ step >> 31) as u32, &mut out);
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
            last = last.wrapping_add((step >> 1) as i32 ^ -((step & 1) as i32));
            shifts.push(last);
        }
        bytes.is_empty().then(|| AddressMap::new(starts, shifts))
    }
}

fn write(value: u32, out: &mut Vec<u8>) {
    varint::write(value.into(), out);
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    varint::take(bytes).and_then(|value| value.try_into().ok())
}
