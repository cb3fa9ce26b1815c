//! The proof that an image's config belongs to its ID, where that is the digest of a manifest or of an index.
//!
//! A store whose IDs are those of configs cannot show such an ID, and of several platforms only one crosses. Who asks for
//! an image by its ID means that very image all the same. The proof is the documents that lead from the ID to the config
//! (OCI image specification, "Image Index" and "Image Manifest"): the ID is the digest of the first, each names the
//! digest of the next, and the last that of the config. They are sent as the documents of an image are.

use dsync_core::{Digest, Image, ImageId};
use dsync_delta::batch::Effort;
use dsync_engine::{Package, StoreError, leads_to_config};

use super::{Step, documents};
use crate::failure::EndpointError;
use crate::link::Link;

/// Sends the proof. Returns how many bytes it took.
pub(crate) fn send(
    link: &Link,
    package: &Package,
    image: &Image,
    config: &Digest,
    effort: Effort,
) -> Result<u64, EndpointError> {
    let path = package.path_to(config).ok_or_else(|| {
        let reason = format!("its manifests do not name the config {config}");
        StoreError::Broken { what: format!("the image {}", image.id), reason }
    })?;
    documents::send_documents(link, Step::IdProof, &path, effort)
}

/// Receives the proof that the image with this ID has this config. Returns the digest of the manifest in between.
pub(crate) fn receive(link: &mut Link, id: &ImageId, config: &Digest) -> Result<Digest, EndpointError> {
    let documents = documents::receive_documents(link, Step::IdProof)?;
    let unproven = || {
        let reason = format!("the source cannot prove that the image {id} has the config {config}");
        EndpointError::AnotherImage(reason)
    };
    let manifest =
        documents.last().filter(|_| leads_to_config(id, &documents, config)).ok_or_else(unproven)?;
    Ok(Digest::of(manifest))
}
