//! A sync that ends in the middle: the target is as it was, nothing is left on either side, and the same
//! command works afterwards.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{Bench, Running, layer};
use dsync_lab::Link;
use dsync_lab::images::Image;

use super::engines::in_front_of_docker;

/// The time that a program that was asked to end may take, on a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_secs(5);

/// An image of which the target has another version, and a link that takes seconds for what is new.
struct Update {
    bench: Bench,
    push: bool,
    method: &'static str,
    remote: String,
    old: Image,
    new: Image,
}

impl Update {
    fn pull(method: &'static str, tag: &str) -> Update {
        Update::new(false, method, tag)
    }

    fn push(method: &'static str, tag: &str) -> Update {
        Update::new(true, method, tag)
    }

    fn new(push: bool, method: &'static str, tag: &str) -> Update {
        let bench = Bench::start();
        let old = bench.image("web:1").layer(&layer(&format!("midway-{tag}-old"), 1_000));
        let new = bench.image("web:1").layer(&layer(&format!("midway-{tag}-new"), 4_000_000));
        let remote = bench.login().link("slow", &Link { rate_mbit: 8.0, ..Link::default() }).unwrap();
        let (source, target) =
            if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
        target.put(&old);
        source.put(&new);
        Update { bench, push, method, remote, old, new }
    }

    /// The command, in a process group of its own as a shell gives it.
    fn command(&self, remote: &str) -> Command {
        let mut command = self.bench.command();
        command.args(["--method", self.method, remote, &self.bench.name("web:1")]).process_group(0);
        command.args(self.push.then_some("--push"));
        command
    }

    /// Starts it and waits until the contents are on their way.
    fn start(&self) -> Running<'_> {
        let running = self.bench.spawn(self.command(&self.remote));
        let sign = match (self.method, self.push) {
            // The program that packs the archive there, and waits for the link.
            ("stream", false) => "zstd -q",
            ("rsync", _) => "rsync --server",
            _ => "load --quiet",
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.pid_of(sign).is_none() {
            assert!(Instant::now() < deadline, "no '{sign}' came up: {:?}", self.bench.processes());
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(500));
        running
    }

    /// A process of this test, by a piece of its command line.
    fn pid_of(&self, piece: &str) -> Option<String> {
        let processes = self.bench.processes();
        let process = processes.iter().find(|line| line.contains(piece))?;
        process.split_whitespace().next().map(str::to_owned)
    }

    /// The target has what it had, and works.
    fn assert_undone(self) {
        let bench = &self.bench;
        let target = if self.push { bench.there() } else { bench.here() };
        target.assert_is("web:1", &self.old);
        assert_eq!(target.id(&self.new.id().to_string()), None);
        bench.run_command(self.command(bench.remote())).ok();
        target.assert_is("web:1", &self.new);
    }
}

fn signal(name: &str, to: &str) {
    assert!(Command::new("kill").args([name, "--", to]).status().unwrap().success());
}

/// The signal comes; the program ends soon with this code, and leaves nothing behind on either side.
fn ended(update: Update, name: &str, to: fn(u32) -> String, code: Option<i32>) {
    let running = update.start();
    let begin = Instant::now();
    signal(name, &to(running.child.id()));
    let ran = running.finish();
    assert_eq!(ran.exit, code, "{ran}");
    assert!(begin.elapsed() < PROMPT, "it took {:?} to end: {ran}", begin.elapsed());
    update.assert_undone();
}

/// Ctrl-C reaches all processes of the group, ssh and docker among them.
fn ctrl_c(update: Update) {
    ended(update, "-INT", |pid| format!("-{pid}"), Some(130));
}

/// A service manager sends this, to the program alone.
fn terminate(update: Update) {
    ended(update, "-TERM", |pid| pid.to_string(), Some(143));
}

fn kill(update: Update) {
    ended(update, "-KILL", |pid| pid.to_string(), None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn ctrl_c_while_it_pulls() {
    ctrl_c(Update::pull("delta", "ctrl-c-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn ctrl_c_while_it_pushes() {
    ctrl_c(Update::push("delta", "ctrl-c-push"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn ctrl_c_while_rsync_pulls() {
    ctrl_c(Update::pull("rsync", "ctrl-c-rsync"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn ctrl_c_while_a_stream_is_pushed() {
    ctrl_c(Update::push("stream", "ctrl-c-stream"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn terminated_while_it_pulls() {
    terminate(Update::pull("delta", "term-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn terminated_while_it_pushes() {
    terminate(Update::push("delta", "term-push"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn terminated_while_rsync_pushes() {
    terminate(Update::push("rsync", "term-rsync"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn terminated_while_a_stream_is_pulled() {
    terminate(Update::pull("stream", "term-stream"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_agent_outlives_a_killed_client_that_pulled() {
    kill(Update::pull("delta", "kill-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_agent_outlives_a_killed_client_that_pushed() {
    kill(Update::push("delta", "kill-push"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_connection_outlives_a_killed_client_that_had_no_agent() {
    kill(Update::pull("stream", "kill-stream"));
}

/// Nor does it wait for an engine that takes its time.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_agent_outlives_a_killed_client_while_the_engine_is_slow() {
    let update = Update::pull("delta", "kill-slow");
    let bench = &update.bench;
    let slow = "case $1 in info) $docker \"$@\" | sed s/DockerRootDir/Nothing/;; save) sleep 30;; *) exec $docker \"$@\";; esac";
    in_front_of_docker(&bench.login().bin(), slow);
    let mut running = bench.spawn(update.command(&update.remote));
    let wait_for = |what: &str, there: bool| {
        let begin = Instant::now();
        while update.pid_of(what).is_some() != there {
            assert!(begin.elapsed() < Duration::from_secs(20), "{what}: {:?}", bench.processes());
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("sleep 30", true);
    running.child.kill().unwrap();
    wait_for("/agent-", false);
    let _ = running.finish_untidily();
    signal("-TERM", &update.pid_of("sleep 30").unwrap());
    bench.here().assert_is("web:1", &update.old);
}

fn killed_agent(update: Update) {
    let running = update.start();
    signal("-KILL", &update.pid_of("/agent-").unwrap());
    let host = &update.remote;
    running
        .finish()
        .exits(3)
        .says(&format!("the connection to {host} was lost\n"))
        .says("hint: no image was left half done; run the same command again");
    update.assert_undone();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_agent_that_is_killed_as_the_source() {
    killed_agent(Update::pull("delta", "agent-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_agent_that_is_killed_as_the_target() {
    killed_agent(Update::push("delta", "agent-push"));
}

/// The cable is cut when three of four megabytes are there: only the fourth crosses again.
fn goes_on(update: Update) {
    let cut = Some(3_000_000);
    // ssh has up to 2 MB in its buffers where a link is faster than its reader, and loses them.
    let slow = Link { rate_mbit: 16.0, ..Link::default() };
    let link = if update.push { Link { cut_up: cut, ..slow } } else { Link { cut_down: cut, ..slow } };
    let remote = update.bench.login().link("cut", &link).unwrap();
    // The agent is there already.
    update.bench.run(&[update.bench.remote()]).ok();
    let _ = update.bench.run_command(update.command(&remote)).exits(3).says("was lost");
    let rest = update.bench.run_command(update.command(update.bench.remote())).ok();
    let _ = rest.wire_at_least(900_000).wire_at_most(1_200_000);
    let target = if update.push { update.bench.there() } else { update.bench.here() };
    target.assert_is("web:1", &update.new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_pull_that_broke_goes_on_where_it_ended() {
    goes_on(Update::pull("delta", "goes-on-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_push_that_broke_goes_on_where_it_ended() {
    goes_on(Update::push("delta", "goes-on-push"));
}

/// The cable is cut after a megabyte.
fn cut_cable(update: Update) {
    let cut = Some(1_000_000);
    let link = if update.push {
        Link { cut_up: cut, ..Link::default() }
    } else {
        Link { cut_down: cut, ..Link::default() }
    };
    let remote = update.bench.login().link("cut", &link).unwrap();
    let _ = update.bench.run_command(update.command(&remote)).exits(3).says("was lost");
    update.assert_undone();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_cable_that_is_cut_while_it_pulls() {
    cut_cable(Update::pull("delta", "cut-pull"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_cable_that_is_cut_while_it_pushes() {
    cut_cable(Update::push("delta", "cut-push"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_cable_that_is_cut_while_a_stream_is_pulled() {
    cut_cable(Update::pull("stream", "cut-stream"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_cable_that_is_cut_while_rsync_pushes() {
    cut_cable(Update::push("rsync", "cut-rsync"));
}
