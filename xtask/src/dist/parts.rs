//! The parts of others that a program is made of, with their licences: the list of a release (CycloneDX 1.5) and its
//! notices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::target;
use super::toolchain::Toolchain;
use crate::{Result, shell};

/// The names of files with licences begin so.
const LICENCES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// Folders below that of a crate in which a licence is looked for: a crate around a library of C has it in a folder.
const DEPTH: usize = 2;

/// A part: a crate, or a library that comes with the compiler.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    name: String,
    version: String,
    /// An SPDX expression; empty where none is told.
    license: String,
    /// SHA-256 of the crate's file.
    checksum: Option<String>,
    /// The folder in which its licence is, or in folders below that, so deep.
    folder: PathBuf,
    depth: usize,
}

/// The parts of all programs of a release, in the order of their names.
pub(super) fn all(toolchain: &Toolchain, root: &Path) -> Result<Vec<Part>> {
    let mut parts = BTreeSet::new();
    let sums = checksums(&fs::read_to_string(root.join("Cargo.lock"))?);
    for target in target::all() {
        let mut cargo = toolchain.cargo(root, target)?;
        cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target.triple()]);
        parts.extend(crates(&serde_json::from_str(&shell::output(&mut cargo)?)?, &sums)?);
    }
    parts.extend(toolchain.libraries());
    Ok(parts.into_iter().collect())
}

impl Part {
    /// A library that comes with the compiler.
    pub(super) fn library(name: &str, version: &str, license: &str, folder: PathBuf) -> Part {
        let [name, version, license] = [name, version, license].map(Into::into);
        Part { name, version, license, checksum: None, folder, depth: 0 }
    }
}

/// The output of `cargo metadata`, as far as it is of use here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for those of this workspace.
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `dev` or `build`; nothing for what is part of the package.
    kind: Option<String>,
}

/// The crates of others in the program.
fn crates(metadata: &Metadata, sums: &BTreeMap<(String, String), String>) -> Result<Vec<Part>> {
    let program = metadata.packages.iter().find(|package| package.name == "docker-sync");
    let mut waiting = vec![&program.ok_or("cargo knows no docker-sync")?.id];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = metadata.resolve.nodes.iter().find(|node| node.id == *id);
        let is_part = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        waiting.extend(
            node.iter().flat_map(|node| &node.deps).filter(is_part).map(|dependency| &dependency.pkg),
        );
    }
    let of_others =
        metadata.packages.iter().filter(|package| package.source.is_some() && seen.contains(&package.id));
    let part = |package: &Package| Part {
        name: package.name.clone(),
        version: package.version.clone(),
        license: package.license.clone().unwrap_or_default(),
        checksum: sums.get(&(package.name.clone(), package.version.clone())).cloned(),
        folder: package.manifest_path.parent().unwrap_or(Path::new("/")).to_owned(),
        depth: DEPTH,
    };
    Ok(of_others.map(part).collect())
}

/// The SHA-256 of each crate, by name and version, out of a `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1).filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            Some(line?.trim_end_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

/// The list of parts, as CycloneDX 1.5 has it (ECMA-424).
pub(super) fn list(parts: &[Part], version: &str) -> String {
    let component = |part: &Part| {
        let Part { name, version, license, checksum, .. } = part;
        let mut component = json!({ "type": "library", "name": name, "version": version });
        if !license.is_empty() {
            // Crates of old write a slash for `OR`.
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(checksum) = checksum {
            let url = format!("pkg:cargo/{name}@{version}");
            component["bom-ref"] = Value::from(url.clone());
            component["purl"] = Value::from(url);
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": { "type": "application", "name": "docker-sync", "version": version,
                           "licenses": [{ "expression": "MIT" }] },
        },
        "components": parts.iter().map(component).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

/// The licences of the parts, each text once.
pub(super) fn notices(parts: &[Part]) -> Result<String> {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    let mut silent = Vec::new();
    for part in parts {
        let Part { name, version, license, .. } = part;
        let named = format!("{name} {version} ({license})");
        let found = licences(&part.folder, part.depth)?;
        if found.is_empty() {
            silent.push(named.clone());
        }
        for text in found {
            match texts.iter_mut().find(|(other, _)| *other == text) {
                Some((_, of)) if of.contains(&named) => {}
                Some((_, of)) => of.push(named.clone()),
                None => texts.push((text, vec![named.clone()])),
            }
        }
    }
    let rule = "-".repeat(80);
    let mut notices = "docker-sync has parts of others in it, under these licences.\n".to_owned();
    for (text, of) in &texts {
        notices += &format!("\n{rule}\n{}\n{rule}\n\n{}\n", of.join("\n"), text.trim_end());
    }
    if !silent.is_empty() {
        notices += &format!("\n{rule}\nWithout a text of their own:\n{}\n", silent.join("\n"));
    }
    Ok(notices)
}

/// The texts of licences in a folder.
fn licences(folder: &Path, depth: usize) -> Result<Vec<String>> {
    let read = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_dir() && depth > 0 {
            texts.extend(licences(&path, depth - 1)?);
        } else if path.is_file() && LICENCES.iter().any(|licence| name.starts_with(licence)) {
            texts.push(String::from_utf8_lossy(&fs::read(&path)?).into_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let package = |name: &str, source: Value| {
            json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source,
                    "manifest_path": format!("/x/{name}/Cargo.toml") })
        };
        let ours = ["docker-sync", "ours"].map(|name| package(name, Value::Null));
        let others = ["used", "below", "tested", "built"].map(|name| package(name, "registry".into()));
        let node = |id: &str, deps: &[(&str, Value)]| {
            let deps: Vec<Value> = deps
                .iter()
                .map(|(name, kind)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] }))
                .collect();
            json!({ "id": id, "deps": deps })
        };
        let part = || Value::Null;
        let nodes = [
            node("docker-sync", &[("ours", part()), ("tested", "dev".into())]),
            node("ours", &[("used", part()), ("built", "build".into())]),
            node("used", &[("below", part()), ("used", part())]),
            node("below", &[]),
        ];
        let packages = [&ours[..], &others].concat();
        serde_json::from_value(json!({ "packages": packages, "resolve": { "nodes": nodes } })).unwrap()
    }

    #[test]
    fn the_parts_are_crates_of_others_that_are_in_the_program() {
        let lock = "[[package]]\nname = \"used\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n";
        let mut parts = crates(&metadata(), &checksums(lock)).unwrap();
        parts.sort();
        let shown: Vec<(&str, Option<&str>)> =
            parts.iter().map(|part| (&*part.name, part.checksum.as_deref())).collect();
        assert_eq!(shown, [("below", None), ("used", Some("abc"))]);
        let list: Value = serde_json::from_str(&list(&parts, "0.1.0")).unwrap();
        let used = &list["components"][1];
        assert_eq!(used["purl"], "pkg:cargo/used@1.0.0");
        assert_eq!(used["licenses"], json!([{ "expression": "MIT OR Apache-2.0" }]));
        assert_eq!(used["hashes"], json!([{ "alg": "SHA-256", "content": "abc" }]));
    }

    #[test]
    fn each_text_of_a_licence_is_there_once_with_all_that_it_is_of() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, files: &[(&str, &str)]| {
            let place = folder.path().join(name);
            fs::create_dir_all(place.join("c")).unwrap();
            for (file, text) in files {
                fs::write(place.join(file), text).unwrap();
            }
            Part { depth: 1, ..Part::library(name, "1", "MIT", place) }
        };
        let parts = [
            part("a", &[("LICENSE-MIT", "same\n"), ("src.rs", "no")]),
            part("b", &[("c/COPYING", "same\n"), ("license.txt", "other")]),
            part("d", &[]),
        ];
        let notices = notices(&parts).unwrap();
        assert_eq!(notices.matches("same").count(), 1, "{notices}");
        assert!(notices.contains("a 1 (MIT)\nb 1 (MIT)\n"), "{notices}");
        assert!(notices.contains("other") && !notices.contains("no\n"), "{notices}");
        assert!(notices.contains("Without a text of their own:\nd 1 (MIT)\n"), "{notices}");
    }
}
