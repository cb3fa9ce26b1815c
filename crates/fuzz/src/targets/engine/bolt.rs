//! The databases of engines.

use std::io::Write as _;

use dsync_engine::fuzzing::read_bolt;

use crate::pieces::{joined, parts};
use crate::{Memory, Target};

/// A database whose commits and page numbers are right around pages of any bytes.
pub(in crate::targets) const BOLT: Target =
    Target { name: "bolt", run, memory: Memory { least: 1 << 20, factor: 64 }, seeds };

const PAGE: usize = 1024;
const HEADER: usize = 16;

fn run(input: &[u8]) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(&database(&parts(input, 32))).is_err() {
        return;
    }
    let mut all = Vec::new();
    let mut again = Vec::new();
    let first =
        read_bolt(file.path(), 1000, &mut |key, value| all.push((key.to_vec(), value.map(<[u8]>::to_vec))));
    let second =
        read_bolt(file.path(), 1000, &mut |key, value| again.push((key.to_vec(), value.map(<[u8]>::to_vec))));
    assert_eq!(first.is_ok(), second.is_ok());
    assert_eq!(all, again);
}

/// The first part names the root, the others are pages: a kind, how many pages belong to it besides (three bytes),
/// and what is after the header.
fn database(parts: &[&[u8]]) -> Vec<u8> {
    let Some((first, pages)) = parts.split_first() else { return Vec::new() };
    let byte = |at: usize| first.get(at).copied().unwrap_or_default();
    let mut bytes = meta(u64::from(byte(0)), 1, pages.len() as u64 + 2);
    bytes.extend(meta(u64::from(byte(1)), u64::from(byte(2)), pages.len() as u64 + 2));
    for page in pages {
        let id = (bytes.len() / PAGE) as u64;
        let kind = page.first().map_or(0, |kind| u16::from(*kind));
        let more = page.get(1..4).map_or(0, |more| u32::from_le_bytes([more[0], more[1], more[2], 0]));
        let body = page.get(4..).unwrap_or_default();
        bytes.extend(id.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        // How many elements there are comes first in the body.
        bytes.extend(body.get(..2).unwrap_or(&[0, 0]));
        bytes.extend(more.to_le_bytes());
        bytes.extend(body.get(2..).unwrap_or_default());
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    }
    bytes
}

fn meta(root: u64, transaction: u64, pages: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xed0c_daed_u32, 2, PAGE as u32, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for word in [root, 0, 0, pages, transaction] {
        bytes.extend(word.to_le_bytes());
    }
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    bytes.extend(sum.to_le_bytes());
    let mut page = vec![0; HEADER];
    page.extend(bytes);
    page.resize(PAGE, 0);
    page
}

/// A page of keys: flags, key and value of each.
fn leaf(entries: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for (at, (flags, key, value)) in entries.iter().enumerate() {
        let place = (entries.len() - at) * HEADER + tails.len();
        for word in [*flags as usize, place, key.len(), value.len()] {
            heads.extend((word as u32).to_le_bytes());
        }
        tails.extend([*key, *value].concat());
    }
    [&[2, 0, 0, 0][..], &(entries.len() as u16).to_le_bytes(), &heads, &tails].concat()
}

fn branch(children: &[(&[u8], u64)]) -> Vec<u8> {
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for (at, (key, child)) in children.iter().enumerate() {
        let place = (children.len() - at) * HEADER + tails.len();
        heads.extend((place as u32).to_le_bytes());
        heads.extend((key.len() as u32).to_le_bytes());
        heads.extend(child.to_le_bytes());
        tails.extend(*key);
    }
    [&[1, 0, 0, 0][..], &(children.len() as u16).to_le_bytes(), &heads, &tails].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let tree = |page: u64| [page.to_le_bytes(), [0; 8]].concat();
    let inline = {
        let page = leaf(&[(0, b"labels", b"x"), (0, b"size", b"\x05")]);
        [&[0; 16][..], &[0; 8], &page[..1], &[0], &page[4..6], &[0; 4], &page[6..]].concat()
    };
    let buckets = leaf(&[(1, b"metadata", &tree(3)), (1, b"v1", &inline)]);
    let keys = branch(&[(b"a", 4), (b"m", 5)]);
    let deep = joined(&[
        &[2, 2, 2],
        &buckets,
        &keys,
        &leaf(&[(0, b"a", b"1"), (0, b"b", b"")]),
        &leaf(&[(0, b"m", b"value"), (1, b"x", &inline)]),
    ]);
    vec![
        deep,
        joined(&[&[2, 2, 2], &leaf(&[(0, b"key", b"value")])]),
        joined(&[&[2, 2, 0], &branch(&[(b"", 2)])]),
    ]
}
