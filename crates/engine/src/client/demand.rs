//! The room that `load` takes in an engine's storage, at least.
//!
//! docs/stores.md has what was measured, and why no load takes less.

use std::path::Path;

use super::daemon_host::DaemonHost;
use super::identify::{Engine, EnginePlace};
use crate::demand::{Demand, Disk, ImportSize, Purpose};
use crate::store::StoreKind;

/// The copies of what it is given that podman has in its folder for copies at the same time: what came on its standard
/// input, and that unpacked. It has a third for a moment, of which nothing says that it must.
const PODMANS_COPIES: u64 = 2;

/// The demands of a load of this size; none where the storage cannot be seen from the host of the client.
///
/// `is_beside` says whether the daemon is on its client's host.
pub(super) fn of(
    engine: &Engine,
    content: Option<&Path>,
    size: &ImportSize,
    is_beside: &dyn Fn(&DaemonHost) -> bool,
) -> Vec<Demand> {
    let demand = |purpose, folder: &Path, bytes| Demand {
        purpose,
        folder: folder.to_owned(),
        bytes,
        disk: Disk::Here,
    };
    let images = |folder, bytes| demand(Purpose::Images, folder, bytes);
    let is_here = || matches!(&engine.place, EnginePlace::Of(daemon) if is_beside(daemon));
    match (engine.kind, &engine.root) {
        // The archive as it came, or its blobs, and each layer unpacked.
        (StoreKind::DockerClassic, Some(root)) if is_here() => {
            vec![images(root, size.given.saturating_add(size.contents))]
        }
        // That of a containerd which others use as well is known only where its files can be seen.
        (StoreKind::DockerContainerd, Some(_)) if is_here() => content
            .map(|folder| images(folder, size.given.saturating_add(size.contents)))
            .into_iter()
            .collect(),
        (StoreKind::Podman, Some(root)) => {
            let copies = engine.copies.as_deref();
            let copies = copies
                .map(|folder| demand(Purpose::Temporary, folder, size.given.saturating_mul(PODMANS_COPIES)));
            [Some(images(root, size.contents)), copies].into_iter().flatten().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;
    use crate::client::daemon_host::KernelHost;
    use crate::client::identify::identify;

    const SIZE: ImportSize = ImportSize { given: 1000, contents: 900 };

    fn demands(info: &Value, content: Option<&str>) -> Vec<(Purpose, PathBuf, u64)> {
        let engine = identify(info.to_string().as_bytes(), "").unwrap();
        let here = KernelHost::here();
        let demands = of(&engine, content.map(Path::new), &SIZE, &|daemon| here.has(daemon));
        demands.into_iter().map(|demand| (demand.purpose, demand.folder, demand.bytes)).collect()
    }

    /// As dockerd describes itself and this host.
    fn docker() -> Value {
        let read = |file: &str| std::fs::read_to_string(file).unwrap().trim().to_owned();
        let memory = read("/proc/meminfo");
        let kilobytes: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
        json!({
            "ServerVersion": "20.10.24", "Driver": "overlay2", "DockerRootDir": "/var/lib/docker",
            "Name": read("/proc/sys/kernel/hostname"), "KernelVersion": read("/proc/sys/kernel/osrelease"),
            "MemTotal": kilobytes * 1024,
        })
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn docker_keeps_what_it_is_given_until_it_is_unpacked() {
        let root = || vec![(Purpose::Images, PathBuf::from("/var/lib/docker"), 1900)];
        assert_eq!(demands(&docker(), None), root());
        let mut containerd = docker();
        containerd["DriverStatus"] = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
        assert_eq!(demands(&containerd, None), []);
        let blobs = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
        assert_eq!(demands(&containerd, Some(blobs)), [(Purpose::Images, PathBuf::from(blobs), 1900)]);
    }

    #[test]
    fn the_storage_of_another_host_is_not_looked_for_here() {
        for (field, other) in [
            ("Name", json!("other")),
            ("KernelVersion", json!("5.0")),
            ("MemTotal", json!(1)),
            ("MemTotal", json!(null)),
        ] {
            let mut info = docker();
            info[field] = other;
            assert_eq!(demands(&info, None), [], "{field}");
        }
        let mut unknown = docker();
        unknown["Driver"] = json!("btrfs");
        assert_eq!(demands(&unknown, None), []);
    }

    #[test]
    fn podman_has_its_copies_elsewhere() {
        let podman = |is_remote: bool| {
            json!({
                "host": {"serviceIsRemote": is_remote}, "version": {"Version": "5.4.2"},
                "store": {"graphDriverName": "overlay", "graphRoot": "/g", "imageCopyTmpDir": "/var/tmp"},
            })
        };
        let expected = [
            (Purpose::Images, PathBuf::from("/g"), 900),
            (Purpose::Temporary, PathBuf::from("/var/tmp"), 2000),
        ];
        assert_eq!(demands(&podman(false), None), expected);
        assert_eq!(demands(&podman(true), None), []);
    }
}
