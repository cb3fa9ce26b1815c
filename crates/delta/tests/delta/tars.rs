//! Tars, well formed and less so.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::*;

/// Bytes that differ from file to file and do not compress into a pattern of blocks.
pub(crate) fn body(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A header block with this type flag and the raw bytes of the size field.
pub(crate) fn header(flag: u8, size: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    block[..6].copy_from_slice(b"a/file");
    block[124..][..size.len()].copy_from_slice(size);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar  \0");
    seal(&mut block);
    block
}

/// Sets the checksum.
pub(crate) fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A size field in octal.
pub(crate) fn octal(size: usize) -> [u8; 12] {
    let mut field = [0; 12];
    field[..11].copy_from_slice(format!("{size:011o}").as_bytes());
    field
}

/// A header, a body, and the padding after it.
pub(crate) fn entry(flag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(flag, &octal(body.len())).to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// The end of an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// One thing in a generated tar.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    File { ustar: bool, attribute: Option<Vec<u8>>, name: Vec<u8>, len: usize, seed: u32 },
    HardLink(Vec<u8>),
    SymLink(Vec<u8>),
    Directory,
}

/// A name: short or long, and seldom UTF-8. It begins with a letter, for the `tar` crate's sake: of a long
/// name it puts what is valid into the short field too.
fn name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0xff), b'a'..=b'z'], 0..300).prop_map(|mut name| {
        name.insert(0, b'n');
        name
    })
}

/// A length: mostly at the edges of what the scanner tells apart.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![0..70usize, 500..530usize, 1000..1030usize, 0..9000usize, 130_000..140_000usize]
}

pub(crate) fn items() -> impl Strategy<Value = Vec<Item>> {
    let attribute = prop::option::weighted(0.3, proptest::collection::vec(any::<u8>(), 0..700));
    let file = (any::<bool>(), attribute, name(), len(), 0..5u32);
    let file =
        file.prop_map(|(ustar, attribute, name, len, seed)| Item::File { ustar, attribute, name, len, seed });
    let item = prop_oneof![
        7 => file,
        1 => name().prop_map(Item::HardLink),
        1 => name().prop_map(Item::SymLink),
        1 => Just(Item::Directory),
    ];
    proptest::collection::vec(item, 0..12)
}

/// The tar of these items, as the `tar` crate writes it.
pub(crate) fn build(items: &[Item]) -> Vec<u8> {
    let path = |name: &[u8]| Path::new(OsStr::from_bytes(name)).to_owned();
    let mut tar = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        header.set_size(0);
        match item {
            Item::File { ustar, attribute, name, len, seed } => {
                if let Some(value) = attribute {
                    let records = [("SCHILY.xattr.user.note", &value[..]), ("mtime", b"1.5")];
                    tar.append_pax_extensions(records).unwrap();
                }
                let mut name = &name[..];
                if *ustar {
                    header = tar::Header::new_ustar();
                    name = &name[..name.len().min(100)];
                }
                header.set_size(*len as u64);
                tar.append_data(&mut header, path(name), &body(*len, *seed)[..]).unwrap();
            }
            Item::HardLink(name) | Item::SymLink(name) => {
                let hard = matches!(item, Item::HardLink(_));
                header.set_entry_type(if hard { tar::EntryType::Link } else { tar::EntryType::Symlink });
                tar.append_link(&mut header, "link", path(name)).unwrap();
            }
            Item::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, "a/directory", &[][..]).unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

/// Offset and length of the chunks in a tar, as the `tar` crate reads it.
pub(crate) fn chunks_by_the_tar_crate(bytes: &[u8]) -> Vec<(u64, u64)> {
    let mut archive = tar::Archive::new(bytes);
    let mut chunks = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        if entry.header().entry_type().is_file() && entry.size() >= 64 {
            chunks.push((entry.raw_file_position(), entry.size()));
        }
    }
    chunks
}
