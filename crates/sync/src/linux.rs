//! The calls that Linux alone has, and what stands for them on other systems.

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{free_space, unnamed_file};
#[cfg(target_os = "linux")]
pub(crate) use here::{free_space, unnamed_file};

#[cfg(target_os = "linux")]
mod here {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use dsync_engine::{FreeSpace, is_plain};
    use rustix::fs::{CWD, Mode, OFlags, openat};

    /// A file without a name that can be given one later (`open(2)`, `O_TMPFILE`).
    pub(crate) fn unnamed_file(folder: &Path, mode: u32) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(File::from(openat(CWD, folder, flags, Mode::from_raw_mode(mode))?))
    }

    /// The free space at the folder, or at the nearest one above it that exists.
    pub(crate) fn free_space(folder: &Path) -> Option<FreeSpace> {
        let folder = std::path::absolute(folder).ok()?;
        let (folder, device) = folder
            .ancestors()
            .find_map(|folder| Some((folder.canonicalize().ok()?, folder.metadata().ok()?.dev())))?;
        let found = rustix::fs::statfs(&folder).ok()?;
        // They are signed on some architectures.
        let bytes = free_bytes(found.f_type as u64, found.f_blocks, found.f_bfree, found.f_bsize as u64)?;
        let is_same = |folder: &&Path| folder.metadata().is_ok_and(|metadata| metadata.dev() == device);
        let mount = folder.ancestors().take_while(is_same).last()?.to_owned();
        Some(FreeSpace { device, mount, bytes })
    }

    /// The free bytes of a file system of this kind, by its blocks; one without a size says that it has none.
    pub(super) fn free_bytes(kind: u64, blocks: u64, free: u64, block: u64) -> Option<u64> {
        (is_plain(kind) && blocks > 0).then(|| free.saturating_mul(block))
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use dsync_engine::FreeSpace;

    /// No file is without a name.
    pub(crate) fn unnamed_file(_: &Path, _: u32) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Not known: these systems count space that they would make free on demand.
    pub(crate) fn free_space(_: &Path) -> Option<FreeSpace> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::{Path, PathBuf};

    use super::free_space;
    use super::here::free_bytes;

    #[test]
    fn free_space_is_read_where_a_folder_is_or_will_be() {
        use std::os::unix::fs::MetadataExt as _;

        // A file system in memory, on nearly every Linux, or that of temporary files.
        let places = [Path::new("/dev/shm").to_owned(), std::env::temp_dir(), "/".into()];
        let is_plain = |place: &PathBuf| {
            rustix::fs::statfs(place)
                .is_ok_and(|found| dsync_engine::is_plain(found.f_type as u64) && found.f_blocks > 0)
        };
        let place = places.into_iter().find(is_plain).expect("one of them is of a kind that is known");
        let space = free_space(&place).unwrap();
        let device = |path: &Path| path.metadata().unwrap().dev();
        assert_eq!(space.device, device(&place));
        assert!(space.bytes > 0 && place.starts_with(&space.mount), "{space:?}");
        assert_eq!(device(&space.mount), space.device);
        assert!(space.mount.parent().is_none_or(|above| device(above) != space.device), "{space:?}");
        let tomorrow = free_space(&place.join("a/folder/of/tomorrow")).unwrap();
        assert_eq!((tomorrow.device, tomorrow.mount), (space.device, space.mount));
        assert_eq!(free_space(Path::new("/proc/self")), None, "it stores nothing");
        let (ext4, overlay) = (0xef53, 0x794c_7630);
        assert_eq!(free_bytes(ext4, 100, 7, 4096), Some(7 * 4096));
        assert_eq!(free_bytes(ext4, 0, 0, 4096), None);
        assert_eq!(free_bytes(overlay, 100, 7, 4096), None);
        assert_eq!(free_bytes(ext4, 100, u64::MAX, 4096), Some(u64::MAX));
    }
}
