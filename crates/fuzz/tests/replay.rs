//! Every target on its seeds, and on every input that once found a fault.

use std::fs;
use std::path::{Path, PathBuf};

use dsync_fuzz::{ALL, PeakAlloc, Target, run};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind)
}

/// The inputs that are kept for a target, by name.
fn kept(kind: &str, target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(files) = fs::read_dir(folder(kind).join(target.name)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("a file that is listed can be read")))
        .collect()
}

/// One test, since memory is counted for the whole process.
#[test]
fn targets_hold_on_seeds_and_on_inputs_that_found_faults() {
    for target in ALL {
        let seeds = kept("seeds", target);
        assert!(!seeds.is_empty(), "{} has no seeds; `cargo xtask fuzz --seeds` writes them", target.name);
        for (path, input) in seeds.into_iter().chain(kept("regressions", target)) {
            println!("{}", path.display());
            run(target, &input);
        }
        run(target, b"");
    }
}

#[test]
fn every_target_has_a_binary_and_every_folder_a_target() {
    for target in ALL {
        let binary = folder("fuzz_targets").join(target.name).with_extension("rs");
        let text = fs::read_to_string(&binary).unwrap_or_default();
        assert!(text.contains(&format!("\"{}\"", target.name)), "{} does not run it", binary.display());
    }
    for kind in ["seeds", "regressions"] {
        let Ok(files) = fs::read_dir(folder(kind)) else { continue };
        for file in files {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(dsync_fuzz::target(&name).is_some(), "{kind}/{name} is of no target");
        }
    }
}
