//! Command lines that are accepted, and those that are refused.

use dsync_sync::Status;

use super::*;
use crate::help::{EXAMPLES, command};
use crate::parse::parse;

fn parsed(line: &str) -> Cli {
    let words = shlex::split(line).unwrap().into_iter().map(Into::into).collect();
    parse("docker-sync", words, clap::ColorChoice::Never).unwrap()
}

#[test]
fn the_default_of_memory_is_told_as_it_is() {
    assert_eq!(memory(MEMORY), Ok(dsync_sync::Options::default().memory));
}

#[test]
fn the_definition_is_sound() {
    command("docker-sync").debug_assert();
}

#[test]
fn every_example_is_understood() {
    for (_, arguments) in EXAMPLES {
        parsed(arguments.split(" | ").next().unwrap());
    }
}

#[test]
fn the_original_s_flags_mean_what_they_meant() {
    // Report only?, then: are current, need update, new images meant?
    let task = |line: &str| {
        let task = parsed(line).sync.task();
        let wants = [Status::Current, Status::NeedUpdate, Status::New].map(|status| task.wants(status));
        (task.report, wants)
    };
    assert_eq!(task("host"), (true, [true, true, true]));
    assert_eq!(task("host redis"), (false, [true, true, true]));
    assert_eq!(task("host redis -r"), (true, [true, true, true]));
    assert_eq!(task("host -a"), (false, [false, true, true]));
    assert_eq!(task("host -u"), (false, [false, true, false]));
    assert_eq!(task("host -n"), (false, [false, false, true]));
    assert_eq!(task("host -un"), (false, [false, true, true]));
    assert_eq!(task("host redis -u"), (false, [false, true, false]));
    assert_eq!(task("host -ru"), (true, [false, true, false]));
    assert_eq!(task("-p host"), (true, [true, true, true]));
}

#[test]
fn a_command_shadows_no_host_that_can_be_named() {
    assert!(matches!(parsed("man").command, Some(Command::Man)));
    for line in [
        "ssh://man",
        "-- man",
        "--push man",
        "ssh://help",
        "me@man",
        "-- push",
        "-q -- push web:1",
        "ssh://push",
    ] {
        let cli = parsed(line);
        assert!(cli.command.is_none() && cli.sync.remote.is_some(), "{line}");
    }
}

#[test]
fn values_are_checked_before_anything_is_done() {
    for line in [
        "",
        "-oProxyCommand=x",
        "-- -oProxyCommand=x",
        "''",
        "host Redis",
        "host --platform linux",
        "host --compression 23",
        "host --compression 0",
        "host --basis 'a/*'",
        "host --ssh \"ssh '\"",
        "host --method magic",
        "host -qv",
    ] {
        let words = shlex::split(line).unwrap_or_else(|| vec![line.into()]);
        let words = words.into_iter().map(Into::into).collect();
        let error = parse("docker-sync", words, clap::ColorChoice::Never).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn words_of_other_programs_mean_what_they_mean_there() {
    for (line, same) in [
        ("push prod web:1", "--push prod web:1"),
        ("-q push me@prod web:1", "-q --push me@prod web:1"),
        (
            "--ssh 'ssh -F x' --progress none push prod web:1",
            "--ssh 'ssh -F x' --progress none --push prod web:1",
        ),
        ("--ssh push prod web:1", "--ssh=push prod web:1"),
        ("prod push", "-- prod push"),
        ("-v pull prod web:1", "-v prod web:1"),
        ("pull prod web:1", "prod web:1"),
        ("--pull prod web:1", "prod web:1"),
    ] {
        let [cli, same] = [line, same].map(|line| parsed(line).sync);
        assert_eq!((cli.push, cli.images), (same.push, same.images), "{line}");
        assert_eq!(cli.remote, same.remote, "{line}");
    }
    let refused = |line: &str| {
        let words = shlex::split(line).unwrap().into_iter().map(Into::into).collect();
        parse("docker-sync", words, clap::ColorChoice::Never).unwrap_err().to_string()
    };
    for (line, same) in [
        ("-v apply web.patch", "apply web.patch -v"),
        ("--docker podman doctor push --json", "doctor push --json --docker podman"),
        ("--docker cache -v apply -- man", "apply --docker cache -v -- man"),
    ] {
        let [cli, same] = [line, same].map(|line| format!("{:?}", parsed(line).command.unwrap()));
        assert_eq!(cli, same, "{line}");
    }
    assert_eq!(parsed("-v -- man").sync.remote, "man".parse().ok(), "behind -- it is a host");
    assert_eq!(parsed("prod man").sync.images, ["man"]);
    assert!(refused("-v cache ls").contains("unexpected argument '-v' found"), "{}", refused("-v cache ls"));
    assert!(refused("-v help diff").contains("The patch file to write"));
    assert!(refused("help").contains("Usage: docker-sync [OPTIONS] REMOTE [IMAGE]..."));
    assert!(refused("help diff").contains("The patch file to write"));
    for line in ["help push", "push --help", "push -h"] {
        let help = refused(line);
        assert!(help.starts_with("Send images of this host to REMOTE"), "{help}");
        assert!(help.contains("Usage: docker-sync push [OPTIONS] REMOTE IMAGE...\n"), "{help}");
    }
    assert!(refused("pull --help").starts_with("Bring images of REMOTE to this host"));
    let unknown = "error: there is no command 'foo'; `docker-sync help` lists them";
    assert!(refused("help foo").starts_with(unknown), "{}", refused("help foo"));
    assert!(refused("foo --help").starts_with("Synchronise"), "it may be a host");
    assert!(refused("").contains("Examples:"), "nothing at all shows what there is");
    assert!(refused("push --pull prod").contains("cannot be used with"));
}

/// It moves all images.
#[test]
fn no_tip_leads_to_all() {
    for line in ["--al prod", "--ball prod", "--call prod"] {
        let words = shlex::split(line).unwrap().into_iter().map(Into::into).collect();
        let error = parse("docker-sync", words, clap::ColorChoice::Never).unwrap_err().to_string();
        assert!(error.contains("unexpected argument") && !error.contains("--all"), "{error}");
    }
}
