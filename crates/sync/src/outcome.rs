//! The outcome of an image.

use dsync_core::ImageId;
use dsync_proto::Cost;
pub use dsync_proto::LayerOutcome;

use crate::traffic::Traffic;

/// The outcome of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The image ID on the target.
    pub id: ImageId,
    /// True if the image was there and only its name moved.
    pub was_there: bool,
    /// Each layer, the lowest first.
    pub layers: Vec<LayerOutcome>,
    /// Bytes of layers that the target compressed again (or would), in bytes before compression.
    pub packed_again: u64,
    /// Contents that crossed (or would), before compression, in bytes.
    pub raw: u64,
    /// The same after compression.
    pub packed: u64,
    /// The config and all that is no content, after compression.
    pub metadata: u64,
    /// The packed bytes by file, where that was asked for; the costliest first.
    pub costs: Vec<Cost>,
    /// All that crossed for this image.
    pub traffic: Traffic,
}
