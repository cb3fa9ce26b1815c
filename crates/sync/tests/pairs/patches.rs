//! Patches that end early: refused, and nothing has changed.

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dsync_sync::{Compression, Identity, Interrupt, PatchInput, PatchOptions, PatchOutput, apply, diff};
use dsync_testkit::{Files, Item, Snapshot, Wrap, fixed};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Magic, version, length of the head.
const FIXED: usize = 22;
const HASH: usize = 32;

/// The offset of each frame of a patch, and the end of the last one.
fn frames(patch: &[u8]) -> Vec<usize> {
    let number = |at: usize| u32::from_le_bytes(*patch[at..].first_chunk().unwrap()) as usize;
    let mut places = vec![FIXED + number(FIXED - 4)];
    while let Some(at) = places.last().copied().filter(|at| at + HASH < patch.len()) {
        places.push(at + 5 + number(at + 1));
    }
    places
}

#[test]
fn a_patch_that_ends_early_is_refused_at_once() {
    let pairs = fixed::pairs();
    let pair = pairs.iter().find(|pair| pair.name == "usual").unwrap();
    let place = TempDir::new().unwrap();
    let layout = |name: &str, items: &[Item]| {
        let built: Vec<_> = items.iter().map(Item::build).collect();
        Files::Layout.write(Wrap::None, &built, &place.path().join(name)).unwrap()
    };
    let (old, new) = (layout("old", &pair.old), layout("new", std::slice::from_ref(&pair.new)));
    let file = place.path().join("patch");
    for identity in [Identity::Exact, Identity::Content] {
        let options = PatchOptions {
            store: old.clone(),
            tmpfolder: String::new(),
            memory: 256 << 20,
            compression: Compression::Level(1),
            identity,
            interrupt: Interrupt::default(),
        };
        let name = &pair.new.names[0];
        let output = PatchOutput::File { path: file.clone(), replaces: true };
        diff(&options, &format!("{old}:{name}"), &format!("{new}:{name}"), &output, &()).unwrap();
        let patch = fs::read(&file).unwrap();
        let before = Snapshot::read(&place.path().join("old")).unwrap();
        let places = frames(&patch);
        assert!(places.len() > 4, "{places:?}");
        for end in &places[..places.len() - 1] {
            let short = place.path().join("short");
            fs::write(&short, [&patch[..*end], &Sha256::digest(&patch[..*end])].concat()).unwrap();
            let (done, result) = channel();
            let options = options.clone();
            thread::spawn(move || done.send(apply(&options, &PatchInput::File(short), false, &()).map(drop)));
            let result = result.recv_timeout(Duration::from_secs(20));
            let result =
                result.unwrap_or_else(|_| panic!("{identity:?}: a patch of {end} bytes is waited for"));
            assert!(result.is_err(), "{identity:?}: a patch of {end} bytes is whole");
            before.check_unchanged(&Snapshot::read(&place.path().join("old")).unwrap()).unwrap();
        }
    }
}
