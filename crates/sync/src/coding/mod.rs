//! The bytes of a transfer: coded batches, sections of whatever else is said, and the filters that batches go through.
//!
//! Both ends have the same code here. Neither what is sent nor in which order is its business.

pub(crate) mod address_maps;
pub(crate) mod batch;
pub(crate) mod branch;
pub(crate) mod inflated;
pub(crate) mod runs;
pub(crate) mod section;
