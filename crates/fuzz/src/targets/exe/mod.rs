//! Executables of either end, and what a peer says of their addresses.

pub(super) mod address_map;
pub(super) mod branches;
