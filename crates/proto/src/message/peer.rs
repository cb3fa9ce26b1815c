//! The messages between source and target, which the client passes on.

use serde::{Deserialize, Serialize};

use crate::budget;

/// Between source and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    /// Target to source. The first message, where a proof and documents have not crossed before.
    Want(Want),
    /// Source to target, before the stream of layers.
    Offer(Offer),
    /// Source to target: a question of a reconciliation (`dsync_delta::reconcile`).
    Question {
        /// The question; empty when nothing more is asked about this list.
        #[serde(deserialize_with = "budget::bytes")]
        question: Vec<u8>,
    },
    /// Target to source, to each question that is not empty.
    Answer {
        /// The answer.
        #[serde(deserialize_with = "budget::bytes")]
        answer: Vec<u8>,
    },
    /// Target to source, after the layers, where the source cannot read all of the basis: a bit for each literal, set
    /// where the target has what may be an old version of it.
    Candidates {
        /// As `dsync_delta::Bitmap` writes it.
        #[serde(deserialize_with = "budget::bytes")]
        bitmap: Vec<u8>,
    },
    /// Target to source, after each batch: how long it was under way. So the source knows how fast the link is,
    /// whatever waits in buffers on its side.
    Took {
        /// Bytes of the batch that came in later frames than its length did.
        len: u64,
        /// Microseconds from that frame to the last one.
        micros: u64,
    },
    /// Either way: this side gave up, and has sent its client the reason.
    Abort,
    /// Target to source, when it has read its basis: for each layer of the basis in `Want`, in its order, the proof of possession.
    Proofs(#[serde(deserialize_with = "budget::list")] Vec<PossessionProof>),
    /// Source to target: the artifacts beside an image.
    Referrers(#[serde(deserialize_with = "budget::list")] Vec<ListedReferrer>),
    /// Target to source: the places in the list of `Referrers` of those that it lacks.
    Lacking(#[serde(deserialize_with = "budget::list")] Vec<u32>),
}

/// An artifact beside an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedReferrer {
    /// The digest of its manifest, or of an index of several.
    pub root: [u8; 32],
    /// `sha256-HEX.sig`; empty for one without a tag.
    #[serde(deserialize_with = "budget::text")]
    pub tag: String,
    /// The number of blobs that it is made of, the root included.
    pub blobs: u32,
}

/// The first bytes of a layer's diff id. Two layers of a host with the same ones cost bytes, and nothing else.
pub type ShortId = [u8; 5];

/// The first bytes of a hash over the transfer's key over the contents of a layer: `dsync_delta::LayerIndex::possession_proof`. It has 24 bits because a
/// target has one try in each transfer that a user begins.
pub type PossessionProof = [u8; 3];

/// The target's request for an image: layers that it lacks, and its basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// Nothing: the image is there.
    Nothing,
    /// The config and these layers.
    Layers {
        /// Indexes of layers in the image, from 0 for the lowest, each distinct layer once.
        #[serde(deserialize_with = "budget::list")]
        layers: Vec<u32>,
        /// Send every content, and rely on nothing that was remembered: the way out when one was mistaken.
        without_basis: bool,
        /// The layers of the target whose contents may be used, by how their diff ids begin; those of an image
        /// lowest first, the image that is most like the new one last. `Proofs` follow.
        #[serde(deserialize_with = "budget::list")]
        basis: Vec<ShortId>,
        /// The number of the last of these that are in no image: parts of layers, which a transfer left that broke off.
        partial: u32,
        /// Layers that the target builds of its own, of an image that is to have the source's ID: it must be told
        /// how they are stored. As `layers`.
        #[serde(deserialize_with = "budget::list")]
        described: Vec<u32>,
    },
}

/// The source's answer to [`Want`]: which layers of the basis it knows, and how layers are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// One for each layer of the target's basis.
    #[serde(deserialize_with = "budget::list")]
    pub basis: Vec<Known>,
    /// The stored form of each layer of `layers`, then of `described`, where the image keeps the source's ID.
    #[serde(deserialize_with = "budget::list")]
    pub stored: Vec<Stored>,
}

impl Offer {
    /// The source does not know the entries of some layers of the basis, so hash trees are exchanged.
    pub fn asks(&self) -> bool {
        self.basis.contains(&Known::No)
    }

    /// The source has all of the basis.
    pub fn has_all(&self) -> bool {
        self.basis.iter().all(|known| *known == Known::Bytes)
    }
}

/// The stored form of a layer that an ID is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// As it is read.
    Plain,
    /// Compressed by an encoder that can be run again: a recipe, as `dsync_recompress::Recipe` writes it.
    Compressed(#[serde(deserialize_with = "budget::bytes")] Vec<u8>),
    /// In some other way: the stored bytes are sent, and their digest stands for the diff id.
    Opaque,
}

/// The source's knowledge of a layer of the target's basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known {
    /// It does not know the layer.
    No,
    /// It has the index of the layer.
    Index,
    /// It has the layer.
    Bytes,
}
