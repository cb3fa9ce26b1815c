//! The delta engine from outside: what scan, index, header delta, batches and join promise to each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod batching;
mod chunking;
mod header_delta;
mod join;
mod layer_index;
mod reconcile;
mod scan;
mod support;
mod tars;
