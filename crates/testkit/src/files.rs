//! A layer described file by file, with all the oddities that layers have.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use tar::{EntryType, Header};

use crate::content::Content;
use crate::layer::{Attributes, Layer, LayerBuilder};

/// The bytes of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerSpec {
    /// The layer without entries that `RUN true` makes: 1024 zeros.
    Empty,
    /// A tar.
    Tar {
        /// Its entries, in order.
        entries: Vec<Entry>,
        /// The end of the tar, after the entries.
        end: End,
    },
    /// No tar at all.
    Raw(Content),
}

/// The end of a tar, after the last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Two blocks of zeros.
    Usual,
    /// Zeros up to a multiple of 10240 bytes, as GNU tar and tar-split have it.
    Record,
    /// Nothing.
    Missing,
    /// One block of zeros.
    OneBlock,
    /// Two blocks of zeros, then this many bytes that are not zeros.
    Garbage(u16),
}

/// One entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The place in the tree.
    pub place: Place,
    /// The kind and content of the entry.
    pub node: Node,
    /// Owner, mode and time.
    pub meta: Meta,
}

/// Owner, mode and time of an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// Owner and group.
    pub owner: u32,
    /// Bits that differ from the usual mode.
    pub mode: u16,
    /// Seconds after a fixed time.
    pub time: u16,
}

/// The kind and content of a tar entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir,
    /// A file.
    File(Content),
    /// A symbolic link to the file of this number.
    Symlink(u8),
    /// A second name of the file of this number, whether it is in the layer or not.
    HardLink(u8),
    /// Removes what a lower layer has at this place.
    Whiteout,
    /// Removes all that lower layers have in this directory.
    Opaque,
    /// A named pipe.
    Fifo,
    /// A character device.
    Device(u8),
    /// A file with an extended attribute of this many bytes.
    Attributed(Content, u8),
    /// A file whose size is a record of pax.
    SizedInPax(Content),
    /// A file whose size is in binary.
    SizedInBinary(Content),
    /// A sparse file in the form of pax 1.0, with this content in the middle.
    Sparse(Content),
    /// A symbolic link whose header says a size that it does not have.
    SymlinkWithSize(u32),
    /// A global header of pax, as `git archive` writes it; it has no place.
    GlobalComment(u8),
}

/// The path of an entry: a directory and a name, each by a number, in some form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the directory.
    pub dir: u8,
    /// The number of the name.
    pub name: u8,
    /// The form of the path.
    pub form: Form,
}

/// A form of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Short.
    Plain,
    /// With `./` before it.
    Dotted,
    /// Over 100 bytes, which ustar splits in two.
    Ustar,
    /// Over 100 bytes, as an entry of GNU tar.
    Gnu,
    /// Over 256 bytes, as a record of pax.
    Pax,
    /// Not UTF-8.
    NotText,
}

impl Place {
    /// A short path.
    pub const fn plain(dir: u8, name: u8) -> Place {
        Place { dir, name, form: Form::Plain }
    }

    /// The path.
    pub fn path(self) -> Vec<u8> {
        const DIRS: [&str; 5] = ["", "etc/", "usr/lib/python3/", "app/", "app/node_modules/left-pad/"];
        let dir = DIRS[usize::from(self.dir) % DIRS.len()];
        let name = format!("file-{}.txt", self.name);
        match self.form {
            Form::Plain => format!("{dir}{name}").into_bytes(),
            Form::Dotted => format!("./{dir}{name}").into_bytes(),
            // The part before the last slash has at most 155 bytes.
            Form::Ustar => format!("{dir}{}/{name}", "long-directory".repeat(7)).into_bytes(),
            Form::Gnu => format!("{dir}{}{name}", "deep-directory/".repeat(9)).into_bytes(),
            Form::Pax => format!("{dir}{}{name}", "very-deep-directory/".repeat(15)).into_bytes(),
            Form::NotText => [dir.as_bytes(), b"latin-\xe9-\xff-", name.as_bytes()].concat(),
        }
    }

    fn os_path(self) -> PathBuf {
        OsString::from_vec(self.path()).into()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{:?}", self.dir, self.name, self.form)
    }
}

impl Entry {
    /// A file at a short path.
    pub fn file(dir: u8, name: u8, content: Content) -> Entry {
        Entry { place: Place::plain(dir, name), node: Node::File(content), meta: Meta::default() }
    }

    /// The content, where it has one.
    pub fn content_mut(&mut self) -> Option<&mut Content> {
        match &mut self.node {
            Node::File(content)
            | Node::Attributed(content, _)
            | Node::SizedInPax(content)
            | Node::SizedInBinary(content)
            | Node::Sparse(content) => Some(content),
            _ => None,
        }
    }

    fn append(&self, layer: LayerBuilder) -> LayerBuilder {
        let Meta { owner, mode, time } = self.meta;
        let owner = u64::from(owner);
        let usual: u32 = if self.node == Node::Dir { 0o755 } else { 0o644 };
        let layer = layer.attributes(Attributes {
            mode: (mode != 0).then_some(usual ^ u32::from(mode) & 0o7777),
            uid: owner,
            gid: owner,
            mtime: 1_700_000_000 + u64::from(time),
        });
        let path = self.place.os_path();
        let other = |name: &u8| Place::plain(self.place.dir, *name).os_path();
        match &self.node {
            Node::Dir => layer.dir(&path),
            Node::File(content) => match self.place.form {
                Form::Ustar => layer.file_in_ustar(&path, content.bytes()),
                Form::Pax => {
                    let path = String::from_utf8_lossy(&self.place.path()).into_owned();
                    layer.file_named_in_pax(&path, content.bytes())
                }
                _ => layer.file(&path, content.bytes()),
            },
            Node::Symlink(name) => layer.symlink(&path, other(name)),
            Node::HardLink(name) => layer.hard_link(&path, other(name)),
            Node::Whiteout => layer.whiteout(&path),
            Node::Opaque => layer.opaque(path.parent().unwrap_or(&path)),
            Node::Fifo => layer.fifo(&path),
            Node::Device(minor) => layer.device(&path, 1, u32::from(*minor)),
            Node::Attributed(content, len) => {
                // Of 20 bytes it is one that a file system takes.
                let value: Vec<u8> =
                    [0, 0, 0, 2].into_iter().chain([0; 255]).take(usize::from(*len)).collect();
                layer.file_with_xattrs(&path, content.bytes(), &[("security.capability", &value)])
            }
            Node::SizedInPax(content) => layer.file_sized_in_pax(self.short(), content.bytes()),
            Node::SizedInBinary(content) => layer.file_sized_in_binary(self.short(), content.bytes()),
            Node::Sparse(content) => {
                let content = content.bytes();
                let len = content.len() as u64;
                layer.sparse_file(&self.short().to_string_lossy(), 3 * len + 512, len, &content)
            }
            Node::SymlinkWithSize(size) => {
                layer.symlink_with_size(self.short(), "target", u64::from(*size) + 1)
            }
            Node::GlobalComment(len) => {
                let comment = "c".repeat(usize::from(*len));
                layer.global_comment(&comment)
            }
        }
    }

    /// A path that fits any header.
    fn short(&self) -> PathBuf {
        Place::plain(self.place.dir, self.place.name).os_path()
    }
}

impl LayerSpec {
    /// A tar of these entries that ends as usual.
    pub fn of(entries: Vec<Entry>) -> LayerSpec {
        LayerSpec::Tar { entries, end: End::Usual }
    }

    /// A tar of one file of noise.
    pub fn noise(seed: u32, len: u32) -> LayerSpec {
        LayerSpec::of(vec![Entry::file(0, 0, Content::noise(seed, len))])
    }

    /// A tar of one file of text.
    pub fn text(seed: u32, len: u32) -> LayerSpec {
        LayerSpec::of(vec![Entry::file(0, 0, Content::text(seed, len))])
    }

    /// The layer as it is uncompressed.
    pub fn tar(&self) -> Vec<u8> {
        let (entries, end) = match self {
            LayerSpec::Empty => return vec![0; 1024],
            LayerSpec::Raw(content) => return content.bytes(),
            LayerSpec::Tar { entries, end } => (entries, end),
        };
        let layer = entries.iter().fold(Layer::builder(), |layer, entry| entry.append(layer)).build();
        let mut tar = layer.tar().to_vec();
        match end {
            End::Usual => {}
            End::Record => tar.resize(tar.len().next_multiple_of(10240), 0),
            End::Missing => tar.truncate(tar.len() - 1024),
            End::OneBlock => tar.truncate(tar.len() - 512),
            End::Garbage(len) => tar.extend((0..*len).map(|n| (n % 255) as u8 + 1)),
        }
        tar
    }
}

/// Records of pax for all entries that follow.
fn global_header(len: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XGlobalHeader);
    header.set_path("pax_global_header").expect("a short name");
    header.set_mode(0o666);
    header.set_size(len);
    header
}

impl LayerBuilder {
    /// A global header of pax with a comment.
    fn global_comment(self, comment: &str) -> LayerBuilder {
        // The length of a record counts its own digits.
        let len = " comment=\n".len() + comment.len();
        let digits = (1..5).find(|digits| (len + digits).to_string().len() == *digits).unwrap_or(3);
        let record = format!("{} comment={comment}\n", len + digits);
        self.raw(&mut global_header(record.len() as u64), record.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All nodes at all forms of paths.
    fn everything() -> Vec<Entry> {
        let content = || Content::text(1, 700);
        let nodes = [
            Node::Dir,
            Node::File(content()),
            Node::Symlink(1),
            Node::HardLink(1),
            Node::Whiteout,
            Node::Opaque,
            Node::Fifo,
            Node::Device(3),
            Node::Attributed(content(), 20),
            Node::SizedInPax(content()),
            Node::SizedInBinary(content()),
            Node::Sparse(content()),
            Node::GlobalComment(90),
        ];
        let forms = [Form::Plain, Form::Dotted, Form::Ustar, Form::Gnu, Form::Pax, Form::NotText];
        let meta = Meta { owner: 3_000_000, mode: 0o111, time: 7 };
        let at = |form: Form| move |node| Entry { place: Place { dir: 2, name: 1, form }, node, meta };
        forms.into_iter().flat_map(|form| nodes.clone().map(at(form))).collect()
    }

    #[test]
    fn an_independent_reader_finds_every_entry() {
        let tar = LayerSpec::of(everything()).tar();
        let mut archive = tar::Archive::new(&tar[..]);
        let mut paths: Vec<Vec<u8>> = Vec::new();
        for entry in archive.entries().unwrap() {
            paths.push(entry.unwrap().path_bytes().into_owned());
        }
        // A reader shows the global header, too.
        assert_eq!(paths.len(), everything().len());
        for form in [Form::Ustar, Form::Gnu, Form::Pax, Form::NotText] {
            let path = Place { dir: 2, name: 1, form }.path();
            assert!(paths.contains(&path), "{form:?}: {}", path.escape_ascii());
        }
    }

    #[test]
    fn ends_are_what_they_say() {
        let entries = vec![Entry::file(0, 0, Content::text(1, 10))];
        let len = |end| LayerSpec::Tar { entries: entries.clone(), end }.tar().len();
        assert_eq!(
            [End::Usual, End::Record, End::Missing, End::OneBlock, End::Garbage(3)].map(len),
            [2048, 10240, 1024, 1536, 2051]
        );
        assert_eq!(LayerSpec::Empty.tar(), Layer::empty().tar());
    }
}
