//! The files and records that an engine keeps, to find what a test has left behind.
//!
//! It is read from the engine's own files, since what was left behind is what no client shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::command::run;
use crate::{Engine, EngineKind, ImageStore, LabError};

impl Engine {
    /// All images, layers, blobs, containers, leases and unfinished things it has: a line each, the same as
    /// long as the thing is there. An engine takes some seconds to throw away what it need not keep.
    pub fn holdings(&self) -> Result<BTreeSet<String>, LabError> {
        match self.kind() {
            EngineKind::None => Ok(BTreeSet::new()),
            EngineKind::Podman | EngineKind::PodmanOf(_) => of_podman(&self.root()),
            EngineKind::DockerOf(_, ImageStore::Containerd) => {
                of_containerd(&self.root(), "containerd/daemon", &|| self.ctr())
            }
            EngineKind::Containerd(_) => of_containerd(&self.root(), ".", &|| self.client()),
            EngineKind::Dockerd | EngineKind::Program(..) | EngineKind::DockerOf(_, ImageStore::Classic) => {
                of_directories(
                    &self.root(),
                    &[
                        ("image", "image/overlay2/imagedb/content/sha256"),
                        ("layer", "image/overlay2/layerdb/sha256"),
                        ("mount", "image/overlay2/layerdb/mounts"),
                        ("unfinished", "image/overlay2/layerdb/tmp"),
                        ("contents", "overlay2"),
                        ("container", "containers"),
                        ("temporary", "tmp"),
                    ],
                )
            }
        }
    }
}

fn of_containerd(root: &Path, daemon: &str, ctr: &dyn Fn() -> Command) -> Result<BTreeSet<String>, LabError> {
    let content = format!("{daemon}/io.containerd.content.v1.content");
    let mut found = of_directories(
        root,
        &[
            ("blob", &format!("{content}/blobs/sha256")),
            ("unfinished", &format!("{content}/ingest")),
            ("contents", &format!("{daemon}/io.containerd.snapshotter.v1.overlayfs/snapshots")),
            ("container", "containers"),
            ("temporary", "tmp"),
        ],
    )?;
    // Also images that Docker's client does not show, as broken ones.
    for (what, list) in [("image", ["images", "ls", "-q"]), ("lease", ["leases", "ls", "-q"])] {
        let names = run(ctr().args(list))?;
        found.extend(names.lines().map(|name| format!("{what} {name}")));
    }
    Ok(found)
}

fn of_podman(root: &Path) -> Result<BTreeSet<String>, LabError> {
    let mut found = of_directories(
        root,
        &[("contents", "overlay"), ("temporary", "overlay/tempdirs"), ("temporary", "tmp")],
    )?;
    for (what, list) in [
        ("image", "overlay-images/images.json"),
        ("layer", "overlay-layers/layers.json"),
        ("container", "overlay-containers/containers.json"),
    ] {
        let file = root.join(list);
        // There is none before the first image.
        let Ok(text) = fs::read(&file) else { continue };
        let json: Value = serde_json::from_slice(&text)
            .map_err(|error| LabError::Usage(format!("{} is not JSON: {error}", file.display())))?;
        let ids = json.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str());
        found.extend(ids.map(|id| format!("{what} {id}")));
    }
    Ok(found)
}

/// The names in these directories, each with what it is the name of.
fn of_directories(root: &Path, directories: &[(&str, &str)]) -> Result<BTreeSet<String>, LabError> {
    let mut found = BTreeSet::new();
    for (what, directory) in directories {
        let directory = root.join(directory);
        if !directory.exists() {
            continue;
        }
        let entries =
            fs::read_dir(&directory).map_err(LabError::io(format_args!("read {}", directory.display())))?;
        let names = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || *what != "contents"));
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // `l` has the short names of the others, `tempdirs` is podman's place for what it removes.
        let names = names.filter(|name| !["l", "tempdirs"].contains(&name.as_str()));
        found.extend(names.map(|name| format!("{what} {name}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_told_by_their_names() {
        let root = tempfile::tempdir().unwrap();
        for name in ["overlay2/l", "overlay2/abc", "tmp"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        for file in ["overlay2/file", "tmp/file"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        let places = [("contents", "overlay2"), ("temporary", "tmp"), ("blob", "none")];
        let found = of_directories(root.path(), &places).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["contents abc", "temporary file"]);
    }

    #[test]
    fn podman_lists_are_read() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("overlay-layers")).unwrap();
        fs::write(root.path().join("overlay-layers/layers.json"), r#"[{"id":"a","parent":"b"}]"#).unwrap();
        assert_eq!(of_podman(root.path()).unwrap().into_iter().collect::<Vec<_>>(), ["layer a"]);
        fs::write(root.path().join("overlay-layers/layers.json"), "x").unwrap();
        assert!(of_podman(root.path()).is_err());
    }
}
