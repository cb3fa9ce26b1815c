//! Databases made here, deep ones of few keys, and damaged ones.

use std::collections::BTreeMap;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const PAGE: usize = 4096;

/// The contents of a database of these tests.
enum Tree {
    Bytes(Vec<u8>),
    Bucket(BTreeMap<Vec<u8>, Tree>),
    Inline(BTreeMap<Vec<u8>, Tree>),
}

/// Writes databases, two keys to a leaf and two children to a branch, so that small ones are deep.
struct Writer {
    pages: Vec<Vec<u8>>,
}

impl Writer {
    fn new() -> Self {
        Self { pages: vec![Vec::new(), Vec::new()] }
    }

    fn element(head: &[u32], tail: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (head.iter().flat_map(|word| word.to_le_bytes()).collect(), tail.to_vec())
    }

    fn node(id: u64, kind: u16, elements: &[(Vec<u8>, Vec<u8>)], branch: Option<&[u64]>) -> Vec<u8> {
        let mut body = Vec::new();
        let mut heads = Vec::new();
        for (at, (key, value)) in elements.iter().enumerate() {
            let position = ((elements.len() - at) * ELEMENT + body.len()) as u32;
            let (head, tail) = match branch {
                Some(children) => {
                    let child = children[at];
                    let words = [position, key.len() as u32, child as u32, (child >> 32) as u32];
                    Self::element(&words, key)
                }
                None => {
                    let (flag, value) = value.split_first().unwrap();
                    let words = [u32::from(*flag), position, key.len() as u32, value.len() as u32];
                    Self::element(&words, &[key, value].concat())
                }
            };
            heads.extend(head);
            body.extend(tail);
        }
        let mut bytes = id.to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend((elements.len() as u16).to_le_bytes());
        let whole = HEADER + heads.len() + body.len();
        bytes.extend((whole.saturating_sub(1) as u32 / PAGE as u32).to_le_bytes());
        bytes.extend(heads);
        bytes.extend(body);
        bytes
    }

    fn add(&mut self, node: impl FnOnce(u64) -> Vec<u8>) -> u64 {
        let id = self.pages.len() as u64;
        let mut bytes = node(id);
        bytes.resize(bytes.len().div_ceil(PAGE) * PAGE, 0);
        let mut parts = bytes.chunks(PAGE).map(<[u8]>::to_vec);
        self.pages.extend(&mut parts);
        id
    }

    fn leaves(&mut self, tree: &BTreeMap<Vec<u8>, Tree>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut leaves = Vec::new();
        for (key, value) in tree {
            let value = match value {
                Tree::Bytes(bytes) => [&[0], &bytes[..]].concat(),
                Tree::Bucket(inner) => {
                    let root = self.bucket(inner);
                    [&[1], &root.to_le_bytes()[..], &[0; 8]].concat()
                }
                Tree::Inline(inner) => {
                    let leaves = self.leaves(inner);
                    [&[1], &[0; 16][..], &Self::node(0, 2, &leaves, None)].concat()
                }
            };
            leaves.push((key.clone(), value));
        }
        leaves
    }

    fn bucket(&mut self, tree: &BTreeMap<Vec<u8>, Tree>) -> u64 {
        let leaves = self.leaves(tree);
        let mut level: Vec<(Vec<u8>, u64)> = leaves
            .chunks(2)
            .map(|pair| (pair[0].0.clone(), self.add(|id| Self::node(id, 2, pair, None))))
            .collect();
        if level.is_empty() {
            return self.add(|id| Self::node(id, 2, &[], None));
        }
        while level.len() > 1 {
            let pairs: Vec<Vec<(Vec<u8>, u64)>> = level.chunks(2).map(<[_]>::to_vec).collect();
            level.clear();
            for pair in pairs {
                let keys: Vec<_> = pair.iter().map(|(key, _)| (key.clone(), Vec::new())).collect();
                let children: Vec<u64> = pair.iter().map(|(_, child)| *child).collect();
                let page = self.add(|id| Self::node(id, 1, &keys, Some(&children)));
                level.push((pair[0].0.clone(), page));
            }
        }
        level[0].1
    }

    fn meta(&mut self, at: usize, root: u64, transaction: u64) {
        let mut bytes = [MAGIC.to_le_bytes(), VERSION.to_le_bytes()].concat();
        bytes.extend((PAGE as u32).to_le_bytes());
        bytes.extend([0; 4]);
        for word in [root, 0, 0, self.pages.len() as u64, transaction] {
            bytes.extend(word.to_le_bytes());
        }
        let sum = fnv(&bytes);
        bytes.extend(sum.to_le_bytes());
        let mut page = vec![0; HEADER];
        page.extend(bytes);
        page.resize(PAGE, 0);
        self.pages[at] = page;
    }
}

fn database(tree: &BTreeMap<Vec<u8>, Tree>) -> Vec<u8> {
    let mut writer = Writer::new();
    let root = writer.bucket(tree);
    writer.meta(0, root, 6);
    writer.meta(1, root, 7);
    writer.pages.concat()
}

fn opened(bytes: &[u8]) -> (tempfile::NamedTempFile, io::Result<Bolt>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let bolt = Bolt::open(file.path());
    (file, bolt)
}

fn bytes(text: &str) -> Tree {
    Tree::Bytes(text.as_bytes().to_vec())
}

fn tree<const N: usize>(entries: [(&str, Tree); N]) -> BTreeMap<Vec<u8>, Tree> {
    entries.into_iter().map(|(key, value)| (key.as_bytes().to_vec(), value)).collect()
}

fn sample() -> BTreeMap<Vec<u8>, Tree> {
    let many = (0..50).map(|n| (format!("image{n:03}").into_bytes(), bytes(&n.to_string()))).collect();
    let inner = tree([
        ("empty", Tree::Inline(BTreeMap::new())),
        ("images", Tree::Bucket(many)),
        ("long", bytes(&"x".repeat(9000))),
        ("small", Tree::Inline(tree([("a", bytes("1")), ("b", bytes(""))]))),
    ]);
    tree([("v1", Tree::Bucket(inner)), ("version", bytes("2"))])
}

fn entries(bolt: &Bolt, path: &[&str]) -> Option<Vec<(String, usize)>> {
    let bucket = bolt.bucket(path).unwrap()?;
    let mut found = Vec::new();
    bolt.each(&bucket, &mut |key, value| {
        let length = if let Value::Bytes(bytes) = value { bytes.len() } else { usize::MAX };
        found.push((String::from_utf8_lossy(key).into_owned(), length));
        Ok(())
    })
    .unwrap();
    Some(found)
}

#[test]
fn keys_and_buckets_are_found() {
    let (_file, bolt) = opened(&database(&sample()));
    let bolt = bolt.unwrap();
    let found = entries(&bolt, &["v1", "images"]).unwrap();
    assert_eq!(found.len(), 50);
    assert!(found.is_sorted());
    let named = |path: &[&str]| entries(&bolt, path);
    assert_eq!(named(&["v1", "small"]), Some(vec![("a".into(), 1), ("b".into(), 0)]));
    assert_eq!(named(&["v1", "empty"]), Some(Vec::new()));
    assert_eq!(named(&["v1", "long"]), None, "it is no bucket");
    assert_eq!(named(&["v2"]), None);
    let images = bolt.bucket(&["v1", "images"]).unwrap().unwrap();
    for n in 0..50 {
        let key = format!("image{n:03}");
        let got = bolt.bytes(&images, &key).unwrap().unwrap();
        assert_eq!(got, n.to_string().as_bytes(), "{key}");
    }
    assert!(bolt.is_unchanged().unwrap());
}

#[test]
fn a_commit_is_noticed() {
    let mut writer = Writer::new();
    let root = writer.bucket(&sample());
    writer.meta(0, root, 6);
    writer.meta(1, root, 7);
    let (file, bolt) = opened(&writer.pages.concat());
    let bolt = bolt.unwrap();
    writer.meta(0, root, 8);
    let again = File::options().write(true).open(file.path()).unwrap();
    again.write_all_at(&writer.pages[0], 0).unwrap();
    assert!(!bolt.is_unchanged().unwrap());
}

#[test]
fn one_place_of_commits_is_enough() {
    for place in [0, 1] {
        let mut bytes = database(&sample());
        bytes[place * PAGE + HEADER + 50] ^= 1;
        let (_file, bolt) = opened(&bytes);
        assert_eq!(entries(&bolt.unwrap(), &["v1", "images"]).unwrap().len(), 50, "without {place}");
    }
    let (_file, bolt) = opened(b"no database");
    assert!(bolt.is_err());
}

#[test]
fn a_page_below_itself_is_an_error() {
    let mut writer = Writer::new();
    let key = (b"a".to_vec(), Vec::new());
    let root = writer.add(|id| Writer::node(id, 1, &[key.clone(), key], Some(&[id, id])));
    writer.meta(0, root, 6);
    writer.meta(1, root, 7);
    let (_file, bolt) = opened(&writer.pages.concat());
    let bolt = bolt.unwrap();
    assert!(bolt.each(&bolt.root(), &mut |_, _| Ok(())).is_err());
}

proptest! {
    #[test]
    fn damage_is_an_error_or_other_bytes_and_never_a_panic(
        damage in prop::collection::vec((2 * PAGE..60 * PAGE, any::<u8>()), 1..40),
    ) {
        let mut bytes = database(&sample());
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let (_file, bolt) = opened(&bytes);
        let bolt = bolt.unwrap();
        if let Ok(Some(bucket)) = bolt.bucket(&["v1", "images"]) {
            let _ = bolt.each(&bucket, &mut |_, _| Ok(()));
        }
    }
}

/// The error of a read of all keys after a change of the database.
fn damaged_by(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = database(&sample());
    change(&mut bytes);
    let (_file, bolt) = opened(&bytes);
    let bolt = match bolt {
        Ok(bolt) => bolt,
        Err(error) => return error.to_string(),
    };
    fn all(bolt: &Bolt, bucket: &Bucket) -> io::Result<()> {
        let mut names = Vec::new();
        bolt.each(bucket, &mut |name, value| {
            if let Value::Bucket(_) = value {
                names.push(String::from_utf8_lossy(name).into_owned());
            }
            Ok(())
        })?;
        for name in names {
            all(bolt, &bolt.inner(bucket, &name)?.expect("it was listed"))?;
        }
        Ok(())
    }
    all(&bolt, &bolt.root()).err().map_or_else(String::new, |error| error.to_string())
}

/// The position of the first page of a kind.
fn page_of(bytes: &[u8], kind: u16) -> usize {
    let is_it = |at: &usize| u16_at(bytes, at + 8).unwrap() == kind && u16_at(bytes, at + 10).unwrap() > 0;
    (2 * PAGE..bytes.len()).step_by(PAGE).find(is_it).unwrap()
}

#[test]
fn numbers_of_a_page_are_bounded() {
    let set =
        |bytes: &mut Vec<u8>, at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    assert_eq!(damaged_by(|_| ()), "", "the sample is whole");
    let (leaf, branch) = (2, 1);
    for (what, kind, offset, word, reason) in [
        ("a position behind the page", leaf, HEADER + 4, u32::MAX, "ends too soon"),
        ("a key behind the page", leaf, HEADER + 8, PAGE as u32, "ends too soon"),
        ("a value behind the page", leaf, HEADER + 12, u32::MAX, "ends too soon"),
        ("elements behind the page", leaf, 8, 0xffff_0002, "ends too soon"),
        ("a page of another kind", leaf, 8, 0x0001_0010, "another kind"),
        ("an overflow behind the file", leaf, 12, 1000, "ends behind the file"),
        ("an overflow beyond all memory", leaf, 12, u32::MAX, "another number"),
        ("another page in its place", leaf, 0, 1, "another number"),
        ("a child that is not there", branch, HEADER + 8, 1 << 20, "not there"),
        ("a key of a branch behind the page", branch, HEADER + 4, u32::MAX, "ends too soon"),
    ] {
        let found = damaged_by(|bytes| {
            let page = page_of(bytes, kind);
            set(bytes, page + offset, word);
        });
        assert!(found.contains(reason), "{what}: {found:?}");
    }
    let cut = damaged_by(|bytes| bytes.truncate(bytes.len() - PAGE));
    assert!(!cut.is_empty(), "the last page is missing");
    for len in [0, 10, PAGE - 1, HEADER + META - 1] {
        assert!(!damaged_by(|bytes| bytes.truncate(len)).is_empty(), "{len}");
    }
}
