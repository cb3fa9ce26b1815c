//! Hosts on which no agent runs: a script stands for ssh, and another one for the engine's client there. All that goes
//! through a shell of the other host really does, on this one.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod host;
mod partial;
mod transfers;
