//! `cargo xtask test`: every test there is, with all that they need; or, with `--quick`, those that need nothing.
//!
//! A test that needs more than a compiler is marked `#[ignore = "REASON: COMMAND"]`, and the command runs it. So a
//! plain `cargo test` passes on any machine, and says of each such test that it was ignored, why, and how it is run.

mod heard;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dsync_lab::{LabError, arm64, packages};

use self::heard::Heard;
use crate::dist::{self, Toolchain};
use crate::units::duration;
use crate::{Result, shell, show, workspace};

/// Programs that tests need on top of a bare machine, each with its Debian package. The lab asks for the same where
/// it is needed; all at once is quicker, and no test has to wait for another's packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("podman", "podman"),
    ("newuidmap", "uidmap"),
    ("runc", "runc"),
    ("rsync", "rsync"),
    ("make", "make"),
    ("zstd", "zstd"),
    ("skopeo", "skopeo"),
    ("busybox", "busybox-static"),
    ("dash", "dash"),
    ("fish", "fish"),
    ("zsh", "zsh"),
    ("tcsh", "tcsh"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("strace", "strace"),
    ("debootstrap", "debootstrap"),
];
/// Those that only a run of all engines and shells needs.
const FURTHER_PROGRAMS: &[(&str, &str)] = &[("mksh", "mksh"), ("ksh93", "ksh93u+m"), ("yash", "yash")];

/// The commands that reasons end with; tidy knows them, too.
pub(crate) const COMMANDS: [&str; 3] =
    ["cargo xtask test", "cargo xtask test --all-engines", "cargo xtask faults"];

/// The need of tests that have system calls fail.
const PTRACE: &str = "needs ptrace";

/// The need of tests that run programs for arm64, and the variable that names the folder of ours.
const ARM64: &str = "needs programs for arm64";
const ARM64_PROGRAMS: &str = "DOCKER_SYNC_ARM64";

/// Generated cases of each property in a quick run.
const QUICK_CASES: &str = "100";

/// Options of the tests.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only what needs no root, no engine and no network, with fewer generated cases: the inner loop
    #[arg(long, conflicts_with = "all_engines")]
    quick: bool,

    /// Run what the gate has no time for as well: Docker 26 and 28 with either store, podman 5, further shells, a
    /// million files
    #[arg(long)]
    all_engines: bool,

    /// Further arguments for `cargo test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs the tests and says which were ignored.
pub(crate) fn run(options: &Options) -> Result {
    let begun = Instant::now();
    let (heard, failures) = if options.quick { quick(&options.args)? } else { all(options)? };
    show::heading("── tests ──");
    anstream::print!("{}", heard.summary());
    println!("{}", duration(begun.elapsed()));
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn quick(args: &[String]) -> Result<(Heard, Vec<String>)> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace", "--lib", "--bins", "--tests"]).args(args);
    if std::env::var_os("TESTKIT_CASES").is_none() {
        cargo.env("TESTKIT_CASES", QUICK_CASES);
    }
    let (heard, failure) = listen(cargo)?;
    Ok((heard, failure.into_iter().collect()))
}

/// First the tests that need nothing; then those that it ignored and that this command runs, the end-to-end ones on
/// the program as it is released.
fn all(options: &Options) -> Result<(Heard, Vec<String>)> {
    let further = if options.all_engines { FURTHER_PROGRAMS } else { &[] };
    match packages::require(&[PROGRAMS, further].concat()) {
        Ok(()) => {}
        // The tests that need them will say so themselves.
        Err(error @ LabError::Missing { .. }) => show::note(format!("warning: {error}")),
        Err(error) => return Err(error.into()),
    }
    let binary = workspace::release_binary()?;
    let cargo = || {
        let mut cargo = workspace::cargo();
        cargo.env(workspace::BINARY, &binary).args(["test", "--workspace"]);
        // A person who names a test, or says otherwise, is not to be talked over.
        if !options.args.iter().any(|arg| arg.contains("fail-fast")) {
            cargo.arg("--no-fail-fast");
        }
        cargo.args(&options.args);
        cargo
    };
    let (mut heard, failure) = listen(cargo())?;
    let mut failures: Vec<String> = failure.into_iter().collect();
    let ours = if options.all_engines { &COMMANDS[..2] } else { &COMMANDS[..1] };
    let mut unmet = Vec::new();
    if !is_traceable() {
        unmet.push(PTRACE);
    }
    let mut arm64 = None;
    if heard.needs(ARM64) {
        arm64 = programs_for_arm64().unwrap_or_else(|error| {
            failures.push(format!("no programs for arm64: {error}"));
            None
        });
        unmet.extend(arm64.is_none().then_some(ARM64));
    }
    let names = heard.take_ignored_by(ours, &unmet);
    if names.is_empty() {
        return Ok((heard, failures));
    }
    let mut second = cargo();
    second.args((!options.args.iter().any(|arg| arg == "--")).then_some("--"));
    second.args(["--ignored", "--exact"]).args(&names);
    second.envs(arm64.map(|folder| (ARM64_PROGRAMS, folder)));
    let (more, failure) = listen(second)?;
    if more.ran < names.len() {
        failures.push(format!("{} tests were to run that need more, and {} did", names.len(), more.ran));
    }
    heard.ran += more.ran;
    failures.extend(failure);
    Ok((heard, failures))
}

/// True if a process here can be traced, which some containers do not allow.
fn is_traceable() -> bool {
    let strace =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    strace.is_ok_and(|status| status.success())
}

/// The folder of our programs for arm64. `None` where such programs do not run, or where there is no compiler for them:
/// a line says why.
fn programs_for_arm64() -> Result<Option<PathBuf>> {
    let ready = arm64::require().map_err(Into::into).and_then(|()| Toolchain::ready());
    match ready {
        Ok(toolchain) => dist::for_tests(&toolchain).map(Some),
        Err(error) => {
            show::note(format!("warning: nothing is tested on arm64: {error}"));
            Ok(None)
        }
    }
}

/// Runs tests and listens to what they say; beside it, how they failed.
fn listen(mut cargo: Command) -> Result<(Heard, Option<String>)> {
    let mut line = show::typed(&cargo);
    if let Some((at, _)) = line.char_indices().nth(200) {
        line.truncate(at);
        line.push('…');
    }
    show::command("", &line);
    cargo.env("CARGO_TERM_COLOR", "never");
    let heard = Arc::new(Mutex::new(Heard::default()));
    let listener = Arc::clone(&heard);
    let (status, _) = shell::tee(cargo, move |line| {
        // Whoever reads the output may be gone; the run goes on all the same.
        let _ = writeln!(std::io::stdout(), "{line}");
        listener.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    })?;
    let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    let unheard = heard.unheard();
    let failure = match status.success() {
        false => Some(format!("{line} failed ({status})")),
        true if unheard > 0 => Some(format!("{unheard} tests were ignored, and none of them could be heard")),
        true => None,
    };
    Ok((heard, failure))
}
