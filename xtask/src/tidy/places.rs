//! Rule: no file speaks of a place that only one machine has.

use super::{File, Finding};

/// Directories where people and their tools keep checkouts. A reader of such a path has nothing there.
const CHECKOUTS: [&str; 3] = ["/builds/", "/workspace/", "/workspaces/"];
/// The parent directories of homes, and the people of examples, who may have one.
const HOMES: [&str; 2] = ["/home/", "/Users/"];
const PEOPLE: [&str; 4] = ["alice", "me", "user", "you"];

/// Absolute paths of a developer's machine, the directory of this very checkout among them.
pub(super) fn of_one_machine(files: &[File], checkout: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        // This file has to name them.
        if path.ends_with("tidy/places.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(place) = place_in(line, checkout) {
                findings.push(Finding::at(path, number, format!("names {place}, a place of one machine")));
            }
        }
    }
    findings
}

fn place_in(line: &str, checkout: &str) -> Option<String> {
    let known = CHECKOUTS.into_iter().find(|place| begins(line, place).next().is_some());
    if let Some(place) = known.or_else(|| line.contains(checkout).then_some(checkout)) {
        return Some(place.to_owned());
    }
    HOMES.iter().find_map(|home| {
        let names = begins(line, home).map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c)).unwrap_or(rest.len());
            &rest[..end]
        });
        let mut strangers = names.filter(|name| !name.is_empty() && !PEOPLE.contains(name));
        strangers.next().map(|name| format!("{home}{name}"))
    })
}

/// The text after this place, for each absolute path that begins with it.
fn begins<'a>(line: &'a str, place: &'a str) -> impl Iterator<Item = &'a str> {
    let part_of_a_path = |c: char| c.is_alphanumeric() || "-_.~}])*".contains(c);
    line.match_indices(place)
        .filter(move |(at, _)| !line[..*at].ends_with(part_of_a_path))
        .map(|(at, place)| &line[at + place.len()..])
}

#[cfg(test)]
mod tests {
    use super::super::{files, shown};
    use super::*;

    #[test]
    fn places_of_one_machine_are_found() {
        let place = |line| place_in(line, "/src/docker-sync");
        assert_eq!(place("cd /builds/x"), Some("/builds/".to_owned()));
        assert_eq!(place("built in /src/docker-sync/target"), Some("/src/docker-sync".to_owned()));
        assert_eq!(place("HOME=/home/jane"), Some("/home/jane".to_owned()));
        assert_eq!(place("`/home/alice/x` and /Users/jane/x"), Some("/Users/jane".to_owned()));
        for line in
            ["/home/alice/layout", "ssh:/home/", "a/home/b", "~/builds/x", "my/workspace/x", "/w/target"]
        {
            assert_eq!(place(line), None, "{line}");
        }
    }

    #[test]
    fn a_finding_has_its_line() {
        let found = of_one_machine(&files(&[("a.md", "\nsee /workspace/a\n")]), "/nowhere");
        assert_eq!(shown(&found), ["a.md:2: names /workspace/, a place of one machine"]);
    }
}
