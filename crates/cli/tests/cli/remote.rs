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
    error: cannot connect to alice@build: the program that stands for ssh cannot be run
      caused by: '/nowhere/ssh' cannot be run: No such file or directory (os error 2)
    hint: --ssh and $DOCKER_SYNC_SSH take a program and its options, as 'ssh -i key'
    --- exit 3
    ");
}

#[test]
fn ssh_gives_up() {
    insta::assert_snapshot!(with_ssh("ssh: Could not resolve hostname build: Name or service not known", &["alice@build"]), @"
    --- stderr
    error: cannot connect to alice@build: its name cannot be resolved
      caused by: ssh: Could not resolve hostname build: Name or service not known
    hint: check the spelling, and the Host entries of ~/.ssh/config
    --- exit 3
    ");
    insta::assert_snapshot!(with_ssh("ssh: connect to host build port 22: Connection refused", &["alice@build"]), @"
    --- stderr
    error: cannot connect to alice@build: it does not answer
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
    error: cannot connect to alice@build: it rejects this user
      caused by: alice@build: Permission denied (publickey).
    hint: give the host your key (`ssh-copy-id alice@build`), or name the one to use: --ssh 'ssh -i KEYFILE'
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
        "message": "cannot connect to alice@build: it rejects this user",
        "causes": [
          "alice@build: Permission denied (publickey)."
        ],
        "hint": "give the host your key (`ssh-copy-id alice@build`), or name the one to use: --ssh 'ssh -i KEYFILE'"
      },
      "warnings": []
    }
    --- stderr
    --- exit 3
    "#);
}

/// A run against an account for which the host does this in place of any command.
fn with_account(does: &str, arguments: &[&str]) -> String {
    let environment = Environment::new();
    std::fs::create_dir(environment.path().join("layout")).unwrap();
    // The master of a connection makes its socket when it has logged in.
    let master = r#"for word; do case $word in ControlPath=*) socket=${word#*=};; ControlMaster=yes) master=1;; esac; done
        [ -z "$master" ] || : >"$socket""#;
    environment
        .script("ssh", &format!("echo dialled >>{}/dials\n{master}\n{does}", environment.path().display()));
    let ran = environment.run(&[&["--docker", "oci:layout", "alice@build"], arguments].concat()).to_string();
    let dials = std::fs::read_to_string(environment.path().join("dials")).unwrap();
    assert!(arguments.contains(&"--method") || dials.lines().count() == 1, "{dials}{ran}");
    ran
}

#[test]
fn an_account_that_runs_no_commands() {
    let nologin = "echo This account is currently not available.; exit 1";
    insta::assert_snapshot!(with_account(nologin, &[]), @"
    --- stderr
    error: alice@build runs no commands for this account
      caused by: This account is currently not available.
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST
    --- exit 3
    ");
    for method in ["delta", "stream", "rsync"] {
        assert_eq!(with_account(nologin, &["--method", method]), with_account(nologin, &[]), "{method}");
    }
    insta::assert_snapshot!(with_account("echo This service allows sftp connections only.; exit 1", &[]), @"
    --- stderr
    error: alice@build runs no commands for this account
      caused by: This service allows sftp connections only.
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST
    --- exit 3
    ");
    let git = r#"for command; do :; done; echo "fatal: unrecognized command '$command'" >&2; exit 128"#;
    insta::assert_snapshot!(with_account(git, &[]), @"
    --- stderr
    error: alice@build runs no commands for this account
      caused by: fatal: unrecognized command 'exec /bin/sh -c 'q=$PATH;PATH=;IFS=:;set -f;for d in $q;do case $d in /*) PATH=$PATH$d:;;esac;done;unset IFS;PATH=$PATH/usr/local/bin:/usr/bin:/bin;v=$2;z=$3;f=nowhere;w=$…
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST
    --- exit 3
    ");
    insta::assert_snapshot!(with_account("echo Hello; echo you have no shell here. >&2; exit 0", &[]), @"
    --- stderr
    error: alice@build runs no commands for this account
      caused by: Hello
      caused by: you have no shell here.
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST
    --- exit 3
    ");
    insta::assert_snapshot!(with_account("exit 1", &[]), @"
    --- stderr
    error: alice@build runs no commands for this account
    hint: an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST
    --- exit 3
    ");
}

#[test]
fn an_account_that_runs_no_commands_in_json() {
    insta::assert_snapshot!(with_account("echo Go away; exit 1", &["--json"]), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "no-shell",
        "message": "alice@build runs no commands for this account",
        "causes": [
          "Go away"
        ],
        "hint": "an account with a shell is needed, not one for sftp, git or a single command: `ssh alice@build true` must succeed. Log in as another with USER@HOST"
      },
      "warnings": []
    }
    --- stderr
    --- exit 3
    "#);
}

/// As OpenSSH before 8.7 and before 7.6: what it is given it must know, and it says so before it connects.
#[test]
fn an_older_ssh_is_not_given_what_it_does_not_know() {
    for unknown in [&["StdinNull"][..], &["StdinNull", "RemoteCommand"]] {
        let environment = Environment::new();
        let refuse = |option: &&str| {
            let lower = option.to_lowercase();
            format!(
                "*{option}=*) echo command-line: line 0: Bad configuration option: {lower} >&2; exit 255;;"
            )
        };
        let cases: String = unknown.iter().map(refuse).collect();
        let log = environment.path().join("log");
        environment
            .script("ssh", &format!("case \"$*\" in {cases} esac; echo \"$*\" >{}; exit 1", log.display()));
        let ran = environment.run(&["alice@build"]);
        assert!(ran.err.contains("runs no commands for this account"), "{ran}");
        let given = std::fs::read_to_string(log).unwrap();
        assert!(given.starts_with("-T ") && given.contains(" -- alice@build exec "), "{given}");
        assert_eq!(given.contains("RemoteCommand=none"), unknown.len() == 1, "{given}");
    }
}

#[test]
fn an_agent_is_not_for_people() {
    // Standard input is no terminal and empty here: the agent says who it is, hears nothing, and ends.
    let environment = Environment::new();
    let output = environment.command(crate::environment::PROGRAM).arg("agent").output().unwrap();
    assert!(output.stdout.windows(11).any(|bytes| bytes == b"docker-sync"), "{output:?}");
}

#[test]
fn the_doctor_says_what_is_in_the_way() {
    let environment = Environment::new();
    environment.script("ssh", "echo 'ssh: connect to host build port 22: Connection refused' >&2; exit 255");
    let ran = environment.run(&["doctor", "--docker", "oci:lay", "build"]);
    assert_eq!(ran.exit, Some(3), "{ran}");
    let [here, there, verdict] = ran.out.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{ran}") };
    assert_eq!(verdict, "not ready to sync: 1 problem\n");
    assert!(here.starts_with("this host\n  ✓ engine   oci:lay\n") && !here.contains('✗'), "{ran}");
    insta::assert_snapshot!(there, @"
    build
      ✗ ssh      cannot connect to build: it does not answer
                 caused by: ssh: connect to host build port 22: Connection refused
                 hint: check that the host is up and its ssh port right (ssh://HOST:PORT), or go through another: --ssh 'ssh -J JUMP'
    ");
    // An ssh that runs the command on this host.
    environment.script("ssh", "for last; do :; done\nexec sh -c \"$last\"");
    let arguments = ["doctor", "--docker", "oci:lay", "--remote-docker", "oci:other", "build", "--json"];
    let ran = environment.run(&arguments);
    assert_eq!(ran.exit, Some(0), "{ran}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let of_build = checks.iter().filter(|check| check["host"] == "build");
    let mut names: Vec<&str> = of_build.map(|check| check["name"].as_str().unwrap()).collect();
    // Its folders are of one file system or of several.
    names.dedup();
    assert_eq!(names, ["ssh", "agent", "engine", "account", "space", "rsync", "link", "clock"], "{ran}");
    assert!(json["link"]["up"].as_u64().unwrap() > 0, "{ran}");
    assert!(!environment.path().join("lay").exists(), "nothing was made");
    let ran = environment.run(&["doctor", "--docker", "oci:lay", "oci:other"]);
    assert!(ran.exit == Some(0) && !ran.out.contains("ssh"), "there is no ssh: {ran}");
}

#[test]
fn a_docker_context_over_ssh_is_a_remote() {
    let environment = Environment::new();
    let context = |hash: &str, host: &str| {
        let folder = environment.path().join(".docker/contexts/meta").join(hash);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = format!(r#"{{"Name":"x","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
        std::fs::write(folder.join("meta.json"), meta).unwrap();
    };
    // `printf prod | sha256sum`, and of lab.
    context("6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77", "ssh://deploy@prod:2222");
    context("a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7", "tcp://10.0.0.7:2376");
    environment.script("ssh", "echo \"ssh was called: $*\" >&2; exit 255");
    let ran = environment.run(&["--docker", "oci:lay", "context:prod", "-v"]);
    assert!(ran.exit == Some(3) && ran.err.contains("ssh was called: "), "{ran}");
    assert!(ran.err.contains("-p 2222") && ran.err.contains("deploy@prod"), "{ran}");
    let ran = environment.run(&["context:lab"]);
    assert!(ran.exit == Some(2) && ran.err.contains("is at tcp://10.0.0.7:2376"), "{ran}");
    let ran = environment.run(&["context:other"]);
    assert!(ran.exit == Some(2) && ran.err.contains("there is no docker context 'other'"), "{ran}");
}
