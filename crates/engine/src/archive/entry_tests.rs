//! Tar streams as other writers make them, and what is left of them when they are cut.

use super::*;

/// An archive by the `tar` crate, as the oracle.
fn archive(long: &str, links: bool) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        builder.append_data(&mut header, path, data).unwrap();
    };
    add("a/layer.tar", b"contents");
    add(long, &[7; 513]);
    if links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "b/layer.tar", "../a/layer.tar").unwrap();
    }
    builder.into_inner().unwrap()
}

fn list(bytes: &[u8]) -> Result<Vec<(String, TarEntryKind, Vec<u8>)>, ReadError> {
    let mut entries = TarEntries::new(bytes);
    let mut list = Vec::new();
    while let Some(entry) = entries.next()? {
        let mut contents = Vec::new();
        entries.read_to_end(&mut contents).map_err(|_| entries.failure().unwrap())?;
        assert_eq!(contents.len() as u64, entry.size);
        list.push((entry.path, entry.kind, contents));
    }
    entries.drain()?;
    Ok(list)
}

fn reason(bytes: &[u8]) -> String {
    list(bytes).unwrap_err().to_string()
}

#[test]
fn names_links_and_contents_are_read() {
    let long = format!("{}/x", "n".repeat(200));
    let list = list(&archive(&long, true)).unwrap();
    assert_eq!(list[0], ("a/layer.tar".into(), TarEntryKind::File, b"contents".to_vec()));
    assert_eq!(list[1], (long, TarEntryKind::File, vec![7; 513]));
    assert_eq!(list[2].1, TarEntryKind::Symlink("../a/layer.tar".into()));
    assert_eq!(list.len(), 3);
}

#[test]
fn pax_names_and_sizes_are_read() {
    let records = format!("16 path=long/one\n{}", "13 size=513\n\n");
    assert_eq!(reason(&pax(&records, 0, 0)), "an extended header is invalid");
    let bytes = pax("17 path=long/one\n12 size=513\n", 0, 513);
    assert_eq!(list(&bytes).unwrap(), [("long/one".into(), TarEntryKind::File, vec![1; 513])]);
}

fn pax(records: &str, size: u64, length: usize) -> Vec<u8> {
    let mut extended = tar::Header::new_ustar();
    extended.set_entry_type(tar::EntryType::XHeader);
    extended.set_size(records.len() as u64);
    extended.set_cksum();
    let mut file = tar::Header::new_ustar();
    file.set_path("short").unwrap();
    file.set_size(size);
    file.set_cksum();
    let mut bytes = extended.as_bytes().to_vec();
    bytes.extend_from_slice(records.as_bytes());
    bytes.resize(1024, 0);
    bytes.extend_from_slice(file.as_bytes());
    bytes.resize(bytes.len() + length, 1);
    bytes.resize(bytes.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    bytes
}

#[test]
fn every_cut_is_noticed() {
    let whole = archive("b", true);
    assert!(list(&whole).is_ok());
    for end in 0..whole.len() {
        assert_eq!(reason(&whole[..end]), "it is truncated: the end is missing", "at {end}");
    }
}

#[test]
fn the_engines_own_error_is_told() {
    let whole = archive("b", false);
    let error = br#"{"errorDetail":{"message":"blob is gone"},"error":"blob is gone"}"#;
    for end in [0, 512, 600, 1024, 1600, whole.len() - 1024, whole.len()] {
        let bytes = [&whole[..end], error, b"\n"].concat();
        assert_eq!(reason(&bytes), "the engine stopped in the middle: blob is gone", "at {end}");
    }
}

#[test]
fn numbers_are_bounded() {
    assert_eq!(number(b"00000000017\0"), Some(15));
    assert_eq!(number(b"     17 "), Some(15));
    assert_eq!(number(b"9"), None);
    assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Some(2 << 32));
    assert_eq!(number(&[0xff; 12]), None);
    assert_eq!(number(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
}
