//! A namespace of a containerd, as the store and its imports use it.

use std::sync::OnceLock;

use dsync_core::{Image, ImageId, Inventory, Platform, Unreadable};

use super::blobs::CtrBlobs;
use super::importer::Importer;
use super::{hold, namespace, records};
use crate::client::containerd;
use crate::client::temporary_names::TemporaryNames;
use crate::command::{Feeding, Program};
use crate::host;
use crate::package::Package;
use crate::store::StoreError;

/// A namespace of a containerd.
pub(super) struct Daemon {
    /// The client, in the namespace.
    pub(super) ctr: Program,
    /// For people.
    pub(super) name: String,
    pub(super) blobs: CtrBlobs,
    /// The platform by whose config an image of several platforms is described.
    pub(super) platform: Platform,
    pub(super) temporary_names: TemporaryNames,
    /// The ways of the client to import, once it was asked.
    importer: OnceLock<Importer>,
}

impl Daemon {
    /// Asks whether the daemon of a client answers, and chooses the namespace.
    pub(super) fn open(client: Program, namespace: Option<&str>) -> Result<Self, StoreError> {
        let version = client.run(&["version"], None)?;
        let version = server_version(&String::from_utf8_lossy(&version.stdout));
        let (ctr, namespace) = namespace::choose(&client, namespace)?;
        let blobs = CtrBlobs::open(&ctr)?;
        let readable = if blobs.folder().is_some() { ", storage readable" } else { "" };
        let name = format!("containerd {version}, namespace {namespace}{readable}");
        let temporary_names = TemporaryNames::removed_by(&ctr, &["images", "rm"]);
        let (platform, importer) = (host::platform(), OnceLock::new());
        Ok(Self { ctr, name, blobs, platform, temporary_names, importer })
    }

    /// All images, those with temporary names among them as well.
    pub(super) fn images(&self) -> Result<Inventory, StoreError> {
        let named = records::names(&records::list(&self.ctr)?);
        self.blobs.refresh()?;
        self.blobs.prefetch(named.keys().map(ImageId::digest));
        let mut all = Inventory::default();
        for (id, names) in named {
            match containerd::image(&self.blobs, &id, &self.platform) {
                Ok(Some(image)) => all.images.push(Image { names, ..image }),
                Ok(None) => {}
                Err(reason) => all.unreadable.push(Unreadable { id: Some(id), names, reason }),
            }
        }
        Ok(all)
    }

    /// Starts an import, which waits for its archive: of an index, where its package is given.
    pub(super) fn feed_import(&self, package: Option<&Package>, unpack: bool) -> Result<Feeding, StoreError> {
        let importer = match self.importer.get() {
            Some(known) => known,
            None => {
                let asked = Importer::of(&self.ctr)?;
                self.importer.get_or_init(|| asked)
            }
        };
        let words = importer.words(package, unpack);
        self.ctr.feed(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A run ends the holds of those that were killed, at its end as the names of such.
impl Drop for Daemon {
    fn drop(&mut self) {
        for left in self.blobs.left_holds() {
            hold::end(&self.ctr, &left);
        }
    }
}

/// The version of the daemon in the output of `version`.
fn server_version(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| line.trim() != "Server:");
    let version = lines.find_map(|line| line.trim().strip_prefix("Version:"));
    version
        .map(|version| version.trim().trim_start_matches('v'))
        .unwrap_or("of an unknown version")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_daemons() {
        let said =
            "Client:\n  Version:  1.6.20\n  Go version: go1\n\nServer:\n  Version:  v1.7.24\n  UUID: x\n";
        assert_eq!(server_version(said), "1.7.24");
        assert_eq!(server_version("Client:\n  Version: 1\n"), "of an unknown version");
    }
}
