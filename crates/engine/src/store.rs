//! The trait of image stores, and their errors.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use dsync_core::{ChainId, DiffId, Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};

use crate::blob::BlobRef;
use crate::demand::{Demand, ImportSize};
use crate::package::Package;
use crate::referrers::{Referrer, WholeReferrer};

/// One image store of this host.
///
/// A store is read and written through `&self`, also from several threads: each call is a process or a
/// set of files of its own.
pub trait Store: Send + Sync {
    /// The kind of store, for people and for the choices that depend on it.
    fn describe(&self) -> Description;

    /// Chooses the platform whose image a name stands for that images of several platforms share. Without a choice it
    /// is the image for this host.
    fn prefer(&mut self, _platform: &Platform) {}

    /// Checks that there is a store to take images from: one that the first import makes need not exist before.
    fn must_exist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Checks that the store can take images, as far as that is seen before one comes.
    fn must_take(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// All images, dangling ones too, without reading any layer.
    ///
    /// An image that cannot be understood is listed as such, and never the reason why the others are not.
    fn list(&self) -> Result<Inventory, StoreError>;

    /// The images without a name that a sync of all images includes: those of files, where somebody put each image. In
    /// an engine, images without a name are left-overs of old builds.
    fn unnamed(&self, _inventory: &Inventory) -> Result<Vec<ImageId>, StoreError> {
        Ok(Vec::new())
    }

    /// The digests of the configs of these images, where [`Store::list`] leaves them out: `None` for one that is gone
    /// or has none. It costs, so it is asked for images whose layers leave the question open.
    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        Ok(vec![None; ids.len()])
    }

    /// The document with this digest, where an index of an image of this store names it: the manifest of one platform,
    /// or an index. Such a document is not listed; its ID is as good as that of an image all the same, for
    /// [`Store::package`] and [`Store::export`]. It costs, so it is asked for a digest that no image goes by.
    fn nested(&self, _digest: &Digest) -> Result<Option<Nested>, StoreError> {
        Ok(None)
    }

    /// The layers that an image for this store can leave out, given the store's images.
    fn holdings(&self, held: &[Image]) -> Holdings;

    /// Reads the image's config and those of its layers that are wanted.
    ///
    /// Each wanted layer is given to the sink once, in the order of the store: a tar uncompressed, a blob as it is
    /// stored, where the store has a [`Store::package`]. A tar whose diff id the archive does not name is given with
    /// `None`: the sink hashes its bytes anyway.
    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError>;

    /// True if [`Store::package`] returns something here, as it does where images are named by their manifests.
    fn has_packages(&self) -> bool {
        self.describe().kind.id_of() == IdOf::Manifest
    }

    /// The documents of the image, in a store that names images by manifests; with a platform, those of its image
    /// alone. `None` in other stores.
    fn package(&self, _id: &ImageId, _platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        Ok(None)
    }

    /// For each of these blobs whether this store can take an image by its package without it.
    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; blobs.len()])
    }

    /// A blob of an image of this store, as it is stored.
    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        let reason = "the store keeps no blobs".into();
        Err(StoreError::Broken { what: format!("the blob {}", blob.digest), reason })
    }

    /// The uncompressed size of each layer of the image, the lowest first; `None` where the store does not know it
    /// without reading them.
    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError>;

    /// The room that an import takes, at least. Empty where that cannot be seen, as in a virtual machine.
    fn demands(&self, _size: &ImportSize) -> Vec<Demand> {
        Vec::new()
    }

    /// The platform of the engine's host, where that runs no images of this one, not even by an emulator. `None` where it
    /// does, where that cannot be seen, and of files.
    fn cannot_run(&self, _platform: &Platform) -> Option<Platform> {
        None
    }

    /// True if this store keeps artifacts beside images.
    fn keeps_referrers(&self) -> bool {
        false
    }

    /// The artifacts that refer to an image: signatures and the like.
    fn referrers(&self, _package: &Package) -> Result<Vec<Referrer>, StoreError> {
        Ok(Vec::new())
    }

    /// Takes artifacts beside an image, with their tags in the repositories of these names. Where a tag means another
    /// artifact, it moves.
    fn add_referrers(&self, _names: &[ImageRef], _referrers: &[WholeReferrer]) -> Result<(), StoreError> {
        let reason = "the store keeps nothing beside images".into();
        Err(StoreError::Broken { what: "a referrer".into(), reason })
    }

    /// Begins to write one image, which keeps this identity.
    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError>;

    /// Points these names to an image that is there; other images lose them and stay.
    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError>;
}

/// Layers that a store has, in its own sense of having one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holdings {
    /// Nothing that could be relied on.
    Nothing,
    /// A layer on the very layers that are below it: Docker's classic store.
    Chains(HashSet<ChainId>),
    /// A layer in any image: podman, an OCI layout.
    Layers(HashSet<DiffId>),
    /// A layer that is stored as an uncompressed blob: containerd, Docker's containerd store.
    Blobs(HashSet<Digest>),
}

impl Holdings {
    /// Layers on those below.
    pub fn chains(held: &[Image]) -> Self {
        Self::Chains(held.iter().flat_map(|image| ChainId::chain(&image.diff_ids)).collect())
    }

    /// Layers in any image.
    pub fn layers(held: &[Image]) -> Self {
        Self::Layers(held.iter().flat_map(|image| &image.diff_ids).copied().collect())
    }

    /// For each layer of the image whether the store can take the image without it.
    pub fn has(&self, image: &Image) -> Vec<bool> {
        match self {
            Self::Nothing => vec![false; image.diff_ids.len()],
            Self::Chains(chains) => {
                ChainId::chain(&image.diff_ids).iter().map(|id| chains.contains(id)).collect()
            }
            Self::Layers(layers) => image.diff_ids.iter().map(|id| layers.contains(id)).collect(),
            Self::Blobs(blobs) => image.diff_ids.iter().map(|id| blobs.contains(&id.digest())).collect(),
        }
    }
}

/// A manifest or an index that an index of an image names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nested {
    /// The images whose index names it.
    pub within: Vec<ImageId>,
    /// The image that it makes by itself, without a name; or the reason why it makes none, which follows "it is".
    pub image: Result<Image, String>,
}

/// The result of an export beside the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The raw bytes of the config.
    pub config: Vec<u8>,
}

/// Takes layers as they come out of a store.
pub trait LayerSink {
    /// Reads one layer to its end; without a key it is an uncompressed tar.
    ///
    /// Bytes that the key does not name are an error of the kind `InvalidData`. After an error the sink has forgotten
    /// the layer: the store may have another way to it and give it once more.
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()>;

    /// Takes a remark about the way in which layers are read, which explains the time that it takes.
    fn note(&mut self, _text: &str) {}
}

/// One image on its way into a store. Dropped before `commit` it leaves the store as it was.
pub trait Import: Send {
    /// Takes one layer of `len` bytes, which `write` produces, each layer at most once: tars for an image by its
    /// content, blobs for an exact one.
    ///
    /// If `write` fails, nothing of the image becomes visible.
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError>;

    /// Makes the image from the layers given and those that the store holds, verifies that it is there, and only then
    /// points these names to it. Returns its ID. An exact image has its config among its documents, so none is given.
    ///
    /// An image that gets a name is never without one: others may prune the store at any moment.
    fn commit(self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError>;
}

/// The identity that an image keeps.
#[derive(Debug, Clone, Copy)]
pub enum ImportIdentity<'a> {
    /// The config with this digest, and its layers. A store that names images by manifests makes a manifest.
    Content(Digest),
    /// Every byte that its ID is made of.
    Exact(&'a Package),
}

/// The description of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The kind, which decides identity and archive forms.
    pub kind: StoreKind,
    /// For people: `docker 20.10.24, overlay2`, `podman 4.3.1`, `oci:/srv/images`.
    pub name: String,
}

/// The document that an image ID is the digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOf {
    /// The config.
    Config,
    /// A manifest, or an index of manifests: the store keeps these documents, and has a [`Package`] of each image.
    Manifest,
}

/// The kinds of store that behave differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Docker with graph drivers: the image ID is the config's digest, layers are known by chain id.
    DockerClassic,
    /// Docker with the containerd image store: the ID is a manifest's or an index's digest.
    DockerContainerd,
    /// containerd without Docker: the ID is a manifest's or an index's digest, too.
    Containerd,
    /// podman: the ID is the config's digest, layers are known by diff id.
    Podman,
    /// An OCI image layout, as a directory or in an archive: the ID is a manifest's or an index's digest too.
    OciLayout,
    /// A saved archive that is no OCI image layout: the image ID is the config's digest. It is read, not written.
    DockerArchive,
}

impl StoreKind {
    /// True if its images are files that a person named, and no engine has.
    pub fn is_files(self) -> bool {
        matches!(self, Self::OciLayout | Self::DockerArchive)
    }

    /// The document that an image ID is the digest of.
    pub fn id_of(self) -> IdOf {
        match self {
            Self::DockerClassic | Self::Podman | Self::DockerArchive => IdOf::Config,
            Self::DockerContainerd | Self::Containerd | Self::OciLayout => IdOf::Manifest,
        }
    }
}

/// A failure of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The client program is nowhere.
    #[error("'{program}' was not found on PATH or in the usual places")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// The client runs, the engine does not answer.
    #[error("the container engine does not answer: {message}")]
    Down {
        /// The message of the client.
        message: String,
    },
    /// The store that the user named is not there: a directory, a file, a context of docker's.
    #[error("{message}")]
    NoStore {
        /// The message, with what is missing.
        message: String,
    },
    /// The user may not talk to the engine.
    #[error("no permission to talk to the container engine: {message}")]
    Permission {
        /// The message of the client.
        message: String,
    },
    /// A `sudo` in front of the client wants a password, or another one.
    #[error("no permission to talk to the container engine: {message}")]
    Password {
        /// The message of sudo.
        message: String,
    },
    /// No such image, any more.
    #[error("the store has no image {image}")]
    NoSuchImage {
        /// The ID that was asked for.
        image: String,
    },
    /// The image was taken, and removed by somebody else before it had its names.
    #[error("the engine took the image {image}, and somebody removed it before it had its name")]
    Removed {
        /// Its ID.
        image: String,
    },
    /// A disk for temporary files is full.
    #[error("no space left for temporary files: {message}")]
    TemporaryFull {
        /// The message of the program that wrote them.
        message: String,
    },
    /// The disk of the engine is full.
    #[error("no space left for the container engine: {message}")]
    StorageFull {
        /// The message of the client.
        message: String,
    },
    /// An image, or the answer of an engine, is not as it should be.
    #[error("{what} is broken: {reason}")]
    Broken {
        /// The archive, layout or image.
        what: String,
        /// The reason.
        reason: String,
    },
    /// A file that is whole, but of a form that is not read here.
    #[error("{what} {reason}")]
    Unsupported {
        /// The file.
        what: String,
        /// The message, with what to do.
        reason: String,
    },
    /// A file that holds images, and takes none.
    #[error("{store} can be read, not written: use oci:DIR for images in files")]
    ReadOnly {
        /// The store.
        store: String,
    },
    /// Another failure of the client program.
    #[error("`{command}` failed ({status}): {message}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status or signal.
        status: String,
        /// The end of its standard error.
        message: String,
    },
    /// The program, its pipes or a file could not be used.
    #[error("{what}")]
    Io {
        /// The action that failed.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// The diff ids that are wanted of an image, in a store that keeps no blobs.
///
/// # Errors
///
/// A blob is wanted.
pub fn tars(id: &ImageId, wanted: &HashSet<LayerKey>) -> Result<HashSet<DiffId>, StoreError> {
    let tar = |key: &LayerKey| match key {
        LayerKey::Tar(diff_id) => Ok(*diff_id),
        LayerKey::Blob(digest) => Err(StoreError::Broken {
            what: format!("the image {id}"),
            reason: format!("its store does not keep the blob {digest}"),
        }),
    };
    wanted.iter().map(tar).collect()
}

/// The error where none of these programs is installed.
pub(crate) fn none_of(programs: &[&str]) -> StoreError {
    StoreError::NotFound { program: programs.join("' or '") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layers: &[&str]) -> Image {
        Image {
            id: ImageId::of(layers.concat().as_bytes()),
            config: None,
            names: Vec::new(),
            digests: Vec::new(),
            diff_ids: layers.iter().map(|layer| DiffId::of(layer.as_bytes())).collect(),
            platform: "linux/amd64".parse().unwrap(),
            size: 0,
            created: String::new(),
        }
    }

    #[test]
    fn each_kind_has_its_own_sense_of_having_a_layer() {
        let held = [image(&["a", "b"]), image(&["x", "c"])];
        let new = image(&["a", "b", "c", "a"]);
        assert_eq!(Holdings::chains(&held).has(&new), [true, true, false, false]);
        assert_eq!(Holdings::layers(&held).has(&new), [true; 4]);
        let blobs = Holdings::Blobs(HashSet::from([Digest::of(b"b"), Digest::of(b"x")]));
        assert_eq!(blobs.has(&new), [false, true, false, false]);
        assert_eq!(Holdings::Nothing.has(&new), [false; 4]);
        assert_eq!(Holdings::chains(&[]).has(&new), [false; 4]);
        assert!(Holdings::layers(&held).has(&image(&[])).is_empty());
    }

    #[test]
    fn a_store_that_keeps_no_blobs_is_asked_for_tars_only() {
        let (id, tar) = (ImageId::of(b"image"), DiffId::of(b"layer"));
        assert_eq!(tars(&id, &HashSet::from([tar.into()])).unwrap(), HashSet::from([tar]));
        let error = tars(&id, &HashSet::from([LayerKey::Blob(tar.digest())])).unwrap_err();
        assert!(error.to_string().contains(&format!("does not keep the blob {tar}")), "{error}");
    }
}
