//! Reads a bolt database that another program may be writing.
//!
//! The format is that of `go.etcd.io/bbolt`, version 2: `internal/common/page.go` and `meta.go` there. Its own
//! programs wait for a lock that the writer holds as long as it runs. This reader takes none. A writer puts
//! changed pages where no page of the last committed state is, so a reader sees that state as long as nothing was
//! committed since. [`Bolt::is_unchanged`] checks that, and before it nothing that was read may be believed.
//!
//! The reader saves the listing of `docker images`, some 6 ms for each image: a report of 2,000 takes 1.1 s with it and
//! 13 s without (`docs/identity.md`, "Long lists").

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use PageKind::{Branch, Leaf};

const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;
const HEADER: usize = 16;
const ELEMENT: usize = 16;
const META: usize = 64;
/// Page sizes, as powers of two: those of systems.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 10..=16;
/// The most bytes of a page and its overflow; a longer one is damaged.
const LARGEST_PAGE: u64 = 64 << 20;

/// A database, as its last commit left it.
pub(in crate::client) struct Bolt {
    file: File,
    meta: Meta,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meta {
    page_size: u64,
    root: u64,
    /// The number of pages.
    pages: u64,
    transaction: u64,
}

/// A collection of keys.
#[derive(Debug)]
pub(in crate::client) enum Bucket {
    /// A bucket whose tree begins at this page.
    Tree(u64),
    /// A small one is within the one above.
    Inline(Page),
}

/// The value of a key.
#[derive(Debug)]
pub(in crate::client) enum Value<'a> {
    Bytes(&'a [u8]),
    Bucket(Bucket),
}

impl Bolt {
    pub(in crate::client) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = latest(&file)?;
        Ok(Self { file, meta })
    }

    /// True if nothing was committed since this was opened.
    pub(in crate::client) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(latest(&self.file)? == self.meta)
    }

    /// The bucket with all others in it.
    pub(in crate::client) fn root(&self) -> Bucket {
        Bucket::Tree(self.meta.root)
    }

    /// The bucket at the end of this path of names, if there is one.
    pub(in crate::client) fn bucket(&self, path: &[&str]) -> io::Result<Option<Bucket>> {
        let mut bucket = self.root();
        for name in path {
            match self.inner(&bucket, name)? {
                Some(inner) => bucket = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// A bucket in a bucket, if it is there.
    pub(in crate::client) fn inner(&self, bucket: &Bucket, name: &str) -> io::Result<Option<Bucket>> {
        self.find(bucket, name.as_bytes(), |value| match value {
            Value::Bucket(inner) => Some(inner),
            Value::Bytes(_) => None,
        })
    }

    /// The bytes that a key stands for, if it is there.
    pub(in crate::client) fn bytes(&self, bucket: &Bucket, key: &str) -> io::Result<Option<Vec<u8>>> {
        self.find(bucket, key.as_bytes(), |value| match value {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            Value::Bucket(_) => None,
        })
    }

    fn find<T>(
        &self,
        bucket: &Bucket,
        key: &[u8],
        take: impl Fn(Value<'_>) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let mut found = None;
        self.walk(bucket, &mut |page| {
            // The last child that does not begin behind the key.
            let mut child = None;
            for at in 0..page.count() {
                match page.element(at)? {
                    Element::Child { first, page } if at == 0 || first <= key => child = Some(page),
                    Element::Child { .. } => break,
                    Element::Entry { key: other, value } if other == key => found = take(value),
                    Element::Entry { .. } => {}
                }
            }
            Ok(child.into_iter().collect())
        })?;
        Ok(found)
    }

    /// Gives all keys of a bucket, in their order, and what they stand for.
    pub(in crate::client) fn each(
        &self,
        bucket: &Bucket,
        take: &mut dyn FnMut(&[u8], Value<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.walk(bucket, &mut |page| {
            let mut children = Vec::new();
            for at in 0..page.count() {
                match page.element(at)? {
                    Element::Child { page, .. } => children.push(page),
                    Element::Entry { key, value } => take(key, value)?,
                }
            }
            Ok(children)
        })
    }

    /// Visits a page, and then those that the visit names.
    fn walk(&self, bucket: &Bucket, visit: &mut dyn FnMut(&Page) -> io::Result<Vec<u64>>) -> io::Result<()> {
        let mut waiting = match bucket {
            Bucket::Inline(page) => visit(page)?,
            Bucket::Tree(page) => vec![*page],
        };
        waiting.reverse();
        let mut visits = 0;
        while let Some(id) = waiting.pop() {
            visits += 1;
            if visits > self.meta.pages {
                return Err(damaged("has a page below itself"));
            }
            waiting.extend(visit(&self.page(id)?)?.into_iter().rev());
        }
        Ok(())
    }

    fn page(&self, id: u64) -> io::Result<Page> {
        if id >= self.meta.pages {
            return Err(damaged("names a page that is not there"));
        }
        let size = self.meta.page_size;
        let offset = id.checked_mul(size).ok_or_else(|| damaged("is too long"))?;
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, offset)?;
        let whole = (u64::from(u32_at(&header, 12)?) + 1).saturating_mul(size);
        if u64_at(&header, 0)? != id || whole > LARGEST_PAGE {
            return Err(damaged("has a page with another number or a damaged length"));
        }
        // Looked at before memory is taken for it.
        if offset.saturating_add(whole) > self.file.metadata()?.len() {
            return Err(damaged("has a page that ends behind the file"));
        }
        let length = usize::try_from(whole).map_err(|_| damaged("is too long"))?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Page::new(bytes)
    }
}

/// The newer one of the two meta pages; at most one of them is being written.
fn latest(file: &File) -> io::Result<Meta> {
    let first = meta(file, 0);
    let second = match &first {
        Ok(first) => meta(file, first.page_size),
        Err(_) => PAGE_SIZES
            .map(|bits| meta(file, 1 << bits))
            .find(Result::is_ok)
            .unwrap_or_else(|| Err(damaged("has no valid meta page"))),
    };
    match (first, second) {
        (Ok(a), Ok(b)) => Ok(if a.transaction > b.transaction { a } else { b }),
        (Ok(meta), Err(_)) | (Err(_), Ok(meta)) => Ok(meta),
        (Err(error), Err(_)) => Err(error),
    }
}

fn meta(file: &File, offset: u64) -> io::Result<Meta> {
    let mut bytes = [0; META];
    file.read_exact_at(&mut bytes, offset + HEADER as u64)?;
    let page_size = u32_at(&bytes, 8)?;
    let is_meta = u32_at(&bytes, 0)? == MAGIC
        && u32_at(&bytes, 4)? == VERSION
        && page_size.is_power_of_two()
        && PAGE_SIZES.contains(&page_size.trailing_zeros())
        && u64_at(&bytes, META - 8)? == fnv(&bytes[..META - 8]);
    if !is_meta {
        return Err(damaged("has no valid meta page"));
    }
    Ok(Meta {
        page_size: page_size.into(),
        root: u64_at(&bytes, 16)?,
        pages: u64_at(&bytes, 40)?,
        transaction: u64_at(&bytes, 48)?,
    })
}

/// FNV-1a of 64 bits (draft-eastlake-fnv), by which bolt checks where commits are noted.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A node of a tree.
#[derive(Debug)]
pub(in crate::client) struct Page {
    bytes: Vec<u8>,
    kind: PageKind,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
enum PageKind {
    Branch,
    Leaf,
}

enum Element<'a> {
    Child { first: &'a [u8], page: u64 },
    Entry { key: &'a [u8], value: Value<'a> },
}

impl Page {
    fn new(bytes: Vec<u8>) -> io::Result<Self> {
        let kind = match u16_at(&bytes, 8)? {
            1 => Branch,
            2 => Leaf,
            _ => return Err(damaged("has a page of another kind")),
        };
        let count = u16_at(&bytes, 10)?.into();
        Ok(Self { bytes, kind, count })
    }

    fn count(&self) -> usize {
        self.count
    }

    fn element(&self, number: usize) -> io::Result<Element<'_>> {
        let at = HEADER + number * ELEMENT;
        let word = |offset: usize| u32_at(&self.bytes, at + offset);
        let text = |from: usize, len: u32| slice(&self.bytes, from, len as usize);
        let place = |offset: u32| at.saturating_add(offset as usize);
        match self.kind {
            Branch => Ok(Element::Child {
                first: text(place(word(0)?), word(4)?)?,
                page: u64_at(&self.bytes, at + 8)?,
            }),
            Leaf => {
                let start = place(word(4)?);
                let key = text(start, word(8)?)?;
                let value = text(start + key.len(), word(12)?)?;
                let is_bucket = word(0)? & 1 != 0;
                let value = if is_bucket { Value::Bucket(bucket(value)?) } else { Value::Bytes(value) };
                Ok(Element::Entry { key, value })
            }
        }
    }
}

fn bucket(value: &[u8]) -> io::Result<Bucket> {
    match u64_at(value, 0)? {
        0 => Ok(Bucket::Inline(Page::new(value.get(HEADER..).unwrap_or_default().to_vec())?)),
        page => Ok(Bucket::Tree(page)),
    }
}

fn slice(bytes: &[u8], from: usize, len: usize) -> io::Result<&[u8]> {
    let end = from.checked_add(len);
    end.and_then(|end| bytes.get(from..end)).ok_or_else(|| damaged("has a page that ends too soon"))
}

fn array<const N: usize>(bytes: &[u8], from: usize) -> io::Result<[u8; N]> {
    let bytes = slice(bytes, from, N)?;
    bytes.try_into().map_err(|_| damaged("has a page that ends too soon"))
}

// Written as the machine has them, which is in this order on all that engines run on.
fn u16_at(bytes: &[u8], from: usize) -> io::Result<u16> {
    array(bytes, from).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], from: usize) -> io::Result<u32> {
    array(bytes, from).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], from: usize) -> io::Result<u64> {
    array(bytes, from).map(u64::from_le_bytes)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the database {what}"))
}

#[cfg(test)]
#[path = "bolt_tests.rs"]
mod tests;
