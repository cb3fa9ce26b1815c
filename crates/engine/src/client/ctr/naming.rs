//! The names of images: an image gets its own in one step, and the one that loses its last is not lost.

use std::io::Write as _;

use dsync_core::{ImageId, ImageRef};

use super::daemon::Daemon;
use super::hold;
use super::records::{self, Record, unnamed};
use crate::archive::PartialArchive;
use crate::blob::BlobRef;
use crate::client::containerd::{self, Content as _};
use crate::client::fed_archive::unwritten;
use crate::client::temporary_names::TemporaryName;
use crate::layers::Blobs as _;
use crate::package::Package;
use crate::referrers::WholeReferrer;
use crate::store::StoreError;

impl Daemon {
    /// Gives an image its names, or one by its digest where it has none at all.
    pub(super) fn give(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        let all = records::list(&self.ctr)?;
        let Some(own) = all.iter().find(|record| record.id == *id) else {
            return Err(StoreError::NoSuchImage { image: id.to_string() });
        };
        let unnamed = unnamed(id);
        let full: Vec<String> = match names.is_empty() {
            false => names.iter().map(ImageRef::qualified).collect(),
            true if has_other(&all, id, &[]) => return Ok(()),
            true => vec![unnamed.clone()],
        };
        keep_others(self, &all, id, &full)?;
        let package = containerd::package(&self.blobs, id, None)?;
        self.keep_whole(&package)?;
        let size = self.blobs.size(&id.digest());
        let size = size.ok_or_else(|| self.blobs.broken(format!("the blob {id} is missing")))?;
        let mut naming = self.feed_import(Some(&package), false)?;
        let mut archive = PartialArchive::new(Vec::new());
        archive.name(&own.media_type, &BlobRef { digest: id.digest(), size }, &full).map_err(unwritten)?;
        let written = naming.write_all(&archive.into_inner());
        naming.finish()?;
        written
            .map_err(|source| StoreError::Io { what: "the client stopped reading names".into(), source })?;
        if !names.is_empty() && all.iter().any(|record| record.name == unnamed) {
            self.remove(&unnamed);
        }
        Ok(())
    }

    /// Takes an artifact, with its tag beside each of these names of its image; without a tag or a name, with one by its
    /// digest.
    pub(super) fn add_referrer(&self, image: &[ImageRef], whole: &WholeReferrer) -> Result<(), StoreError> {
        let referrer = whole.referrer();
        let names = referrer.names_beside(image);
        let full: Vec<String> = match names.is_empty() {
            false => names.iter().map(ImageRef::qualified).collect(),
            true => vec![unnamed(&ImageId::from(referrer.root.digest))],
        };
        let mut importing = self.feed_import(None, false)?;
        let mut archive = PartialArchive::new(Vec::new());
        archive.artifact(whole.blobs(), &referrer.media_type, &referrer.root, &full).map_err(unwritten)?;
        let written = importing.write_all(&archive.into_inner());
        importing.finish()?;
        written
            .map_err(|source| StoreError::Io { what: "the client stopped reading a referrer".into(), source })
    }

    /// Has an index keep all that it names and is there: the client sees to one platform only.
    fn keep_whole(&self, package: &Package) -> Result<(), StoreError> {
        if !package.is_index() {
            return Ok(());
        }
        for (digest, children) in package.references() {
            hold::refer(&self.ctr, &digest, &children)?;
        }
        Ok(())
    }

    /// Removes the records of an image that were not there before: Kubernetes makes some of its own.
    pub(super) fn take_back(&self, id: &ImageId, before: &[Record]) {
        if before.iter().any(|record| record.id == *id) {
            return;
        }
        for record in records::list(&self.ctr).unwrap_or_default() {
            if record.id == *id {
                self.remove(&record.name);
            }
        }
    }

    fn remove(&self, name: &str) {
        // It may be gone.
        let _ = self.ctr.output(&["images", "rm", name]);
    }
}

/// True if an image has a record that lasts, beside these.
fn has_other(all: &[Record], id: &ImageId, but: &[String]) -> bool {
    let is_temporary =
        |record: &Record| record.name.parse().is_ok_and(|name| TemporaryName::parse(&name).is_some());
    all.iter().any(|record| record.id == *id && !but.contains(&record.name) && !is_temporary(record))
}

/// Names the images by their digests that are about to lose their last name.
fn keep_others(daemon: &Daemon, all: &[Record], id: &ImageId, names: &[String]) -> Result<(), StoreError> {
    let losing = all.iter().filter(|record| record.id != *id && names.contains(&record.name));
    for record in losing.filter(|record| !has_other(all, &record.id, names)) {
        let kept = unnamed(&record.id);
        match daemon.ctr.run(&["images", "tag", &record.name, &kept], None) {
            // Several names of one image, or somebody who removed it.
            Err(StoreError::Failed { message, .. })
                if ["already exists", "not found"].iter().any(|said| message.contains(said)) => {}
            kept => kept.map(drop)?,
        }
    }
    Ok(())
}
