//! The output of test programs, as far as it says which tests ran and which were ignored.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The tests in the output of test programs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Heard {
    /// Tests that ran, whatever came of them.
    pub(super) ran: usize,
    /// Tests that were ignored: names by their reason.
    ignored: BTreeMap<String, Vec<String>>,
    /// Tests that were ignored, as the programs count them.
    counted: usize,
    /// Test programs that began and have not ended. A test may run in a process of its own, where the same program
    /// counts it once more.
    open: usize,
}

impl Heard {
    /// Takes in a line.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((name, reason)) = ignored(line) {
            self.ignored.entry(reason.to_owned()).or_default().push(name.to_owned());
        } else if line.starts_with("running ") && line.trim_end_matches('s').ends_with(" test") {
            self.open += 1;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.open = self.open.saturating_sub(1);
            if self.open == 0 {
                self.ran += count(counts, "passed") + count(counts, "failed");
                self.counted += count(counts, "ignored");
            }
        } else if line.trim_start().starts_with("Running ") {
            // Of cargo: one that was ended by force has no result.
            self.open = 0;
        }
    }

    /// True if a test was ignored that needs this.
    pub(super) fn needs(&self, need: &str) -> bool {
        self.ignored.keys().any(|reason| reason.rsplit_once(": ").is_some_and(|(of, _)| of == need))
    }

    /// Takes out the names of the ignored tests whose reason ends with one of these commands, and does not begin with a need
    /// that this machine does not meet.
    pub(super) fn take_ignored_by(&mut self, commands: &[&str], unmet: &[&str]) -> Vec<String> {
        let mut names = Vec::new();
        self.ignored.retain(|reason, tests| {
            let parts = reason.rsplit_once(": ");
            let is_ours =
                parts.is_some_and(|(need, command)| commands.contains(&command) && !unmet.contains(&need));
            if is_ours {
                names.append(tests);
            }
            !is_ours
        });
        self.counted -= names.len();
        names
    }

    /// The ignored tests of which the programs gave a number and no name.
    pub(super) fn unheard(&self) -> usize {
        self.counted.saturating_sub(self.ignored.values().map(Vec::len).sum())
    }

    /// The number of tests that ran, and of those ignored, in all and for each reason.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{:>6} ran\n{:>6} ignored\n", self.ran, self.counted);
        for (reason, tests) in &self.ignored {
            let reason = if reason.is_empty() { "for no reason that is said" } else { reason };
            writeln!(text, "{:>12} {reason}", tests.len()).expect("a String takes everything");
        }
        text
    }
}

/// The name of a test that was ignored, and the reason.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, rest.strip_prefix(", ").unwrap_or_default()))
}

/// The number before a word: 3 of `3 passed; 1 failed`.
fn count(counts: &str, word: &str) -> usize {
    let part = counts.split([';', '.']).map(str::trim).find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Heard {
        let mut heard = Heard::default();
        text.lines().for_each(|line| heard.line(line));
        heard
    }

    const TEXT: &str = "\
     Running tests/e2e/main.rs (target/e2e)
running 5 tests
test a::b ... ok
test sync::pulls ... ignored, needs engines: cargo xtask test
test sync::pushes ... ignored, needs engines: cargo xtask test
test other ... ignored, one of all engines: cargo xtask test --all-engines
test crates/x.rs - f (line 3) ... ignored
test c ... FAILED

test result: FAILED. 1 passed; 1 failed; 4 ignored; 0 measured; 7 filtered out; finished in 0.00s
test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn ignored_tests_are_said_with_their_reasons() {
        let heard = heard(TEXT);
        assert_eq!((heard.ran, heard.counted, heard.unheard()), (22, 4, 0));
        assert_eq!(
            heard.summary(),
            "    22 ran\n     4 ignored\n           1 for no reason that is said\n           \
             2 needs engines: cargo xtask test\n           1 one of all engines: cargo xtask test --all-engines\n"
        );
    }

    #[test]
    fn a_command_runs_the_tests_that_name_it() {
        let mut heard = heard(TEXT);
        let (ours, engines) = (["cargo xtask test"], ["needs engines"]);
        assert_eq!(heard.take_ignored_by(&ours, &engines), Vec::<String>::new());
        assert_eq!(heard.take_ignored_by(&ours, &[]), ["sync::pulls", "sync::pushes"]);
        assert_eq!(heard.counted, 2);
        assert!(!heard.summary().contains("needs engines"));
        assert!(!heard.needs("needs engines") && heard.needs("one of all engines"));
        assert_eq!(heard.take_ignored_by(&["cargo xtask test --all-engines"], &engines), ["other"]);
    }

    #[test]
    fn a_test_in_a_process_of_its_own_is_one_test() {
        let child = "running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        let text = |ended: &str| {
            format!(
                "     Running tests/a.rs (a)\nrunning 2 tests\n{child}{ended}test a ... ok\ntest b ... FAILED\n\
                 test result: FAILED. 1 passed; 1 failed; 0 ignored\n     Running tests/b.rs (b)\n\
                 running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored\n"
            )
        };
        assert_eq!(heard(&text("")).ran, 5);
        assert_eq!(heard(&text("running 1 test\n")).ran, 3, "a program whose child was ended is not counted");
    }

    #[test]
    fn a_number_without_names_is_noticed() {
        assert_eq!(heard("test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured").unheard(), 2);
    }
}
