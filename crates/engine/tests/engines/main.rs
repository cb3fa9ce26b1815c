//! The stores of this crate on real engines, those of the lab: one suite for all, and what only some do.
//!
//! The tests on most engines are marked as ignored, since the gate has no time for them: `cargo xtask test
//! --all-engines` runs them all.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod conformance;
mod silent;
mod stand;
