//! Each failure as a person sees it.

use std::io;
use std::path::Path;

use dsync_core::{Digest, ImageId};
use dsync_sync::Failure;

use super::*;
use crate::testing::plain;

fn shown(error: &Error) -> String {
    let diagnosis = diagnose(error, Context { remote: "alice@build", ssh: "ssh -F lab", images: &[] });
    format!("{}exit {}, {}", plain(&diagnosis.render()), diagnosis.exit, diagnosis.kind)
}

fn ssh(kind: SshFailure, message: &str) -> String {
    shown(&Error::Ssh { host: "alice@build".into(), kind, message: message.into() })
}

fn there() -> Host {
    Host::Remote("alice@build".into())
}

fn engine(host: Host, kind: FailureKind, causes: &[&str]) -> String {
    let causes = causes.iter().map(|&cause| cause.into()).collect();
    shown(&Error::Endpoint { host, failure: Failure { kind, causes } })
}

#[test]
fn ssh_fails() {
    insta::assert_snapshot!(ssh(SshFailure::NotFound, "'ssh' was not found"), @"
    error: cannot connect to alice@build: the program that stands for ssh cannot be run
      caused by: 'ssh' was not found
    hint: --ssh and $DOCKER_SYNC_SSH take a program and its options, as 'ssh -i key'
    exit 3, ssh-not-found
    ");
    let missing = Error::Ssh {
        host: "build".into(),
        kind: SshFailure::NotFound,
        message: "'ssh' was not found".into(),
    };
    let without = Context { remote: "build", ssh: "ssh", images: &[] };
    assert!(diagnose(&missing, without).message.ends_with("ssh is not installed"));
    insta::assert_snapshot!(ssh(SshFailure::UnknownHost, "ssh: Could not resolve hostname build: Name or service not known\r\n"), @"
    error: cannot connect to alice@build: its name cannot be resolved
      caused by: ssh: Could not resolve hostname build: Name or service not known
    hint: check the spelling, and the Host entries of ~/.ssh/config
    exit 3, unknown-host
    ");
    insta::assert_snapshot!(ssh(SshFailure::Unreachable, "ssh: connect to host build port 22: Connection refused\n"), @"
    error: cannot connect to alice@build: it does not answer
      caused by: ssh: connect to host build port 22: Connection refused
    hint: check that the host is up and its ssh port right (ssh://HOST:PORT), or go through another: --ssh 'ssh -J JUMP'
    exit 3, unreachable
    ");
    insta::assert_snapshot!(ssh(SshFailure::HostKey, "Host key verification failed."), @"
    error: cannot connect to alice@build: its host key is not known
      caused by: Host key verification failed.
    hint: connect once with `ssh -F lab alice@build` and check the fingerprint that it shows
    exit 3, host-key-unknown
    ");
    insta::assert_snapshot!(
        ssh(SshFailure::HostKeyChanged, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."), @"
    error: cannot connect to alice@build: its host key has changed
      caused by: @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @
      caused by: Host key verification failed.
    hint: the host was installed anew, or someone intercepts the connection. Ask its administrator before you remove the old key with `ssh-keygen -R`
    exit 3, host-key-changed
    ");
    insta::assert_snapshot!(ssh(SshFailure::Authentication, "alice@build: Permission denied (publickey)."), @"
    error: cannot connect to alice@build: it rejects this user
      caused by: alice@build: Permission denied (publickey).
    hint: give the host your key (`ssh-copy-id alice@build`), or name the one to use: --ssh 'ssh -i KEYFILE'
    exit 3, authentication
    ");
    insta::assert_snapshot!(ssh(SshFailure::Other, "\x1b]0;gotcha\x07"), @r"
    error: cannot connect to alice@build
      caused by: \u{1b}]0;gotcha\u{7}
    hint: run `ssh -F lab alice@build true` to see the reason
    exit 3, ssh
    ");
}

#[test]
fn commands_in_hints_can_be_copied() {
    let hint = |kind, remote| {
        let error = Error::Ssh { host: "h".into(), kind, message: String::new() };
        diagnose(&error, Context { remote, ssh: "ssh -i key", images: &[] }).hint.unwrap_or_default()
    };
    assert!(hint(SshFailure::HostKey, "ssh://me@h:22").contains("`ssh -i key ssh://me@h:22`"));
    assert!(hint(SshFailure::Authentication, "ssh://me@h:22").contains("`ssh-copy-id -p 22 me@h`"));
    assert!(hint(SshFailure::Other, "$(x)").contains("`ssh -i key '$(x)' true`"));
}

#[test]
fn an_engine_fails() {
    insta::assert_snapshot!(engine(there(), FailureKind::EngineNotFound, &["'docker' was not found on PATH or in the usual places"]), @"
    error: on alice@build: 'docker' was not found on PATH or in the usual places
    hint: install docker or podman on alice@build, or name its path: --remote-docker /path/to/docker
    exit 4, engine-not-found
    ");
    insta::assert_snapshot!(engine(Host::Here, FailureKind::EngineDown, &["the container engine does not answer: Cannot connect to the Docker daemon"]), @"
    error: on this host: the container engine does not answer: Cannot connect to the Docker daemon
    hint: start it (sudo systemctl start docker), check DOCKER_HOST and `docker context ls`, or name another engine: --docker podman
    exit 4, engine-down
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::EngineDown, &["the container engine does not answer: Cannot connect to the Docker daemon"]), @"
    error: on alice@build: the container engine does not answer: Cannot connect to the Docker daemon
    hint: start it there (sudo systemctl start docker), or name another engine: --remote-docker podman
    exit 4, engine-down
    ");
    let password = "no permission to talk to the container engine: sudo: a password is required";
    insta::assert_snapshot!(engine(there(), FailureKind::EnginePassword, &[password]), @"
    error: on alice@build: no permission to talk to the container engine: sudo: a password is required
    hint: let sudo run it without a password: `USER ALL=(root) NOPASSWD: /usr/bin/docker` in a file of /etc/sudoers.d (visudo -f), or do without sudo: sudo usermod -aG docker USER
    exit 4, engine-permission
    ");
    insta::assert_snapshot!(engine(Host::Here, FailureKind::EnginePermission, &["no permission to talk to the container engine: denied"]), @"
    error: on this host: no permission to talk to the container engine: denied
    hint: add the user to the docker group (sudo usermod -aG docker USER), or use --docker 'sudo docker'
    exit 4, engine-permission
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::EnginePermission, &["no permission to talk to the container engine: denied"]), @"
    error: on alice@build: no permission to talk to the container engine: denied
    hint: add the user that ssh logs in as to the docker group (sudo usermod -aG docker USER), or use --remote-docker 'sudo docker'
    exit 4, engine-permission
    ");
}

#[test]
fn a_sudo_and_a_doas_that_want_a_password_or_a_terminal_have_hints() {
    let of = |said: &str| engine(there(), FailureKind::EnginePermission, &[said]);
    assert!(
        of("no permission to talk to the container engine: doas: Authentication failed")
            .contains("permit nopass")
    );
    let tty = "no permission to talk to the container engine: sudo: sorry, you must have a tty to run sudo";
    assert!(of(tty).contains("hint: let sudo run without a terminal: `Defaults:USER !requiretty`"));
    let refused = |host| shown(&Error::Password { host, tries: 3 });
    insta::assert_snapshot!(refused(there()), @"
    error: on alice@build: sudo took none of 3 passwords
    hint: try the password by itself (`ssh -F lab alice@build -t sudo -v`), or let sudo run it without a password: `USER ALL=(root) NOPASSWD: /usr/bin/docker` in a file of /etc/sudoers.d (visudo -f), or do without sudo: sudo usermod -aG docker USER
    exit 4, sudo-authentication
    ");
    assert!(refused(Host::Here).contains(
        "on this host: sudo took none of 3 passwords\nhint: try the password by itself (`sudo -v`)"
    ));
}

#[test]
fn an_image_fails() {
    insta::assert_snapshot!(engine(Host::Here, FailureKind::TemporaryFull, &["cannot write the layer", "No space left on device (os error 28)"]), @"
    error: on this host: cannot write the layer
      caused by: No space left on device (os error 28)
    hint: free some space on this host, or name a directory on a larger disk for temporary files: --tmpfolder DIR
    exit 6, no-space
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::StorageFull, &["there is no room for the image in /var/lib/docker: at least 20 bytes are needed, and the file system (/) has 10 left"]), @"
    error: on alice@build: there is no room for the image in /var/lib/docker: at least 20 bytes are needed, and the file system (/) has 10 left
    hint: free some space on alice@build where its images are kept (`docker system df` says what takes it); --tmpfolder is about other files
    exit 6, no-space
    ");
    insta::assert_snapshot!(engine(Host::Here, FailureKind::ClientFull, &["cannot write an archive", "No space left on device (os error 28)"]), @"
    error: on this host: cannot write an archive
      caused by: No space left on device (os error 28)
    hint: free some space on this host, or name a directory on a larger disk for temporary files: --tmpfolder DIR
    exit 6, no-space
    ");
    insta::assert_snapshot!(engine(Host::Here, FailureKind::Mismatch, &["layer sha256:12 came out as sha256:34"]), @"
    error: on this host: layer sha256:12 came out as sha256:34
    hint: nothing was changed. This is a bug: please report it
    exit 7, mismatch
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::Changed, &["an image that was there was removed meanwhile", "`docker load --quiet` failed"]), @"
    error: on alice@build: an image that was there was removed meanwhile
      caused by: `docker load --quiet` failed
    hint: an image was removed during the sync: run it again when nobody removes images there
    exit 1, changed
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::Broken, &["the archive is broken: it ends early\nsecond line"]), @"
    error: on alice@build: the archive is broken: it ends early
      caused by: second line
    hint: the image itself may be damaged: try `docker save` of it on the source
    exit 1, broken
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::NoSuchImage, &["the store has no image sha256:12"]), @"
    error: on alice@build: the store has no image sha256:12
    hint: it was removed in the meantime: run the report again
    exit 5, no-such-image
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::Usage, &["the temporary folder /x is not a directory"]), @"
    error: on alice@build: the temporary folder /x is not a directory
    exit 2, usage
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::NoBasis, &["the target has no image x:1 to use as the basis"]), @"
    error: on alice@build: the target has no image x:1 to use as the basis
    hint: name an image of the target, or leave out --basis
    exit 5, no-basis
    ");
    insta::assert_snapshot!(engine(Host::Here, FailureKind::Protocol, &["the source did not send what it offered"]), @"
    error: on this host: the source did not send what it offered
    hint: nothing was changed. Both ends are of the same build, so this is a bug to report, or the remote is not what it claims to be
    exit 1, protocol
    ");
    insta::assert_snapshot!(engine(there(), FailureKind::Other, &[]), @"
    error: on alice@build: unknown failure
    exit 1, other
    ");
}

#[test]
fn a_patch_fails() {
    let fails = |kind, cause: &str| {
        let failure = Failure { kind, causes: vec![cause.into()] };
        let diagnosis = diagnose(
            &Error::Endpoint { host: Host::Here, failure },
            Context { remote: "", ssh: "ssh", images: &[] },
        );
        format!("{}exit {}, {}", plain(&diagnosis.render()), diagnosis.exit, diagnosis.kind)
    };
    insta::assert_snapshot!(fails(FailureKind::DamagedPatch, "the patch is damaged or cut short: get it once more"), @"
    error: on this host: the patch is damaged or cut short: get it once more
    exit 7, damaged-patch
    ");
    insta::assert_snapshot!(fails(FailureKind::NoBasis, "this host has no image with layer sha256:12, which the patch builds on"), @"
    error: on this host: this host has no image with layer sha256:12, which the patch builds on
    exit 5, no-basis
    ");
    insta::assert_snapshot!(fails(FailureKind::NoSuchImage, "this host has no image web:9"), @"
    error: on this host: this host has no image web:9
    exit 5, no-such-image
    ");
}

#[test]
fn a_name_is_unknown() {
    let unknown = |pattern: &str, close: &[&str]| {
        let close = close.iter().map(|&name| name.into()).collect();
        shown(&Error::NoSuchImage { pattern: pattern.into(), close, keeps_manifests: false })
    };
    insta::assert_snapshot!(unknown("reddis", &["redis:latest"]), @"
    error: the source has no image 'reddis'
    hint: did you mean 'redis:latest'?
    exit 5, no-such-image
    ");
    insta::assert_snapshot!(unknown("redis:8", &["redis:7", "redis:6", "redis:5", "redis:4"]), @"
    error: the source has no image 'redis:8'
    hint: did you mean 'redis:7', 'redis:6' or 'redis:5'?
    exit 5, no-such-image
    ");
    insta::assert_snapshot!(unknown("shop/*", &[]), @"
    error: the source has no image 'shop/*'
    hint: * stays within one part of a name, ** spans several; without a tag only :latest is meant
    exit 5, no-such-image
    ");
    insta::assert_snapshot!(unknown("nothing", &[]), @"
    error: the source has no image 'nothing'
    hint: run without IMAGE to list the names of the source
    exit 5, no-such-image
    ");
}

#[test]
fn a_digest_is_unknown() {
    let wanted = Digest::of(b"wanted");
    let unknown = |keeps_manifests| {
        let pattern = "web:1@sha256:12".to_owned();
        shown(&Error::NoSuchImage { pattern, close: Vec::new(), keeps_manifests })
    };
    let other = |keeps_manifests| {
        let (name, id) = ("web:1".parse().unwrap(), ImageId::of(b"other"));
        shown(&Error::OtherDigest { name, wanted, id, is_there: false, keeps_manifests })
    };
    insta::assert_snapshot!(unknown(true), @"
    error: the source has no image 'web:1@sha256:12'
    hint: the digest is that of an image ID, or of a manifest in the index of an image, or of a config
    exit 5, no-such-image
    ");
    insta::assert_snapshot!(unknown(false), @"
    error: the source has no image 'web:1@sha256:12'
    hint: the source keeps no manifests: it knows an image by its ID, and by the digest that it was pulled or pushed by. Of an image of several platforms that is mostly the index, not the manifest of a platform
    exit 5, no-such-image
    ");
    let (with, without) = (other(true), other(false));
    assert!(
        with.ends_with("leave out the digest to take the image that has the name now\nexit 5, no-such-image"),
        "{with}"
    );
    assert!(without.contains("that has the name now; the source keeps no manifests"), "{without}");
    let reason = "sha256:12 is in the index of web:1 (sha256:34): it is an attestation of it, and no image";
    insta::assert_snapshot!(engine(there(), FailureKind::NoDigest, &[reason]), @"
    error: on alice@build: sha256:12 is in the index of web:1 (sha256:34): it is an attestation of it, and no image
    hint: ask for that image without the digest, or pull what has the digest on alice@build first
    exit 5, no-such-image
    ");
}

#[test]
fn the_conversation_fails() {
    insta::assert_snapshot!(shown(&Error::Lost { host: "alice@build".into(), message: "Connection reset\nKilled".into() }), @"
    error: the connection to alice@build was lost
      caused by: Connection reset
      caused by: Killed
    hint: no image was left half done; run the same command again
    exit 3, lost
    ");
    let message = "index out of bounds (crates/sync/src/x.rs:7)".into();
    insta::assert_snapshot!(shown(&Error::Crashed { host: "alice@build".into(), message }), @"
    error: the agent on alice@build crashed
      caused by: index out of bounds (crates/sync/src/x.rs:7)
    hint: no image was left half done. This is a bug: please report it with the lines above
    exit 1, crashed
    ");
    insta::assert_snapshot!(shown(&Error::NoAgent { host: "alice@build".into(), reason: "no directory in which a program may run".into() }), @"
    error: no agent can run on alice@build
      caused by: no directory in which a program may run
    hint: leave out --method delta: rsync and stream need no agent
    exit 1, no-agent
    ");
    let what = "a frame of an unknown channel (9) arrived; the connection is not clean".into();
    insta::assert_snapshot!(shown(&Error::Protocol { end: "alice@build".into(), what }), @"
    error: alice@build breaks the protocol
      caused by: a frame of an unknown channel (9) arrived; the connection is not clean
    hint: a login script on the remote may print something: `ssh -F lab alice@build true` must print nothing
    exit 1, protocol
    ");
    let there = Host::Remote("alice@build".into());
    insta::assert_snapshot!(shown(&Error::OutOfTurn { end: there, expected: "a survey" }), @"
    error: alice@build answered out of turn (expected a survey)
    hint: a login script on the remote may print something: `ssh -F lab alice@build true` must print nothing
    exit 1, protocol
    ");
    insta::assert_snapshot!(shown(&Error::Interrupted), @"
    error: interrupted
    hint: run the same command again: what has arrived of an image is kept and need not cross once more
    exit 130, interrupted
    ");
    let io =
        |kind: io::ErrorKind| Error::Io { what: "cannot write the spool file".into(), source: kind.into() };
    insta::assert_snapshot!(shown(&io(io::ErrorKind::StorageFull)), @"
    error: cannot write the spool file
      caused by: no storage space
    hint: free some space on this host, or name a directory on a larger disk for temporary files: --tmpfolder DIR
    exit 6, no-space
    ");
    insta::assert_snapshot!(shown(&io(io::ErrorKind::PermissionDenied)), @"
    error: cannot write the spool file
      caused by: permission denied
    exit 1, io
    ");
}

#[test]
fn an_account_runs_no_commands() {
    let said = |said: &[&str]| {
        let said = said.iter().map(|&line| line.into()).collect();
        shown(&Error::NoShell { host: "alice@build".into(), said })
    };
    insta::assert_snapshot!(said(&["This account is currently not available.", "\u{200b}"]), @r"
    error: alice@build runs no commands for this account
      caused by: This account is currently not available.
      caused by: \u{200b}
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh -F lab alice@build true` must succeed. Log in as another with USER@HOST
    exit 3, no-shell
    ");
    insta::assert_snapshot!(said(&[]), @"
    error: alice@build runs no commands for this account
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh -F lab alice@build true` must succeed. Log in as another with USER@HOST
    exit 3, no-shell
    ");
}

#[test]
fn this_program_crashes() {
    let threads =
        "failed to spawn thread: Os { code: 11, kind: WouldBlock } (library/std/src/thread/mod.rs:1)";
    insta::assert_snapshot!(plain(&Diagnosis::crash(threads).render()), @"
    error: docker-sync may start no more threads
      caused by: failed to spawn thread: Os { code: 11, kind: WouldBlock } (library/std/src/thread/mod.rs:1)
    hint: allow more processes on this host: `ulimit -u` shows the limit
    ");
    let diagnosis = Diagnosis::crash("no entry found for key (crates/sync/src/x.rs:7)");
    insta::assert_snapshot!(plain(&diagnosis.render()), @"
    error: docker-sync crashed
      caused by: no entry found for key (crates/sync/src/x.rs:7)
    hint: no image was left half done. This is a bug: please report it with the lines above
    ");
}

#[test]
fn only_what_concerns_one_image_leaves_the_others_a_chance() {
    let failure = Failure { kind: FailureKind::TemporaryFull, causes: Vec::new() };
    assert!(!ends_session(&Error::Endpoint { host: Host::Here, failure }));
    assert!(ends_session(&Error::Lost { host: String::new(), message: String::new() }));
    assert!(ends_session(&Error::Interrupted));
}

#[test]
fn the_exit_codes_are_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (code, meaning) in EXIT_CODES {
        assert!(page.contains(&format!("| {code} | {meaning} |")), "{code} {meaning}");
    }
}

#[test]
fn a_remote_that_is_something_else_is_told_apart() {
    let hint = |remote: &str, image: Option<&str>| {
        let images: Vec<String> = image.into_iter().map(str::to_owned).collect();
        let kind = SshFailure::UnknownHost;
        let error = Error::Ssh { host: remote.into(), kind, message: String::new() };
        diagnose(&error, Context { remote, ssh: "ssh", images: &images }).hint.unwrap_or_default()
    };
    let order = "REMOTE comes first, and IMAGE is another argument: ";
    assert_eq!(hint("build:2222", None), "write a port as ssh://build:2222");
    assert_eq!(hint("build:2222", Some("web:1")), "write a port as ssh://build:2222");
    assert_eq!(hint("build:web:1", None), format!("{order}build web:1"));
    assert_eq!(hint("web:1", Some("alice@build")), format!("{order}alice@build web:1"));
    for remote in ["build", "ssh://build:22", "fe80::1", ":1"] {
        assert!(hint(remote, Some("web")).contains("spelling"), "{remote}");
    }
}
