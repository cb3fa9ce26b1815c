//! Files that `docker save`, `podman save`, `skopeo copy` or anybody else wrote.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use super::{image, store};
use crate::pieces::{Piece, joined, piece, pieces};
use crate::{Memory, Target};

/// A tar of entries with valid headers around names, links, pax records and contents, read as an archive.
pub(in crate::targets) const ARCHIVE: Target =
    Target { name: "archive", run, memory: Memory { least: 4 << 20, factor: 256 }, seeds };

/// Types of entries that a piece can be; the third to sixth bit of its flags choose.
const KINDS: [u8; 16] = *b"0120x5gLKS\x007xx00";
/// This flag leaves a header whose checksum is wrong; without the other the archive has its end.
const DAMAGED: u8 = 1 << 6;
const ENDLESS: u8 = 1 << 7;

fn run(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("archive.tar");
    let Ok(mut file) = File::create(&path) else { return };
    if file.write_all(&tar(&pieces(input, 24))).is_err() {
        return;
    }
    drop(file);
    look_at(&path, folder.path());
}

fn look_at(file: &Path, folder: &Path) {
    let before = fs::metadata(file).map(|metadata| metadata.len()).ok();
    let spec = format!("docker-archive:{}", file.display()).parse().expect("this is how an archive is named");
    if let Ok(archive) = dsync_engine::open(&spec, folder) {
        store::look_at(&*archive);
    }
    assert_eq!(fs::metadata(file).map(|metadata| metadata.len()).ok(), before, "an archive was changed");
    assert_eq!(fs::read_dir(folder).map(Iterator::count).ok(), Some(1), "a temporary file is left");
}

fn tar(pieces: &[Piece]) -> Vec<u8> {
    let mut tar = Vec::new();
    for piece in pieces {
        tar.extend(entry(piece));
    }
    if pieces.iter().all(|piece| piece.flags & ENDLESS == 0) {
        tar.extend([0; 1024]);
    }
    tar
}

fn entry(piece: &Piece) -> Vec<u8> {
    let kind = KINDS[usize::from(piece.flags >> 2) % KINDS.len()];
    let mut header = [0; 512];
    let mut set = |at: usize, most: usize, bytes: &[u8]| {
        let len = bytes.len().min(most);
        header[at..at + len].copy_from_slice(&bytes[..len]);
    };
    let is_link = matches!(kind, b'1' | b'2');
    let contents = if is_link { &[][..] } else { &piece.stored };
    set(0, 100, &piece.name);
    set(100, 8, b"0000644\0");
    set(124, 12, format!("{:011o}\0", contents.len()).as_bytes());
    set(156, 1, &[kind]);
    set(257, 8, b"ustar\x0000");
    if is_link {
        set(157, 100, &piece.stored);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    let sum = sum + u32::from(piece.flags & DAMAGED != 0);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = contents.len().next_multiple_of(512) - contents.len();
    [&header[..], contents, &[0; 512][..padding]].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let layer = image::layer("etc/motd", b"welcome\n");
    let config = image::config(&[0, 1]);
    let docker = |names: &str, layers: &str| {
        format!(r#"[{{"Config":"{names}","RepoTags":["web:1"],"Layers":[{layers}]}}]"#)
    };
    // Docker from 25 on: a layout, and a manifest.json.
    let new = joined(&[
        &piece(0, "blobs/sha256/~0", b"x"),
        &piece(0, "blobs/sha256/@0", &layer),
        &piece(0, "blobs/sha256/@2", config.as_bytes()),
    ]);
    // Names can only tell of pieces before, so a layer is there twice: once to be named, once under its name.
    let classic = joined(&[
        &piece(0, "a", &layer),
        &piece(0, "b", &image::layer("x", b"y")),
        &piece(0, "~0.tar", &layer),
        &piece(0, "~1.tar", &image::layer("x", b"y")),
        &piece(0, "@4.json", config.as_bytes()),
        &piece(0, "config.json", config.as_bytes()),
        &piece(0, "manifest.json", docker("config.json", r#""~0.tar","~1.tar""#).as_bytes()),
    ]);
    let linked = joined(&[
        &piece(0, "a", &layer),
        &piece(1 << 2, "v1/layer.tar", b"~0.tar"),
        &piece(2 << 2, "v2/layer.tar", b"../v1/layer.tar"),
        &piece(0, "~0.tar", &layer),
        &piece(0, "config.json", image::config(&[0, 0]).as_bytes()),
        &piece(0, "manifest.json", docker("config.json", r#""v1/layer.tar","v2/layer.tar""#).as_bytes()),
    ]);
    let containerd = joined(&[
        &piece(1, "layer", &layer),
        &piece(1, "blobs/sha256/@0", &layer),
        &piece(0, "config", image::config(&[0]).as_bytes()),
        &piece(0, "blobs/sha256/@2", image::config(&[0]).as_bytes()),
        &piece(0, "manifest", image::manifest(2, &[0]).as_bytes()),
        &piece(0, "blobs/sha256/@4", image::manifest(2, &[0]).as_bytes()),
        &piece(0, "index.json", image::index(&[(4, &image::named("docker.io/library/web:1"))]).as_bytes()),
        &piece(0, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        &piece(0, "manifest.json", docker("blobs/sha256/@2", r#""blobs/sha256/@0""#).as_bytes()),
    ]);
    let long = joined(&[
        &piece(4 << 2, "pax", b"30 path=some/where/manifest.json\n"),
        &piece(7 << 2, "././@LongLink", b"a/long/name\0"),
        &piece(0, "manifest.json", b"[]"),
        &piece(0x80, "oci-layout", b"{\"errorDetail\":{\"message\":\"no space\"}}"),
    ]);
    vec![new, classic, linked, containerd, long]
}
