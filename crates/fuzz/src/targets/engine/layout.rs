//! Directories in the form of an OCI image layout.

use std::fs;
use std::path::Path;

use dsync_core::ImageRef;

use super::{image, store};
use crate::pieces::{Piece, joined, piece, pieces};
use crate::{Memory, Target};

/// Index, documents and blobs that name each other, read as a layout; then an image is given a name.
pub(in crate::targets) const LAYOUT: Target =
    Target { name: "layout", run, memory: Memory { least: 4 << 20, factor: 256 }, seeds };

/// This flag makes a blob whose bytes are not those of its name.
const DAMAGED: u8 = 1 << 2;

fn run(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    if write(&pieces(input, 24), folder.path()).is_err() {
        return;
    }
    let spec = format!("oci:{}", folder.path().display()).parse().expect("this is how a layout is named");
    let Ok(layout) = dsync_engine::open(&spec, folder.path()) else { return };
    store::look_at(&*layout);

    let Ok(before) = layout.list() else { return };
    let Some(image) = before.images.last() else { return };
    let names: [ImageRef; 2] = ["renamed:1", "renamed:2"].map(|name| name.parse().expect("a name"));
    if layout.tag(&image.id, &names).is_ok() {
        let after = layout.list().expect("a layout is one after a name has moved");
        let renamed = after.images.iter().find(|other| other.id == image.id);
        let renamed = renamed.expect("an image stays when it gets a name");
        assert!(names.iter().all(|name| renamed.names.contains(name)), "the names are not there");
        assert_eq!(after.images.len(), before.images.len(), "an image came or went with a name");
        assert_eq!(after.unreadable.len(), before.unreadable.len());
    }
}

/// A piece that is called so is a file of the layout, every other one a blob.
fn write(pieces: &[Piece], folder: &Path) -> std::io::Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for piece in pieces {
        match &piece.name[..] {
            b"index.json" => fs::write(folder.join("index.json"), &piece.stored)?,
            b"oci-layout" => fs::write(folder.join("oci-layout"), &piece.stored)?,
            _ => {
                let mut bytes = piece.stored.clone();
                if let Some(byte) = bytes.first_mut().filter(|_| piece.flags & DAMAGED != 0) {
                    *byte ^= 1;
                }
                fs::write(blobs.join(piece.digest().hex()), bytes)?;
            }
        }
    }
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let layer = image::layer("etc/motd", b"welcome\n");
    let one = joined(&[
        &piece(1, "layer", &layer),
        &piece(0, "config", image::config(&[0]).as_bytes()),
        &piece(0, "manifest", image::manifest(1, &[0]).as_bytes()),
        &piece(0, "index.json", image::index(&[(2, &image::named("docker.io/library/web:1"))]).as_bytes()),
    ]);
    let platform = |name: &str| format!(r#","platform":{{"os":"linux","architecture":"{name}"}}"#);
    let attested = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let several = joined(&[
        &piece(2, "layer", &layer),
        &piece(0, "plain", &layer),
        &piece(0, "amd64", image::config(&[0, 1]).as_bytes()),
        &piece(0, "arm64", image::config(&[0]).replace("amd64", "arm64").as_bytes()),
        &piece(0, "manifest", image::manifest(2, &[0, 1]).as_bytes()),
        &piece(0, "manifest", image::manifest(3, &[0]).as_bytes()),
        &piece(0, "attestation", br#"{"config":{"digest":"sha256:@3","size":%3},"layers":[]}"#),
        &piece(
            0,
            "index",
            image::index(&[(4, &platform("amd64")), (5, &platform("arm64")), (6, attested)]).as_bytes(),
        ),
        &piece(
            0,
            "index.json",
            image::index(&[(7, &image::named("docker.io/library/web:2")), (4, "")]).as_bytes(),
        ),
    ]);
    let odd = joined(&[
        &piece(DAMAGED, "config", image::config(&[]).as_bytes()),
        &piece(0, "manifest", image::manifest(0, &[]).as_bytes()),
        &piece(0, "index.json", image::index(&[(1, "")]).as_bytes()),
    ]);
    vec![one, several, odd, joined(&[&piece(0, "index.json", br#"{"manifests":null}"#)])]
}
