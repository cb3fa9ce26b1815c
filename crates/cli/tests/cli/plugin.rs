//! As `docker sync`: how docker calls it, and the real client where there is one.

use std::os::unix::fs::symlink;

use crate::environment::{Environment, PROGRAM, Ran};

/// As docker 28 runs a plugin.
fn as_plugin(arguments: &[&str]) -> Ran {
    let environment = Environment::new();
    let mut command = environment.command(PROGRAM);
    command.env("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "docker").args(arguments);
    Ran::from(command.output().unwrap())
}

#[test]
fn metadata() {
    insta::assert_snapshot!(Environment::new().run(&["docker-cli-plugin-metadata"]), @r#"
    {"SchemaVersion":"0.1.0","Vendor":"docker-sync","Version":"0.1.0","ShortDescription":"Synchronise images with another host over ssh, moving as few bytes as can be"}
    --- stderr
    --- exit 0
    "#);
}

#[test]
fn usage_is_that_of_docker_sync_as_a_subcommand() {
    insta::assert_snapshot!(as_plugin(&["--context", "prod", "sync", "host", "--nope"]), @"
    --- stderr
    error: unexpected argument '--nope' found

      tip: to pass '--nope' as a value, use '-- --nope'

    Usage: docker sync [OPTIONS] REMOTE [IMAGE]...
           docker sync push|pull [OPTIONS] REMOTE IMAGE...
           docker sync COMMAND

    For more information, try '--help'.
    --- exit 2
    ");
    let help = as_plugin(&["help", "sync"]);
    assert!(help.out.contains("docker sync --push deploy@prod"), "{help}");
    assert_eq!(help.exit, Some(0));
}

#[test]
fn a_word_is_completed() {
    insta::assert_snapshot!(as_plugin(&["__complete", "sync", "host", "--ss"]), @"
    --ssh	The ssh program with its options, as 'ssh -i key -J jump'
    :4
    --- stderr
    --- exit 0
    ");
}

#[test]
#[ignore = "needs the docker client: cargo xtask test"]
fn the_real_client_runs_it() {
    let environment = Environment::new();
    let docker = |arguments: &[&str]| environment.command("docker").args(arguments).output();
    let plugins = environment.path().join(".docker/cli-plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    symlink(PROGRAM, plugins.join("docker-sync")).unwrap();

    let list = Ran::from(docker(&["--help"]).unwrap());
    let line = list.out.lines().find(|line| line.trim_start().starts_with("sync*"));
    assert!(line.is_some_and(|line| line.contains("Synchronise images")), "{list}");

    let refused = Ran::from(docker(&["sync", "host", "Redis"]).unwrap());
    assert!(refused.err.contains("'Redis' is not an image name"), "{refused}");
    assert_eq!(refused.exit, Some(2));

    let help = Ran::from(docker(&["sync", "--help"]).unwrap());
    assert!(help.out.contains("Usage: docker sync [OPTIONS] REMOTE [IMAGE]..."), "{help}");
    assert!(Ran::from(docker(&["help", "sync"]).unwrap()).out.contains("Usage: docker sync"));
    assert!(Ran::from(docker(&["__complete", "sync", "--dry"]).unwrap()).out.contains("--dry-run"));
}
