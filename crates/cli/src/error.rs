//! The failures of a run as a person reads them: a sentence, its causes, a hint, and the exit code.
//!
//! [`diagnose`] decides and prints nothing, so that text and JSON agree.

use std::fmt::Write;
use std::io::ErrorKind;

use dsync_sync::{Error, FailureKind, Host, SshFailure};
use serde::Serialize;

use crate::escape;
use crate::shortage::Shortage;
use crate::style::{self, paint};

/// The exit codes of this program and their meanings. They are promised; see docs/exit-codes.md.
pub(crate) const EXIT_CODES: &[(u8, &str)] = &[
    (OK, "all went well"),
    (FAILED, "an image could not be synchronised, or something else failed"),
    (USAGE, "the command line is invalid"),
    (UNREACHABLE, "the remote cannot be reached over ssh or runs no commands, or the connection was lost"),
    (ENGINE, "a container engine, archive or layout is missing, down, or not accessible"),
    (NO_IMAGE, "the source has no such image, or the basis is missing"),
    (NO_SPACE, "a disk is full"),
    (VERIFY, "the data that arrived failed verification; nothing was changed"),
    (INTERRUPTED, "interrupted (143 when terminated)"),
];

pub(crate) const OK: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const UNREACHABLE: u8 = 3;
pub(crate) const ENGINE: u8 = 4;
pub(crate) const NO_IMAGE: u8 = 5;
pub(crate) const NO_SPACE: u8 = 6;
pub(crate) const VERIFY: u8 = 7;
pub(crate) const INTERRUPTED: u8 = 130;

/// The remedy where sudo wants a password and there is nobody to ask.
const NO_PASSWORD: &str = "let sudo run it without a password: `USER ALL=(root) NOPASSWD: /usr/bin/docker` in a file of \
    /etc/sudoers.d (visudo -f), or do without sudo: sudo usermod -aG docker USER";

const BUG: &str = "no image was left half done. This is a bug: please report it with the lines above";

/// A failure, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    /// A word for programs to decide on.
    pub(crate) kind: &'static str,
    /// One sentence saying what failed.
    pub(crate) message: String,
    /// The causes, the outermost first.
    pub(crate) causes: Vec<String>,
    /// The remedy.
    pub(crate) hint: Option<String>,
    #[serde(skip)]
    pub(crate) exit: u8,
}

/// The facts that hints need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// REMOTE, as the user wrote it.
    pub(crate) remote: &'a str,
    /// The ssh command that was used.
    pub(crate) ssh: &'a str,
    /// The images that were named.
    pub(crate) images: &'a [String],
}

impl Context<'_> {
    /// A hint about a REMOTE that is none, where it looks like something else.
    fn meant(self) -> Option<String> {
        let is_none = |host: &str, rest: &str| !host.is_empty() && !rest.starts_with([':', '/']);
        let (host, rest) = self.remote.split_once(':').filter(|(host, rest)| is_none(host, rest))?;
        let quoted = |parts: [&str; 2]| parts.map(quoted).join(" ");
        let is_host = |image: &&String| !image.contains([':', '/', '*']);
        let arguments = match self.images.first() {
            Some(image) if is_host(&image) => quoted([image, self.remote]),
            _ if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Some(format!("write a port as ssh://{}", escape::visible(self.remote)));
            }
            _ => quoted([host, rest]),
        };
        Some(format!("REMOTE comes first, and IMAGE is another argument: {arguments}"))
    }

    /// A command that connects as this program did, to be copied.
    fn ssh_command(self) -> String {
        format!("{} {}", escape::visible(self.ssh), quoted(self.remote))
    }

    /// The command that gives the remote a key. It takes no URL.
    fn copy_id(self) -> String {
        match self.remote.strip_prefix("ssh://").and_then(|rest| rest.rsplit_once(':')) {
            Some((host, port)) => format!("ssh-copy-id -p {port} {}", quoted(host)),
            None => format!("ssh-copy-id {}", quoted(self.remote)),
        }
    }
}

/// A host never has white space, but it may have a `$`.
fn quoted(host: &str) -> String {
    let host = escape::visible(host);
    shlex::try_quote(&host).map_or_else(|_| host.to_string(), Into::into)
}

impl Diagnosis {
    pub(crate) fn new(kind: &'static str, exit: u8, message: impl AsRef<str>) -> Self {
        let message = escape::visible(message.as_ref()).into_owned();
        Diagnosis { kind, message, causes: Vec::new(), hint: None, exit }
    }

    /// This program panicked.
    pub(crate) fn crash(words: &str) -> Self {
        if let Some(shortage) = Shortage::of(words) {
            let sentence = format!("docker-sync {}", shortage.sentence());
            return Diagnosis::new("io", FAILED, sentence).because([words]).hint(shortage.hint("this host"));
        }
        Diagnosis::new("crashed", FAILED, "docker-sync crashed").because([words]).hint(BUG)
    }

    /// Standard output could not be written.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let (kind, exit) = if is_full { ("no-space", NO_SPACE) } else { ("io", FAILED) };
        let diagnosis =
            Diagnosis::new(kind, exit, "cannot write to standard output").because([error.to_string()]);
        diagnosis.about_shortage("this host")
    }

    pub(crate) fn because<S: AsRef<str>>(mut self, causes: impl IntoIterator<Item = S>) -> Self {
        self.causes.extend(causes.into_iter().flat_map(|cause| escape::lines(cause.as_ref())));
        self
    }

    /// With a hint where a limit of the system is the reason, and there is none yet.
    fn about_shortage(mut self, place: &str) -> Self {
        let shortage = self.causes.iter().chain([&self.message]).find_map(|text| Shortage::of(text));
        if let (Some(shortage), None) = (shortage, &self.hint) {
            self.hint = Some(shortage.hint(&escape::visible(place)));
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `error: …`, `caused by: …`, `hint: …`, each on a line of its own.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{} {}\n", paint(style::ERROR, "error:"), self.message);
        for cause in &self.causes {
            writeln!(text, "  {} {cause}", paint(style::DIM, "caused by:"))
                .expect("a String takes everything");
        }
        if let Some(hint) = &self.hint {
            writeln!(text, "{} {hint}", paint(style::HINT, "hint:")).expect("a String takes everything");
        }
        text
    }
}

/// True if the session cannot be used after this error, so that the other images are not tried.
pub(crate) fn ends_session(error: &Error) -> bool {
    !matches!(error, Error::Endpoint { .. } | Error::NoSuchImage { .. } | Error::OtherDigest { .. })
}

/// Describes an error.
pub(crate) fn diagnose(error: &Error, context: Context<'_>) -> Diagnosis {
    match error {
        Error::Ssh { host, kind, message } => ssh(host, *kind, message, context),
        Error::NoAgent { host, reason } => {
            Diagnosis::new("no-agent", FAILED, format!("no agent can run on {host}"))
                .because([reason])
                .hint("leave out --method delta: rsync and stream need no agent")
        }
        Error::NoShell { host, said } => no_shell(host, said, context),
        Error::Crashed { host, message } if Shortage::of(message).is_some() => {
            let shortage = Shortage::of(message).map_or("failed", Shortage::sentence);
            Diagnosis::new("io", FAILED, format!("the agent on {host} {shortage}"))
                .because([message])
                .about_shortage(host)
        }
        Error::Crashed { host, message } => {
            Diagnosis::new("crashed", FAILED, format!("the agent on {host} crashed")).because([message]).hint(BUG)
        }
        Error::Lost { host, message } => {
            Diagnosis::new("lost", UNREACHABLE, format!("the connection to {host} was lost"))
                .because([message])
                .hint("no image was left half done; run the same command again")
        }
        Error::Silent { .. } => Diagnosis::new("silent", UNREACHABLE, error.to_string()).hint(
            "no image was left half done; run the same command again. Where the link has long pauses, allow them: --timeout 300",
        ),
        Error::Bootstrap { host, reason } => {
            Diagnosis::new("bootstrap", UNREACHABLE, format!("the agent does not run on {host}"))
                .because([reason])
                .hint("run the same command again, or do without an agent: --method stream")
        }
        Error::Endpoint { host, failure } => endpoint(host, failure.kind, &failure.causes, context),
        Error::Password { host, .. } => {
            let check = match host {
                Host::Here => "sudo -v".to_owned(),
                Host::Remote(_) => format!("{} -t sudo -v", context.ssh_command()),
            };
            Diagnosis::new("sudo-authentication", ENGINE, error.to_string()).hint(format!(
                "try the password by itself (`{check}`), or {NO_PASSWORD}"
            ))
        }
        Error::NoSuchImage { pattern, close, keeps_manifests } => {
            no_such_image(error, pattern, close, *keeps_manifests)
        }
        Error::OtherDigest { wanted, is_there, keeps_manifests, .. } => {
            let hint = match (is_there, keeps_manifests) {
                (true, _) => format!("the source has that image under another name or none: {wanted}"),
                (false, true) => "leave out the digest to take the image that has the name now".into(),
                (false, false) => format!(
                    "leave out the digest to take the image that has the name now; {}",
                    digest_hint(false)
                ),
            };
            Diagnosis::new("no-such-image", NO_IMAGE, error.to_string()).hint(hint)
        }
        Error::Version(_) => Diagnosis::new("version", FAILED, error.to_string())
            .hint("the remote has another version of docker-sync installed: update it, or remove it, and this one sends its own"),
        Error::Protocol { what, .. } => {
            Diagnosis::new("protocol", FAILED, error.to_string()).because([what]).hint(noise(context))
        }
        Error::OutOfTurn { .. } => {
            Diagnosis::new("protocol", FAILED, error.to_string()).hint(noise(context))
        }
        Error::Interrupted => Diagnosis::new("interrupted", INTERRUPTED, "interrupted")
            .hint("run the same command again: what has arrived of an image is kept and need not cross once more"),
        Error::Io { .. } => {
            let full = |e: &std::io::Error| e.kind() == std::io::ErrorKind::StorageFull;
            let is_full = matches!(error, Error::Io { source, .. } if full(source));
            let (kind, exit) = if is_full { ("no-space", NO_SPACE) } else { ("io", FAILED) };
            let diagnosis = Diagnosis::new(kind, exit, error.to_string()).because(sources(error));
            if is_full { diagnosis.hint(more_room("this host")) } else { diagnosis.about_shortage("this host") }
        }
        other => Diagnosis::new("other", FAILED, other.to_string()).because(sources(other)),
    }
}

fn no_shell(host: &str, said: &[String], context: Context<'_>) -> Diagnosis {
    let command = context.ssh_command();
    Diagnosis::new("no-shell", UNREACHABLE, format!("{host} runs no commands for this account"))
        .because(said)
        .hint(format!(
            "an account with a shell is needed, not one for sftp, git or a single command: `{command} true` must succeed. \
             Log in as another with USER@HOST"
        ))
}

fn no_such_image(error: &Error, pattern: &str, close: &[String], keeps_manifests: bool) -> Diagnosis {
    let diagnosis = Diagnosis::new("no-such-image", NO_IMAGE, error.to_string());
    match did_you_mean(close) {
        Some(hint) => diagnosis.hint(hint),
        None if pattern.contains(['*', '?', '[', '{']) => diagnosis
            .hint("* stays within one part of a name, ** spans several; without a tag only :latest is meant"),
        None if pattern.contains('@') => diagnosis.hint(digest_hint(keeps_manifests)),
        None => diagnosis.hint("run without IMAGE to list the names of the source"),
    }
}

/// The digests that a source knows its images by.
fn digest_hint(keeps_manifests: bool) -> &'static str {
    if keeps_manifests {
        "the digest is that of an image ID, or of a manifest in the index of an image, or of a config"
    } else {
        "the source keeps no manifests: it knows an image by its ID, and by the digest that it was pulled or pushed by. \
         Of an image of several platforms that is mostly the index, not the manifest of a platform"
    }
}

/// The original asked to "make sure the user you logged in with is able to run docker commands"; what
/// stands in the way is known more precisely.
fn endpoint(host: &Host, kind: FailureKind, causes: &[String], context: Context<'_>) -> Diagnosis {
    let (place, option) = match host {
        Host::Here => ("this host", "--docker"),
        // As it was written, with its port.
        Host::Remote(_) => (context.remote, "--remote-docker"),
    };
    let (name, exit) = match kind {
        FailureKind::EngineNotFound => ("engine-not-found", ENGINE),
        FailureKind::EngineDown => ("engine-down", ENGINE),
        FailureKind::EnginePermission | FailureKind::EnginePassword => ("engine-permission", ENGINE),
        FailureKind::NoSuchImage => ("no-such-image", NO_IMAGE),
        FailureKind::TemporaryFull | FailureKind::StorageFull | FailureKind::ClientFull => {
            ("no-space", NO_SPACE)
        }
        FailureKind::Broken => ("broken", FAILED),
        FailureKind::Mismatch => ("mismatch", VERIFY),
        FailureKind::Aborted => ("aborted", FAILED),
        FailureKind::Usage => ("usage", USAGE),
        FailureKind::Other => ("other", FAILED),
        FailureKind::Changed => ("changed", FAILED),
        FailureKind::AnotherImage => ("another-image", VERIFY),
        FailureKind::NoStore => ("no-store", ENGINE),
        FailureKind::Unsupported => ("unsupported", FAILED),
        FailureKind::Protocol => ("protocol", FAILED),
        FailureKind::DamagedPatch => ("damaged-patch", VERIFY),
        FailureKind::NoBasis => ("no-basis", NO_IMAGE),
        FailureKind::NoDigest => ("no-such-image", NO_IMAGE),
    };
    let mut causes = causes.iter();
    let first = causes.next().map_or("unknown failure", String::as_str);
    // A message of an engine may have several lines; the first is the sentence, the rest belongs below.
    let mut lines = escape::lines(first).into_iter();
    let sentence = lines.next().unwrap_or_else(|| "unknown failure".into());
    let sentence_of_doas = sentence.contains("doas: ");
    let sentence_of_requiretty = sentence.contains("you must have a tty to run sudo");
    // Of a containerd the message is that of its client.
    let is_containerd = sentence.contains("ctr: ");
    // A store in files is on this host, and messages about one mostly name its path.
    let files = Some(place).filter(|place| dsync_sync::is_file(place));
    let here = dsync_sync::is_store_here(place).then_some("this host");
    let path = files.and_then(|place| place.split_once(':')).map(|(_, path)| escape::visible(path));
    let message = match path {
        Some(path) if sentence.contains(&*path) => sentence,
        _ => format!("on {place}: {sentence}"),
    };
    let mut diagnosis = Diagnosis::new(name, exit, message).because(lines).because(causes);
    diagnosis.hint = match (kind, files) {
        // A patch is made or applied: nothing was listed before, and there is no other end.
        (FailureKind::NoSuchImage | FailureKind::NoBasis | FailureKind::Protocol, _)
            if context.remote.is_empty() =>
        {
            None
        }
        (FailureKind::NoDigest, Some(_)) => Some("ask for that image without the digest".into()),
        (FailureKind::Broken, Some(_)) => Some("it may be incomplete: save or copy it once more".into()),
        (FailureKind::EngineDown, None) if is_containerd => Some(
            "start it (sudo systemctl start containerd, or k3s), or name its socket: CONTAINERD_ADDRESS, or 'ctr --address FILE'"
                .into(),
        ),
        (FailureKind::EnginePassword, None) => Some(NO_PASSWORD.into()),
        (FailureKind::EnginePermission, None) if sentence_of_doas => Some(
            "let doas run it without a password: `permit nopass USER as root cmd docker` in /etc/doas.conf, or use sudo"
                .into(),
        ),
        (FailureKind::EnginePermission, None) if sentence_of_requiretty => {
            Some("let sudo run without a terminal: `Defaults:USER !requiretty` in a file of /etc/sudoers.d (visudo -f)".into())
        }
        (FailureKind::EnginePermission, None) if is_containerd => {
            Some(format!("its socket is root's: use {option} 'sudo ctr'"))
        }
        (_, Some(_)) => endpoint_hint(kind, host, "this host", option),
        (_, None) => endpoint_hint(kind, host, here.unwrap_or(place), option),
    };
    diagnosis.about_shortage(here.unwrap_or(place))
}

fn endpoint_hint(kind: FailureKind, host: &Host, place: &str, option: &str) -> Option<String> {
    let place = escape::visible(place);
    let hint = match kind {
        FailureKind::EngineNotFound => {
            format!("install docker or podman on {place}, or name its path: {option} /path/to/docker")
        }
        FailureKind::EngineDown if *host == Host::Here => format!(
            "start it (sudo systemctl start docker), check DOCKER_HOST and `docker context ls`, or name another engine: {option} podman"
        ),
        FailureKind::EngineDown => {
            format!("start it there (sudo systemctl start docker), or name another engine: {option} podman")
        }
        FailureKind::EnginePermission => {
            let user = match host {
                Host::Here => "the user",
                Host::Remote(_) => "the user that ssh logs in as",
            };
            format!(
                "add {user} to the docker group (sudo usermod -aG docker USER), or use {option} 'sudo docker'"
            )
        }
        FailureKind::TemporaryFull => more_room(&place),
        FailureKind::ClientFull => more_room("this host"),
        FailureKind::StorageFull => format!(
            "free some space on {place} where its images are kept (`docker system df` says what takes it); \
             --tmpfolder is about other files"
        ),
        FailureKind::NoSuchImage => "it was removed in the meantime: run the report again".into(),
        FailureKind::Changed => "an image was removed during the sync: run it again when nobody removes images there".into(),
        FailureKind::AnotherImage => {
            "nothing was changed. The source sent another image than the one that was requested: \
             run the report again, and do not trust the source if this happens again"
                .into()
        }
        FailureKind::NoDigest => {
            format!("ask for that image without the digest, or pull what has the digest on {place} first")
        }
        FailureKind::NoBasis => "name an image of the target, or leave out --basis".into(),
        FailureKind::Protocol => {
            "nothing was changed. Both ends are of the same build, so this is a bug to report, or the remote is not what \
             it claims to be"
                .into()
        }
        FailureKind::Mismatch => "nothing was changed. This is a bug: please report it".into(),
        FailureKind::Broken => {
            "the image itself may be damaged: try `docker save` of it on the source".into()
        }
        _ => return None,
    };
    Some(hint)
}

/// The command that a word in the place of REMOTE may have been meant for.
fn mistyped_command(word: &str) -> Option<&'static str> {
    const COMMANDS: [&str; 9] =
        ["push", "pull", "diff", "apply", "patch", "doctor", "cache", "completions", "help"];
    COMMANDS.into_iter().find(|command| strsim::damerau_levenshtein(word, command) == 1)
}

fn ssh(host: &str, kind: SshFailure, message: &str, context: Context<'_>) -> Diagnosis {
    let command = context.ssh_command();
    let (name, what, hint) = match kind {
        SshFailure::NotFound if context.ssh == "ssh" => (
            "ssh-not-found",
            ": ssh is not installed",
            "install an ssh client (openssh-client), or name its path: --ssh /path/to/ssh".into(),
        ),
        SshFailure::NotFound => (
            "ssh-not-found",
            ": the program that stands for ssh cannot be run",
            "--ssh and $DOCKER_SYNC_SSH take a program and its options, as 'ssh -i key'".into(),
        ),
        SshFailure::UnknownHost => {
            let spelling = || match mistyped_command(context.remote) {
                Some(command) => format!("did you mean the command `docker-sync {command}`?"),
                None => "check the spelling, and the Host entries of ~/.ssh/config".into(),
            };
            ("unknown-host", ": its name cannot be resolved", context.meant().unwrap_or_else(spelling))
        }
        SshFailure::Unreachable => (
            "unreachable",
            ": it does not answer",
            "check that the host is up and its ssh port right (ssh://HOST:PORT), or go through another: --ssh 'ssh -J JUMP'"
                .to_owned(),
        ),
        SshFailure::HostKeyChanged => (
            "host-key-changed",
            ": its host key has changed",
            "the host was installed anew, or someone intercepts the connection. Ask its administrator before you remove the old key with `ssh-keygen -R`".into(),
        ),
        SshFailure::HostKey => (
            "host-key-unknown",
            ": its host key is not known",
            format!("connect once with `{command}` and check the fingerprint that it shows"),
        ),
        SshFailure::Authentication => (
            "authentication",
            ": it rejects this user",
            format!(
                "give the host your key (`{}`), or name the one to use: --ssh 'ssh -i KEYFILE'",
                context.copy_id()
            ),
        ),
        _ => ("ssh", "", format!("run `{command} true` to see the reason")),
    };
    Diagnosis::new(name, UNREACHABLE, format!("cannot connect to {host}{what}")).because([message]).hint(hint)
}

fn did_you_mean(close: &[String]) -> Option<String> {
    let names: Vec<String> =
        close.iter().take(3).map(|name| format!("'{}'", escape::visible(name))).collect();
    match &names[..] {
        [] => None,
        [name] => Some(format!("did you mean {name}?")),
        [names @ .., last] => Some(format!("did you mean {} or {last}?", names.join(", "))),
    }
}

fn more_room(place: &str) -> String {
    format!(
        "free some space on {place}, or name a directory on a larger disk for temporary files: --tmpfolder DIR"
    )
}

fn noise(context: Context<'_>) -> String {
    let command = context.ssh_command();
    format!("a login script on the remote may print something: `{command} true` must print nothing")
}

fn sources(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect()
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
