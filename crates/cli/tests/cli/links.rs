//! Links that fall silent or break, hosts that are busy, and engines that hang: what is noticed, and what is tried again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::{Channel, Header, Open, PREAMBLE_LEN, Request, encode, limits};

use crate::environment::{PROGRAM, Ran};
use crate::liars::{BOUNDED, LISTENS, Liar, finished, images, opened};

/// Runs it without a terminal on which ssh could ask a person: that is waited for.
#[track_caller]
fn run_alone(liar: &Liar, arguments: &[&str]) -> Ran {
    let given = liar.command(&[&["evil"], arguments].concat());
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(given.get_program()).args(given.get_args()).env_clear();
    command.envs(given.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(liar.0.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finished(command.spawn().unwrap(), BOUNDED)
}

/// True while a process of this number runs.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < BOUNDED, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_remote_that_falls_silent_is_given_up_and_its_ssh_ended() {
    let silent = "echo $$ >pid; trap '' TERM; exec sleep 60";
    let wanted = format!("echo docker-sync-bootstrap wanted Plan9 mips; {silent}");
    let (opened, images) = (opened("docker"), images("", &[]));
    for liar in [
        // A port that accepts and says nothing, a host that hangs before it runs the agent, one that takes no upload.
        Liar::new(silent),
        Liar::saying(&[], silent),
        Liar::saying(std::slice::from_ref(&opened), silent),
        Liar::saying(&[opened, images], silent),
    ] {
        let ran = run_alone(&liar, &["--timeout", "1", "img:1"]);
        let ran = ran.exits(3).says("nothing was heard from evil for 1 s\n");
        assert!(ran.err.contains("--timeout 300") && liar.dials() == 1, "{ran}");
        let pid = fs::read_to_string(liar.path("pid")).unwrap();
        wait_until("its ssh still runs", || !runs(pid.trim()));
    }
    // Bytes may be under way for as long as the link is slow: 1.2 MB at 16 KiB/s. So that is not waited for here.
    let _ = Liar::new(&wanted).interrupted("-INT", &["--timeout", "1"]).exits(130);
}

#[test]
fn a_way_without_an_agent_gives_up_a_silent_host_too() {
    for method in ["stream", "rsync"] {
        let liar = Liar::new("exec sleep 60");
        let ran = run_alone(&liar, &["--timeout", "1", "--method", method]);
        let _ = ran.exits(3).says("nothing was heard from evil for 1 s");
    }
}

#[test]
fn what_may_be_over_in_a_moment_is_tried_again_and_the_answer_of_a_host_is_not() {
    let refused = "echo 'ssh: connect to host evil port 22: Connection refused' >&2; exit 255";
    let then =
        |answer: &str| Liar::new(&format!("if [ $(wc -l <dials) -gt 1 ]; then {answer}; fi\n{refused}"));
    let denied = "echo 'evil: Permission denied (publickey).' >&2; exit 255";
    let liar = then(denied);
    let ran =
        liar.run(&["--retries", "2"]).exits(3).says("error: cannot connect to evil: it rejects this user");
    assert_eq!(liar.dials(), 2, "{ran}");
    let warnings: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    let [warning] = warnings[..] else { panic!("{ran}") };
    let expected = "warning: cannot connect to evil: ssh: connect to host evil port 22: Connection refused; trying again in ";
    assert!(warning.starts_with(expected) && warning.ends_with(" s (1 of 2)"), "{warning}");

    for (answer, exit) in [
        (denied, 3),
        ("echo 'Host key verification failed.' >&2; exit 255", 3),
        ("echo 'ssh: Could not resolve hostname evil: Name or service not known' >&2; exit 255", 3),
        ("exit 255", 3),
        ("echo no shell here; exit 1", 3),
    ] {
        let liar = Liar::new(answer);
        let ran = liar.run(&["--retries", "2"]).exits(exit);
        assert!(liar.dials() == 1 && !ran.err.contains("trying again"), "{answer}: {ran}");
    }
    let liar = Liar::new(refused);
    let ran = liar.run(&["--retries", "1"]).exits(3).says("it does not answer").says("(1 of 1)");
    assert_eq!(liar.dials(), 2, "{ran}");
}

#[test]
fn the_document_of_an_error_has_the_warnings_of_all_tries() {
    let refused = "echo 'ssh: connect to host evil port 22: Connection refused' >&2; exit 255";
    let ran = Liar::new(refused).run(&["--retries", "2", "--json"]).exits(3);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["error"]["kind"], "unreachable", "{ran}");
    let warnings: Vec<&str> =
        document["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect();
    let [first, second] = warnings[..] else { panic!("{ran}") };
    for (warning, count) in [(first, "(1 of 2)"), (second, "(2 of 2)")] {
        assert!(warning.contains("Connection refused; trying again in "), "{warning}");
        assert!(warning.ends_with(count), "{warning}");
    }
    assert_eq!(ran.err, "", "a program reads the document only");
}

/// A killed ssh, an agent that was killed, a connection that was cut within the upload: nobody refused an agent.
#[test]
fn a_fault_before_the_agent_speaks_is_tried_again_and_no_reason_to_do_without_one() {
    let wanted = "echo docker-sync-bootstrap wanted Plan9 mips; read -r n s;";
    for fault in [
        "kill -KILL $$".to_owned(),
        format!("{wanted} exit 137"),
        format!("{wanted} kill -KILL $$"),
        format!("{wanted} echo 'Connection reset by peer' >&2; exit 255"),
        format!("{wanted} head -c $n >/dev/null; echo docker-sync-bootstrap none unwritten; exit 9"),
    ] {
        let liar = Liar::new(&fault);
        let ran = liar.run(&["--retries", "1"]).exits(3).says("; trying again in ").says("(1 of 1)");
        assert!(liar.dials() == 2 && !ran.err.contains("falling back"), "{fault}: {ran}");
    }
    let full = Liar::new("echo docker-sync-bootstrap none full; exit 9");
    let ran = full.run(&["--retries", "1"]).exits(6).says("there is no room for the agent");
    assert!(ran.err.contains("free some space on evil") && full.dials() == 1, "{ran}");
}

#[test]
fn an_interrupt_within_a_pause_ends_at_once() {
    let refused = "echo 'ssh: connect to host evil port 22: Connection refused' >&2; exit 255";
    let _ = Liar::new(refused).interrupted("-INT", &["--retries", "9"]).exits(130).says("error: interrupted");
}

/// Before ssh is started, while it dials, while the agent is uploaded, and before it speaks.
#[test]
fn every_signal_to_end_is_obeyed_at_every_early_moment_and_nothing_else_is_said() {
    let wanted = "echo docker-sync-bootstrap wanted Plan9 mips; read -r n s;";
    let moments = [
        ("exec sleep 60".to_owned(), "connecting to evil"),
        (format!("{wanted} exec sleep 60"), "sending the agent (1.2 MB)"),
        (format!("{wanted} head -c $n >/dev/null; exec sleep 60"), "sending the agent (1.2 MB)"),
    ];
    for (script, doing) in &moments {
        for (signal, exit) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
            let ran = Liar::new(script).interrupted(signal, &[]).exits(exit);
            assert_eq!(ran.err, format!("error: interrupted while {doing}\n"), "{signal}");
        }
    }
    // It is asked for its configuration first.
    let liar = Liar::new("exit 1");
    fs::write(
        liar.path("bin/ssh"),
        format!("#!/bin/sh\necho >{}\nexec sleep 60\n", liar.path("dials").display()),
    )
    .unwrap();
    let ran = liar.interrupted("-TERM", &[]).exits(143);
    assert_eq!(ran.err, "error: interrupted while connecting to evil\n");
}

#[test]
fn who_interrupts_twice_does_not_wait_and_leaves_no_ssh() {
    for json in [false, true] {
        let liar = Liar::new("echo $$ >pid; trap '' TERM INT; while :; do sleep 0.1; done");
        let ran = liar.interrupted("-INT -INT", if json { &["--json"] } else { &[] }).exits(130);
        match json {
            false => assert_eq!(ran.err, "error: interrupted while connecting to evil\n"),
            true => {
                let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
                assert_eq!(document["error"]["kind"], "interrupted", "{ran}");
                assert_eq!(ran.err, "");
            }
        }
        let pid = fs::read_to_string(liar.path("pid")).unwrap();
        wait_until("its ssh still runs", || !runs(pid.trim()));
    }
}

/// Its words on standard error are the reason that the client gives.
#[test]
fn an_agent_that_is_told_to_end_is_what_its_client_says() {
    let liar = Liar::new("");
    let here = liar.0.path().display().to_string();
    liar.0.script("ssh", &format!("cd {here}; echo dialled >>dials; echo $$ >pid; exec {PROGRAM} agent"));
    liar.0.script("hung", &format!("echo $$ >{here}/engine; trap '' TERM; while :; do sleep 0.1; done"));
    let hung = liar.path("bin/hung").display().to_string();
    let child = liar.command(&["evil", "--remote-docker", &hung]).spawn().unwrap();
    wait_until("the engine is not asked", || {
        fs::read_to_string(liar.path("engine")).is_ok_and(|pid| !pid.is_empty())
    });
    let agent = fs::read_to_string(liar.path("pid")).unwrap();
    let begin = Instant::now();
    assert!(Command::new("kill").args(["-TERM", agent.trim()]).status().unwrap().success());
    let ran = finished(child, BOUNDED).exits(3).says("error: the connection to evil was lost\n");
    assert!(ran.err.contains("caused by: docker-sync agent: a signal told it to end\n"), "{ran}");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    let engine = fs::read_to_string(liar.path("engine")).unwrap();
    wait_until("the engine's client still runs", || !runs(engine.trim()));
}

#[test]
fn an_agent_that_is_told_to_end_does_so_within_a_second_and_says_so() {
    let liar = Liar::new(LISTENS);
    let mut agent = liar.0.command(PROGRAM);
    let agent = agent.arg("agent").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = agent.spawn().unwrap();
    // It speaks first.
    agent.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    let begin = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    agent.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    agent.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(said, "docker-sync agent: a signal told it to end\n");
}

/// An agent that waits for the engine of [`hung`], with a limit on the silence of its client in milliseconds.
fn waiting_agent(liar: &Liar, timeout: u32) -> Child {
    let mut agent = liar.0.command(PROGRAM);
    let agent = agent.arg("agent").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = agent.spawn().unwrap();
    let mut preamble = [0; PREAMBLE_LEN];
    agent.stdout.as_mut().unwrap().read_exact(&mut preamble).unwrap();
    let open = Request::Open(Open {
        store: liar.path("bin/hung").display().to_string(),
        tmpfolder: String::new(),
        platform: String::new(),
        memory: 64 << 20,
        timeout,
        engine_timeout: 0,
        password: None,
    });
    let open = frame(Channel::Control, &encode(&open).unwrap());
    agent.stdin.as_mut().unwrap().write_all(&[&preamble[..], &open].concat()).unwrap();
    wait_until("the engine is not asked", || liar.path("engine").exists());
    agent
}

fn frame(channel: Channel, payload: &[u8]) -> Vec<u8> {
    let header = Header { channel, len: payload.len() }.encode().unwrap();
    [&header[..], payload].concat()
}

/// It does not read its input to the end while it waits for its engine.
#[test]
fn an_agent_that_waits_for_its_engine_notices_that_its_client_is_gone() {
    let liar = hung();
    let mut agent = waiting_agent(&liar, 0);
    let mut client = agent.stdin.take().unwrap();
    // More than it takes before the engine has answered, and less than the pipe does besides.
    let data = frame(Channel::Data, &[7; 1 << 18]);
    client.write_all(&data.repeat(limits::QUEUE_FRAMES + 1)).unwrap();
    client.write_all(&data[..10_000]).unwrap();
    thread::sleep(Duration::from_millis(100));
    let begin = Instant::now();
    drop((client, agent.stdout.take()));
    agent.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let pid = fs::read_to_string(liar.path("engine")).unwrap();
    wait_until("the engine's client still runs", || !runs(pid.trim()));
}

/// Of a client whose host is gone no word comes, and none that it is gone.
#[test]
fn an_agent_whose_client_falls_silent_ends_itself_and_its_children() {
    let liar = hung();
    let mut agent = waiting_agent(&liar, 1_000);
    let client = agent.stdin.take().unwrap();
    let begin = Instant::now();
    let (mut heard, mut said) = (Vec::new(), String::new());
    agent.stdout.take().unwrap().read_to_end(&mut heard).unwrap();
    agent.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    agent.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(said, "docker-sync agent: nothing was heard from the client for 1 s\n");
    let keepalive = frame(Channel::Keepalive, &[]);
    assert!(
        heard.len() > keepalive.len() && heard == keepalive.repeat(heard.len() / keepalive.len()),
        "{heard:?}"
    );
    let pid = fs::read_to_string(liar.path("engine")).unwrap();
    wait_until("the engine's client still runs", || !runs(pid.trim()));
    drop(client);
}

/// A remote that has answered, and an engine of this host that does not.
fn hung() -> Liar {
    let liar = Liar::saying(&[opened("docker")], LISTENS);
    let here = liar.0.path().display().to_string();
    liar.0.script("hung", &format!("echo $$ >{here}/engine; trap '' TERM; while :; do sleep 0.1; done"));
    liar
}

#[test]
fn an_interrupt_does_not_wait_for_a_local_engine_that_hangs() {
    let liar = hung();
    let ran = liar.interrupted("-INT", &["--docker", "hung"]).exits(130);
    assert_eq!(ran.err, "error: interrupted while waiting for its engine on this host\n");
}

#[test]
fn an_engine_that_hangs_has_a_limit_where_one_is_given() {
    let liar = hung();
    let ran = liar.run(&["--docker", "hung", "--engine-timeout", "1"]).exits(4);
    let _ = ran.says("on this host: the container engine does not answer: `hung` has not answered for 1 s");
    let pid = fs::read_to_string(liar.path("engine")).unwrap();
    assert!(!runs(pid.trim()), "its client still runs");
}
