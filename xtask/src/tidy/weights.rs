//! The weight of tests: lines of test to lines of code, for each crate.
//!
//! Blank lines do not count. Test is what only a test build has: files of `tests` directories, files that are named
//! so, and the `#[cfg(test)]` module at the end of a file.

use std::collections::BTreeMap;

use super::File;
use crate::table::Table;

/// Crates that are there for tests and measurements; all of them is test.
const TOOLS: [&str; 4] = ["testkit", "fuzz", "lab", "e2e"];

/// Lines of a crate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Weight {
    code: usize,
    test: usize,
}

impl Weight {
    fn add(&mut self, other: Weight) {
        self.code += other.code;
        self.test += other.test;
    }

    fn row(self, name: &str) -> [String; 4] {
        let ratio = if self.code == 0 { String::new() } else { format!("{:.2}", self.ratio()) };
        [name.to_owned(), self.code.to_string(), self.test.to_string(), ratio]
    }

    fn ratio(self) -> f64 {
        self.test as f64 / self.code as f64
    }
}

/// The table of all crates, and of the product with all that tests it.
pub(super) fn table(files: &[File]) -> String {
    let mut table = Table::new(&["crate"], &["code", "test", "test to code"]);
    let mut all = Weight::default();
    for (name, weight) in weights(files) {
        table.row(weight.row(name));
        all.add(weight);
    }
    table.row(all.row("all"));
    table.text()
}

/// The crates of the product and of its tests, each with its lines.
fn weights(files: &[File]) -> BTreeMap<&str, Weight> {
    let mut weights: BTreeMap<&str, Weight> = BTreeMap::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        if let Some((name, rest)) = path.strip_prefix("crates/").and_then(|path| path.split_once('/')) {
            weights.entry(name).or_default().add(weigh(name, rest, text));
        }
    }
    weights
}

fn weigh(name: &str, path: &str, text: &str) -> Weight {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let is_test = |part: &str| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs");
    if TOOLS.contains(&name) || path.split('/').any(is_test) {
        return Weight { code: 0, test: lines().count() };
    }
    // The module of tests is the last thing in a file; an attribute of a `mod tests;` is two lines of code.
    let mut before = "";
    let mut begun = false;
    let mut weight = Weight::default();
    for line in lines() {
        begun |= before == "#[cfg(test)]" && line.starts_with("mod ") && line.ends_with('{');
        match begun {
            true => weight.test += 1,
            false => weight.code += 1,
        }
        before = line;
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::super::files;
    use super::*;

    #[test]
    fn tests_are_not_code() {
        let source =
            "fn a() {}\n\n#[cfg(test)]\nfn b() {}\n\n#[cfg(test)]\nmod tests {\n\n    fn c() {}\n}\n";
        let all = files(&[
            ("crates/a/src/lib.rs", source),
            ("crates/a/src/x/tests.rs", "fn a() {}\n"),
            ("crates/a/src/x_tests.rs", "fn a() {}\n"),
            ("crates/a/tests/it/main.rs", "fn a() {}\n\n"),
            ("crates/a/README.md", "a\n"),
            ("crates/lab/src/lib.rs", "fn a() {}\n"),
            ("xtask/src/main.rs", "fn a() {}\n"),
        ]);
        let text = table(&all);
        assert!(
            text.contains("| a | 4 | 6 | 1.50 |\n| lab | 0 | 1 |  |\n| all | 4 | 7 | 1.75 |\n"),
            "{text}"
        );
    }
}
