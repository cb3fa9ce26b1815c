//! An image that a target is asked to take, and how.

use std::path::Path;

use dsync_core::{DiffId, Digest, Image, ImageRef};
use dsync_engine::{Import, Package};

/// What to take, checked.
pub(crate) struct Receiving {
    pub(crate) image: Image,
    pub(crate) names: Vec<ImageRef>,
    pub(crate) basis: Option<ImageRef>,
    pub(crate) whole: bool,
    pub(crate) dry_run: bool,
    /// Make it with the source's ID, which says what that is made of.
    pub(crate) exact: Option<Keep>,
    /// The source proves first that the config belongs to the ID.
    pub(crate) prove: bool,
    /// The key by which it is proven that the basis is here; a patch asks for no proof.
    pub(crate) key: Option<[u8; 16]>,
    /// A patch says what there is; nothing else can be asked for.
    pub(crate) given: Option<Given>,
}

/// How much stays of an image that is to have the source's ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of it, so its ID.
    Whole,
    /// Of several platforms one, so the digest of its manifest.
    Platform,
}

/// What a patch has and what it was made against.
pub(crate) struct Given {
    /// Which layers of the image it has, from 0 for the lowest.
    pub(crate) layers: Vec<u32>,
    /// Of which of the others it tells how they are stored.
    pub(crate) local: Vec<u32>,
    /// The layers of its basis, in its order.
    pub(crate) basis: Vec<DiffId>,
    /// How an image with the ID of a manifest is made where there are no such IDs. An agent never applies a patch, and
    /// is smaller without.
    pub(crate) as_content: MakeContent,
}

/// Makes the image of a package with this config, whose layers may be uncompressed in this folder.
pub(crate) type MakeContent = fn(&Package, &Digest, &Path) -> Option<Box<dyn AsContent>>;

/// One of the images of a package, in a store that does not name images by manifests.
pub(crate) trait AsContent {
    /// The bytes of its config.
    fn config(&self) -> &[u8];

    /// An import into which layers go as they cross.
    fn begin<'a>(&'a self, package: &Package, import: Box<dyn Import + 'a>) -> Box<dyn Import + 'a>;
}
