//! What is known of aarch64 code.

pub(crate) mod filter;
pub(crate) mod instruction;
pub(crate) mod references;
