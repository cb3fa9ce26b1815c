//! Layers: scanned, told by other layers, asked about, coded, and joined again.

pub(super) mod batches;
pub(super) mod headers;
pub(super) mod hostile_headers;
pub(super) mod reconcile;
pub(super) mod tar;

mod layer;
