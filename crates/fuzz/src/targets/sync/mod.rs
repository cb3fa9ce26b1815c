//! The input of a session's end from the other end: whole conversations, and their parts by themselves.

pub(super) mod cache;
pub(super) mod frames;
pub(super) mod greeting;
pub(super) mod packed;
pub(super) mod partial;
pub(super) mod patch;
pub(super) mod session;

mod hosts;
mod recorded;
mod script;
