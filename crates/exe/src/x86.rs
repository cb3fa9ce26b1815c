//! What is known of x86-64 code.

pub(crate) mod filter;
pub(crate) mod instruction;
pub(crate) mod references;
