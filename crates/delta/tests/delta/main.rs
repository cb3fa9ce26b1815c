//! The delta engine from outside: what scan, skeleton, plan and join promise to each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod join;
mod scan;
mod skeleton;
mod support;
mod tars;
