//! The request that a target works on: image, names, basis, and whether a source or a patch gives it.

use std::path::Path;

use dsync_core::{DiffId, Digest, Image, ImageRef};
use dsync_engine::{Import, Package};

use crate::conversation::{Attempt, Preserved};

/// A request to take an image, checked.
pub(crate) struct Receiving {
    pub(crate) image: Image,
    pub(crate) names: Vec<ImageRef>,
    pub(crate) basis: Option<ImageRef>,
    pub(crate) attempt: Attempt,
    pub(crate) dry_run: bool,
    pub(crate) preserved: Preserved,
    /// The source proves first that the config belongs to the ID.
    pub(crate) prove: bool,
    pub(crate) peering: Peering,
}

impl Receiving {
    /// True if a patch is only to be tried. It has all contents, where a live source leaves those of a dry run out.
    pub(crate) fn is_patch_tried(&self) -> bool {
        self.dry_run && matches!(self.peering, Peering::Patch(_))
    }
}

/// The peer that an image comes from.
pub(crate) enum Peering {
    /// A source, which wants a proof by this key that the basis is here.
    Live { key: [u8; 16] },
    /// A patch, which says what there is; nothing else can be asked for.
    Patch(PatchContents),
}

/// The layers in a patch, and those that it was made against.
pub(crate) struct PatchContents {
    /// The old image as it was named, for people.
    pub(crate) old: String,
    /// The numbers of the layers of the image that it has, from 0 for the lowest.
    pub(crate) layers: Vec<u32>,
    /// The others of which it says how they are stored.
    pub(crate) described: Vec<u32>,
    /// The layers of its basis, in its order.
    pub(crate) basis: Vec<DiffId>,
    /// Makes an image with the ID of a manifest in a store without such IDs. An agent never applies a patch, and
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
