//! Layers made up in memory, tar entry by tar entry, with all the oddities that layers can have.

use std::io;
use std::path::Path;

use dsync_core::DiffId;
use tar::{EntryType, Header};

/// A layer: an uncompressed tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    tar: Vec<u8>,
    diff_id: DiffId,
}

impl Layer {
    /// A layer to be filled.
    pub fn builder() -> LayerBuilder {
        LayerBuilder { tar: tar::Builder::new(Vec::new()), attributes: Attributes::default() }
    }

    /// The empty layer, as `RUN true` makes it with a modern builder.
    pub fn empty() -> Layer {
        Layer::from_tar(vec![0; 1024])
    }

    /// A layer that is these bytes.
    pub fn from_tar(tar: Vec<u8>) -> Layer {
        Layer { diff_id: DiffId::of(&tar), tar }
    }

    /// The tar.
    pub fn tar(&self) -> &[u8] {
        &self.tar
    }

    /// Its digest.
    pub fn diff_id(&self) -> DiffId {
        self.diff_id
    }
}

/// The owner, mode and time of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits; without, what is usual for the kind of entry.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

impl Default for Attributes {
    fn default() -> Self {
        // Any fixed time will do; two builds of the same layer must be the same bytes.
        Attributes { mode: None, uid: 0, gid: 0, mtime: 1_700_000_000 }
    }
}

/// A layer being filled, one entry after the other. A name that a tar cannot have is a mistake in a test,
/// and panics.
pub struct LayerBuilder {
    tar: tar::Builder<Vec<u8>>,
    attributes: Attributes,
}

impl LayerBuilder {
    /// The owner, mode and time of the following entries.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// A directory.
    pub fn dir(self, path: impl AsRef<Path>) -> Self {
        self.entry(EntryType::Directory, path, &[])
    }

    /// A file. A name that does not fit a header goes as an entry of GNU tar.
    pub fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.entry(EntryType::Regular, path, content.as_ref())
    }

    /// A symbolic link.
    pub fn symlink(self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.link(EntryType::Symlink, path.as_ref(), target.as_ref())
    }

    /// A second name for a file of this layer.
    pub fn hard_link(self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.link(EntryType::Link, path.as_ref(), target.as_ref())
    }

    /// Removes what a lower layer has at this path.
    pub fn whiteout(self, path: impl AsRef<Path>) -> Self {
        let mut name = std::ffi::OsString::from(".wh.");
        name.push(path.as_ref().file_name().expect("a whiteout has a name"));
        let path = path.as_ref().with_file_name(name);
        self.file(path, [])
    }

    /// Removes all that lower layers have in this directory.
    pub fn opaque(self, dir: impl AsRef<Path>) -> Self {
        self.file(dir.as_ref().join(".wh..wh..opq"), [])
    }

    /// A named pipe.
    pub fn fifo(self, path: impl AsRef<Path>) -> Self {
        self.entry(EntryType::Fifo, path, &[])
    }

    /// A character device.
    pub fn device(mut self, path: impl AsRef<Path>, major: u32, minor: u32) -> Self {
        let mut header = self.header(EntryType::Char, 0);
        header.set_device_major(major).and_then(|()| header.set_device_minor(minor)).expect("a GNU header");
        self.append(&mut header, path.as_ref(), &[]);
        self
    }

    /// A file with extended attributes, as records of pax. An engine stores `security.capability`; a hard link
    /// to such a file takes it away again, because the engine gives the link its owner.
    pub fn file_with_xattrs(
        mut self,
        path: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
        xattrs: &[(&str, &[u8])],
    ) -> Self {
        let keys: Vec<String> = xattrs.iter().map(|(name, _)| format!("SCHILY.xattr.{name}")).collect();
        let records: Vec<(&str, &[u8])> =
            keys.iter().zip(xattrs).map(|(key, (_, value))| (key.as_str(), *value)).collect();
        self.pax(&records);
        self.file(path, content)
    }

    /// A file with a name of more than 100 bytes, in the two fields of ustar.
    pub fn file_in_ustar(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let mut header = Header::new_ustar();
        header.set_mode(self.attributes.mode.unwrap_or(0o644));
        header.set_uid(self.attributes.uid);
        header.set_gid(self.attributes.gid);
        header.set_mtime(self.attributes.mtime);
        header.set_size(content.len() as u64);
        let path = path.as_ref();
        header.set_path(path).unwrap_or_else(|error| bad_name(path, &error));
        self.raw(&mut header, content)
    }

    /// A file whose name is a record of pax.
    pub fn file_named_in_pax(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.pax(&[("path", path.as_bytes())]);
        self.file("a-name-that-does-not-count", content)
    }

    /// A file whose size is a record of pax, while the header says 0; as for files of 8 GiB and more.
    pub fn file_sized_in_pax(mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.pax(&[("size", content.as_ref().len().to_string().as_bytes())]);
        let mut header = self.header(EntryType::Regular, 0);
        header.set_path(path).expect("a short name");
        self.raw(&mut header, content.as_ref())
    }

    /// A file whose size is in binary, as GNU tar writes 8 GiB and more.
    pub fn file_sized_in_binary(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let mut header = self.header(EntryType::Regular, 0);
        header.set_path(path).expect("a short name");
        set_binary_size(&mut header, content.len() as u64);
        self.raw(&mut header, content)
    }

    /// A symbolic link whose header says this size, but which has no content, as some programs write it.
    /// The size is in binary, so it can be 8 GiB and more. An engine loads it, and fails to save it again.
    pub fn symlink_with_size(self, path: impl AsRef<Path>, target: impl AsRef<Path>, size: u64) -> Self {
        let mut header = self.header(EntryType::Symlink, 0);
        header.set_path(path).and_then(|()| header.set_link_name(target)).expect("short names");
        set_binary_size(&mut header, size);
        self.raw(&mut header, &[])
    }

    /// A sparse file in the form of pax 1.0: `content` is at this offset, the rest up to `size` is a hole.
    ///
    /// An engine stores the holes as zeros, and fails to save the layer again. GNU tar's older form, entries of
    /// type `S`, it does not even load.
    pub fn sparse_file(mut self, path: &str, size: u64, offset: u64, content: &[u8]) -> Self {
        let size_text = size.to_string();
        self.pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", path.as_bytes()),
            ("GNU.sparse.realsize", size_text.as_bytes()),
        ]);
        // Two pieces, the second an empty one at the end, which says how long the file is.
        let mut stored = format!("2\n{offset}\n{}\n{size}\n0\n", content.len()).into_bytes();
        stored.resize(512, 0);
        stored.extend(content);
        self.file("GNUSparseFile.0/name", stored)
    }

    /// An entry with this header, of which only the checksum is made right, and this content.
    pub fn raw(mut self, header: &mut Header, content: &[u8]) -> Self {
        header.set_cksum();
        let tar = self.tar.get_mut();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
        self
    }

    /// Ends the layer.
    pub fn build(self) -> Layer {
        Layer::from_tar(self.tar.into_inner().expect("memory takes all that is written to it"))
    }

    fn entry(mut self, kind: EntryType, path: impl AsRef<Path>, content: &[u8]) -> Self {
        let mut header = self.header(kind, content.len() as u64);
        self.append(&mut header, path.as_ref(), content);
        self
    }

    fn link(mut self, kind: EntryType, path: &Path, target: &Path) -> Self {
        let mut header = self.header(kind, 0);
        self.tar.append_link(&mut header, path, target).unwrap_or_else(|error| bad_name(path, &error));
        self
    }

    fn append(&mut self, header: &mut Header, path: &Path, content: &[u8]) {
        self.tar.append_data(header, path, content).unwrap_or_else(|error| bad_name(path, &error));
    }

    /// Records of pax for the next entry.
    fn pax(&mut self, records: &[(&str, &[u8])]) {
        let records = records.iter().copied();
        self.tar.append_pax_extensions(records).expect("memory takes all that is written to it");
    }

    fn header(&self, kind: EntryType, size: u64) -> Header {
        let Attributes { mode, uid, gid, mtime } = self.attributes;
        let usual = match kind {
            EntryType::Directory => 0o755,
            EntryType::Symlink => 0o777,
            _ => 0o644,
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode.unwrap_or(usual));
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_mtime(mtime);
        header.set_size(size);
        header
    }
}

fn bad_name(path: &Path, error: &io::Error) -> ! {
    panic!("a layer cannot have {}: {error}", path.display())
}

fn set_binary_size(header: &mut Header, size: u64) {
    binary(&mut header.as_old_mut().size, size);
}

/// The form of GNU tar for numbers that are too large: the top bit set, then big-endian.
fn binary(field: &mut [u8; 12], number: u64) {
    *field = [0; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Path and content of all entries, as the reader of the tar crate sees them.
    fn read(layer: &Layer) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(layer.tar());
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), content)
            })
            .collect()
    }

    #[test]
    fn a_layer_is_the_same_bytes_each_time() {
        let build = || Layer::builder().dir("a").file("a/b", "hi").symlink("c", "a/b").build();
        assert_eq!(build(), build());
        assert_eq!(read(&build())[1], ("a/b".to_owned(), b"hi".to_vec()));
    }

    #[test]
    fn the_empty_layer_is_the_known_one() {
        let known = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
        assert_eq!(Layer::empty().diff_id().to_string(), known);
        assert_eq!(Layer::builder().build(), Layer::empty());
    }

    #[test]
    fn oddities_are_read_by_an_independent_reader() {
        let long = "d/".repeat(150) + "end";
        let layer = Layer::builder()
            .file(&long, "1")
            .file_named_in_pax("pax-name", "2")
            .file_sized_in_pax("pax-size", "333")
            .file_sized_in_binary("binary-size", "4444")
            .whiteout("x/gone")
            .opaque("y")
            .build();
        let entries = read(&layer);
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [&long, "pax-name", "pax-size", "binary-size", "x/.wh.gone", "y/.wh..wh..opq"]);
        assert_eq!(entries[2].1, b"333");
        assert_eq!(entries[3].1, b"4444");
    }
}
