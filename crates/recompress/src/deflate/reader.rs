//! Parses a deflate stream (RFC 1951) into its blocks, and the tokens in them.

use std::io::{self, Read};

use super::alphabet::{
    DISTANCE_BASE, DISTANCE_BITS, DISTANCES, END, LENGTH_BASE, LENGTH_BITS, LENGTHS, LITERALS, LONGEST, META,
    META_ORDER, fixed_distances, fixed_literals,
};
use super::bits::{self, PrefixCode, Sink, canonical};
use super::token::Token;

/// A block has no more tokens here, and no more plain bytes. Encoders in use make far smaller ones.
const MOST_TOKENS: usize = 1 << 20;
const MOST_PLAIN: usize = 16 << 20;
/// Codes up to this length are looked up.
const QUICK: u32 = 10;
/// The reach of a match.
const REACH: usize = 1 << 15;

/// The coding of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockShape {
    Stored,
    Fixed,
    Own(Box<BlockHead>),
}

/// The codes of a block, and their bits in its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockHead {
    /// The last byte is filled with zeros.
    pub(crate) bytes: Vec<u8>,
    pub(crate) bits: u64,
    pub(crate) literals: [PrefixCode; LITERALS],
    pub(crate) distances: [PrefixCode; DISTANCES],
}

/// A block of a stream.
#[derive(Debug)]
pub(crate) struct DeflateBlock {
    pub(crate) shape: BlockShape,
    /// None of a stored block.
    pub(crate) tokens: Vec<Token>,
    /// Its plain bytes.
    pub(crate) len: usize,
    pub(crate) is_last: bool,
}

/// Bits of a stream, the lowest of a byte first.
pub(crate) struct BitReader<R> {
    from: R,
    pending: u64,
    count: u32,
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<R: Read> BitReader<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, pending: 0, count: 0 }
    }

    pub(crate) fn from(&self) -> &R {
        &self.from
    }

    /// Reads until there are so many bits, at most 56, or the stream ends.
    fn fill(&mut self, bits: u32) -> io::Result<()> {
        while self.count < bits {
            let mut byte = [0];
            if self.from.read(&mut byte)? == 0 {
                break;
            }
            self.pending |= u64::from(byte[0]) << self.count;
            self.count += 8;
        }
        Ok(())
    }

    fn drop(&mut self, bits: u32) -> io::Result<()> {
        self.count = self.count.checked_sub(bits).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.pending >>= bits;
        Ok(())
    }

    /// The next bits, at most 16.
    fn take(&mut self, bits: u32) -> io::Result<u32> {
        self.fill(bits)?;
        let value = self.pending as u32 & ((1 << bits) - 1);
        self.drop(bits)?;
        Ok(value)
    }

    /// The next symbol of a code.
    fn symbol(&mut self, table: &DecodingTable) -> io::Result<usize> {
        self.fill(15)?;
        let quick = table.quick[self.pending as usize % (1 << QUICK)];
        if quick > 0 {
            self.drop(u32::from(quick % 16))?;
            return Ok(usize::from(quick / 16));
        }
        let (mut code, mut first, mut index) = (0, 0, 0);
        for len in 1..16 {
            code |= (self.pending >> (len - 1)) as usize & 1;
            let count = table.counts[len];
            // Shorter codes were looked up. A code that lacks symbols, as the fixed one does, has bits that are none.
            if len > QUICK as usize && (first..first + count).contains(&code) {
                self.drop(len as u32)?;
                return Ok(table.sorted[index + code - first].into());
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        if self.count < 15 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Err(invalid()) }
    }

    /// The codes in the head of a block.
    pub(crate) fn head(&mut self) -> io::Result<BlockHead> {
        let mut seen = Sink::default();
        let literals = self.seen(5, &mut seen)? as usize + LENGTHS;
        let distances = self.seen(5, &mut seen)? as usize + 1;
        let meta_lengths = self.seen(4, &mut seen)? as usize + 4;
        if literals > LITERALS || distances > DISTANCES {
            return Err(invalid());
        }
        let mut meta = [0; META];
        for symbol in &META_ORDER[..meta_lengths] {
            meta[*symbol] = self.seen(3, &mut seen)? as usize;
        }
        let of_meta: [PrefixCode; META] = codes(&meta)?;
        let table = DecodingTable::of(&of_meta);
        let mut lens = Vec::with_capacity(literals + distances);
        while lens.len() < literals + distances {
            let symbol = self.symbol(&table)?;
            seen.code(of_meta[symbol]);
            let (len, count) = match symbol {
                16 => (*lens.last().ok_or_else(invalid)?, 3 + self.seen(2, &mut seen)?),
                17 => (0, 3 + self.seen(3, &mut seen)?),
                18 => (0, 11 + self.seen(7, &mut seen)?),
                len => (len, 1),
            };
            lens.extend((0..count).map(|_| len));
        }
        if lens.len() > literals + distances {
            return Err(invalid());
        }
        let (of_literals, of_distances) = lens.split_at(literals);
        let bits = seen.bits();
        seen.align();
        Ok(BlockHead {
            bytes: seen.bytes,
            bits,
            literals: codes(of_literals)?,
            distances: codes(of_distances)?,
        })
    }

    fn seen(&mut self, bits: u32, seen: &mut Sink) -> io::Result<u32> {
        let value = self.take(bits)?;
        seen.put(value.into(), bits);
        Ok(value)
    }
}

/// The codes of such lengths, which must have room beside each other.
fn codes<const N: usize>(lens: &[usize]) -> io::Result<[PrefixCode; N]> {
    let used: u32 = lens.iter().filter(|len| **len > 0).map(|len| 1 << (bits::LONGEST - len)).sum();
    if used > 1 << bits::LONGEST { Err(invalid()) } else { Ok(canonical(lens)) }
}

/// A code, ready to be read.
struct DecodingTable {
    /// The symbol times 16 and the length of its code, by the next bits; 0 where the code is longer.
    quick: Vec<u16>,
    /// The number of codes of each length, and their symbols in order.
    counts: [usize; 16],
    sorted: Vec<u16>,
}

impl DecodingTable {
    fn of(codes: &[PrefixCode]) -> Self {
        let mut table = Self { quick: vec![0; 1 << QUICK], counts: [0; 16], sorted: Vec::new() };
        for (symbol, code) in codes.iter().enumerate().filter(|(_, code)| !code.is_none()) {
            table.counts[usize::from(code.len)] += 1;
            if u32::from(code.len) <= QUICK {
                let places = (usize::from(code.bits)..1 << QUICK).step_by(1 << code.len);
                places.for_each(|at| table.quick[at] = (symbol * 16) as u16 | u16::from(code.len));
            }
        }
        for len in 1..16 {
            let with_len = codes.iter().enumerate().filter(|(_, code)| code.len == len);
            table.sorted.extend(with_len.map(|(symbol, _)| symbol as u16));
        }
        table
    }
}

/// A stream that is read.
pub(crate) struct DeflateReader<R> {
    pub(crate) bits: BitReader<R>,
    /// The plain bytes of the last block, after as many before it as matches reach.
    plain: Vec<u8>,
    before: usize,
}

impl<R: Read> DeflateReader<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { bits: BitReader::new(from), plain: Vec::new(), before: 0 }
    }

    /// The plain bytes of the block that was read last.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain[self.before..]
    }

    /// The next block.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` where the stream ends, `InvalidData` where it is damaged or a block is unusually large.
    pub(crate) fn block(&mut self) -> io::Result<DeflateBlock> {
        self.plain.drain(..self.plain.len().saturating_sub(REACH));
        self.before = self.plain.len();
        let is_last = self.bits.take(1)? == 1;
        let mut tokens = Vec::new();
        let shape = match self.bits.take(2)? {
            0 => {
                self.stored()?;
                BlockShape::Stored
            }
            1 => {
                self.tokens(&fixed_literals(), &fixed_distances(), &mut tokens)?;
                BlockShape::Fixed
            }
            2 => {
                let head = self.bits.head()?;
                self.tokens(&head.literals, &head.distances, &mut tokens)?;
                BlockShape::Own(Box::new(head))
            }
            _ => return Err(invalid()),
        };
        Ok(DeflateBlock { shape, tokens, len: self.plain().len(), is_last })
    }

    fn stored(&mut self) -> io::Result<()> {
        let unused = self.bits.count % 8;
        if self.bits.take(unused)? != 0 {
            return Err(invalid());
        }
        let (len, check) = (self.bits.take(16)?, self.bits.take(16)?);
        if len != check ^ 0xffff {
            return Err(invalid());
        }
        for _ in 0..len {
            let byte = self.bits.take(8)? as u8;
            self.plain.push(byte);
        }
        Ok(())
    }

    fn tokens(
        &mut self,
        literals: &[PrefixCode],
        distances: &[PrefixCode],
        tokens: &mut Vec<Token>,
    ) -> io::Result<()> {
        let (literals, distances) = (DecodingTable::of(literals), DecodingTable::of(distances));
        loop {
            if tokens.len() == MOST_TOKENS || self.plain().len() > MOST_PLAIN {
                return Err(invalid());
            }
            let symbol = self.bits.symbol(&literals)?;
            if symbol == END {
                return Ok(());
            }
            if let Ok(byte) = u8::try_from(symbol) {
                self.plain.push(byte);
                tokens.push(Token::literal(byte));
                continue;
            }
            let symbol = symbol - LENGTHS;
            let more = self.bits.take(LENGTH_BITS[symbol].into())? as usize;
            let length = usize::from(LENGTH_BASE[symbol]) + more + 3;
            let symbol = self.bits.symbol(&distances)?;
            let more = self.bits.take(DISTANCE_BITS[symbol].into())? as usize;
            let distance = usize::from(DISTANCE_BASE[symbol]) + more + 1;
            let from = self.plain.len().checked_sub(distance).ok_or_else(invalid)?;
            if length > LONGEST {
                return Err(invalid());
            }
            for at in from..from + length {
                self.plain.push(self.plain[at]);
            }
            tokens.push(Token::matched(length, distance));
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
