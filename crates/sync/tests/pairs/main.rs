//! Source and target in one process: generated pairs of stores, and what must come of a run between them.
//!
//! No engine, no ssh, no root. `docs/testing.md` says what the pairs are made of and how one that fails is run again.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod cuts;
mod fixed;
mod generated;
mod known;
mod patches;
mod resume;
mod simulation;
mod trial;
