//! Remotes that do not answer, in the words of the ssh that could not get there.

use crate::environment::Environment;

/// A run against an ssh that says this and gives up.
fn with_ssh(message: &str, arguments: &[&str]) -> String {
    let environment = Environment::new();
    environment.script("docker", "exit 1");
    environment.script("ssh", &format!("cat >&2 <<'END'\n{message}\nEND\nexit 255"));
    environment.run(arguments).to_string()
}

#[test]
fn no_ssh_program() {
    let environment = Environment::new();
    let ran = environment.run(&["--ssh", "/nowhere/ssh", "alice@build"]);
    insta::assert_snapshot!(ran, @"
    --- stderr
    error: cannot connect to alice@build: there is no ssh
      caused by: '/nowhere/ssh' cannot be run: No such file or directory (os error 2)
    hint: install an ssh client (openssh-client), or say where it is: --ssh /path/to/ssh
    --- exit 3
    ");
}

#[test]
fn ssh_gives_up() {
    insta::assert_snapshot!(with_ssh("ssh: Could not resolve hostname build: Name or service not known", &["alice@build"]), @"
    --- stderr
    error: cannot connect to alice@build: nobody knows this host
      caused by: ssh: Could not resolve hostname build: Name or service not known
    hint: check the spelling, and the Host entries of ~/.ssh/config
    --- exit 3
    ");
    insta::assert_snapshot!(with_ssh("ssh: connect to host build port 22: Connection refused", &["alice@build"]), @"
    --- stderr
    error: cannot connect to alice@build: nothing answers there
      caused by: ssh: connect to host build port 22: Connection refused
    hint: check that the host is up and its ssh port right (ssh://HOST:PORT), or go through another: --ssh 'ssh -J JUMP'
    --- exit 3
    ");
    insta::assert_snapshot!(with_ssh("Host key verification failed.", &["ssh://alice@build:2222"]), @"
    --- stderr
    error: cannot connect to alice@build: its host key is not known
      caused by: Host key verification failed.
    hint: connect once with `ssh ssh://alice@build:2222` and check the fingerprint that it shows
    --- exit 3
    ");
    insta::assert_snapshot!(with_ssh("alice@build: Permission denied (publickey).", &["--push", "alice@build"]), @"
    --- stderr
    error: cannot connect to alice@build: it does not let this user in
      caused by: alice@build: Permission denied (publickey).
    hint: give the host your key (`ssh-copy-id alice@build`), or say which to use: --ssh 'ssh -i KEYFILE'
    --- exit 3
    ");
}

#[test]
fn ssh_gives_up_in_json() {
    let json = with_ssh("alice@build: Permission denied (publickey).", &["--json", "alice@build", "redis"]);
    insta::assert_snapshot!(json, @r#"
    {
      "schema": 1,
      "error": {
        "kind": "authentication",
        "message": "cannot connect to alice@build: it does not let this user in",
        "causes": [
          "alice@build: Permission denied (publickey)."
        ],
        "hint": "give the host your key (`ssh-copy-id alice@build`), or say which to use: --ssh 'ssh -i KEYFILE'"
      }
    }
    --- stderr
    --- exit 3
    "#);
}

#[test]
fn an_agent_is_not_for_people() {
    // Standard input is no terminal and empty here: the agent says who it is, hears nothing, and ends.
    let environment = Environment::new();
    let output = environment.command(crate::environment::PROGRAM).arg("agent").output().unwrap();
    assert!(output.stdout.windows(11).any(|bytes| bytes == b"docker-sync"), "{output:?}");
}
