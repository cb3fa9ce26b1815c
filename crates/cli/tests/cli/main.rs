//! The program as a person meets it: what it prints where, and its exit code. No engine, no network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod completions;
mod environment;
mod files;
mod help;
mod liars;
mod links;
mod patch;
mod plugin;
mod referrers;
mod remote;
mod saved;
mod surroundings;
mod usage;
