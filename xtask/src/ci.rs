//! `cargo xtask ci`: all that a change has to pass, in one go.
//!
//! Every step is a command that a person can run alone. All of them run, whatever fails before: one run
//! tells all there is to mend.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::units::duration;
use crate::{Result, shell, show, workspace};

struct Step {
    name: &'static str,
    command: Command,
}

struct Done {
    name: &'static str,
    took: Duration,
    ok: bool,
}

/// Runs all steps and says which failed.
pub(crate) fn run() -> Result {
    let xtask = std::env::current_exe()?;
    let mut done: Vec<Done> = Vec::new();
    let mut first_failure = None;
    for Step { name, mut command } in steps(&xtask) {
        show::heading(format_args!("── {name} ──"));
        show::command("", show::typed(&command));
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let start = Instant::now();
        let (status, tail) = shell::tee(command, say)?;
        if !status.success() && first_failure.is_none() {
            first_failure = Some((name, tail));
        }
        done.push(Done { name, took: start.elapsed(), ok: status.success() });
    }
    if let Some((name, tail)) = first_failure {
        show::heading(format_args!("── the end of what {name} said ──"));
        tail.iter().for_each(|line| say(line));
    }
    show::heading("── summary ──");
    anstream::print!("{}", table(&done));
    let failed: Vec<&str> = done.iter().filter(|step| !step.ok).map(|step| step.name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// Whoever read the output may be gone; the run goes on all the same.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The steps: quick ones first, the tests last.
fn steps(xtask: &Path) -> Vec<Step> {
    let cargo = |name, args: &[&str]| {
        let mut command = workspace::cargo();
        command.args(args);
        Step { name, command }
    };
    let own = |name| {
        let mut command = Command::new(xtask);
        command.arg(name).current_dir(workspace::root());
        Step { name, command }
    };
    let mut doc = cargo("doc", &["doc", "--workspace", "--no-deps", "--locked"]);
    doc.command.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        cargo("fmt", &["fmt", "--all", "--check"]),
        own("tidy"),
        own("deny"),
        cargo("clippy", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        doc,
        own("macos"),
        own("test"),
    ]
}

fn table(done: &[Done]) -> String {
    let row = |Done { name, took, ok }: &Done| {
        format!("{name:<8} {} {:>12}\n", show::verdict(*ok), duration(*took))
    };
    done.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_the_table() {
        let done = [
            Done { name: "fmt", took: Duration::from_millis(800), ok: true },
            Done { name: "test", took: Duration::from_secs(125), ok: false },
        ];
        let plain = anstream::adapter::strip_str(&table(&done)).to_string();
        assert_eq!(plain, "fmt      ok            0.8 s\ntest     FAILED   2 min 05 s\n");
    }

    #[test]
    fn the_tests_are_what_a_run_ends_with() {
        let steps = steps(Path::new("xtask"));
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["fmt", "tidy", "deny", "clippy", "doc", "macos", "test"]);
    }
}
