//! The free space of this host's disks, compared with what a transfer takes at least, before its contents cross.
//!
//! Nothing is guessed: a file system that may store fewer bytes than it is given, or whose free space is no plain
//! number, counts as one with room. So does one that cannot be seen.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsync_engine::Demand;

use crate::failure::{NoRoom, Words};

/// The free space of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreeSpace {
    /// The number of the file system: two folders with the same number share the space.
    pub(crate) device: u64,
    /// The folder at which it is mounted.
    pub(crate) mount: PathBuf,
    /// Bytes, those that are reserved for root included.
    pub(crate) bytes: u64,
}

/// Reads the free space at a folder, which need not exist yet.
type Reader = dyn Fn(&Path) -> Option<FreeSpace> + Send + Sync;

/// The disks of this host.
#[derive(Clone)]
pub(crate) struct Disks(Arc<Reader>);

impl Disks {
    /// Reads with this function.
    #[cfg(test)]
    pub(crate) fn new(read: impl Fn(&Path) -> Option<FreeSpace> + Send + Sync + 'static) -> Self {
        Disks(Arc::new(read))
    }

    /// The free bytes at a folder, where they are known.
    pub(crate) fn free(&self, folder: &Path) -> Option<u64> {
        (self.0)(folder).map(|space| space.bytes)
    }

    /// Checks that there is room for all of these at once.
    pub(crate) fn check(&self, demands: &[Demand]) -> Result<(), NoRoom> {
        let seen: Vec<(&Demand, FreeSpace)> =
            demands.iter().filter_map(|demand| Some((demand, (self.0)(&demand.folder)?))).collect();
        for (at, (demand, space)) in seen.iter().enumerate() {
            // Each is looked at with those before it on the same file system.
            let shared = seen[..=at].iter().filter(|(_, other)| other.device == space.device);
            let needed = shared.map(|(demand, _)| demand.bytes).fold(0, u64::saturating_add);
            if demand.bytes > 0 && needed > space.bytes {
                return Err(NoRoom {
                    purpose: Words(demand.purpose),
                    folder: demand.folder.clone(),
                    mount: space.mount.clone(),
                    needed,
                    free: space.bytes,
                });
            }
        }
        Ok(())
    }
}

impl Default for Disks {
    fn default() -> Self {
        Disks(Arc::new(read))
    }
}

impl fmt::Debug for Disks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disks")
    }
}

/// The free space at the folder, or at the nearest one above it that exists.
#[cfg(target_os = "linux")]
fn read(folder: &Path) -> Option<FreeSpace> {
    use std::os::unix::fs::MetadataExt as _;

    /// ext2 to ext4, XFS and tmpfs: a byte that is written takes one at least. btrfs, ZFS, F2FS and others may compress
    /// or share what they are given, and what is below an overlay is not known.
    const PLAIN: [u64; 3] = [0xef53, 0x5846_5342, 0x0102_1994];

    let folder = std::path::absolute(folder).ok()?;
    let (folder, device) = folder
        .ancestors()
        .find_map(|folder| Some((folder.canonicalize().ok()?, folder.metadata().ok()?.dev())))?;
    let found = rustix::fs::statfs(&folder).ok()?;
    // They are signed on some architectures.
    let (kind, block) = (found.f_type as u64, found.f_bsize as u64);
    // A file system without a size says that it has none.
    if !PLAIN.contains(&kind) || found.f_blocks == 0 {
        return None;
    }
    let is_same = |folder: &&Path| folder.metadata().is_ok_and(|metadata| metadata.dev() == device);
    let mount = folder.ancestors().take_while(is_same).last()?.to_owned();
    Some(FreeSpace { device, mount, bytes: found.f_bfree.saturating_mul(block) })
}

/// Other systems count space that they would make free on demand.
#[cfg(not(target_os = "linux"))]
fn read(_: &Path) -> Option<FreeSpace> {
    None
}

#[cfg(test)]
mod tests {
    use dsync_engine::Purpose;

    use super::*;

    fn demand(purpose: Purpose, folder: &str, bytes: u64) -> Demand {
        Demand { purpose, folder: folder.into(), bytes }
    }

    /// `/small/…` has 100 bytes, `/large/…` 1,000; of all else nothing is known.
    fn disks() -> Disks {
        Disks::new(|folder| {
            let space = |device, mount: &str, bytes| FreeSpace { device, mount: mount.into(), bytes };
            [space(1, "/small", 100), space(2, "/large", 1000)]
                .into_iter()
                .find(|space| folder.starts_with(&space.mount))
        })
    }

    #[test]
    fn what_fits_is_never_refused() {
        let check = |demands: &[Demand]| disks().check(demands);
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[demand(Purpose::Images, "/small/a", 100)]), Ok(()));
        assert_eq!(check(&[demand(Purpose::Images, "/elsewhere", u64::MAX)]), Ok(()));
        let both = [("/small/a", 60), ("/large/b", 1000), ("/small/c", 40)];
        assert_eq!(check(&both.map(|(folder, bytes)| demand(Purpose::Images, folder, bytes))), Ok(()));
        // A full disk is no matter to who writes nothing there.
        let none = [demand(Purpose::Images, "/small/a", 100), demand(Purpose::Temporary, "/small/b", 0)];
        assert_eq!(check(&none), Ok(()));
    }

    #[test]
    fn too_little_is_told_with_the_place_and_the_bytes() {
        let error = disks().check(&[demand(Purpose::Images, "/small/a", 101)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no room for the image in /small/a: at least 101 bytes are needed, and the file system \
             (/small) has 100 left"
        );
        // Together they need more than there is, and the second is what can go elsewhere.
        let both = [demand(Purpose::Images, "/small/a", 60), demand(Purpose::Temporary, "/small/b", 41)];
        let error = disks().check(&both).unwrap_err();
        assert_eq!((error.purpose.0, error.needed), (Purpose::Temporary, 101));
        let huge = [demand(Purpose::Images, "/large/a", 2), demand(Purpose::Images, "/large/b", u64::MAX)];
        assert_eq!(disks().check(&huge).unwrap_err().needed, u64::MAX);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn free_space_is_read_where_a_folder_is_or_will_be() {
        // A file system in memory, on nearly every Linux.
        let Some(memory) = read(Path::new("/dev/shm")) else { return };
        assert_eq!(
            read(Path::new("/dev/shm/a/folder/of/tomorrow")).map(|space| space.device),
            Some(memory.device)
        );
        assert!(memory.bytes > 0 && memory.mount.starts_with("/dev"), "{memory:?}");
        assert_eq!(read(Path::new("/proc/self")), None, "it stores nothing");
    }
}
