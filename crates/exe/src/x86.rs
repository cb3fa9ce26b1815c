//! x86-64 code: references, data and the filter.

pub(crate) mod filter;
pub(crate) mod instruction;
pub(crate) mod references;
