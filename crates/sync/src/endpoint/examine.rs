//! Describes the host of an endpoint, for `docker-sync doctor`.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use dsync_engine::{ImportSize, Purpose, Store};
use dsync_proto::{Examined, Folder, FolderPurpose, limits};

use crate::failure::EndpointError;
use crate::layers::workspace::Workspace;

/// Describes this host, and the store if one is open. `probe` bytes came to measure the link, `wanted` go back.
pub(super) fn examine(
    workspace: &Workspace,
    store: Option<&dyn Store>,
    probe: usize,
    wanted: u32,
) -> Result<Examined, EndpointError> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let (bytes, most) = (wanted.max(probe), limits::PROBE);
    if bytes > most {
        return Err(EndpointError::Protocol(format!(
            "{bytes} bytes to measure the link: {most} are the most"
        )));
    }
    let probe =
        random(wanted).map_err(|source| EndpointError::Io { what: "there is no randomness", source })?;
    let uname = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Examined {
        system: format!("{} {}", part(uname.sysname()), part(uname.machine())),
        uid: rustix::process::geteuid().as_raw(),
        clock: u64::try_from(clock.as_millis()).unwrap_or(u64::MAX),
        has_rsync: has_program("rsync"),
        folders: folders(workspace, store),
        probe,
    })
}

/// Bytes that no compression makes fewer.
pub(crate) fn random(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.is_absolute() && folder.join(name).is_file())
}

/// The folders that a sync writes to, those of the store first.
fn folders(workspace: &Workspace, store: Option<&dyn Store>) -> Vec<Folder> {
    let size = ImportSize { given: 1, contents: 1 };
    let demands = store.map(|store| store.demands(&size)).unwrap_or_default();
    let mut paths: Vec<(FolderPurpose, PathBuf)> = demands
        .into_iter()
        .map(|demand| match demand.purpose {
            Purpose::Images => (FolderPurpose::Images, demand.folder),
            Purpose::Temporary => (FolderPurpose::Temporary, demand.folder),
        })
        .collect();
    paths.push((FolderPurpose::Temporary, workspace.folder.clone()));
    paths.extend(workspace.cache_folder().map(|path| (FolderPurpose::Cache, path)));
    paths.dedup();
    let mut read = FileSystems::default();
    let folder = |(purpose, path): (FolderPurpose, PathBuf)| {
        let free = read.free(&path);
        Folder { purpose, path: path.to_string_lossy().into_owned(), free }
    };
    paths.into_iter().map(folder).collect()
}

/// The free bytes of file systems by their device, each read once: all folders of one say the same.
#[derive(Default)]
struct FileSystems(Vec<(u64, Option<u64>)>);

impl FileSystems {
    /// The free bytes at a folder. A layout may be one that the first image makes.
    fn free(&mut self, folder: &Path) -> Option<u64> {
        let folder = std::path::absolute(folder).ok()?;
        let (at, metadata) = folder.ancestors().find_map(|at| Some((at, at.metadata().ok()?)))?;
        if let Some((_, free)) = self.0.iter().find(|(device, _)| *device == metadata.dev()) {
            return *free;
        }
        // A file system without a size does not say what is free.
        let space = rustix::fs::statvfs(at).ok().filter(|space| space.f_blocks > 0);
        let free = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
        self.0.push((metadata.dev(), free));
        free
    }
}
