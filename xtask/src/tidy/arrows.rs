//! Rule: crates depend on each other only as the architecture says.

use super::Finding;
use crate::workspace::Package;

/// Each crate of the workspace and which others may be part of it. The compiler enforces that a crate uses
/// nothing else; this table enforces that nobody adds an arrow in passing.
const ARROWS: &[(&str, &[&str])] = &[
    ("dsync-core", &[]),
    ("dsync-delta", &["dsync-core"]),
    ("dsync-engine", &["dsync-core"]),
    ("dsync-exe", &["dsync-core"]),
    ("dsync-proto", &[]),
    ("dsync-recompress", &["dsync-core"]),
    (
        "dsync-sync",
        &["dsync-core", "dsync-delta", "dsync-engine", "dsync-exe", "dsync-proto", "dsync-recompress"],
    ),
    ("docker-sync", &["dsync-core", "dsync-sync"]),
    // The crates around the program know it only as a process.
    ("dsync-testkit", &["dsync-core", "dsync-recompress"]),
    ("dsync-lab", &["dsync-core", "dsync-testkit"]),
    ("dsync-e2e", &["dsync-core", "dsync-lab", "dsync-testkit"]),
    (
        "dsync-fuzz",
        &[
            "dsync-core",
            "dsync-delta",
            "dsync-engine",
            "dsync-exe",
            "dsync-proto",
            "dsync-recompress",
            "dsync-sync",
            "dsync-testkit",
        ],
    ),
    ("xtask", &["dsync-core", "dsync-e2e", "dsync-lab"]),
];

/// Additional crates for the tests of any crate.
const FOR_TESTS: &[&str] = &["dsync-lab", "dsync-testkit"];
/// A crate, and what its tests measure by, or play the other end with, besides.
const MEASURES: &[(&str, &str)] = &[("dsync-exe", "dsync-delta"), ("docker-sync", "dsync-proto")];

/// Arrows that are not in the table, and crates that are not.
pub(super) fn dependencies(members: &[&Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in members {
        let manifest = package.dir().join("Cargo.toml").display().to_string();
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
            findings.push(Finding::of(&manifest, format!("{} is not in the table of arrows", package.name)));
            continue;
        };
        for dependency in &package.dependencies {
            let ours = members.iter().any(|member| member.name == dependency.name);
            let for_tests = dependency.kind.as_deref() == Some("dev");
            let name = dependency.name.as_str();
            // A crate that its own tests name gets features that only they need.
            let is_for_tests = FOR_TESTS.contains(&name) || MEASURES.contains(&(package.name.as_str(), name));
            let for_tests = for_tests && (is_for_tests || name == package.name);
            if ours && !allowed.contains(&name) && !for_tests {
                findings.push(Finding::of(&manifest, format!("{} must not depend on {name}", package.name)));
            }
        }
    }
    let gone = ARROWS.iter().filter(|(name, _)| members.iter().all(|member| member.name != *name));
    findings.extend(gone.map(|(name, _)| Finding::of("Cargo.toml", format!("there is no crate {name}"))));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package {
            manifest_path: format!("{name}/Cargo.toml").into(),
            dependencies: dependencies.iter().map(dependency).collect(),
            ..Package::example(name)
        }
    }

    fn found(changed: Package) -> Vec<String> {
        let mut packages: Vec<Package> = ARROWS.iter().map(|(name, _)| package(name, &[])).collect();
        packages.retain(|package| package.name != changed.name);
        packages.push(changed);
        shown(&dependencies(&packages.iter().collect::<Vec<_>>()))
    }

    #[test]
    fn an_arrow_that_is_allowed_is_no_finding() {
        assert!(found(package("dsync-sync", &[("dsync-delta", None), ("zstd", None)])).is_empty());
        let for_tests = [("dsync-lab", Some("dev")), ("dsync-engine", Some("dev"))];
        assert!(found(package("dsync-engine", &for_tests)).is_empty());
    }

    #[test]
    fn a_new_arrow_is_a_finding() {
        let delta = package("dsync-delta", &[("dsync-proto", None)]);
        assert_eq!(found(delta), ["dsync-delta/Cargo.toml: dsync-delta must not depend on dsync-proto"]);
        let sync = package("dsync-sync", &[("dsync-lab", None)]);
        assert_eq!(found(sync), ["dsync-sync/Cargo.toml: dsync-sync must not depend on dsync-lab"]);
        let core = package("dsync-core", &[("dsync-delta", Some("dev"))]);
        assert_eq!(found(core), ["dsync-core/Cargo.toml: dsync-core must not depend on dsync-delta"]);
    }

    #[test]
    fn the_table_has_just_the_crates_there_are() {
        let new = package("dsync-new", &[]);
        assert_eq!(found(new), ["dsync-new/Cargo.toml: dsync-new is not in the table of arrows"]);
        let only = package("dsync-core", &[]);
        let gone = shown(&dependencies(&[&only]));
        assert_eq!(gone.len(), ARROWS.len() - 1);
        assert_eq!(gone[0], "Cargo.toml: there is no crate dsync-delta");
    }
}
