//! `docker-sync doctor`: the findings of an examination as a person or a program reads them.

use std::fmt::Write as _;
use std::time::Duration;

use dsync_sync::{
    EndFindings, Error, Examination, Examined, Folder, FolderPurpose, LinkFindings, Remote, RemoteFindings,
};
use serde::Serialize;

use crate::error::{self, Context, Diagnosis};
use crate::escape::{self, visible};
use crate::quantity::{bytes, counted, duration};
use crate::style::{self, paint};

/// The number of the shape of the document; see docs/json.md.
const SCHEMA: u32 = 1;
/// The highest speed of a link that is told, in bytes a second.
const FAST: u64 = 500_000_000;
/// Less free space than this is pointed out.
const LITTLE_SPACE: u64 = 1_000_000_000;
/// A clock that is off by more than this is pointed out.
const WRONG_CLOCK: Duration = Duration::from_secs(60);
/// A login that takes longer, with no agent to be sent, is pointed out.
const SLOW_LOGIN: Duration = Duration::from_secs(4);
/// The usual reasons for that.
const SLOW_LOGIN_HINT: &str = "each sync waits as long; `ssh -v` shows where, often a look-up of names (`UseDNS no` in the \
                               server's sshd_config) or a shell's start-up file";

/// The end of the name of a store whose files are read past its engine.
const READABLE: &str = "storage readable";

/// The state of what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// A sync works, and could work better.
    Warning,
    /// In the way of a sync.
    Bad,
}

/// A thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// The host; `None` is this one.
    host: Option<String>,
    name: &'static str,
    state: State,
    text: String,
    causes: Vec<String>,
    hint: Option<String>,
    #[serde(skip)]
    exit: u8,
}

/// The checks of an examination, in the order in which a sync depends on them.
pub(crate) struct Checks {
    checks: Vec<Check>,
    link: Option<LinkFindings>,
}

impl Checks {
    /// Judges what was found.
    pub(crate) fn of(examination: &Examination, remote: &Remote, context: Context<'_>) -> Checks {
        let mut checks = List { host: None, checks: Vec::new() };
        checks.end(&examination.here, context);
        checks.host = Some(context.remote.to_owned());
        let link = match &examination.there {
            Err(error) => {
                checks.failure(step_of(error), error, context);
                None
            }
            Ok(there) => {
                if matches!(remote, Remote::Ssh(_)) {
                    checks.way(there);
                }
                checks.end(&there.end, context);
                checks.link(there);
                there.link
            }
        };
        Checks { checks: checks.checks, link }
    }

    /// That of the first thing that is in the way.
    pub(crate) fn exit(&self) -> u8 {
        self.checks.iter().find(|check| check.state == State::Bad).map_or(error::OK, |check| check.exit)
    }

    /// For a person; a terminal that shows ASCII alone gets words for marks.
    pub(crate) fn text(&self, unicode: bool) -> String {
        let mut text = String::new();
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for of_host in self.checks.chunk_by(|one, other| one.host == other.host) {
            let host = of_host[0].host.as_deref().map_or("this host".into(), visible);
            let gap = if text.is_empty() { "" } else { "\n" };
            writeln!(text, "{gap}{}", paint(style::NAME, host)).expect("a String takes everything");
            for check in of_host {
                let (mark, style) = match check.state {
                    State::Good if unicode => ("✓", style::GOOD),
                    State::Good => ("+", style::GOOD),
                    State::Warning => ("!", style::WARNING),
                    State::Bad if unicode => ("✗", style::ERROR),
                    State::Bad => ("x", style::ERROR),
                };
                let name = check.name;
                writeln!(text, "  {} {name:width$}  {}", paint(style, mark), check.text)
                    .expect("a String takes everything");
                let indent = " ".repeat(width + 6);
                for cause in &check.causes {
                    writeln!(text, "{indent}{} {cause}", paint(style::DIM, "caused by:"))
                        .expect("a String takes everything");
                }
                if let Some(hint) = &check.hint {
                    writeln!(text, "{indent}{} {hint}", paint(style::HINT, "hint:"))
                        .expect("a String takes everything");
                }
            }
        }
        text + "\n" + &self.verdict() + "\n"
    }

    /// The one sentence for who reads no other.
    fn verdict(&self) -> String {
        let count = |state| self.checks.iter().filter(|check| check.state == state).count() as u64;
        match (count(State::Bad), count(State::Warning)) {
            (0, 0) => paint(style::GOOD, "ready to sync"),
            (0, warnings) => {
                format!("{}, with {}", paint(style::GOOD, "ready to sync"), counted(warnings, "hint"))
            }
            (bad, _) => format!("{}: {}", paint(style::ERROR, "not ready to sync"), counted(bad, "problem")),
        }
    }

    /// For a program: docs/json.md.
    pub(crate) fn document(&self, warnings: Vec<String>) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: u32,
            checks: &'a [Check],
            link: Option<Link>,
            warnings: Vec<String>,
        }
        #[derive(Serialize)]
        struct Link {
            delay: f64,
            up: u64,
            down: u64,
            clock_ahead: f64,
        }
        let link = self.link.map(|link| Link {
            delay: link.delay.as_secs_f64(),
            up: link.up,
            down: link.down,
            clock_ahead: link.clock_ahead as f64 / 1000.0,
        });
        let document = Document { schema: SCHEMA, checks: &self.checks, link, warnings };
        let text = serde_json::to_string_pretty(&document).expect("its keys are texts");
        escape::json(&text).into_owned() + "\n"
    }
}

/// The checks of one host after the other.
struct List {
    host: Option<String>,
    checks: Vec<Check>,
}

impl List {
    fn add(&mut self, name: &'static str, state: State, text: impl Into<String>, hint: Option<String>) {
        let (host, text) = (self.host.clone(), text.into());
        self.checks.push(Check { host, name, state, text, causes: Vec::new(), hint, exit: error::FAILED });
    }

    fn good(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, State::Good, text, None);
    }

    fn warning(&mut self, name: &'static str, text: impl Into<String>, hint: &str) {
        self.add(name, State::Warning, text, Some(hint.into()));
    }

    fn failure(&mut self, name: &'static str, error: &Error, context: Context<'_>) {
        let Diagnosis { message, causes, hint, exit, .. } = error::diagnose(error, context);
        let host = self.host.clone();
        self.checks.push(Check { host, name, state: State::Bad, text: message, causes, hint, exit });
    }

    /// The connection and the agent.
    fn way(&mut self, there: &RemoteFindings) {
        let answered = format!("answered after {}", duration(there.took));
        match there.uploaded.is_none() && there.took > SLOW_LOGIN {
            true => self.warning("ssh", answered, SLOW_LOGIN_HINT),
            false => self.good("ssh", answered),
        }
        match (&there.without_agent, there.uploaded) {
            (Some(reason), _) => self.warning(
                "agent",
                visible(reason),
                "layers go whole, or as rsync finds them: a directory in which a program can run makes it a delta",
            ),
            (None, Some(size)) => self.good("agent", format!("runs; {} were sent for it now", bytes(size))),
            (None, None) => self.good("agent", "runs; it was there already"),
        }
    }

    /// The store and the host of an end.
    fn end(&mut self, end: &EndFindings, context: Context<'_>) {
        match &end.store {
            Ok(store) => self.store(store, end.host.as_ref().and_then(|host| host.as_ref().ok())),
            Err(error) => self.failure("engine", error, context),
        }
        match &end.host {
            Some(Ok(host)) => self.host(host),
            Some(Err(error)) if end.store.is_ok() => self.failure("host", error, context),
            Some(Err(_)) | None => {}
        }
    }

    fn store(&mut self, store: &str, host: Option<&Examined>) {
        self.good("engine", visible(store));
        let is_engine = ["docker ", "podman ", "containerd "].iter().any(|name| store.starts_with(name));
        match host {
            Some(host) if is_engine && !store.ends_with(READABLE) => match host.uid {
                // An engine without images has no folders yet, and of some drivers none are read.
                0 => self.good("storage", "layers come through the engine's client"),
                _ => self.warning(
                    "storage",
                    "this account may not read the engine's files: layers come through the engine's client",
                    "all works; root reads layers in place, which is faster and takes no room for temporary files",
                ),
            },
            _ => {}
        }
    }

    fn host(&mut self, host: &Examined) {
        let account = match host.uid {
            0 => "root".to_owned(),
            uid => format!("user {uid}"),
        };
        self.good("account", format!("{account}, {}", visible(&host.system)));
        // Two file systems that have the same number of bytes left are one.
        let mut frees: Vec<Option<u64>> = Vec::new();
        for free in host.folders.iter().map(|folder| folder.free) {
            if !frees.contains(&free) {
                frees.push(free);
            }
        }
        for free in frees {
            self.space(&host.folders.iter().filter(|folder| folder.free == free).collect::<Vec<_>>());
        }
        self.good(
            "rsync",
            match host.has_rsync {
                true => "installed",
                false => "not installed, which matters only where no agent can run",
            },
        );
    }

    /// The space of a file system, by the folders in it.
    fn space(&mut self, folders: &[&Folder]) {
        let Some(first) = folders.first() else { return };
        let of = |folder: &&Folder| {
            let purpose = match folder.purpose {
                FolderPurpose::Images => "images",
                FolderPurpose::Temporary => "temporary files",
                FolderPurpose::Cache => "cache",
            };
            format!("{purpose} ({})", visible(&folder.path))
        };
        let purposes: Vec<String> = folders.iter().map(of).collect();
        let purposes = purposes.join(", ");
        let remedy = match first.purpose {
            FolderPurpose::Images => "`docker system df` and `podman system df` say what takes it",
            FolderPurpose::Temporary => "name another folder: --tmpfolder DIR",
            FolderPurpose::Cache => "layers are read again where nothing of them is remembered",
        };
        match first.free {
            None => self.good("space", format!("not known for {purposes}")),
            Some(free) if free < LITTLE_SPACE => {
                self.warning("space", format!("{} free for {purposes}", bytes(free)), remedy)
            }
            Some(free) => self.good("space", format!("{} free for {purposes}", bytes(free))),
        }
    }

    fn link(&mut self, there: &RemoteFindings) {
        let Some(LinkFindings { delay, up, down, clock_ahead }) = there.link else { return };
        // A few megabytes, which one pipe holds, are no measure of more.
        let speed = |speed| match speed > FAST {
            true => format!("more than {}/s", bytes(FAST)),
            false => format!("about {}/s", bytes(speed)),
        };
        let (up, down) = (speed(up), speed(down));
        let text = format!("{:.1} ms there and back, {up} up and {down} down", delay.as_secs_f64() * 1000.0);
        self.good("link", text);
        let off = Duration::from_millis(clock_ahead.unsigned_abs());
        let side = if clock_ahead < 0 { "behind" } else { "ahead of" };
        match off > WRONG_CLOCK {
            true => self.warning(
                "clock",
                format!("{} {side} this host's", duration(off)),
                "set it (timedatectl set-ntp true): what is old enough to be removed is judged by it",
            ),
            false => self.good("clock", "as this host's"),
        }
    }
}

/// The step of a connection that failed.
fn step_of(error: &Error) -> &'static str {
    match error {
        Error::NoAgent { .. } | Error::Bootstrap { .. } | Error::Crashed { .. } | Error::Version(_) => {
            "agent"
        }
        Error::Endpoint { .. } => "host",
        _ => "ssh",
    }
}

#[cfg(test)]
mod tests {
    use dsync_sync::{Failure, FailureKind, Host, SshFailure};

    use super::*;

    const CONTEXT: Context<'static> = Context { remote: "alice@build", ssh: "ssh", images: &[] };

    fn host(uid: u32, has_rsync: bool) -> Examined {
        let folder = |purpose, path: &str, free| Folder { purpose, path: path.into(), free };
        Examined {
            system: "Linux aarch64".into(),
            uid,
            clock: 0,
            has_rsync,
            folders: vec![
                folder(FolderPurpose::Images, "/var/lib/docker", Some(64_100_000_000)),
                folder(FolderPurpose::Temporary, "/tmp", Some(12_000_000)),
                folder(FolderPurpose::Cache, "/srv/a/.cache/docker-sync/index", None),
            ],
            probe: Vec::new(),
        }
    }

    fn here() -> EndFindings {
        let store = Ok("docker 28.5.2, overlay2, storage readable".into());
        EndFindings { store, host: Some(Ok(host(0, true))) }
    }

    fn there(store: Result<String, Error>) -> RemoteFindings {
        RemoteFindings {
            took: Duration::from_millis(412),
            uploaded: Some(975_313),
            without_agent: None,
            end: EndFindings { store, host: Some(Ok(host(1000, false))) },
            link: Some(LinkFindings {
                delay: Duration::from_micros(24_300),
                up: 3_100_000,
                down: 9_400_000,
                clock_ahead: -75_000,
            }),
        }
    }

    fn checks(there: Result<RemoteFindings, Error>) -> Checks {
        Checks::of(&Examination { here: here(), there }, &"alice@build".parse().unwrap(), CONTEXT)
    }

    fn shown(checks: &Checks) -> String {
        anstream::adapter::strip_str(&checks.text(true)).to_string()
    }

    #[test]
    fn each_thing_has_a_mark_and_what_could_be_better_a_hint() {
        let checks = checks(Ok(there(Ok("podman 4.3.1, overlay".into()))));
        insta::assert_snapshot!(shown(&checks), @"
        this host
          ✓ engine   docker 28.5.2, overlay2, storage readable
          ✓ account  root, Linux aarch64
          ✓ space    64.1 GB free for images (/var/lib/docker)
          ! space    12.0 MB free for temporary files (/tmp)
                     hint: name another folder: --tmpfolder DIR
          ✓ space    not known for cache (/srv/a/.cache/docker-sync/index)
          ✓ rsync    installed

        alice@build
          ✓ ssh      answered after 0.4 s
          ✓ agent    runs; 975 kB were sent for it now
          ✓ engine   podman 4.3.1, overlay
          ! storage  this account may not read the engine's files: layers come through the engine's client
                     hint: all works; root reads layers in place, which is faster and takes no room for temporary files
          ✓ account  user 1000, Linux aarch64
          ✓ space    64.1 GB free for images (/var/lib/docker)
          ! space    12.0 MB free for temporary files (/tmp)
                     hint: name another folder: --tmpfolder DIR
          ✓ space    not known for cache (/srv/a/.cache/docker-sync/index)
          ✓ rsync    not installed, which matters only where no agent can run
          ✓ link     24.3 ms there and back, about 3.1 MB/s up and about 9.4 MB/s down
          ! clock    1 min 15 s behind this host's
                     hint: set it (timedatectl set-ntp true): what is old enough to be removed is judged by it

        ready to sync, with 4 hints
        ");
        assert_eq!(checks.exit(), error::OK, "a warning is no failure");
        let ascii = anstream::adapter::strip_str(&checks.text(false)).to_string();
        assert!(ascii.is_ascii() && ascii.contains("\n  + engine   podman"), "{ascii}");
    }

    #[test]
    fn the_exit_code_is_that_of_what_is_in_the_way_first() {
        let unreachable = Error::Ssh {
            host: "build".into(),
            kind: SshFailure::Unreachable,
            message: "connect to host build port 22: Connection refused".into(),
        };
        let unreached = checks(Err(unreachable));
        assert_eq!(unreached.exit(), error::UNREACHABLE);
        let failure = Failure { kind: FailureKind::EngineDown, causes: vec!["no daemon\u{1b}".into()] };
        let down = checks(Ok(there(Err(Error::Endpoint { host: Host::Remote("build".into()), failure }))));
        assert_eq!(down.exit(), error::ENGINE);
        let tail = |checks: &Checks| shown(checks).split_once("\n\n").unwrap().1.to_owned();
        insta::assert_snapshot!(tail(&unreached) + "--\n" + &tail(&down), @r"
        alice@build
          ✗ ssh      cannot connect to build: it does not answer
                     caused by: connect to host build port 22: Connection refused
                     hint: check that the host is up and its ssh port right (ssh://HOST:PORT), or go through another: --ssh 'ssh -J JUMP'

        not ready to sync: 1 problem
        --
        alice@build
          ✓ ssh      answered after 0.4 s
          ✓ agent    runs; 975 kB were sent for it now
          ✗ engine   on alice@build: no daemon\u{1b}
                     hint: start it there (sudo systemctl start docker), or name another engine: --remote-docker podman
          ✓ account  user 1000, Linux aarch64
          ✓ space    64.1 GB free for images (/var/lib/docker)
          ! space    12.0 MB free for temporary files (/tmp)
                     hint: name another folder: --tmpfolder DIR
          ✓ space    not known for cache (/srv/a/.cache/docker-sync/index)
          ✓ rsync    not installed, which matters only where no agent can run
          ✓ link     24.3 ms there and back, about 3.1 MB/s up and about 9.4 MB/s down
          ! clock    1 min 15 s behind this host's
                     hint: set it (timedatectl set-ntp true): what is old enough to be removed is judged by it

        not ready to sync: 1 problem
        ");
    }

    #[test]
    fn a_login_that_takes_long_is_pointed_out_and_a_file_system_stands_once() {
        let store = Ok("oci:lay".into());
        let mut slow = RemoteFindings { took: SLOW_LOGIN * 2, uploaded: None, ..there(store) };
        let Some(Ok(host)) = &mut slow.end.host else { panic!("it was looked at") };
        host.folders.iter_mut().for_each(|folder| folder.free = Some(64_100_000_000));
        let text = shown(&checks(Ok(slow)));
        let (_, text) = text.split_once("alice@build\n").unwrap();
        assert!(
            text.starts_with("  ! ssh      answered after 8.0 s\n             hint: each sync waits"),
            "{text}"
        );
        let space: Vec<&str> = text.lines().filter(|line| line.contains(" space ")).collect();
        assert_eq!(
            space,
            ["  ✓ space    64.1 GB free for images (/var/lib/docker), temporary files (/tmp), cache \
              (/srv/a/.cache/docker-sync/index)"]
        );
        assert!(text.ends_with("\nready to sync, with 3 hints\n"), "{text}");
    }

    #[test]
    fn without_an_agent_the_way_that_is_left_is_told() {
        let found = RemoteFindings {
            uploaded: None,
            without_agent: Some("no agent can run on build (noexec); falling back to rsync".into()),
            end: EndFindings { store: Ok("docker 20.10.24, overlay2".into()), host: None },
            link: None,
            ..there(Ok(String::new()))
        };
        let checks = checks(Ok(found));
        let remote = checks.checks.iter().filter(|check| check.host.is_some());
        let states: Vec<(&str, State)> = remote.map(|check| (check.name, check.state)).collect();
        let (good, warning) = (State::Good, State::Warning);
        assert_eq!(states, [("ssh", good), ("agent", warning), ("engine", good)]);
    }

    #[test]
    fn the_document_has_the_same_and_the_measurements_as_numbers() {
        let document = checks(Ok(there(Ok("podman 4.3.1, overlay".into())))).document(vec!["w".into()]);
        let json: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(
            json["link"],
            serde_json::json!({
                "delay": 0.0243, "up": 3_100_000, "down": 9_400_000, "clock_ahead": -75.0
            })
        );
        let check = json["checks"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&check["host"], &check["name"], &check["state"]),
            (&"alice@build".into(), &"clock".into(), &"warning".into())
        );
        assert_eq!(json["warnings"], serde_json::json!(["w"]));
    }
}
