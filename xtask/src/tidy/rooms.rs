//! Modules: no import circle in a crate, and between the rooms of `sync` no arrow but those of ARCHITECTURE.md.
//!
//! Imports are read out of `use` declarations, without a parser of Rust; tests may import what they like.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Finding};

/// The document with the table, the line above it, and the crate that it is about.
const DOCUMENT: &str = "ARCHITECTURE.md";
const TABLE: &str = "| room | imports | what it is for |";
const CRATE: &str = "sync";

/// A module: the names that lead to it from the root of its crate.
type Module = Vec<String>;

/// The modules of a crate, the file of each, and what it imports.
#[derive(Default)]
struct Modules {
    files: BTreeMap<Module, String>,
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl Modules {
    /// Those of the crate in this directory below `crates`.
    fn of(files: &[File], name: &str) -> Modules {
        let root = format!("crates/{name}/src/");
        let mut modules = Modules::default();
        let mut texts = Vec::new();
        for (path, text) in files {
            let Some(module) = path.strip_prefix(&root).and_then(module) else { continue };
            modules.files.insert(module.clone(), path.clone());
            texts.push((module, text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()));
        }
        for (module, text) in texts {
            let imports = paths(text).into_iter().filter_map(|path| modules.resolve(&module, path));
            let others = imports.filter(|other| *other != module).collect();
            modules.imports.insert(module, others);
        }
        modules
    }

    /// The module that a path in another one leads into; `None` where that is another crate, or the root.
    fn resolve(&self, from: &Module, path: Vec<String>) -> Option<Module> {
        let mut at = match path.first().map(String::as_str)? {
            "crate" => Vec::new(),
            "super" | "self" => from.clone(),
            child => {
                let mut child_of = from.clone();
                child_of.push(child.to_owned());
                self.files.contains_key(&child_of).then(|| from.clone())?
            }
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                _ => {
                    at.push(name);
                    if !self.files.contains_key(&at) {
                        at.pop();
                        break;
                    }
                }
            }
        }
        (!at.is_empty()).then_some(at)
    }

    /// A circle of imports, the shortest one that begins with the first module that is in one.
    fn circle(&self) -> Option<Vec<&Module>> {
        self.imports.keys().find_map(|start| {
            let mut ways: BTreeMap<&Module, &Module> = BTreeMap::new();
            let mut waiting = std::collections::VecDeque::from([start]);
            while let Some(module) = waiting.pop_front() {
                for next in self.imports.get(module).into_iter().flatten() {
                    if next == start {
                        let mut circle = vec![start, module];
                        while *circle.last()? != start {
                            circle.push(ways.get(circle.last()?)?);
                        }
                        circle.reverse();
                        return Some(circle);
                    }
                    if !ways.contains_key(next) {
                        ways.insert(next, module);
                        waiting.push_back(next);
                    }
                }
            }
            None
        })
    }
}

/// Modules of a crate import each other in no circle.
pub(super) fn circles(files: &[File], crates: &[&str]) -> Vec<Finding> {
    let circle = |name: &&str| {
        let modules = Modules::of(files, name);
        let circle = modules.circle()?;
        let shown: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
        Some(Finding::of(&modules.files[circle[0]], format!("imports in a circle: {}", shown.join(" → "))))
    };
    crates.iter().filter_map(circle).collect()
}

/// The rooms of `sync` import just those that the table says, which have their rows above.
pub(super) fn arrows(files: &[File]) -> Vec<Finding> {
    let Some((_, document)) = files.iter().find(|(path, _)| path == DOCUMENT) else { return Vec::new() };
    let Some(rows) = rows(document) else {
        return vec![Finding::of(DOCUMENT, format!("there is no table {TABLE}"))];
    };
    let modules = Modules::of(files, CRATE);
    let mut findings = Vec::new();
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, imports) in &modules.imports {
        let Some(room) = module.first() else { continue };
        let allowed = rows.iter().find(|(name, ..)| name == room);
        let Some((_, allowed, _)) = allowed else {
            findings.push(Finding::of(&modules.files[module], format!("{DOCUMENT} has no room {room}")));
            continue;
        };
        used.entry(room).or_default();
        for other in imports.iter().filter_map(|other| other.first()).filter(|other| *other != room) {
            used.entry(room).or_default().insert(other);
            if !allowed.contains(other) {
                let what = format!("{room} imports {other}, which {DOCUMENT} does not allow");
                findings.push(Finding::of(&modules.files[module], what));
            }
        }
    }
    for (number, (room, allowed, line)) in rows.iter().enumerate() {
        let Some(used) = used.get(room.as_str()) else {
            findings.push(Finding::at(DOCUMENT, *line, format!("there is no room {room} in {CRATE}")));
            continue;
        };
        for other in allowed {
            let above = rows[..number].iter().any(|(name, ..)| name == other);
            if !above {
                findings.push(Finding::at(DOCUMENT, *line, format!("{room} is above {other}")));
            } else if !used.contains(other.as_str()) {
                findings.push(Finding::at(DOCUMENT, *line, format!("{room} does not import {other}")));
            }
        }
    }
    findings
}

/// The rows of the table: a room, the rooms that it may import, and the line.
fn rows(document: &str) -> Option<Vec<(String, Vec<String>, usize)>> {
    let begin = document.lines().position(|line| line == TABLE)?;
    let rows = document.lines().enumerate().skip(begin + 2).take_while(|(_, line)| line.starts_with('|'));
    let row = |(number, line): (usize, &str)| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let names = |cell: Option<&str>| -> Vec<String> {
            let names = cell.unwrap_or_default().split(',').map(|name| name.trim().trim_matches('`'));
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let mut room = names(cells.next());
        Some((room.pop()?, names(cells.next()), number))
    };
    rows.map(row).collect()
}

/// The module that a file of a crate has; `None` for the root and for tests.
fn module(path: &str) -> Option<Module> {
    let path = path.strip_suffix(".rs")?;
    let names: Vec<String> = path.split('/').filter(|name| *name != "mod").map(str::to_owned).collect();
    let is_test =
        |name: &String| name == "tests" || name.ends_with("_tests") || name == "testing" || name == "fuzzing";
    let is_root = names == ["lib"] || names == ["main"];
    (!is_root && !names.iter().any(is_test)).then_some(names)
}

/// The paths that a text imports or names, each as its names.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let is_word = rest[..at].chars().next_back().is_none_or(char::is_whitespace);
        rest = &rest[at + 4..];
        if let (true, Some(end)) = (is_word, rest.find(';')) {
            expand(&[], &rest[..end], &mut found);
        }
    }
    // `pub(in crate::a)` says who may import, and imports nothing.
    for (at, _) in text.match_indices("crate::").filter(|(at, _)| !text[..*at].ends_with("(in ")) {
        let path = &text[at..];
        let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(path.len());
        expand(&[], &path[..end], &mut found);
    }
    found
}

/// Writes out the braces of an import.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (path, group) = match tree.find('{') {
        Some(at) => (&tree[..at], tree[at + 1..].strip_suffix('}')),
        None => (tree, None),
    };
    let path = path.split(" as ").next().unwrap_or_default();
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let all: Vec<String> = before.iter().cloned().chain(names).collect();
    let Some(group) = group else {
        found.push(all);
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                expand(&all, &group[begin..at], found);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if !group[begin..].trim().is_empty() {
        expand(&all, &group[begin..], found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{files, shown};

    fn table(rows: &str) -> String {
        format!("# A\n\n{TABLE}\n|---|---|---|\n{rows}\n\nmore\n")
    }

    #[test]
    fn braces_are_written_out() {
        let found: Vec<String> = paths(
            "use crate::a::{self, b::{C, d}, e as f};\npub(crate) use x::Y;\npub(in crate::q) fn w() { crate::m::N::of() }",
        )
        .iter()
        .map(|path| path.join("::"))
        .collect();
        let all = ["crate::a::self", "crate::a::b::C", "crate::a::b::d", "crate::a::e", "x::Y"];
        assert_eq!(found[..5], all);
        assert_eq!(found.last().unwrap(), "crate::m::N::of");
    }

    #[test]
    fn a_circle_is_shown() {
        let of = files(&[
            ("crates/sync/src/a/mod.rs", "mod b;\nuse b::B;\n"),
            ("crates/sync/src/a/b.rs", "use super::c::C;\n"),
            ("crates/sync/src/a/c.rs", "use crate::d;\n#[cfg(test)]\nmod tests { use crate::a::b; }\n"),
            ("crates/sync/src/d.rs", "use std::io;\n"),
        ]);
        assert!(circles(&of, &["sync"]).is_empty());
        let mut with = of.clone();
        with.push(("crates/sync/src/d.rs".into(), "use crate::a::Thing;\n".into()));
        let found = shown(&circles(&with, &["sync"]));
        assert_eq!(found, ["crates/sync/src/a/mod.rs: imports in a circle: a → a::b → a::c → d → a"]);
    }

    #[test]
    fn arrows_are_those_of_the_table() {
        let with = |rows: &str| {
            let mut of = files(&[
                ("crates/sync/src/low.rs", ""),
                ("crates/sync/src/high/mod.rs", "use crate::low::Low;"),
                ("crates/sync/src/high/tests.rs", "use crate::other::Other;"),
            ]);
            of.push((DOCUMENT.into(), table(rows)));
            shown(&arrows(&of))
        };
        assert_eq!(with("| `low` | | x |\n| `high` | `low` | y |"), [""; 0]);
        assert_eq!(
            with("| `low` | | x |\n| `high` | | y |"),
            ["crates/sync/src/high/mod.rs: high imports low, which ARCHITECTURE.md does not allow"]
        );
        assert_eq!(
            with("| `high` | `low` | y |\n| `low` | `high` | x |\n| `gone` | | z |"),
            [
                "ARCHITECTURE.md:5: high is above low",
                "ARCHITECTURE.md:6: low does not import high",
                "ARCHITECTURE.md:7: there is no room gone in sync"
            ]
        );
    }
}
