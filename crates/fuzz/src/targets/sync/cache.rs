//! Files of the index cache.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use dsync_core::Digest;
use dsync_sync::fuzzing::IndexCache;
use sha2::{Digest as _, Sha256};

use crate::tars::pairs;
use crate::{Memory, Target};

/// A file of any bytes, and one whose packing and hash are right around any bytes: what is read of it is a listing within
/// bounds, and what is kept is read again.
pub(in crate::targets) const CACHE: Target =
    Target { name: "cache", run, memory: Memory { least: 8 << 20, factor: 512 }, seeds };

/// Bytes of memory that a listing may take.
const MEMORY: usize = 1 << 20;

static FOLDER: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| tempfile::tempdir().ok());

fn run(input: &[u8]) {
    let (Some(folder), Some((how, bytes))) = (&*FOLDER, input.split_first()) else { return };
    let kept = IndexCache::below(folder.path());
    let file = match how & 1 {
        0 => bytes.to_vec(),
        _ => packed(bytes),
    };
    // A listing is found under the name of its layer only, which it says first.
    let id = bytes.get(usize::from(how >> 2)..).and_then(|rest| rest.first_chunk::<32>());
    let digest = Digest::from_bytes(id.copied().unwrap_or_default());
    let path = folder.path().join("docker-sync/index").join(digest.hex());
    if fs::write(&path, &file).is_err() {
        return;
    }
    if how & 2 != 0 {
        let recipe = path.with_extension("recipe");
        if fs::rename(&path, &recipe).is_ok() {
            if let Some(recipe) = kept.recipe(&digest) {
                assert!(how & 1 == 0 || recipe == bytes, "another recipe");
                kept.put_recipe(&digest, &recipe);
                assert_eq!(kept.recipe(&digest), Some(recipe));
            }
            fs::remove_file(&recipe).ok();
        }
        return;
    }
    if let Some(listing) = kept.index(&digest, MEMORY) {
        assert_eq!(listing.digest, digest);
        assert!(listing.memory() <= 2 * MEMORY, "{} bytes", listing.memory());
        assert!(listing.chunks().iter().all(|chunk| chunk.at + chunk.len <= listing.len));
        let listing = Arc::new(listing);
        kept.put(&listing);
        assert!(
            kept.index(&digest, 8 * MEMORY).is_some_and(|again| again == *listing),
            "another listing is kept"
        );
    }
    fs::remove_file(&path).ok();
    assert!(files(path.parent().unwrap_or(Path::new("/"))).is_empty(), "a file is left");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|files| files.flatten().map(|file| file.path()).collect()).unwrap_or_default()
}

/// The file of the cache that has these bytes.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(bytes, 1).unwrap_or_default();
    [&b"dsyncidx\x01"[..], &Sha256::digest(&packed), &packed].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, (_, new)) in pairs(9 << 10).into_iter().enumerate().take(10) {
        let mut scanner = dsync_delta::Scanner::new();
        scanner.push(&new);
        let listing = Arc::new(scanner.finish());
        let mut told = Vec::new();
        listing.write(&mut told).expect("memory does not fail");
        let at = told.windows(32).position(|window| window == listing.digest.as_bytes());
        let at = at.expect("a listing says its layer") as u8;
        seeds.push([&[at << 2 | 1][..], &told].concat());
        if number < 2 {
            seeds.push([&[0][..], &packed(&told)].concat());
        }
    }
    seeds.push([&[3][..], &[1, 6, 6, 0, 0, 0, 0, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &[0; 32]].concat());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"no file of the cache").expect("memory does not fail");
    seeds.push([&[2][..], &gzip.finish().expect("memory does not fail")].concat());
    seeds
}
