//! The part of a layer that Docker and podman keep beside its files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dsync_engine::fuzzing::tar_split;

use crate::pieces::{joined, parts};
use crate::reads::{Short, bounded};
use crate::{Memory, Target};

/// Lines that name files of a folder which has a way out, read as a layer's tar.
pub(in crate::targets) const TAR_SPLIT: Target =
    Target { name: "tar_split", run, memory: Memory { least: 1 << 20, factor: 64 }, seeds };

/// The contents of files outside of the folder, which must not come out.
const SECRET: &[u8] = b"SECRET";
/// Lines can say the same file again and again; so much is read.
const FARTHEST: u64 = 1 << 20;

/// A folder with files, and links out of it.
static FOLDER: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().ok()?;
    let (inside, outside) = (folder.path().join("layer"), folder.path().join("outside"));
    fs::create_dir_all(inside.join("usr/bin")).ok()?;
    fs::create_dir(&outside).ok()?;
    fs::write(outside.join("file"), SECRET).ok()?;
    fs::write(folder.path().join("file"), SECRET).ok()?;
    fs::write(inside.join("a"), "first").ok()?;
    fs::write(inside.join("usr/bin/b"), "second file").ok()?;
    symlink(&outside, inside.join("out")).ok()?;
    symlink(outside.join("file"), inside.join("file")).ok()?;
    Some(folder)
});

fn run(input: &[u8]) {
    let Some(folder) = &*FOLDER else { return };
    let folder = folder.path().join("layer");
    let (lines, expected) = lines(input);
    let read = read(&lines, &folder, usize::MAX);
    assert_eq!(read, self::read(&lines, &folder, 7), "short reads make another tar");
    let Some(tar) = read else { return };
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let told = holds(input, SECRET) || holds(input, BASE64_STANDARD.encode(SECRET).as_bytes());
    assert!(told || !holds(&tar, SECRET), "a file outside of the folder was read");
    if let Some(expected) = expected.filter(|expected| (expected.len() as u64) < FARTHEST) {
        assert_eq!(tar, expected);
    }
}

fn read(lines: &[u8], folder: &Path, most: usize) -> Option<Vec<u8>> {
    bounded(tar_split(Short(lines, most), folder).ok()?, FARTHEST).ok()
}

/// The lines of an input, and what they must make where that is known. The first byte says whether these are the lines
/// themselves; else each part is a line: `v` and bytes of the tar, `a` or `b` for a file that is there, `r` and a name.
fn lines(input: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let Some(parts) = input.strip_prefix(b"p").map(|rest| parts(rest, 64)) else {
        return (input.to_vec(), None);
    };
    let (mut lines, mut tar) = (String::new(), Some(Vec::new()));
    for part in parts {
        let (kind, rest) = part.split_first().unwrap_or((&b'v', &[]));
        let (line, bytes): (String, Option<&[u8]>) = match kind {
            b'a' => (r#"{"type":1,"name":"a","size":5}"#.into(), Some(b"first")),
            b'b' => (r#"{"type":1,"name":"./usr/bin/b","size":11}"#.into(), Some(b"second file")),
            b'r' => {
                let name = BASE64_STANDARD.encode(rest);
                (format!(r#"{{"type":1,"name_raw":"{name}","size":6}}"#), None)
            }
            _ => (format!(r#"{{"type":2,"payload":"{}"}}"#, BASE64_STANDARD.encode(rest)), Some(rest)),
        };
        lines += &line;
        lines.push('\n');
        tar = tar.zip(bytes).map(|(tar, bytes)| [&tar[..], bytes].concat());
    }
    (lines.into_bytes(), tar)
}

fn seeds() -> Vec<Vec<u8>> {
    let own = joined(&[b"pvheader", b"a", b"v\0\0\0", b"b", b"v", b"a"]);
    let hostile = joined(&[b"prout/file", b"r../file", b"rfile", b"r/etc/hostname", b"rusr//./bin/b"]);
    let lines = concat!(
        r#"{"type":2,"payload":"aGVhZGVy","position":0}"#,
        "\n",
        r#"{"type":1,"name":"usr/bin/b","size":11,"payload":"bR9Hy3YcYk4=","position":1}"#,
        "\n",
        r#"{"type":1,"name":"etc","payload":null,"position":2}"#,
        "\n"
    );
    vec![own, hostile, lines.into()]
}
