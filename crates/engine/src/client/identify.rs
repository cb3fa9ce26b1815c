//! Identifies the engine that a client talks to, by `info`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use dsync_core::Platform;

use super::daemon_host::DaemonHost;
use super::direct::StorageInfo;
use crate::failure::{ProgramFailure, classify};
use crate::host;
use crate::store::{StoreError, StoreKind};

/// An engine, as far as its behaviour depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) kind: StoreKind,
    /// For people.
    pub(super) name: String,
    pub(super) syntax: Syntax,
    /// Archives name layers by V1 ids: Docker before 25.
    pub(super) v1_names: bool,
    /// The folder of its images, on whatever host it is, if it has a form that can be read without the engine.
    pub(super) root: Option<PathBuf>,
    /// The ID of the engine. It keeps that in a file below the root, too.
    pub(super) id: String,
    /// The number of images by its own count.
    pub(super) images: u64,
    /// The containerd that it names: Docker from 27 on.
    pub(super) containerd: Option<Containerd>,
    /// podman's description of its storage, if that is on the client's host.
    pub(super) podman: Option<StorageInfo>,
    /// The folder in which podman puts what it loads, if it is on the client's host and podman says so.
    pub(super) copies: Option<PathBuf>,
    /// The place of the engine, as far as it says something of it.
    pub(super) place: EnginePlace,
    /// The platform of its host; `None` where it does not say.
    pub(super) platform: Option<Platform>,
}

impl Engine {
    /// The folder of podman's copies, if it sees our folders and may use them: its images are this user's. The client may
    /// be a command that runs podman as another user, or with other file systems.
    pub(super) fn own_copies(&self) -> Option<&Path> {
        let owner = std::fs::metadata(self.root.as_deref()?).ok()?.uid();
        self.copies.as_deref().filter(|_| owner == rustix::process::geteuid().as_raw())
    }
}

/// The place of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EnginePlace {
    /// That of its client.
    OfClient,
    /// The host of a daemon, by its own words.
    Of(DaemonHost),
    /// Not told.
    Unknown,
}

/// The containerd that an engine uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Containerd {
    pub(super) address: String,
    pub(super) namespace: String,
}

/// The command line that the client understands. It need not be that of the engine: docker's client can
/// talk to podman's service, and `podman-docker` calls podman docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Docker,
    Podman,
}

/// The JSON of `info`.
struct Info(Value);

impl Info {
    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer).and_then(Value::as_u64)
    }

    /// The items of an array; none where there is no array.
    fn items(&self, field: &str) -> &[Value] {
        self.0.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// A path, if it is absolute.
    fn path(&self, pointer: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.text(pointer))).filter(|path| path.is_absolute())
    }

    /// A platform by an operating system and a machine in the kernel's words; `None` where one of them is not told.
    fn platform(&self, os: &str, machine: &str) -> Option<Platform> {
        let (os, architecture) =
            (self.text(os).to_owned(), host::architecture(self.text(machine)).to_owned());
        let platform = Platform { os, architecture, ..Platform::default() };
        (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(platform)
    }
}

/// Reads the JSON of `info`.
///
/// docker's client prints it, and may even exit with success, when the engine does not answer.
pub(super) fn identify(info: &[u8], stderr: &str) -> Result<Engine, StoreError> {
    let info = serde_json::from_slice(info).map_err(|error| StoreError::Broken {
        what: "the client's `info`".into(),
        reason: format!("not JSON: {error}"),
    })?;
    let info = Info(info);
    if info.0.pointer("/store/graphDriverName").is_some() {
        return Ok(podman(&info));
    }
    match info.text("/ServerVersion") {
        "" => Err(silent(&info, stderr)),
        version => Ok(docker(&info, version)),
    }
}

/// The engine that podman's client describes.
fn podman(info: &Info) -> Engine {
    let is_here = info.0.pointer("/host/serviceIsRemote").and_then(Value::as_bool) == Some(false);
    let storage = || {
        let driver = info.text("/store/graphDriverName").to_owned();
        Some(StorageInfo { driver, allocated: info.number("/store/graphRootAllocated")? })
    };
    Engine {
        kind: StoreKind::Podman,
        name: format!("podman {}, {}", info.text("/version/Version"), info.text("/store/graphDriverName")),
        syntax: Syntax::Podman,
        v1_names: false,
        root: is_here.then(|| info.path("/store/graphRoot")).flatten(),
        id: String::new(),
        images: info.number("/store/imageStore/number").unwrap_or(0),
        containerd: None,
        podman: is_here.then(storage).flatten(),
        copies: is_here.then(|| info.path("/store/imageCopyTmpDir")).flatten(),
        place: if is_here { EnginePlace::OfClient } else { EnginePlace::Unknown },
        platform: info.platform("/host/os", "/host/arch"),
    }
}

/// The error of an engine that does not answer, by what docker's client says of it.
fn silent(info: &Info, stderr: &str) -> StoreError {
    let mut messages: Vec<&str> = info.items("ServerErrors").iter().filter_map(Value::as_str).collect();
    if messages.is_empty() {
        messages.push(stderr);
    }
    let stderr = messages.join("\n");
    let failure = ProgramFailure { command: "info", status: "no engine", stderr: &stderr, image: None };
    match classify(&failure) {
        StoreError::Failed { message, .. } => StoreError::Down { message },
        other => other,
    }
}

/// The engine that docker's client describes.
fn docker(info: &Info, version: &str) -> Engine {
    let driver = info.text("/Driver");
    let containerd = info.items("DriverStatus").iter().any(|pair| {
        pair.get(0).and_then(Value::as_str) == Some("driver-type")
            && pair.get(1).and_then(Value::as_str).is_some_and(|kind| kind.starts_with("io.containerd."))
    });
    // docker's client drops all other fields by which podman's service differs. Docker's versions went from 1 to 17.
    let (kind, engine) = if major(version).is_some_and(|major| (2..17).contains(&major)) {
        (StoreKind::Podman, "podman")
    } else if containerd {
        (StoreKind::DockerContainerd, "docker")
    } else {
        (StoreKind::DockerClassic, "docker")
    };
    let store = if containerd { "containerd image store" } else { driver };
    let is_readable = containerd || kind == StoreKind::DockerClassic && driver == "overlay2";
    Engine {
        kind,
        name: format!("{engine} {version}, {store}"),
        syntax: Syntax::Docker,
        v1_names: kind == StoreKind::DockerClassic && major(version).is_none_or(|major| major < 25),
        root: is_readable.then(|| info.path("/DockerRootDir")).flatten(),
        id: info.text("/ID").to_owned(),
        images: info.number("/Images").unwrap_or(0),
        containerd: info.0.get("Containerd").filter(|named| named.is_object()).map(|_| Containerd {
            address: info.text("/Containerd/Address").to_owned(),
            namespace: info.text("/Containerd/Namespaces/Containers").to_owned(),
        }),
        podman: None,
        copies: None,
        place: EnginePlace::Of(DaemonHost {
            name: info.text("/Name").to_owned(),
            kernel: info.text("/KernelVersion").to_owned(),
            memory: info.number("/MemTotal").unwrap_or(0),
        }),
        platform: info.platform("/OSType", "/Architecture"),
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(info: &str) -> (StoreKind, String, Syntax, bool) {
        let engine = identify(info.as_bytes(), "").unwrap();
        (engine.kind, engine.name, engine.syntax, engine.v1_names)
    }

    #[test]
    fn docker_classic() {
        let info = r#"{"ID":"MDXS:TUG7","Images":33,"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"]],"ServerVersion":"20.10.24+dfsg1"}"#;
        let name = "docker 20.10.24+dfsg1, overlay2".to_owned();
        assert_eq!(engine(info), (StoreKind::DockerClassic, name, Syntax::Docker, true));
        let info = info.replace("20.10.24+dfsg1", "26.1.5");
        let name = "docker 26.1.5, overlay2".to_owned();
        assert_eq!(engine(&info), (StoreKind::DockerClassic, name, Syntax::Docker, false));
    }

    #[test]
    fn podman_copies_into_a_folder_of_ours_if_its_images_are_this_users() {
        let images = tempfile::tempdir().unwrap();
        let own_copies = |root: &Path| {
            let info = serde_json::json!({
                "host": {"serviceIsRemote": false}, "version": {"Version": "5.4.2"},
                "store": {"graphDriverName": "overlay", "graphRoot": root, "imageCopyTmpDir": "/var/tmp"},
            });
            let engine = identify(info.to_string().as_bytes(), "").unwrap();
            engine.own_copies().map(Path::to_owned)
        };
        assert_eq!(own_copies(images.path()), Some(PathBuf::from("/var/tmp")));
        assert_eq!(own_copies(&images.path().join("in another file system")), None);
    }

    #[test]
    fn storage_is_known_of_forms_that_can_be_read() {
        let storage = |info: &str| identify(info.as_bytes(), "").unwrap().root;
        let info = r#"{"Driver":"overlay2","DriverStatus":[["Supports d_type","true"]],"DockerRootDir":"/var/lib/docker","ServerVersion":"26.1.5"}"#;
        assert_eq!(storage(info), Some(PathBuf::from("/var/lib/docker")));
        assert_eq!(storage(&info.replace("overlay2", "btrfs")), None);
        assert_eq!(storage(&info.replace("DockerRootDir", "Other")), None);
        assert!(
            storage(&info.replace("Supports d_type\",\"true", "driver-type\",\"io.containerd.x")).is_some()
        );
        assert_eq!(storage(&info.replace("26.1.5", "5.4.2")), None);
    }

    #[test]
    fn podmans_storage_is_known_where_it_is_here() {
        let storage = |info: &str| {
            let engine = identify(info.as_bytes(), "").unwrap();
            engine.root.zip(engine.podman).map(|(root, told)| (root, told, engine.images))
        };
        let info = r#"{"host":{"serviceIsRemote":false},"store":{"graphDriverName":"overlay","graphRoot":"/var/lib/containers/storage","graphRootAllocated":270553174016,"imageStore":{"number":33}},"version":{"Version":"5.4.2"}}"#;
        let told = StorageInfo { driver: "overlay".into(), allocated: 270553174016 };
        assert_eq!(storage(info), Some((PathBuf::from("/var/lib/containers/storage"), told, 33)));
        for (told, instead) in
            [("false", "true"), ("serviceIsRemote", "x"), ("graphRoot\"", "x\""), ("Allocated", "x")]
        {
            assert_eq!(storage(&info.replace(told, instead)), None, "{told}");
        }
    }

    #[test]
    fn docker_with_the_containerd_store() {
        let info = r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"ServerVersion":"26.1.5+dfsg1"}"#;
        let name = "docker 26.1.5+dfsg1, containerd image store".to_owned();
        assert_eq!(engine(info), (StoreKind::DockerContainerd, name, Syntax::Docker, false));
    }

    #[test]
    fn podman_by_its_own_client_and_by_dockers() {
        let info = r#"{"host":{"arch":"amd64"},"store":{"graphDriverName":"overlay"},"version":{"APIVersion":"4.3.1","Version":"4.3.1"}}"#;
        let name = "podman 4.3.1, overlay".to_owned();
        assert_eq!(engine(info), (StoreKind::Podman, name.clone(), Syntax::Podman, false));
        let info =
            r#"{"Driver":"overlay","DriverStatus":[["Backing Filesystem","extfs"]],"ServerVersion":"4.3.1"}"#;
        assert_eq!(engine(info), (StoreKind::Podman, name, Syntax::Docker, false));
    }

    #[test]
    fn an_engine_that_does_not_answer() {
        let docker_20 = r#"{"ServerErrors":["Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"],"ClientInfo":{"Debug":false,"Context":"default","Plugins":[],"Warnings":null}}"#;
        assert!(matches!(identify(docker_20.as_bytes(), ""), Err(StoreError::Down { .. })));
        let denied =
            r#"{"ServerErrors":["permission denied while trying to connect to the Docker daemon socket"]}"#;
        assert!(matches!(identify(denied.as_bytes(), ""), Err(StoreError::Permission { .. })));
        let docker_28 = r#"{"ID":"","ServerVersion":"","DriverStatus":null}"#;
        let stderr = "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?\n";
        assert!(matches!(identify(docker_28.as_bytes(), stderr), Err(StoreError::Down { .. })));
        assert!(matches!(identify(b"Usage: x", ""), Err(StoreError::Broken { .. })));
    }
}
