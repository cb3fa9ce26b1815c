//! An engine behind a `sudo` that wants a password: a person types it on a pseudo-terminal.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dsync_e2e::{Bench, Ran, layer, program};
use dsync_lab::{LoginOptions, Sudo, User};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A bench whose account there may use the engine by sudo alone.
fn bench(line: &str) -> Bench {
    let sudo = Some(Sudo { line: line.into() });
    Bench::builder()
        .login(LoginOptions { user: User::Guest, sudo, ..LoginOptions::default() })
        .fresh()
        .start()
}

/// A run of the program with a person at its terminal.
struct Typed {
    ran: Ran,
    /// All that was on the terminal, but for what the person typed.
    terminal: String,
    /// The number of times that a sudo was seen among the processes.
    sudos: u32,
}

/// Runs the program with a terminal of its own, on which these passwords are typed where it asks. None of them may be
/// seen in a process or a message.
fn typing(bench: &Bench, args: &[&str], passwords: &[&str]) -> Typed {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = File::options().read(true).write(true).open(name).unwrap();
    let mut command = bench.bare_command("/usr/bin/setsid");
    command.args(["--ctty", "--wait"]).arg(program()).args(["--ssh", &bench.ssh()]).args(args);
    command.stdin(slave);
    let (mut out, mut keys) = (File::from(master.try_clone().unwrap()), File::from(master));
    let mut passwords: Vec<String> = passwords.iter().map(|&password| password.to_owned()).collect();
    let secrets = passwords.clone();
    passwords.reverse();
    let person = thread::spawn(move || {
        let (mut seen, mut answered, mut block) = (String::new(), 0, [0; 4096]);
        // It ends with an error when the last who had the other end is gone.
        while let Ok(count @ 1..) = out.read(&mut block) {
            seen.push_str(&String::from_utf8_lossy(&block[..count]));
            while seen.matches("[sudo] password ").count() > answered && seen.ends_with(": ") {
                answered += 1;
                // The answer must not be shown.
                while tcgetattr(&keys).unwrap().local_modes.contains(LocalModes::ECHO) {
                    thread::sleep(Duration::from_millis(2));
                }
                let line = passwords.pop().expect("it asks once more") + "\n";
                keys.write_all(line.as_bytes()).unwrap();
            }
        }
        seen
    });
    let watch = Watch::start(&secrets);
    let ran = bench.run_command(command);
    let terminal = person.join().unwrap();
    let sudos = watch.end();
    for secret in &secrets {
        assert!(!format!("{terminal}{ran}").contains(secret.as_str()), "{terminal}{ran}");
    }
    Typed { ran, terminal, sudos }
}

/// Looks through the command lines and variables of all processes again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(u32, BTreeSet<String>)>,
}

impl Watch {
    fn start(secrets: &[String]) -> Watch {
        let (stop, secrets) = (Arc::new(AtomicBool::new(false)), secrets.to_vec());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut sudos, mut found) = (0, BTreeSet::new());
            while !stopped.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let read = |file: &str| fs::read(process.path().join(file)).unwrap_or_default();
                    let all = [read("cmdline"), read("environ")].concat();
                    let all = String::from_utf8_lossy(&all);
                    sudos += u32::from(all.starts_with("sudo\0") || all.contains("/sudo\0"));
                    if secrets.iter().any(|secret| all.contains(secret.as_str())) {
                        found.insert(all.into_owned());
                    }
                }
                thread::sleep(Duration::from_millis(2));
            }
            (sudos, found)
        });
        Watch { stop, thread }
    }

    fn end(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let (sudos, found) = self.thread.join().unwrap();
        assert!(found.is_empty(), "{found:?}");
        sudos
    }
}

const BY_SUDO: [&str; 2] = ["--remote-docker", "sudo docker"];

fn prompts(terminal: &str) -> usize {
    terminal.matches("[sudo] password for guest on ").count()
}

/// An image goes there and another one comes here; each run asks once.
fn crosses_both_ways(line: &str) {
    let bench = bench(line);
    let pushed = bench.image("web:1").layer(&layer(&bench.name("sudo-push"), 200_000));
    bench.here().put(&pushed);
    let name = bench.name("web:1");
    let push = [&["--push", "-v", "--explain", bench.remote(), &name], &BY_SUDO[..]].concat();
    let Typed { ran, terminal, sudos } = typing(&bench, &push, &[Sudo::PASSWORD]);
    assert!(sudos > 0, "no process was seen: {ran}");
    let _ = ran.ok().says("added");
    assert_eq!(prompts(&terminal), 1, "{terminal}");
    assert!(terminal.contains(&format!("[sudo] password for guest on {}: ", bench.remote())), "{terminal}");
    bench.there().assert_is("web:1", &pushed);
    let pulled = bench.image("app:1").layer(&layer(&bench.name("sudo-pull"), 200_000));
    bench.there().put(&pulled);
    let name = bench.name("app:1");
    let Typed { ran, terminal, .. } =
        typing(&bench, &[&[bench.remote(), &name], &BY_SUDO[..]].concat(), &[Sudo::PASSWORD]);
    let _ = ran.ok().says("added");
    assert_eq!(prompts(&terminal), 1, "{terminal}");
    bench.here().assert_is("app:1", &pulled);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_password_for_sudo_is_asked_for_once() {
    crosses_both_ways("Defaults use_pty");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_sudo_that_remembers_nothing_is_given_the_password_each_time() {
    crosses_both_ways("Defaults timestamp_timeout=0");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_wrong_password_is_asked_for_again_and_three_end_the_run() {
    let bench = bench("Defaults passwd_tries=1");
    bench.there().put(&bench.image("web:1").layer(&layer("sudo-wrong", 1_000)));
    let report = [&[bench.remote()], &BY_SUDO[..]].concat();
    let Typed { ran, terminal, .. } = typing(&bench, &report, &["lab-Wrong.1", Sudo::PASSWORD]);
    let _ = ran.ok();
    assert_eq!((prompts(&terminal), terminal.matches("Sorry, try again.").count()), (2, 1), "{terminal}");
    let Typed { ran, terminal, .. } = typing(&bench, &report, &["lab-Wrong.1", "lab-Wrong.2", "lab-Wrong.3"]);
    let ran = ran.exits(4).says(&format!("error: on {}: sudo took none of 3 passwords\n", bench.remote()));
    let _ = ran.says(&format!("{} -t sudo -v`", bench.remote()));
    assert_eq!(prompts(&terminal), 3, "{terminal}");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn without_a_terminal_there_is_the_hint() {
    let bench = bench("");
    for sudo in ["sudo docker", "sudo -n docker"] {
        let mut command = bench.bare_command("/usr/bin/setsid");
        command.arg("--wait").arg(program()).args([
            "--ssh",
            &bench.ssh(),
            bench.remote(),
            "--remote-docker",
            sudo,
        ]);
        let ran = bench.run_command(command).exits(4).says("sudo: a password is required\n");
        let _ =
            ran.says("hint: let sudo run it without a password: `USER ALL=(root) NOPASSWD: /usr/bin/docker`");
    }
    // Who says -n is not asked on a terminal, either.
    let Typed { ran, terminal, .. } =
        typing(&bench, &[bench.remote(), "--remote-docker", "sudo -n docker"], &[]);
    let _ = ran.exits(4).says("sudo: a password is required\n");
    assert_eq!(terminal, "");
}
