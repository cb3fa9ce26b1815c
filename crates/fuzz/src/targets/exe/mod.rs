//! Executables of either end, and what a peer says of their addresses.

pub(super) mod branches;
pub(super) mod plan;
