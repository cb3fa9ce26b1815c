//! LZ77 with context-modelled binary coding, after LZMA.
//!
//! This is LZMA (Igor Pavlov, "LZMA specification", 2015) but for these: probabilities are the mean of two
//! estimates, matches may be of any length, the old items are what lies before the first byte, the position
//! that contexts take their low bits from begins at 0 with every item, and nothing is said of the end, which
//! both sides know.

mod decode;
mod encode;
mod finder;
mod literal;
mod long_matches;
mod model;
mod position;
mod price;
mod symbol;

pub(super) use decode::{unpack, unpack_prefix};
pub(super) use encode::pack;
