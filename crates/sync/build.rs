//! The build id: SHA-256 over the sources of everything that an endpoint is made of.
//!
//! What both ends compute alike is part of the protocol, and changes without the protocol's number. So two ends talk
//! only when they are made of the same sources: for which system, with or without the command line, is all the same.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.join("../..");
    let mut files = vec!["Cargo.lock".to_owned()];
    // This crate and those that it is made of; the command line is none of them.
    let mut crates = vec!["sync".to_owned()];
    let mut next = 0;
    while let Some(name) = crates.get(next).cloned() {
        next += 1;
        let (manifest, sources) = (format!("crates/{name}/Cargo.toml"), format!("crates/{name}/src"));
        let parts = dependencies(&read(&root, &manifest)?);
        crates.extend(parts.into_iter().filter(|part| !crates.contains(part)).collect::<Vec<_>>());
        println!("cargo::rerun-if-changed={}", root.join(&sources).display());
        find(&root, &sources, &mut files)?;
        files.push(manifest);
    }
    files.sort();
    let mut all = Sha256::new();
    for file in &files {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
        let content = read(&root, file)?;
        // Names and contents cannot run into each other: a hash has its length.
        all.update(Sha256::digest(file));
        all.update(Sha256::digest(content));
    }
    let id: [u8; 32] = all.finalize().into();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("build_id.rs"), format!("{id:?}"))
}

fn read(root: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(root.join(file)).map_err(|error| io::Error::other(format!("{file}: {error}")))
}

/// The crates of this workspace that a crate is made of, by its manifest: lines such as `dsync-core.workspace = true`.
fn dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let names =
        lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.strip_prefix("dsync-"));
    names.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

/// The sources below a folder, named from the root.
fn find(root: &Path, folder: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            find(root, &path, files)?;
        } else if path.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}
