//! Rules for source files: how long they are, how they begin, what they leave undone.

use super::{File, Finding};
use crate::test::COMMANDS;

/// No file of Rust is longer.
const LONGEST: usize = 600;
/// And at most one in ten is longer than this.
const LONG: usize = 400;

/// The words for work that is left undone, in pieces so that this file does not find itself.
const TASKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// The reason of a test that others start as a process of its own.
const PART_OF_OTHERS: &str = "it is an end of other tests";

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|(path, _)| path.ends_with(".rs"))
}

/// A file can be read in one sitting.
pub(super) fn length(files: &[File]) -> Vec<Finding> {
    let lengths: Vec<(&str, usize)> =
        rust(files).map(|(path, text)| (path.as_str(), text.lines().count())).collect();
    let long: Vec<_> = lengths.iter().filter(|(_, lines)| *lines > LONG).collect();
    let too_many = long.len() * 10 > lengths.len();
    long.iter()
        .filter(|(_, lines)| too_many || *lines > LONGEST)
        .map(|(path, lines)| {
            let rule = if *lines > LONGEST {
                format!("at most {LONGEST} are allowed")
            } else {
                format!("more than one file in ten is over {LONG}")
            };
            Finding::of(path, format!("{lines} lines; {rule}"))
        })
        .collect()
}

/// A file begins by saying what it is for; the root of a crate does so in its documentation.
pub(super) fn head(files: &[File]) -> Vec<Finding> {
    let begins_well = |path: &str, text: &str| {
        let root = ["src/lib.rs", "src/main.rs", "build.rs"].iter().any(|name| path.ends_with(name));
        text.starts_with("//! ") || (!root && text.starts_with("// "))
    };
    rust(files)
        .filter(|(path, text)| !begins_well(path, text))
        .map(|(path, _)| Finding::at(path, 0, "begins without saying what it is for (`//! …`)"))
        .collect()
}

/// Undone work has an owner: the word is followed by a name in parentheses.
pub(super) fn tasks_without_owner(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = TASKS.iter().find(|word| is_unowned(line, word)) {
                findings.push(Finding::at(path, number, format!("a {word} that names no owner")));
            }
        }
    }
    findings
}

/// A test that is ignored says why, and by which command it runs all the same; or that it is no test by itself.
pub(super) fn ignored_for_a_reason(files: &[File]) -> Vec<Finding> {
    let is_reason = |text: &str| {
        let reason = text.strip_prefix(" = \"").and_then(|text| text.strip_suffix("\"]"));
        reason.is_some_and(|reason| {
            let command = reason.rsplit_once(": ").map(|(_, command)| command);
            reason == PART_OF_OTHERS || command.is_some_and(|command| COMMANDS.contains(&command))
        })
    };
    let mut findings = Vec::new();
    for (path, text) in rust(files) {
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().strip_prefix("#[ignore").is_some_and(|rest| !is_reason(rest)) {
                let what =
                    format!("ignored without a reason that ends with `: {}`", COMMANDS.join("` or `: "));
                findings.push(Finding::at(path, number, what));
            }
        }
    }
    findings
}

/// A comment says the thing first. One that begins with a word of a question names it late or never.
pub(super) fn comments_begin_with_their_noun(files: &[File]) -> Vec<Finding> {
    const NEVER: [&str; 3] = ["What ", "Whether ", "So many "];
    // In code, "Where the file is gone, …" is a condition.
    const NEVER_IN_DOCS: [&str; 5] = ["Where ", "How ", "Which ", "Why ", "Who "];
    let text_of = |line: &str| -> Option<(bool, String)> {
        let line = line.trim_start();
        let docs = ["/// ", "//! "].iter().find_map(|mark| line.strip_prefix(mark));
        let docs = docs.map(|text| (true, text.to_owned()));
        docs.or_else(|| line.strip_prefix("// ").map(|text| (false, text.to_owned())))
    };
    let mut findings = Vec::new();
    for (path, text) in rust(files) {
        let mut in_comment = false;
        for (number, line) in text.lines().enumerate() {
            let is_first = !std::mem::replace(&mut in_comment, line.trim_start().starts_with("//"));
            let Some((is_docs, text)) = text_of(line).filter(|_| is_first) else { continue };
            let has = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
            if has(&NEVER) || is_docs && has(&NEVER_IN_DOCS) {
                findings.push(Finding::at(path, number, format!("a comment without its noun first: {text}")));
            }
        }
    }
    findings
}

/// A digest of one type does not become another type by its bytes: conversions have names (`DiffId::digest`).
pub(super) fn digest_by_bytes(files: &[File]) -> Vec<Finding> {
    const TYPES: [&str; 5] = ["Digest", "DiffId", "ChainId", "ImageId", "LayerKey"];
    let turned = |line: &str| {
        TYPES.iter().any(|name| line.contains(&format!("{name}::from_bytes(*")))
            && line.contains(".as_bytes()")
    };
    let mut findings = Vec::new();
    for (path, text) in rust(files) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| turned(line)) {
            findings.push(Finding::at(
                path,
                number,
                format!("a digest turned into another type: {}", line.trim()),
            ));
        }
    }
    findings
}

fn is_unowned(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let owned = after.strip_prefix('(').is_some_and(|rest| !rest.starts_with(')'));
        !before.ends_with(part_of_a_word) && !after.starts_with(part_of_a_word) && !owned
    })
}

#[cfg(test)]
mod tests {
    use super::super::{files, shown};
    use super::*;

    #[test]
    fn no_file_is_too_long() {
        let text = "\n".repeat(LONGEST + 1);
        let found = length(&files(&[("a.rs", &text), ("a.md", &text)]));
        assert_eq!(shown(&found), ["a.rs: 601 lines; at most 600 are allowed"]);
    }

    #[test]
    fn few_files_are_long() {
        let text = "\n".repeat(LONG + 1);
        let mut some = vec![("long.rs", text.as_str())];
        some.extend(vec![("short.rs", ""); 8]);
        let found = length(&files(&some));
        assert_eq!(shown(&found), ["long.rs: 401 lines; more than one file in ten is over 400"]);
        some.push(("short.rs", ""));
        assert!(length(&files(&some)).is_empty());
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        let found = head(&files(&[
            ("src/lib.rs", "//! A crate.\n"),
            ("tests/a.rs", "// A test.\n"),
            ("x/src/lib.rs", "// A crate.\n"),
            ("src/b.rs", "use std::fs;\n"),
            ("b.sh", ":"),
        ]));
        let what = "begins without saying what it is for (`//! …`)";
        assert_eq!(shown(&found), [format!("x/src/lib.rs:1: {what}"), format!("src/b.rs:1: {what}")]);
    }

    #[test]
    fn a_test_is_ignored_for_a_reason() {
        let good =
            "#[ignore = \"needs root: cargo xtask test\"]\n    #[ignore = \"it is an end of other tests\"]\n";
        assert!(ignored_for_a_reason(&files(&[("a.rs", good)])).is_empty());
        let bad = "#[ignore]\n#[ignore = \"slow\"]\n#[ignore = \"slow: cargo test\"]\n";
        let found = ignored_for_a_reason(&files(&[("a.rs", bad), ("a.md", bad)]));
        let what = "ignored without a reason that ends with \
                    `: cargo xtask test` or `: cargo xtask test --all-engines` or `: cargo xtask faults`";
        assert_eq!(shown(&found), [1, 2, 3].map(|line| format!("a.rs:{line}: {what}")));
    }

    #[test]
    fn a_comment_says_the_thing_first() {
        let lines = [
            "/// What it is.",
            "/// The place. It says",
            "/// What is there.",
            "fn f() {",
            "    // Whether it goes.",
            "    // Where it is gone, it is not read.",
            "    g();",
            "    /// Where it is.",
        ];
        let found =
            comments_begin_with_their_noun(&files(&[("a.rs", &lines.join("\n")), ("a.md", lines[0])]));
        let expected = [(1, "What it is."), (5, "Whether it goes."), (8, "Where it is.")];
        let expected =
            expected.map(|(line, text)| format!("a.rs:{line}: a comment without its noun first: {text}"));
        assert_eq!(shown(&found), expected);
    }

    #[test]
    fn a_digest_keeps_its_type() {
        let text =
            format!("Digest::from_bytes(hash);\nlet id = DiffId::{}(*digest.as_bytes());\n", "from_bytes");
        let found = digest_by_bytes(&files(&[("a.rs", &text)]));
        let line = text.lines().nth(1).unwrap();
        assert_eq!(shown(&found), [format!("a.rs:2: a digest turned into another type: {line}")]);
    }

    #[test]
    fn what_is_undone_has_an_owner() {
        let word = TASKS[0];
        let text = format!(
            "// {word}(ann): a\n// {word}: b\n// {word}() c\n{word}S and MY_{word}\n// mktemp XXXXXX\n"
        );
        let found = tasks_without_owner(&files(&[("a.rs", &text)]));
        let what = format!("a {word} that names no owner");
        assert_eq!(shown(&found), [format!("a.rs:2: {what}"), format!("a.rs:3: {what}")]);
    }
}
