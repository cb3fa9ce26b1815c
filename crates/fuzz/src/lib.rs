//! Fuzz targets of docker-sync: functions of bytes that panic where a promise is broken.
//!
//! `fuzz/` runs them under libFuzzer. The tests here run them on their seeds and on every input that once found a
//! fault, so they compile and hold in each run of the gate. `docs/fuzzing.md` says how to add one.
//!
//! A target asserts more than that nothing panics: what was encoded is decoded to the same, the same input gives the
//! same result however it is cut into reads, and memory stays within a bound ([`Memory`]).

mod memory;
mod pieces;
mod reads;
pub mod targets;
mod tars;

pub use memory::{Memory, PeakAlloc, run};
pub use targets::ALL;

/// One entry point of the program's code for bytes of others.
pub struct Target {
    /// Its name, which is that of its binary, its seeds and its regressions.
    pub name: &'static str,
    /// Tries an input.
    pub run: fn(&[u8]),
    /// The memory that it may take.
    pub memory: Memory,
    /// Small inputs from real data, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    ALL.iter().copied().find(|target| target.name == name)
}
