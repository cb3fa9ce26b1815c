//! Manifests, indexes and configs that a peer says an image is made of.

use std::collections::HashSet;

use dsync_core::{Digest, ImageId};
use dsync_engine::{Package, leads_to_config};

use super::{image, store};
use crate::pieces::{joined, piece, pieces};
use crate::{Memory, Target};

/// Documents that name each other, put together to a package, and used as a proof that an ID leads to a config.
pub(in crate::targets) const DOCUMENTS: Target =
    Target { name: "documents", run, memory: Memory { least: 1 << 20, factor: 128 }, seeds };

fn run(input: &[u8]) {
    // Indexes come before what they list, and can name only what comes before them.
    let mut documents: Vec<Vec<u8>> = pieces(input, 16).into_iter().map(|piece| piece.stored).collect();
    documents.reverse();
    let mut seen = HashSet::new();
    documents.retain(|document| seen.insert(Digest::of(document)));
    let Some(root) = documents.first() else { return };
    let id = ImageId::of(root);
    let configs: Vec<Digest> = documents.iter().map(|document| Digest::of(document)).collect();
    for config in &configs {
        let proven = leads_to_config(&id, &documents, config);
        assert!(!proven || documents.last().is_some_and(|last| names(last, config)));
    }
    let Ok(package) = Package::assemble(documents.clone()) else { return };
    assert_eq!(package.documents().count(), documents.len(), "a document was lost or made");
    store::check_package(&package);

    let mut others = documents.clone();
    others[1..].reverse();
    let other = Package::assemble(others).expect("the order of the documents does not matter");
    assert_eq!(other.root(), package.root());

    for config in configs {
        let Some(path) = package.path_to(&config) else { continue };
        let mut path: Vec<Vec<u8>> = path.into_iter().map(<[u8]>::to_vec).collect();
        assert!(leads_to_config(&id, &path, &config), "a path of a package is no proof");
        // A proof in which a byte is another is none.
        for at in 0..path.len() {
            let middle = path[at].len() / 2;
            path[at][middle] ^= 0x20;
            assert!(!leads_to_config(&id, &path, &config), "a damaged proof is believed");
            path[at][middle] ^= 0x20;
        }
    }
}

/// True if the document has the digest in hex, as a document that names it does, or an escape, which may hide it.
fn names(document: &[u8], digest: &Digest) -> bool {
    let hex = digest.hex();
    document.windows(hex.len()).any(|window| window == hex.as_bytes()) || document.contains(&b'\\')
}

fn seeds() -> Vec<Vec<u8>> {
    let (config, other) = (image::config(&[]), image::config(&[]).replace("amd64", "arm64"));
    let layers = r#","layers":[{"digest":"sha256:@0","size":%0}]"#;
    let manifest = image::manifest(0, &[]);
    vec![
        joined(&[&piece(0, "", config.as_bytes()), &piece(0, "", manifest.as_bytes())]),
        joined(&[
            &piece(0, "", config.as_bytes()),
            &piece(0, "", other.as_bytes()),
            &piece(0, "", manifest.as_bytes()),
            &piece(0, "", image::manifest(1, &[]).as_bytes()),
            &piece(0, "", image::index(&[(2, ""), (3, "")]).as_bytes()),
            &piece(0, "", image::index(&[(4, ""), (2, "")]).as_bytes()),
        ]),
        joined(&[
            &piece(0, "", image::config(&[0]).replace("~0", &"0".repeat(64)).as_bytes()),
            &piece(0, "", manifest.replace(r#","layers":[]"#, layers).as_bytes()),
        ]),
    ]
}
