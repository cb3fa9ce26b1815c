//! Rules for documents: those that must be there are, and what they point at is, too.

use std::collections::BTreeSet;

use super::{File, Finding};
use crate::workspace::Package;

/// The documents that a newcomer looks for.
const REQUIRED: [&str; 5] = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"];

/// Characters of a line of a document.
const LONGEST_LINE: usize = 120;
/// The documents that are made from records.
const MADE: &str = "docs/benchmarks/";

fn markdown(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|(path, _)| path.ends_with(".md"))
}

fn text_of<'a>(files: &'a [File], name: &str) -> Option<&'a str> {
    files.iter().find(|(path, _)| path == name).map(|(_, text)| text.as_str())
}

/// The documents that every project has.
pub(super) fn required(files: &[File]) -> Vec<Finding> {
    let missing = REQUIRED.iter().filter(|name| text_of(files, name).is_none());
    missing.map(|name| Finding::of(name, "is missing")).collect()
}

/// There is a place for the next entry of the changelog.
pub(super) fn changelog(files: &[File]) -> Vec<Finding> {
    let Some(text) = text_of(files, "CHANGELOG.md") else { return Vec::new() };
    let heading = |line: &str| line.starts_with("## ") && line.contains("Unreleased");
    if text.lines().any(heading) {
        return Vec::new();
    }
    vec![Finding::of("CHANGELOG.md", "has no section for what is unreleased (`## Unreleased`)")]
}

/// Every relative link leads to a file or directory of the repository.
pub(super) fn links(files: &[File]) -> Vec<Finding> {
    let there = places(files);
    let mut findings = Vec::new();
    for (path, text) in markdown(files) {
        for (number, target) in link_targets(text) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains(':');
            if !elsewhere && !resolved(path, file).is_some_and(|place| there.contains(place.as_str())) {
                findings.push(Finding::at(path, number, format!("the link to '{target}' leads nowhere")));
            }
        }
    }
    findings
}

/// The documents that name tests.
const NAMES_TESTS: [&str; 2] = ["ARCHITECTURE.md", "docs/promises.md"];

/// Every test that a promise or an invariant names is there: a name in backquotes of three words or more.
pub(super) fn tests_that_are_named(files: &[File]) -> Vec<Finding> {
    let code: Vec<&str> =
        files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(_, text)| text.as_str()).collect();
    let is_name = |text: &&str| {
        let words = text.split('_').collect::<Vec<_>>();
        words.len() > 2
            && words.iter().all(|word| {
                !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
    };
    let is_there = |name: &str| code.iter().any(|text| text.contains(&format!("fn {name}(")));
    let mut findings = Vec::new();
    for (path, text) in markdown(files).filter(|(path, _)| NAMES_TESTS.contains(&path.as_str())) {
        for (number, line) in text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(is_name).filter(|name| !is_there(name)) {
                findings.push(Finding::at(path, number, format!("there is no test {name}")));
            }
        }
    }
    findings
}

/// Every path below `crates/` or `docs/` that a document names is there.
pub(super) fn paths(files: &[File]) -> Vec<Finding> {
    let there = places(files);
    let mut findings = Vec::new();
    for (path, text) in markdown(files) {
        for (number, line) in text.lines().enumerate() {
            let named = line.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)));
            for word in named.map(|word| word.trim_end_matches(['.', '/'])) {
                let ours = word.starts_with("crates/") || word.starts_with("docs/");
                let relative = resolved(path, word).is_some_and(|place| there.contains(place.as_str()));
                if ours && !there.contains(word) && !relative {
                    findings.push(Finding::at(path, number, format!("names '{word}', which is not there")));
                }
            }
        }
    }
    findings
}

/// No line of a document is longer than a terminal shows, but for tables and what is to be copied.
pub(super) fn lengths(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_written = |(path, _): &&File| !path.starts_with(MADE);
    for (path, text) in markdown(files).filter(is_written) {
        let mut is_code = false;
        for (number, line) in text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            let is_free = is_code || is_fence || line.starts_with('|') || line.starts_with("    ");
            let len = line.chars().count();
            if !is_free && len > LONGEST_LINE {
                let what = format!("{len} characters in a line, {LONGEST_LINE} are the most");
                findings.push(Finding::at(path, number, what));
            }
        }
    }
    findings
}

/// The architecture names every crate of the workspace, and no crate that is not there.
pub(super) fn architecture(files: &[File], members: &[&Package]) -> Vec<Finding> {
    const NAME: &str = "ARCHITECTURE.md";
    let Some(text) = text_of(files, NAME) else { return Vec::new() };
    let dirs = members.iter().map(|member| member.dir().display().to_string());
    let unnamed = dirs
        .filter(|dir| !text.contains(dir.as_str()))
        .map(|dir| Finding::of(NAME, format!("does not name the crate {dir}")));
    let invented = text.lines().enumerate().flat_map(|(number, line)| {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let crates = words.map(|word| word.replace('_', "-")).filter(|word| word.starts_with("dsync-"));
        crates
            .filter(|name| members.iter().all(|member| member.name != *name))
            .map(move |name| Finding::at(NAME, number, format!("there is no crate {name}")))
            .collect::<Vec<_>>()
    });
    unnamed.chain(invented).collect()
}

/// All files and directories there are.
fn places(files: &[File]) -> BTreeSet<&str> {
    files
        .iter()
        .flat_map(|(path, _)| {
            let dirs = path.match_indices('/').map(|(at, _)| &path[..at]);
            dirs.chain([path.as_str()])
        })
        .collect()
}

/// The targets of the links in a text, with their lines. What is in code is no link.
fn link_targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every other piece between backticks is code; a link's text may have some, its target has not.
        for (at, _) in line.match_indices("](") {
            let code = line[..at].matches('`').count() % 2 == 1;
            let rest = &line[at + 2..];
            if let Some(end) = rest.find([')', ' ']).filter(|_| !code) {
                targets.push((number, &rest[..end]));
            }
        }
        // A reference: `[name]: target`.
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            targets.push((number, target.split(' ').next().unwrap_or_default()));
        }
    }
    targets
}

/// A relative link as a path from the top of the repository, if it stays inside.
fn resolved(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::{files, shown};
    use super::*;

    #[test]
    fn a_test_that_is_named_is_there() {
        let found = tests_that_are_named(&files(&[
            ("docs/promises.md", "| x | `core` `an_image_is_one`, `no_such_test_here`, `a_b` |\n"),
            ("docs/other.md", "`no_such_test_here`\n"),
            ("a.rs", "fn an_image_is_one() {}\n"),
        ]));
        assert_eq!(shown(&found), ["docs/promises.md:1: there is no test no_such_test_here"]);
    }

    #[test]
    fn every_project_has_its_documents() {
        let all: Vec<(&str, &str)> = REQUIRED.iter().map(|name| (*name, "")).collect();
        assert!(required(&files(&all)).is_empty());
        assert_eq!(shown(&required(&files(&all[1..]))), ["ARCHITECTURE.md: is missing"]);
    }

    #[test]
    fn a_changelog_is_open_at_its_top() {
        assert!(changelog(&files(&[("CHANGELOG.md", "# C\n\n## [Unreleased]\n")])).is_empty());
        assert_eq!(changelog(&files(&[("CHANGELOG.md", "# Unreleased\n## 0.1.0\n")])).len(), 1);
    }

    #[test]
    fn lines_are_not_longer_than_a_terminal() {
        let (long, fits) = ("x".repeat(121), "ä".repeat(120));
        let text = format!("{fits}\n```\n{long}\n```\n| {long} |\n{long}\n");
        let found = lengths(&files(&[("a.md", &text)]));
        assert_eq!(shown(&found), ["a.md:6: 121 characters in a line, 120 are the most"]);
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](docs/a.md#part) [b](https://x/y) [`c`](docs) [d](#here) [e](missing.md)\n\
                    `[f](code.md)` [g](../outside.md)\n\
                    ```\n[h](code.md)\n```\n\
                    [i]: gone.md\n";
        let found = links(&files(&[("README.md", text), ("docs/a.md", "[up](../README.md) [x](./a.md)")]));
        let expected = [
            "README.md:1: the link to 'missing.md' leads nowhere",
            "README.md:2: the link to '../outside.md' leads nowhere",
            "README.md:6: the link to 'gone.md' leads nowhere",
        ];
        assert_eq!(shown(&found), expected);
    }

    #[test]
    fn paths_that_are_named_are_there() {
        let text = "see `crates/core/src/lib.rs`, crates/core/ and `docs/gone.md`.\n";
        let found = paths(&files(&[("docs/a.md", text), ("crates/core/src/lib.rs", "")]));
        assert_eq!(shown(&found), ["docs/a.md:1: names 'docs/gone.md', which is not there"]);
    }

    #[test]
    fn the_architecture_knows_the_crates() {
        let dir = |name: &str| Package {
            manifest_path: format!("crates/{name}/Cargo.toml").into(),
            ..Package::example(&format!("dsync-{name}"))
        };
        let (core, delta) = (dir("core"), dir("delta"));
        let text = "`crates/core` is dsync_core.\nSee dsync-old.\n";
        let found = architecture(&files(&[("ARCHITECTURE.md", text)]), &[&core, &delta]);
        let expected = [
            "ARCHITECTURE.md: does not name the crate crates/delta",
            "ARCHITECTURE.md:2: there is no crate dsync-old",
        ];
        assert_eq!(shown(&found), expected);
    }
}
