//! Remotes that lie, flood, hang and crash. A script stands for ssh, and says what such an agent would.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::{
    Channel, Event, Failure, FailureKind, Header, ListedConfig, ListedImage, ListedPlatform, Opened,
    PREAMBLE_LEN, Peer, Reply, UnreadableImage, encode,
};
use serde::Serialize;

use crate::environment::{Environment, PROGRAM, Ran};

/// No run of a test takes so long. None of them is about speed; most would not end at all.
pub(crate) const BOUNDED: Duration = Duration::from_secs(30);
/// The time within which an interrupt ends a run, on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Titles, colours, a line that is overwritten, text that is turned around, and characters that are not seen.
const TRICKS: &str = "\x1b]0;owned\x07\x1b[2J\u{9b}31mX\u{202e}gpj\r\u{61c}\u{200b}\u{2060}\u{2066}\u{feff}";

/// The script of a remote that says no more, and ends when nobody speaks to it.
pub(crate) const LISTENS: &str = "exec cat >/dev/null";

/// A remote that says what a test has it say.
pub(crate) struct Liar(pub(crate) Environment);

impl Liar {
    /// One that is no agent: this script stands for ssh.
    pub(crate) fn new(script: &str) -> Liar {
        let environment = Environment::new();
        fs::create_dir(environment.path().join("layout")).unwrap();
        let here = environment.path().display().to_string();
        environment.script("ssh", &format!("cd {here}; echo dialled >>dials\n{script}"));
        // An agent for a host of another kind: more than a pipe holds, and packed in no time.
        let agent: Vec<u8> =
            (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(environment.path().join("docker-sync-Plan9-mips"), agent).unwrap();
        Liar(environment)
    }

    /// One that greets as an agent of this build, says these frames, and goes on with the script.
    pub(crate) fn saying(frames: &[Vec<u8>], script: &str) -> Liar {
        let liar = Liar::new(&format!("cat said\n{script}"));
        let mut agent = liar.0.command(PROGRAM);
        let mut agent = agent.arg("agent").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = vec![0; PREAMBLE_LEN];
        agent.stdout.take().unwrap().read_exact(&mut said).unwrap();
        agent.wait().unwrap();
        said.extend(frames.concat());
        fs::write(liar.path("said"), said).unwrap();
        liar
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(PROGRAM);
        let layout = format!("oci:{}", self.path("layout").display());
        if !arguments.contains(&"--docker") {
            command.args(["--docker", &layout]);
        }
        command.args(["--color", "never"]).args(arguments);
        command.env("DOCKER_SYNC_AGENTS", self.0.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `docker-sync evil` with these arguments to its end, which has to come.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = finished(self.command(&[&["evil"], arguments].concat()).spawn().unwrap(), BOUNDED);
        for (stream, text) in [("output", &ran.out), ("error", &ran.err)] {
            let tricks = |c: &char| *c != '\n' && (c.is_control() || TRICKS.contains(*c) && !c.is_ascii());
            let found: Vec<char> = text.chars().filter(tricks).filter(|c| *c != '\t').collect();
            assert!(found.is_empty(), "standard {stream} has {found:?}: {ran}");
        }
        ran
    }

    /// Starts it, sends a signal, or several one after the other, once the remote was dialled and this long after, and waits for the end.
    #[track_caller]
    pub(crate) fn interrupted(&self, signal: &str, arguments: &[&str]) -> Ran {
        let child = self.command(&[&["evil"], arguments].concat()).spawn().unwrap();
        let begin = Instant::now();
        while !self.path("dials").exists() {
            assert!(begin.elapsed() < BOUNDED, "nobody was dialled");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(500));
        let begin = Instant::now();
        let pid = child.id().to_string();
        for signal in signal.split(' ') {
            assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
            thread::sleep(Duration::from_millis(20));
        }
        let ran = finished(child, BOUNDED);
        assert!(begin.elapsed() < AT_ONCE, "it took {:?}: {ran}", begin.elapsed());
        assert_eq!(self.dials(), 1, "{ran}");
        ran
    }

    /// The number of connections to the remote.
    pub(crate) fn dials(&self) -> usize {
        lines(&self.path("dials"))
    }
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// Waits for the end, and ends what has none.
#[track_caller]
pub(crate) fn finished(mut child: Child, patience: Duration) -> Ran {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |stream: &mut dyn std::io::Read| {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    thread::scope(|scope| {
        let (out, err) = (scope.spawn(move || read(&mut out)), scope.spawn(move || read(&mut err)));
        let begin = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begin.elapsed() > patience => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        if status.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let (out, err) = (out.join().unwrap(), err.join().unwrap());
        let status = status.unwrap_or_else(|| panic!("it does not end: {out}\n{err:.3000}"));
        Ran { out, err, exit: status.code() }
    })
}

fn frame(channel: Channel, message: &impl Serialize) -> Vec<u8> {
    let payload = encode(message).unwrap();
    let mut frame = Header { channel, len: payload.len() }.encode().unwrap().to_vec();
    frame.write_all(&payload).unwrap();
    frame
}

fn reply(reply: &Reply) -> Vec<u8> {
    frame(Channel::Control, reply)
}

fn note(text: &str) -> Vec<u8> {
    frame(Channel::Event, &Event::Note(text.into()))
}

pub(crate) fn opened(store: &str) -> Vec<u8> {
    let (store, version) = (store.to_owned(), TRICKS.to_owned());
    reply(&Reply::Opened(Opened {
        store,
        id_is_config: true,
        has_packages: false,
        keeps_referrers: false,
        version,
    }))
}

pub(crate) fn images(created: &str, names: &[&str]) -> Vec<u8> {
    let image = ListedImage {
        id: [7; 32],
        config: ListedConfig::Id,
        names: vec!["img:1".into()],
        digests: Vec::new(),
        diff_ids: vec![[8; 32]],
        platform: ListedPlatform { os: "linux".into(), architecture: created.into(), variant: String::new() },
        size: u64::MAX,
        created: created.into(),
    };
    let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let bad = UnreadableImage { id: None, names: vec!["bad:1".into()], reason: created.into() };
    let (images, unreadable) = if names.is_empty() { (vec![image], vec![bad]) } else { Default::default() };
    reply(&Reply::Images { images, unreadable, names })
}

impl Ran {
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Ran {
        assert!(self.err.contains(text), "{text:?} is not in {self}");
        self
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.exit, Some(code), "{self}");
        self
    }
}

#[test]
fn an_agent_is_sent_once() {
    let liar = Liar::new(
        "while :; do echo docker-sync-bootstrap wanted Plan9 mips
         read -r n s || exit 1; echo $n >>asked; head -c $n >/dev/null; done",
    );
    let _ = liar.run(&[]).exits(1).says("evil breaks the protocol").says("asked for the agent again");
    assert_eq!((liar.dials(), lines(&liar.path("asked"))), (1, 1));
}

#[test]
fn an_agent_of_another_build_is_not_talked_to() {
    let liar = Liar::saying(&[], LISTENS);
    let mut said = fs::read(liar.path("said")).unwrap();
    said[PREAMBLE_LEN - 1] ^= 1;
    fs::write(liar.path("said"), said).unwrap();
    let _ = liar
        .run(&[])
        .exits(1)
        .says("the other end is another build of docker-sync")
        .says("hint: the remote has another version of docker-sync");
}

#[test]
fn an_interrupt_before_the_agent_answers_dials_no_more() {
    // An ssh that is interrupted, and others.
    for remote in [
        "exec sleep 60",
        "trap 'exit 1' TERM; while :; do sleep 0.1; done",
        "trap '' TERM INT; exec sleep 60",
    ] {
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let ran = Liar::new(remote).interrupted(signal, &[]).exits(code);
            assert_eq!(ran.err, "error: interrupted while connecting to evil\n");
        }
    }
}

#[test]
fn an_interrupt_of_a_way_without_an_agent_dials_no_more() {
    for method in ["stream", "rsync"] {
        let _ = Liar::new("exec sleep 60").interrupted("-INT", &["--method", method]).exits(130);
    }
}

/// A child of what stands for ssh has the other ends of the pipes, and is no business of ours.
#[test]
fn an_interrupt_does_not_wait_for_who_holds_the_pipes() {
    let _ = Liar::new("sleep 60 & sleep 60").interrupted("-INT", &[]).exits(130);
    let _ = Liar::saying(&[opened("docker")], "sleep 60 & sleep 60").interrupted("-INT", &[]).exits(130);
}

#[test]
fn an_interrupt_ends_an_upload_that_nobody_takes() {
    let wanted = "echo docker-sync-bootstrap wanted Plan9 mips; trap '' TERM; exec sleep 60";
    let _ = Liar::new(wanted).interrupted("-INT", &[]).exits(130).says("interrupted while sending the agent");
}

#[test]
fn a_remote_that_hangs_can_be_interrupted_and_it_is_said_what_it_was_to_do() {
    let hanging = |frames: &[Vec<u8>]| {
        let ran =
            Liar::saying(frames, "trap '' TERM; exec sleep 60").interrupted("-INT", &["img:1"]).exits(130);
        ran.err
    };
    let (opened, images) = (opened("docker 28"), images("", &[]));
    assert_eq!(hanging(&[]), "error: interrupted while waiting for the agent of evil to find its images\n");
    assert_eq!(
        hanging(std::slice::from_ref(&opened)),
        "error: interrupted while listing the images of evil\n"
    );
    assert!(hanging(&[opened.clone(), images.clone()]).contains("interrupted"));
    // Half a frame, and one that was announced only.
    let half = &opened[..opened.len() - 1];
    assert!(hanging(&[half.to_vec()]).contains("to find its images"));
    assert!(hanging(&[vec![1, 0, 0, 0, 1]]).contains("to find its images"));
}

#[test]
fn a_flood_of_events_ends_by_itself_and_little_of_it_is_shown() {
    let notes: Vec<Vec<u8>> = (0..1_000).map(|n| note(&format!("note {n} {TRICKS}"))).collect();
    let other = frame(Channel::Event, &Event::Advance(u64::MAX)).repeat(1_000);
    for flood in [notes.concat(), other] {
        for frames in [vec![], vec![opened("docker")], vec![opened("docker"), images("", &[])]] {
            let liar = Liar::saying(&frames, "while cat flood; do :; done");
            fs::write(liar.path("flood"), &flood).unwrap();
            let ran =
                liar.run(&["-v", "img:1"]).exits(1).says("evil breaks the protocol").says("more events");
            assert!(ran.err.lines().count() < 2_100, "{}", ran.err.lines().count());
        }
    }
}

#[test]
fn an_event_that_nobody_could_read_is_refused() {
    let mut long = vec![4];
    long.extend(31_000_000_u32.to_le_bytes());
    let liar = Liar::saying(&[long], "exec cat /dev/zero");
    let _ = liar.run(&[]).exits(1).says("evil breaks the protocol").says("31000000 bytes");
}

#[test]
fn noise_without_end_is_no_agent() {
    for noise in ["exec cat /dev/zero", "yes", "yes x | tr -d '\\n'"] {
        let ran = Liar::new(noise).run(&["-v"]).exits(3).says("evil runs no commands for this account");
        assert!(ran.err.len() < 40_000, "{}", ran.err.len());
    }
}

#[test]
fn standard_error_without_end_is_not_shown_to_the_end() {
    let liar = Liar::new("head -c 30000000 /dev/zero | tr '\\0' x >&2; yes | head -n 100000 >&2; exit 255");
    let ran = liar.run(&["-v"]).exits(3).says("note: more on standard error is not shown");
    assert!(ran.err.lines().count() < 1_100 && ran.err.len() < 20_000, "{}", ran.err.len());
}

#[test]
fn what_is_no_frame_or_message_is_told_as_such() {
    for (frames, says) in [
        (vec![9, 0, 0, 0, 0], "a frame of an unknown channel (9)"),
        (vec![1, 255, 255, 255, 255], "a frame of 4294967295 bytes"),
        (b"Connection closed by foreign host.\r\n".to_vec(), "a frame of an unknown channel (67)"),
        (vec![1, 1, 0, 0, 0, 99], "a message could not be understood"),
        (vec![4, 1, 0, 0, 0, 99], "a message could not be understood"),
        ([&[1, 10, 0, 0, 0, 1][..], &[0xff; 9]].concat(), "a message could not be understood"),
    ] {
        let ran = Liar::saying(&[frames], LISTENS).run(&[]).exits(1);
        let _ = ran.says("error: evil breaks the protocol").says(says);
    }
    let ran = Liar::saying(&[images("", &[])], LISTENS).run(&[]).exits(1);
    let _ = ran.says("answered out of turn (expected a store)");
}

/// Whatever a remote does wrong, it is not the command line that is invalid.
#[test]
fn a_remote_that_breaks_the_protocol_is_no_wrong_usage() {
    let image = |names: &[&str], layers: usize| ListedImage {
        id: [7; 32],
        config: ListedConfig::Id,
        names: names.iter().map(ToString::to_string).collect(),
        digests: Vec::new(),
        diff_ids: (0..layers).map(|layer| [layer.to_le_bytes(); 4].concat().try_into().unwrap()).collect(),
        platform: ListedPlatform { os: "linux".into(), architecture: String::new(), variant: String::new() },
        size: 0,
        created: String::new(),
    };
    let images =
        |image| reply(&Reply::Images { images: vec![image], unreadable: Vec::new(), names: Vec::new() });
    let empty = frame(Channel::Data, &()).to_vec();
    for (frames, says) in [
        (vec![images(image(&["Not a name"], 1))], "the other end sent a bad image name"),
        (vec![images(image(&["img:1"], 5_000))], "an image of 5000 layers is refused"),
        (vec![images(image(&["img:1"], 1)), empty], "it ended before it had sent all"),
        (
            vec![images(image(&["img:1"], 1)), frame(Channel::Peer, &Peer::Answer { answer: vec![] })],
            "out of turn",
        ),
        (vec![images(image(&["img:1"], 1)), vec![2, 1, 0, 0, 0, 99]], "out of turn"),
    ] {
        let aborted = reply(&Reply::Failed(Failure { kind: FailureKind::Aborted, causes: Vec::new() }));
        let liar = Liar::saying(&[vec![opened("docker")], frames, vec![aborted]].concat(), LISTENS);
        let _ = liar.run(&["img:1"]).exits(1).says(says);
    }
}

#[test]
fn nobody_waits_for_a_remote_that_says_it_is_done_before_it_is() {
    let sent = reply(&Reply::Sent { raw: 0, packed: 0, metadata: 0, costs: Vec::new() });
    let liar = Liar::saying(&[opened("docker"), images("", &[]), sent], LISTENS);
    let _ = liar.run(&["img:1"]).exits(1).says("caused by: it says that it is done before it is");
}

#[test]
fn data_without_end_is_not_taken_without_end() {
    let data = [&[3, 0, 0, 4, 0][..], &vec![0; 256 << 10]].concat();
    for frames in [vec![], vec![opened("docker")], vec![opened("docker"), images("", &[])]] {
        let liar = Liar::saying(&frames, "while cat flood; do :; done");
        fs::write(liar.path("flood"), &data).unwrap();
        let _ = liar.run(&["img:1"]).exits(1).says("evil breaks the protocol");
    }
}

#[test]
fn nothing_that_a_terminal_obeys_gets_through() {
    let store = format!("docker {TRICKS}");
    let failed =
        |kind| reply(&Reply::Failed(Failure { kind, causes: vec![TRICKS.into(), format!("x\n{TRICKS}")] }));
    for frames in [
        vec![note(TRICKS), opened(&store), images(TRICKS, &[])],
        vec![opened(&store), images("", &[&format!("img:{TRICKS}"), "img:1"])],
        vec![opened(&store), images(TRICKS, &[]), failed(FailureKind::Other)],
        vec![failed(FailureKind::EngineDown)],
        vec![failed(FailureKind::Mismatch)],
        vec![
            opened(&store),
            images("", &[]),
            frame(Channel::Peer, &Peer::Abort),
            failed(FailureKind::TemporaryFull),
        ],
        vec![format!("{TRICKS} is no frame").into_bytes()],
    ] {
        let mut liar = Liar::saying(&frames, &format!("printf %s '{TRICKS}' >&2; sleep 0.2"));
        for arguments in [&[][..], &["-v"], &["img:1", "-v"], &["img:2"], &["--json", "img:1"], &["--json"]] {
            let _ = liar.run(arguments);
        }
        let said = [TRICKS.as_bytes(), &fs::read(liar.path("said")).unwrap()].concat();
        fs::write(liar.path("said"), said).unwrap();
        let _ = liar.run(&["-v"]).says("the login shell of evil printed");
        liar = Liar::new(&format!("printf '%s\\n' 'docker-sync-bootstrap none {TRICKS}'; exit 9"));
        let _ = liar.run(&["-v", "--method", "delta"]).exits(1).says("no agent can run on evil");
    }
}

#[test]
fn a_crash_of_the_agent_is_told_as_one() {
    let words = "docker-sync agent crashed: index out of bounds (crates/sync/src/x.rs:7)";
    for (frames, when) in
        [(None, "before it answers"), (Some(vec![]), "then"), (Some(vec![opened("docker")]), "later")]
    {
        let script = format!("echo '{words}' >&2; exit 101");
        let liar = match &frames {
            None => Liar::new(&script),
            Some(frames) => Liar::saying(frames, &script),
        };
        let ran = liar.run(&[]).exits(1);
        assert_eq!(
            ran.err,
            "error: the agent on evil crashed\n  caused by: index out of bounds (crates/sync/src/x.rs:7)\n\
             hint: no image was left half done. This is a bug: please report it with the lines above\n",
            "{when}"
        );
        assert_eq!(liar.dials(), 1);
    }
    let memory = "memory allocation of 8589934592 bytes failed";
    let liar = Liar::saying(&[], &format!("echo {memory} >&2; exit 134"));
    let _ = liar.run(&[]).exits(1).says("the agent on evil got no more memory").says(memory).says("--memory");
    let threads =
        "docker-sync agent crashed: failed to spawn thread: Os { code: 11, kind: WouldBlock } (x.rs:1)";
    let liar = Liar::saying(&[], &format!("echo '{threads}' >&2; exit 101"));
    let _ = liar.run(&[]).exits(1).says("the agent on evil may start no more threads").says("`ulimit -u`");
    // A run that ended in another way keeps its exit code.
    let liar = Liar::saying(&[], "echo Killed >&2; exit 137");
    let _ = liar.run(&[]).exits(3).says("the connection to evil was lost").says("Killed");
}
