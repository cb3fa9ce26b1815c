//! The files of an image, as a container of it sees them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::process::Stdio;

use dsync_core::Digest;

use crate::command::run;
use crate::{Engine, LabError};

/// All files of an image by path. Two images with equal trees look the same from inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<Vec<u8>, Node>);

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its kind.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
    /// Seconds since 1970; 0 for what the engine itself makes in each container.
    pub mtime: u64,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// A kind of file, with what the kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A file with content.
    File {
        /// Bytes of content.
        size: u64,
        /// SHA-256 of the content.
        digest: Digest,
    },
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// Another name of a file.
    HardLink(Vec<u8>),
    /// Anything else: the byte of its type in a tar, and its device numbers.
    Special(u8, u32, u32),
}

impl Tree {
    /// The file at this path, with no slash at either end.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Node> {
        self.0.get(path.as_ref())
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The differences of another tree: a line for each path, for the message of an assertion.
    pub fn differences(&self, other: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, node) in &self.0 {
            let path_text = path.escape_ascii();
            match other.0.get(path) {
                None => lines.push(format!("- {path_text}: {node}")),
                Some(there) if there != node => lines.push(format!("! {path_text}: {node}, there {there}")),
                Some(_) => {}
            }
        }
        for (path, node) in other.0.iter().filter(|(path, _)| !self.0.contains_key(*path)) {
            lines.push(format!("+ {}: {node}", path.escape_ascii()));
        }
        lines
    }

    /// The tree of a container's export.
    fn read(archive: impl Read) -> io::Result<Tree> {
        let mut tree = BTreeMap::new();
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path_bytes().into_owned();
            let path = path.strip_prefix(b"./").unwrap_or(&path);
            let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
            let node = read_node(&mut entry, &path)?;
            tree.insert(path, node);
        }
        Ok(Tree(tree))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uid, gid) = self.owner;
        write!(f, "{:?} {:o} {uid}:{gid} at {} {:?}", self.kind, self.mode, self.mtime, self.xattrs)
    }
}

/// The files of an image, read from a container that is created and never run.
pub fn export_tree(engine: &Engine, image: &str) -> Result<Tree, LabError> {
    // The command is for images that have none; nothing runs it.
    let container = run(engine.client().args(["create", image, "/none"]))?;
    let container = container.trim();
    let tree = export(engine, container);
    run(engine.client().args(["rm", "--force", container]))?;
    tree
}

fn export(engine: &Engine, container: &str) -> Result<Tree, LabError> {
    let cannot = || LabError::io(format_args!("export container {container}"));
    let mut client = engine
        .client()
        .args(["export", container])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(cannot())?;
    let mut stdout = client.stdout.take().ok_or_else(|| cannot()(io::ErrorKind::BrokenPipe.into()))?;
    let tree = Tree::read(&mut stdout);
    // The bytes after the end of the archive are read, too: a client that cannot write them would fail.
    io::copy(&mut stdout, &mut io::sink()).map_err(cannot())?;
    let status = client.wait().map_err(cannot())?;
    let tree = tree.map_err(cannot())?;
    if status.success() {
        return Ok(tree);
    }
    Err(LabError::Command { command: format!("export {container}"), status, stderr: String::new() })
}

fn read_node(entry: &mut tar::Entry<'_, impl Read>, path: &[u8]) -> io::Result<Node> {
    let mut xattrs = BTreeMap::new();
    if let Some(records) = entry.pax_extensions()? {
        for record in records {
            let record = record?;
            if let Some(name) = record.key_bytes().strip_prefix(b"SCHILY.xattr.") {
                xattrs.insert(String::from_utf8_lossy(name).into_owned(), record.value_bytes().to_vec());
            }
        }
    }
    let link = entry.link_name_bytes().unwrap_or_default().into_owned();
    let header = entry.header();
    // docker writes the kind of file into the mode as well, podman does not.
    let (kind, mode, owner) = (header.entry_type(), header.mode()? & 0o7777, (header.uid()?, header.gid()?));
    let mtime = if made_by_engine(path) { 0 } else { header.mtime()? };
    // Only a device is sure to have numbers there.
    let number = |field: io::Result<Option<u32>>| field.ok().flatten().unwrap_or(0);
    let device = (number(header.device_major()), number(header.device_minor()));
    let kind = match kind {
        tar::EntryType::Directory => NodeKind::Dir,
        tar::EntryType::Symlink => NodeKind::Symlink(link),
        tar::EntryType::Link => NodeKind::HardLink(link),
        kind if kind.is_file() => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            NodeKind::File { size: content.len() as u64, digest: Digest::of(&content) }
        }
        kind => NodeKind::Special(kind.as_byte(), device.0, device.1),
    };
    Ok(Node { kind, mode, owner, mtime, xattrs })
}

/// True if the engine makes or touches this path in each new container, so that its time means nothing.
fn made_by_engine(path: &[u8]) -> bool {
    let first = path.split(|b| *b == b'/').next().unwrap_or_default();
    matches!(first, b"" | b"." | b".dockerenv" | b"dev" | b"proc" | b"sys" | b"run")
        || matches!(path, b"etc" | b"etc/hostname" | b"etc/hosts" | b"etc/mtab" | b"etc/resolv.conf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Attributes, Layer};

    fn tree(layer: &Layer) -> Tree {
        Tree::read(layer.tar()).unwrap()
    }

    #[test]
    fn a_tree_has_what_the_tar_has() {
        let layer = Layer::builder()
            .dir("d/")
            .file_with_xattrs("d/f", "abc", &[("user.x", b"\xff")])
            .hard_link("d/g", "d/f")
            .symlink("s", "d/f")
            .device("null", 1, 3)
            .build();
        let tree = tree(&layer);
        assert_eq!(tree.len(), 5);
        let file = tree.get("d/f").unwrap();
        assert_eq!(file.kind, NodeKind::File { size: 3, digest: Digest::of(b"abc") });
        assert_eq!(file.xattrs["user.x"], b"\xff");
        assert_eq!(tree.get("d/g").unwrap().kind, NodeKind::HardLink(b"d/f".to_vec()));
        assert_eq!(tree.get("null").unwrap().kind, NodeKind::Special(b'3', 1, 3));
    }

    #[test]
    fn differences_are_told_by_path() {
        let one = tree(&Layer::builder().file("same", "1").file("gone", "").file("changed", "a").build());
        let later = Attributes { mtime: 1, ..Attributes::default() };
        let layer =
            Layer::builder().file("same", "1").file("new", "").attributes(later).file("changed", "a").build();
        let lines = one.differences(&tree(&layer));
        let marks: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(marks, ["! changed", "- gone", "+ new"]);
        assert_eq!(one.differences(&one), Vec::<String>::new());
    }
}
