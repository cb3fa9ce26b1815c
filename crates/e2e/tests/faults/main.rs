//! Faults on purpose: processes that are killed or stopped at every step of a transfer. Whatever happens, the target has the
//! old image or the complete new one, the run says so in time, and the next one completes it.
//!
//! The gate runs a fixed part; `cargo xtask faults` runs all and writes the table of docs/faults.md.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod ground;
mod kill;
mod kills;
mod operations;
mod record;
mod told;
