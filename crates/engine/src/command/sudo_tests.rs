//! A sudo that is a script: when it asks, what it is given, and what reaches the program behind it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use super::super::Program;
use super::super::prompt::read_to_prompt;
use super::*;

fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap()
}

#[test]
fn a_sudo_may_ask_unless_it_is_told_otherwise() {
    for line in [
        "sudo docker",
        "/usr/bin/sudo -H docker",
        "sudo -u root docker -n",
        "sudo -uroot k3s ctr",
        "sudo -Hu root podman",
        "sudo --user=root -- docker",
        "sudo -p -n docker",
    ] {
        assert!(may_ask(&words(line)), "{line}");
    }
    for line in [
        "sudo -n docker",
        "sudo -Hn docker",
        "sudo --non-interactive docker",
        "sudo -A docker",
        "sudo -S docker",
    ] {
        assert!(!may_ask(&words(line)), "{line}");
    }
    for line in ["docker", "doas docker", "sudo", "sudo --", "sudo -u root", "env sudo docker"] {
        assert!(!may_ask(&words(line)), "{line}");
    }
}

/// A sudo with the password `right`, and what is behind it. Each call leaves its arguments in a file, and whether the
/// standard input of `-n` had anything to read.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    /// `remembers` is the time for which it remembers a password: as long as its file is there, or not at all.
    fn new(remembers: bool) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let keep = if remembers { format!("touch {at}/known") } else { ":".into() };
        let script = format!(
            r#"#!/bin/sh
printf '%s\n' "$*" >> {at}/calls
check() {{
    IFS= read -r line
    [ "$line" = right ] && return
    echo 'Sorry, try again.' >&2; echo 'sudo: 1 incorrect password attempt' >&2; exit 1
}}
case $1 in
-n) shift; [ -e {at}/known ] || {{ echo 'sudo: a password is required' >&2; exit 1; }}; exec "$@";;
-k) printf %s "$4" >&2; check; shift 4; exec "$@";;
-S) [ -e {at}/known ] || check; {keep};;
*) echo 'sudo: a terminal is required to read the password' >&2; exit 1;;
esac
"#
        );
        let file = folder.path().join("sudo");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Fake { folder }
    }

    fn words(&self, rest: &[&str]) -> Vec<String> {
        let file = self.folder.path().join("sudo").display().to_string();
        [file].into_iter().chain(rest.iter().map(|word| (*word).to_owned())).collect()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

fn given(password: &str) -> Sudo {
    Sudo::Given(Password::new(password.into()))
}

/// A program that reads its input to the end, and one that does not, print their own input and nothing else.
fn feeds_and_reads(fake: &Fake) {
    let program = Program::find_by(&fake.words(&["sh", "-c"]), &given("right")).unwrap();
    let mut feeding = program.feed(&["cat; echo end >&2"]).unwrap();
    feeding.write_all(b"the archive\n").unwrap();
    assert_eq!(feeding.finish().unwrap(), "the archive\nend\n");
    let output = program.run(&["printf out; echo err >&2"], None).unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_str()), (&b"out"[..], "err\n"));
    assert!(!fake.calls().concat().contains("right"), "{:?}", fake.calls());
}

#[test]
fn a_sudo_that_remembers_is_given_the_password_by_itself() {
    let fake = Fake::new(true);
    feeds_and_reads(&fake);
    let calls = fake.calls();
    assert_eq!(calls[..2], ["-S -p  -v", "-n sh -c --version"]);
    assert!(calls[2..].iter().all(|call| call == "-S -p  -v" || call.starts_with("-n sh -c ")), "{calls:?}");
}

#[test]
fn a_sudo_that_remembers_nothing_is_given_the_password_each_time() {
    let fake = Fake::new(false);
    feeds_and_reads(&fake);
    let calls = fake.calls();
    assert!(calls[2..].iter().all(|call| call.starts_with("-k -S -p ")), "{calls:?}");
}

#[test]
fn a_wrong_password_is_told_from_other_failures() {
    let fake = Fake::new(true);
    let error = Program::find_by(&fake.words(&["true"]), &given("wrong")).unwrap_err();
    assert!(matches!(error, StoreError::Password { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("wrong"));
    let error =
        Program::find_by(&fake.words(&["true"]), &Sudo::Silent).unwrap().run(&[], None).err().unwrap();
    assert!(matches!(error, StoreError::Password { .. }), "{error:?}");
    assert_eq!(fake.calls(), ["-S -p  -v", "-n true"]);
}

#[test]
fn a_sudo_that_is_told_what_to_do_is_left_alone() {
    let fake = Fake::new(true);
    let program = Program::find_by(&fake.words(&["-n", "true"]), &given("right")).unwrap();
    assert!(program.run(&[], None).is_err());
    let program = Program::find_by(&fake.words(&["true"]), &Sudo::Asks).unwrap();
    assert!(program.run(&[], None).is_err());
    assert_eq!(fake.calls(), ["-n true", "true"]);
}

#[test]
fn a_prompt_is_found_behind_what_sudo_says_before() {
    let mut said = io::Cursor::new(format!("a lecture\n{PROMPT}Sorry").into_bytes());
    assert_eq!(read_to_prompt(&mut said), b"a lecture\n");
    assert_eq!(said.position(), 10 + PROMPT.len() as u64);
    assert_eq!(read_to_prompt(&mut &b"no prompt"[..]), b"no prompt");
}
