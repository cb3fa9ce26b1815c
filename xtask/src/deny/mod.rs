//! `cargo xtask deny`: licences, bans, sources and duplicates of all dependencies.
//!
//! What `cargo-deny` is usually asked for, from what cargo itself says: nothing to install, and the lock
//! file's format is always the right one. What is allowed is in [`policy`].

mod policy;

use std::collections::BTreeMap;

use spdx::{Expression, ParseMode};

use crate::Result;
use crate::workspace::{Metadata, Package};

/// Checks the workspace.
pub(crate) fn run() -> Result {
    let metadata = Metadata::read()?;
    let others: Vec<&Package> = metadata.packages.iter().filter(|package| package.source.is_some()).collect();
    let findings = check(&others);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("{} dependencies, nothing to object to", others.len()),
        count => return Err(format!("objections to dependencies: {count}").into()),
    }
    Ok(())
}

fn check(packages: &[&Package]) -> Vec<String> {
    let mut findings: Vec<String> = packages.iter().filter_map(|package| licence(package)).collect();
    findings.extend(packages.iter().filter_map(|package| source(package)));
    findings.extend(packages.iter().filter_map(|package| banned(package)));
    findings.extend(duplicates(packages, policy::DUPLICATES));
    findings
}

fn licence(package: &Package) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(text) = &package.license else { return Some(format!("{name} {version}: names no licence")) };
    // Old packages write a slash for OR.
    let expression = match Expression::parse_mode(text, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("{name} {version}: licence '{text}': {}", error.reason)),
    };
    let allowed = expression.evaluate(|wanted| policy::LICENCES.contains(&wanted.to_string().as_str()));
    (!allowed).then(|| format!("{name} {version}: licence '{text}' is not among those allowed"))
}

fn source(package: &Package) -> Option<String> {
    let Package { name, version, .. } = package;
    let source = package.source.as_deref().unwrap_or_default();
    (!source.starts_with("registry+"))
        .then(|| format!("{name} {version}: comes from '{source}', no registry"))
}

fn banned(package: &Package) -> Option<String> {
    let (name, reason) = policy::BANNED.iter().find(|(name, _)| *name == package.name)?;
    Some(format!("{name} {}: banned: {reason}", package.version))
}

/// Crates that are there in several versions, and exceptions that no crate needs any more.
fn duplicates(packages: &[&Package], exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let excepted = |name: &str| exceptions.iter().any(|(exception, _)| *exception == name);
    let unexpected = versions
        .iter()
        .filter(|(name, _)| !excepted(name))
        .map(|(name, versions)| format!("{name}: several versions: {}", versions.join(", ")));
    let needless = exceptions
        .iter()
        .filter(|(name, _)| !versions.contains_key(name))
        .map(|(name, _)| format!("{name}: no longer needs its exception for several versions"));
    unexpected.chain(needless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: Option<&str> = Some("registry+index");

    #[test]
    fn licences_are_read_as_expressions() {
        let objection = |text: &str| licence(&Package::example("x", text, REGISTRY));
        for text in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-2.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
        ] {
            assert_eq!(objection(text), None, "{text}");
        }
        for text in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0 WITH LLVM-exception", "whatever"] {
            assert!(objection(text).is_some(), "{text}");
        }
        let nameless = Package { license: None, ..Package::example("x", "", REGISTRY) };
        assert_eq!(licence(&nameless).unwrap(), "x 1.0.0: names no licence");
    }

    #[test]
    fn only_a_registry_is_a_source() {
        assert_eq!(source(&Package::example("x", "MIT", REGISTRY)), None);
        assert!(source(&Package::example("x", "MIT", Some("git+ssh://somewhere/x"))).is_some());
    }

    #[test]
    fn a_ban_has_its_reason() {
        let found = banned(&Package::example("bincode", "MIT", REGISTRY)).unwrap();
        assert!(found.starts_with("bincode 1.0.0: banned: it is unmaintained"), "{found}");
        assert_eq!(banned(&Package::example("postcard", "MIT", REGISTRY)), None);
    }

    #[test]
    fn duplicates_need_an_exception_and_exceptions_a_duplicate() {
        let one = Package::example("x", "MIT", REGISTRY);
        let two = Package { version: "2.0.0".to_owned(), ..one.clone() };
        assert_eq!(duplicates(&[&one, &two], &[]), ["x: several versions: 1.0.0, 2.0.0"]);
        assert!(duplicates(&[&one, &two], &[("x", "why")]).is_empty());
        let needless = duplicates(&[&one], &[("x", "why")]);
        assert_eq!(needless, ["x: no longer needs its exception for several versions"]);
    }
}
