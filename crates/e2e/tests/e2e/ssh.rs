//! Hosts as they are: with other shells, poor accounts, and doors that stay closed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dsync_e2e::{Bench, Ran, agent_file, layer, program};
use dsync_lab::{HostKey, Link, LoginOptions, Place, Shell};

/// All that goes through a login shell: the bootstrap with its upload, the agent from the cache, and the
/// scripts of the way without an agent. Each over one connection, as the counter of bytes asserts.
fn everything_works_with(login: LoginOptions) -> Bench {
    let bench = Bench::builder().login(login).fresh().start();
    let images = ["first:1", "second:1", "third:1"].map(|name| {
        let image = bench.image(name).layer(&layer(&bench.name(name), 30_000));
        bench.there().put(&image);
        (name, image)
    });
    let name = |n: usize| bench.name(images[n].0);
    bench.pull(&[&name(0)]).ok().wire_at_least(1_000_000).wire_at_most(1_650_000);
    bench.pull(&[&name(1)]).ok().wire_at_most(50_000);
    // The list of all images of the engine crosses as docker prints it.
    bench.pull(&["--method", "stream", &name(2)]).ok().wire_at_most(400_000);
    images.iter().for_each(|(name, image)| bench.here().assert_is(name, image));
    let pushed = bench.image("fourth:1").layer(&layer(&bench.name("fourth"), 30_000));
    bench.here().put(&pushed);
    bench.push(&["--method", "stream", &bench.name("fourth:1")]).ok().wire_at_most(400_000);
    bench.there().assert_is("fourth:1", &pushed);
    bench
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_be_bash() {
    let _ = everything_works_with(LoginOptions { shell: Shell::Bash, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_be_dash() {
    let _ = everything_works_with(LoginOptions { shell: Shell::Dash, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_be_busybox_ash() {
    let _ = everything_works_with(LoginOptions { shell: Shell::Ash, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_be_fish() {
    let _ = everything_works_with(LoginOptions { shell: Shell::Fish, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_be_tcsh() {
    let _ = everything_works_with(LoginOptions { shell: Shell::Tcsh, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_login_shell_may_print_a_banner() {
    let banner = Some("*** Welcome! ***\n\"It's\" `all` $good \u{e9}\n".to_owned());
    let _ = everything_works_with(LoginOptions { banner, ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_need_not_be_on_the_path() {
    let hide = vec!["docker".to_owned(), "podman".to_owned()];
    let _ = everything_works_with(LoginOptions { hide, ..Default::default() });
}

/// The agent is put elsewhere, in a directory of its user's own.
fn the_agent_lives_in_var_tmp_with(login: LoginOptions) {
    let bench = everything_works_with(login);
    let folder = bench.login().var_tmp().join("docker-sync-0");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(folder.join(agent_file()).is_file());
    assert!(!bench.login().home().join(".cache/docker-sync").join(agent_file()).exists());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_home_may_be_read_only() {
    the_agent_lives_in_var_tmp_with(LoginOptions { read_only: vec![Place::Home], ..Default::default() });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_home_may_forbid_programs() {
    the_agent_lives_in_var_tmp_with(LoginOptions { no_exec: vec![Place::Home], ..Default::default() });
}

/// A report of a host that is not reached: nothing on standard output, exit code 3.
fn unreachable(bench: &Bench, remote: &str) -> Ran {
    let ran = bench.run(&[remote]).exits(3);
    assert_eq!(ran.out, "");
    ran
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_host_that_knows_no_key_of_ours_is_told_by_name() {
    let bench = Bench::start();
    let remote = format!("{}-nokey", bench.remote());
    unreachable(&bench, &remote)
        .says(&format!("error: cannot connect to {remote}: it rejects this user\n"))
        .says("caused by: root@127.0.0.1: Permission denied (publickey).")
        .says(&format!("hint: give the host your key (`ssh-copy-id {remote}`)"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_unknown_host_key_is_told_by_name() {
    let bench = Bench::start();
    let link = Link { host_key: HostKey::Unknown, ..Default::default() };
    let remote = bench.login().link("newkey", &link).unwrap();
    unreachable(&bench, &remote)
        .says(&format!("error: cannot connect to {remote}: its host key is not known\n"))
        .says(&format!("hint: connect once with `{} {remote}` and check the fingerprint", bench.ssh()));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_changed_host_key_is_told_by_name_and_nobody_is_told_to_accept_it() {
    let bench = Bench::start();
    let remote = format!("{}-badkey", bench.remote());
    let ran = unreachable(&bench, &remote)
        .says(&format!("error: cannot connect to {remote}: its host key has changed\n"))
        .says("hint: the host was installed anew, or someone intercepts the connection");
    assert!(!ran.err.contains("connect once"), "{ran}");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_refused_connection_is_told_by_name() {
    let bench = Bench::start();
    // Port 1 is tcpmux, which nobody has.
    unreachable(&bench, "ssh://root@127.0.0.1:1")
        .says("error: cannot connect to root@127.0.0.1: it does not answer\n")
        .says("caused by: ssh: connect to host 127.0.0.1 port 1: Connection refused")
        .says("hint: check that the host is up and its ssh port right (ssh://HOST:PORT)");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_host_that_nobody_knows_is_told_by_name() {
    let bench = Bench::start();
    unreachable(&bench, "no-such-host.invalid")
        .says("error: cannot connect to no-such-host.invalid: its name cannot be resolved\n")
        .says("hint: check the spelling");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_way_without_an_agent_fails_with_the_same_words() {
    let bench = Bench::start();
    let remote = format!("{}-nokey", bench.remote());
    for method in ["stream", "rsync"] {
        let ran = bench.run(&["--method", method, &remote]).exits(3);
        let _ = ran.says(": it rejects this user\n");
    }
}

/// An account that runs something in place of every command: what that says is shown, and nothing is tried again.
fn an_account_that_runs_only(forced: &str, says: &str) {
    let login = LoginOptions { forced: Some(forced.into()), ..Default::default() };
    let bench = Bench::builder().login(login).start();
    for method in ["auto", "delta", "stream", "rsync"] {
        let ran = bench.run(&["--method", method, bench.remote()]).exits(3);
        let ran = ran.says(&format!("error: {} runs no commands for this account\n", bench.remote()));
        assert_eq!((ran.says(says).wire.connections, method), (1, method));
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_account_for_sftp_is_told_from_a_lost_connection() {
    an_account_that_runs_only("internal-sftp", "caused by: This service allows sftp connections only.\n");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_account_that_must_not_log_in_is_told_from_a_lost_connection() {
    an_account_that_runs_only("/usr/sbin/nologin", "caused by: This account is currently not available.\n");
    an_account_that_runs_only("/bin/false", "hint: an account with a shell is needed");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_account_with_a_command_of_its_own_is_told_from_a_lost_connection() {
    an_account_that_runs_only("echo Thursday; echo no shell here >&2", "caused by: Thursday\n");
}

/// With each of these settings ssh itself would run no command, or none that hears us.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn settings_under_which_no_command_runs_are_overridden() {
    let bench = Bench::start();
    bench.there().put(&bench.image("web:1").layer(&layer(&bench.name("web"), 1000)));
    for setting in [
        "StdinNull yes",
        "RemoteCommand echo hello",
        "RequestTTY force",
        "ForkAfterAuthentication yes",
        "SessionType none",
    ] {
        let config = bench.work().join("ssh_config");
        // An ssh that does not know it ignores it, in the file.
        let ignored = "IgnoreUnknown StdinNull,RemoteCommand,ForkAfterAuthentication,SessionType";
        let lab = bench.lab().ssh_config().display().to_string();
        fs::write(&config, format!("{ignored}\nInclude {lab}\nHost *\n\t{setting}\n")).unwrap();
        for method in ["delta", "stream", "rsync"] {
            let mut command = bench.bare_command(program());
            command.args(["--ssh", &format!("ssh -F {}", config.display()), "--method", method]);
            command.args([bench.remote(), &bench.name("web:1")]);
            let ran = bench.run_command(command).ok();
            assert_eq!((ran.wire.connections, setting, method), (1, setting, method));
            bench.assert_same_layers("web:1");
            bench.here().docker(&["rmi", &bench.name("web:1")]);
        }
    }
}

/// Else ssh would run the program that such a host names.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_host_is_never_an_option() {
    let bench = Bench::start();
    let evidence = bench.work().join("evidence");
    let option = format!("-oProxyCommand=touch${{IFS}}{}", evidence.display());
    for remote in [&option, &format!("root@{option}"), "ssh://-oProxyCommand=x", "ssh://root@-x:22"] {
        let _ = bench.run(&["--", remote]).exits(2).says("a host must not begin with '-'");
    }
    assert!(!evidence.exists());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_url_names_user_and_port() {
    let bench = Bench::start();
    bench.there().put(&bench.image("web:1").layer(&layer(&bench.name("web"), 1000)));
    let port = bench.login().port();
    // The configuration has another port for this name than the login's own, which is not listened on.
    let config = bench.work().join("ssh_config");
    let lab = fs::read_to_string(login_config(&bench)).unwrap();
    let lab = lab.replace(&format!("Port {port}"), "Port 1").replace("User root", "User nobody");
    fs::write(&config, format!("{lab}\nInclude {}\n", bench.lab().ssh_config().display())).unwrap();
    let with_config = |remote: &str| {
        let mut command = bench.bare_command(program());
        command.args(["--ssh", &format!("ssh -F {}", config.display()), remote, &bench.name("web:1")]);
        bench.run_command(command)
    };
    let _ = with_config(&format!("ssh://root@{}:{port}", bench.remote())).ok();
    bench.assert_same_layers("web:1");
    let _ = with_config(bench.remote()).exits(3);
}

fn login_config(bench: &Bench) -> PathBuf {
    bench.login().home().parent().unwrap_or(Path::new("/")).join("ssh_config")
}
