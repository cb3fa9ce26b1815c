//! A containerd without Docker: its configuration, and what its client `ctr` says of images.

use std::path::Path;

use dsync_core::ImageRef;

use crate::command::run;
use crate::{Engine, LabError};

/// The configuration of a containerd with all its places below this directory.
pub(crate) fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "version = 2\nroot = \"{dir}/root\"\nstate = \"{dir}/exec\"\ndisabled_plugins = [\"io.containerd.nri.v1.nri\"]\n\
         [grpc]\naddress = \"{dir}/containerd.sock\"\n\
         [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{dir}/opt\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nconf_dir = \"{dir}/cni\"\n"
    )
}

impl Engine {
    /// The records of images, each with its digest.
    pub(crate) fn records(&self) -> Result<Vec<(String, String)>, LabError> {
        let said = run(self.client().args(["images", "ls"]))?;
        let record = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(((*words.first()?).to_owned(), (*words.get(2)?).to_owned()))
        };
        Ok(said.lines().skip(1).filter_map(record).collect())
    }

    /// The digest of an image, by a name or by itself.
    pub(crate) fn record_of(&self, image: &str) -> Option<String> {
        let full = image.parse::<ImageRef>().map(|name| name.qualified()).unwrap_or_default();
        let records = self.records().ok()?;
        records.into_iter().find(|(name, id)| *name == full || id == image).map(|(_, id)| id)
    }

    /// Removes a record, or all of an image that is given by its digest; waits until their blobs are gone.
    pub(crate) fn remove_records(&self, image: &str) -> Result<(), LabError> {
        let full = image.parse::<ImageRef>().map(|name| name.qualified()).unwrap_or_default();
        for (name, id) in self.records()? {
            if name == full || id == image {
                run(self.client().args(["images", "rm", "--sync", &name]))?;
            }
        }
        Ok(())
    }

    /// Names an image that is there by its digest.
    pub fn tag(&self, id: &str, name: &str) -> Result<(), LabError> {
        if !self.is_containerd() {
            return run(self.client().args(["tag", id, name])).map(drop);
        }
        let records = self.records()?;
        let own = records.iter().find(|(_, other)| other == id);
        let (own, _) = own.ok_or_else(|| LabError::Usage(format!("there is no image {id}")))?;
        run(self.client().args(["images", "tag", "--force", own, name])).map(drop)
    }

    /// The IDs of all images that its client shows.
    pub fn image_ids(&self) -> Result<Vec<String>, LabError> {
        if self.is_containerd() {
            return Ok(self.records()?.into_iter().map(|(_, id)| id).collect());
        }
        let said = run(self.client().args(["images", "--all", "--quiet", "--no-trunc"]))?;
        Ok(said.lines().map(str::to_owned).collect())
    }
}
