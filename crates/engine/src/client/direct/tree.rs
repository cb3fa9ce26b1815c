//! Opens files of one layer by their names in its tar, and nothing outside of its folder.
//!
//! Names are walked folder by folder and no link is followed. Nothing is lost by that: the engine unpacks
//! each layer into a folder of its own, so what lies on the way to a file are real folders.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};

/// The contents of one layer.
pub(super) struct LayerTree {
    root: OwnedFd,
    /// The folders on the way to the last file; the next one is mostly in the same folder.
    way: Vec<(Vec<u8>, OwnedFd)>,
}

impl LayerTree {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { root: File::open(folder)?.into(), way: Vec::new() })
    }

    /// The regular file of this name, which has exactly `size` bytes.
    pub(super) fn file(&mut self, name: &[u8], size: u64) -> io::Result<File> {
        let (folders, last) = parts(name).ok_or(io::ErrorKind::InvalidFilename)?;
        let same = self.way.iter().zip(&folders).take_while(|((known, _), folder)| known == *folder).count();
        self.way.truncate(same);
        for folder in &folders[same..] {
            let below = openat(self.end(), *folder, OPEN.union(OFlags::DIRECTORY), Mode::empty())?;
            self.way.push((folder.to_vec(), below));
        }
        // A pipe in place of a file would block until there is a writer.
        let file = File::from(openat(self.end(), last, OPEN.union(OFlags::NONBLOCK), Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() != size {
            return Err(io::Error::other(format!("is no file of {size} bytes")));
        }
        Ok(file)
    }

    fn end(&self) -> BorrowedFd<'_> {
        self.way.last().map_or(self.root.as_fd(), |(_, folder)| folder.as_fd())
    }
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folders of a relative name and what is in the last of them; none of a name that leads elsewhere.
fn parts(name: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    if name.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return None;
    }
    let last = parts.pop()?;
    Some((parts, last))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::{fs, process};

    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(parts(b"a"), Some((vec![], &b"a"[..])));
        assert_eq!(parts(b"./usr//bin/x"), Some((vec![&b"usr"[..], b"bin"], &b"x"[..])));
        for hostile in [&b"/etc/passwd"[..], b"..", b"../x", b"a/../../x", b"", b"./"] {
            assert_eq!(parts(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn files_are_found_wherever_they_come_in_the_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
        fs::create_dir_all(folder.path().join("a/d")).unwrap();
        let names = ["a/b/c/1", "a/b/c/2", "a/b/3", "a/d/4", "5", "a/b/c/1"];
        names.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
        let mut tree = LayerTree::open(folder.path()).unwrap();
        for name in names {
            let mut text = String::new();
            tree.file(name.as_bytes(), name.len() as u64).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, name);
        }
    }

    #[test]
    fn nothing_else_is_opened() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("layer");
        fs::create_dir_all(inside.join("folder")).unwrap();
        fs::write(inside.join("long"), "more than said").unwrap();
        symlink(outside.path(), inside.join("out")).unwrap();
        symlink(outside.path().join("x"), inside.join("x")).unwrap();
        assert!(process::Command::new("mkfifo").arg(inside.join("pipe")).status().unwrap().success());
        let mut tree = LayerTree::open(&inside).unwrap();
        for name in ["out/x", "x", "../layer/long", "folder", "pipe", "long", "absent", "no\0name"] {
            assert!(tree.file(name.as_bytes(), 6).is_err(), "{name}");
        }
    }
}
