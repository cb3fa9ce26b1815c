//! `cargo xtask test`: every test there is, with all that they need.

use dsync_lab::{LabError, packages};

use crate::{Result, shell, show, workspace};

/// What tests need on top of a bare machine: program and Debian package. The lab asks for the same where
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
    ("zstd", "zstd"),
    ("skopeo", "skopeo"),
    ("busybox", "busybox-static"),
    ("dash", "dash"),
    ("fish", "fish"),
    ("tcsh", "tcsh"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("debootstrap", "debootstrap"),
];

/// Runs all tests, the end-to-end ones on the program as it is released. Tests on engines that the gate
/// leaves out are marked as ignored; with `all_engines` they run, too.
pub(crate) fn run(all_engines: bool, args: &[String]) -> Result {
    match packages::require(PROGRAMS) {
        Ok(()) => {}
        // The tests that need an engine will say so themselves.
        Err(LabError::Skipped) => show::note("tests on real engines are skipped, as the environment asks"),
        Err(error @ LabError::Missing { .. }) => show::note(format!("warning: {error}")),
        Err(error) => return Err(error.into()),
    }
    let binary = workspace::release_binary()?;
    let mut cargo = workspace::cargo();
    cargo.env(workspace::BINARY, &binary).args(["test", "--workspace"]);
    // A person who names a test, or says otherwise, is not to be talked over.
    if !args.iter().any(|arg| arg.contains("fail-fast")) {
        cargo.arg("--no-fail-fast");
    }
    cargo.args(args);
    if all_engines {
        // What follows the dashes is for the tests.
        cargo.args((!args.iter().any(|arg| arg == "--")).then_some("--"));
        cargo.arg("--include-ignored");
    }
    show::command("", show::typed(&cargo));
    shell::run(&mut cargo)
}
