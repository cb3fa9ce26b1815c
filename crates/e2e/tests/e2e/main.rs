//! The end-to-end tests: `docker-sync` as a process, between real engines, through real sshds. One program,
//! so that all tests share a lab; a module for each topic.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod agent;
mod arm64;
mod basis;
mod containerd;
mod content;
mod delta;
mod doctor;
mod failures;
mod identity;
mod methods;
mod oci;
mod plugin;
mod recipes;
mod report;
mod select;
mod ssh;
mod sudo;
mod sync;
