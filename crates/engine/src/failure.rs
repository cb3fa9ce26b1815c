//! Classifies the failure of a client program: its standard error becomes a [`StoreError`].
//!
//! The clients have one exit status for all failures (docker: 1, podman: 125), so their English messages decide; the
//! locale is forced for that. The tests have messages of real clients.

use dsync_core::Digest;

use crate::store::StoreError;

/// A program that failed.
pub(crate) struct ProgramFailure<'a> {
    /// The command line, for people.
    pub(crate) command: &'a str,
    /// Exit status or signal, for people.
    pub(crate) status: &'a str,
    /// The end of its standard error.
    pub(crate) stderr: &'a str,
    /// The image it was about, if one.
    pub(crate) image: Option<&'a str>,
}

const NO_SPACE: [&str; 3] = ["no space left on device", "disk quota exceeded", "not enough space"];
const PERMISSION: [&str; 8] = [
    "permission denied while trying to connect",
    "connect: permission denied",
    "is not in the sudoers file",
    "is not allowed to execute",
    "you must have a tty to run sudo",
    "doas: a tty is required",
    "doas: authentication ",
    "doas: operation not permitted",
];
/// Messages of sudo, and of the one that is written in Rust, which wants a password or another one.
const PASSWORD: [&str; 7] = [
    "a password is required",
    "a terminal is required to read the password",
    "interactive authentication is required",
    "incorrect password attempt",
    "incorrect authentication attempt",
    "no password was provided",
    "sorry, try again",
];
const DOWN: [&str; 9] = [
    "cannot connect to the docker daemon",
    "failed to connect to the docker api",
    "is the docker daemon running",
    "error during connect",
    "cannot connect to podman",
    "unable to connect to podman",
    "connection refused",
    "ctr: failed to dial",
    "ctr: cannot access socket",
];
/// Messages of docker and podman where a context or a connection does not exist.
const NO_ENDPOINT: [&str; 3] =
    ["unable to resolve docker endpoint", "read cli flags: connection", "unable to create connection."];
const NO_SUCH_IMAGE: [&str; 5] = [
    "no such image",
    "no such object",
    "image not known",
    "reference does not exist",
    "failed to get digest sha256:",
];

/// Sorts a failure.
pub(crate) fn classify(failure: &ProgramFailure<'_>) -> StoreError {
    let message = digest(failure.stderr);
    let lower = failure.stderr.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if says(&NO_SPACE) {
        StoreError::StorageFull { message }
    } else if says(&PASSWORD) {
        StoreError::Password { message }
    } else if says(&PERMISSION) {
        StoreError::Permission { message }
    } else if says(&DOWN) {
        StoreError::Down { message }
    } else if says(&NO_ENDPOINT) {
        StoreError::NoStore { message: no_endpoint(failure.stderr).unwrap_or(message) }
    } else if let Some(program) = not_found(failure.stderr) {
        StoreError::NotFound { program }
    } else if let Some(image) = failure.image.filter(|_| says(&NO_SUCH_IMAGE)) {
        StoreError::NoSuchImage { image: image.into() }
    } else {
        let status = failure.status.to_owned();
        // Its own status, or that which a shell makes of it.
        let is_killed = ["signal: 9", "exit status: 137"].iter().any(|killed| status.starts_with(killed));
        let message = match is_killed {
            true => {
                format!("{message}; something killed it, as Linux does when memory runs out (`dmesg` tells)")
            }
            false => message,
        };
        StoreError::Failed { command: failure.command.into(), status, message }
    }
}

/// Errors of podman's storage where an image is not there: `storage.ErrImageUnknown`, `ErrNotAnImage`, `ErrNotAnID`.
const NOT_STORED: [&str; 3] =
    ["image not known", "identifier is not an image", "identifier is not a layer, image, or container"];

/// True if a load failed because this image was removed while it was made. podman makes an image, then stores its
/// metadata and then names it; where somebody prunes in between, it no longer finds its own.
pub(crate) fn is_removed_while_loaded(error: &StoreError, image: &Digest) -> bool {
    let StoreError::Failed { message, .. } = error else { return false };
    let name = format!("\"{}\"", image.hex());
    message.split(';').any(|reason| {
        reason.contains(&name) && NOT_STORED.iter().any(|text| reason.trim_end_matches('"').ends_with(text))
    })
}

/// True if every message is about a missing image: the rest of a batch is good.
pub(crate) fn only_missing_images(stderr: &str) -> bool {
    let mut lines = stderr.lines().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let line = line.to_lowercase();
            NO_SUCH_IMAGE.iter().any(|text| line.contains(text))
        })
}

/// `context "nope" does not exist`, `context "nope": context not found: …`; podman: `connection "nope" not found`.
fn no_endpoint(stderr: &str) -> Option<String> {
    let named = |what: &str| {
        let (_, rest) = stderr.split_once(&format!("{what} \""))?;
        let (name, rest) = rest.split_once('"')?;
        ["not found", "does not exist"].iter().any(|end| rest.contains(end)).then(|| digest(name))
    };
    let known = |what: &str, name: String, list: &str| {
        format!("there is no {what} '{name}' (`{list}` says which there are)")
    };
    named("context")
        .map(|name| known("docker context", name, "docker context ls"))
        .or_else(|| Some(known("podman connection", named("connection")?, "podman system connection ls")))
}

/// `sudo: docker: command not found`, `sh: 1: docker: not found`, `env: docker: No such file or directory`.
fn not_found(stderr: &str) -> Option<String> {
    stderr.lines().find_map(|line| {
        let rest = line
            .strip_suffix(": command not found")
            .or_else(|| line.strip_suffix(": not found").filter(|line| is_of_a_shell(line)))
            .or_else(|| {
                line.strip_suffix(": No such file or directory").filter(|line| line.contains("env: "))
            })?;
        let (_, program) = rest.rsplit_once(": ")?;
        Some(program.trim_matches(['\'', '"', '‘', '’']).to_owned())
    })
}

/// True if a line begins with the name of a shell: `sh: 1: docker`, `/bin/sh: docker`, `dash: 1: docker`.
fn is_of_a_shell(line: &str) -> bool {
    line.split(": ").next().is_some_and(|program| program.ends_with("sh") && !program.contains(' '))
}

/// The text for people: one line, no control characters, no boiler plate.
pub(crate) fn digest(stderr: &str) -> String {
    const LIMIT: usize = 1500;
    let mut lines: Vec<String> = stderr
        .lines()
        .map(|line| {
            let line = line.trim();
            let line = line.strip_prefix("Error response from daemon: ").unwrap_or(line);
            let line = line.strip_prefix("Error: ").unwrap_or(line);
            line.chars().filter(|letter| !letter.is_control()).collect::<String>()
        })
        .filter(|line| !line.is_empty() && !is_noise(line))
        .collect();
    // A client that is asked about many images may say of each that its engine is down.
    lines.dedup();
    let text = lines.join("; ");
    match text.char_indices().rev().nth(LIMIT) {
        _ if text.is_empty() => "it said nothing on standard error".into(),
        None => text,
        Some((start, _)) => format!("…{}", &text[start..]),
    }
}

/// podman's report of what it is doing, which precedes the reason.
fn is_noise(line: &str) -> bool {
    ["Getting image source signatures", "Copying blob ", "Copying config ", "Writing manifest to image"]
        .iter()
        .any(|noise| line.starts_with(noise))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn kind(stderr: &str) -> String {
        let failure =
            ProgramFailure { command: "docker x", status: "exit status: 1", stderr, image: Some(IMAGE) };
        let text = format!("{:?}", classify(&failure));
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn an_image_that_somebody_removed_under_podman_is_told_as_that() {
        let image = Digest::of(b"config");
        let of = |image: &Digest, text: &str| {
            let id = image.hex();
            let stderr = format!(
                "time=\"2026-11-30T13:06:36Z\" level=error msg=\"Updating image \\\"{id}\\\" (old names []) failed, \
                 deleting it\"\npayload does not match any of the supported image formats:\n \
                 * oci-archive: committing the finished image: saving signatures for image \"{id}\": locating image \
                 with ID \"{id}\": {text}\n * docker-archive: loading tar component manifest.json: unexpected EOF\n"
            );
            classify(&ProgramFailure {
                command: "podman load",
                status: "exit status: 125",
                stderr: &stderr,
                image: None,
            })
        };
        for text in NOT_STORED {
            assert!(is_removed_while_loaded(&of(&image, text), &image), "{text}");
        }
        assert!(!is_removed_while_loaded(&of(&image, "payload too large"), &image));
        assert!(!is_removed_while_loaded(&of(&Digest::of(b"a layer"), "image not known"), &image));
    }

    #[test]
    fn a_sentence_is_said_once() {
        assert_eq!(
            digest("it is down\nit is down\n\nit is gone\nit is down\n"),
            "it is down; it is gone; it is down"
        );
    }

    #[test]
    fn docker_is_understood() {
        for (stderr, expected) in [
            ("Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?", "Down"),
            ("failed to connect to the docker API at unix:///x.sock; check if the path is correct", "Down"),
            (
                "error during connect: Head \"http://docker.example.com/_ping\": command [ssh -o ConnectTimeout=30 -T -- nosuchhost docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=ssh: Could not resolve hostname nosuchhost: Name or service not known\n",
                "Down",
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///run/docker.sock: Get \"http://%2Frun%2Fdocker.sock/v1.24/images/json\": dial unix /run/docker.sock: connect: permission denied",
                "Permission",
            ),
            ("sudo: a password is required\n", "Password"),
            (
                "Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
                "Password",
            ),
            ("sudo: interactive authentication is required\n", "Password"),
            ("sudo: sorry, you must have a tty to run sudo\n", "Permission"),
            (
                "Sorry, user guest is not allowed to execute '/usr/bin/docker info' as root on vm.\n",
                "Permission",
            ),
            ("doas: Authentication failed\n", "Permission"),
            (
                "Error response from daemon: failed to get digest sha256:0000: open /var/lib/docker/image/overlay2/imagedb/content/sha256/0000: no such file or directory",
                "NoSuchImage",
            ),
            ("Error response from daemon: reference does not exist", "NoSuchImage"),
            ("Error: No such image: sha256:0000", "NoSuchImage"),
            ("Error response from daemon: No such image: nosuch:latest", "NoSuchImage"),
            (
                "Error processing tar file(exit status 1): write /blobs/x: no space left on device",
                "StorageFull",
            ),
            ("Error processing tar file(exit status 1): unexpected EOF", "Failed"),
            ("unable to resolve docker endpoint: context \"nosuch\" does not exist", "NoStore"),
            (
                "Failed to initialize: unable to resolve docker endpoint: context \"nope\": context not found: open /root/.docker/contexts/meta/ca37/meta.json: no such file or directory",
                "NoStore",
            ),
            (
                "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: garbage://",
                "NoStore",
            ),
            (
                "Failed to initialize: unable to resolve docker endpoint: open /root/.docker/ca.pem: no such file or directory",
                "NoStore",
            ),
            (
                "open /var/lib/docker/tmp/docker-import-427199358/blobs/sha256/5679: no such file or directory",
                "Failed",
            ),
            ("sudo: docker: command not found", "NotFound"),
            ("sh: line 1: docker: command not found", "NotFound"),
            ("sh: 1: docker: not found", "NotFound"),
            ("sh: docker: not found", "NotFound"),
            ("/bin/sh: 1: docker: not found", "NotFound"),
            ("env: ‘docker’: No such file or directory", "NotFound"),
            ("/usr/bin/env: 'docker': No such file or directory", "NotFound"),
        ] {
            assert_eq!(kind(stderr), expected, "{stderr}");
        }
    }

    #[test]
    fn podman_is_understood() {
        for (stderr, expected) in [
            ("Error: sha256:0000: image not known\n", "NoSuchImage"),
            ("Error: inspecting object: 0000: image not known\n", "NoSuchImage"),
            (
                "Cannot connect to Podman. Please verify your connection to the Linux system using `podman system connection list`, or try `podman machine init` and `podman machine start` to manage a new Linux VM\nError: unable to connect to Podman socket: Get \"http://d/v4.3.1/libpod/_ping\": dial unix ///run/podman/podman.sock: connect: no such file or directory\n",
                "Down",
            ),
            (
                "Error: payload does not match any of the supported image formats:\n * oci: initializing source oci:/var/tmp/podman1:: open /var/tmp/podman1/index.json: not a directory\n",
                "Failed",
            ),
            ("Error: read cli flags: connection \"nope\" not found\n", "NoStore"),
            (
                "Error: unable to create connection. \"garbage\" is not a supported schema: garbage://x\n",
                "NoStore",
            ),
            ("Error: creating runtime static files directory: mkdir /proc/x: no such file or directory", {
                "Failed"
            }),
        ] {
            assert_eq!(kind(stderr), expected, "{stderr}");
        }
    }

    #[test]
    fn a_context_that_is_not_there_is_named() {
        let said = |stderr: &str| {
            let failure =
                ProgramFailure { command: "docker x", status: "exit status: 1", stderr, image: None };
            classify(&failure).to_string()
        };
        let docker = "there is no docker context 'nope' (`docker context ls` says which there are)";
        assert_eq!(said("unable to resolve docker endpoint: context \"nope\" does not exist\n"), docker);
        assert_eq!(
            said(
                "Failed to initialize: unable to resolve docker endpoint: context \"nope\": context not found: open x"
            ),
            docker
        );
        assert_eq!(
            said("Error: read cli flags: connection \"nope\" not found\n"),
            "there is no podman connection 'nope' (`podman system connection ls` says which there are)"
        );
        assert_eq!(
            said("unable to resolve docker endpoint: open /root/.docker/ca.pem: no such file or directory"),
            "unable to resolve docker endpoint: open /root/.docker/ca.pem: no such file or directory"
        );
    }

    #[test]
    fn a_client_that_is_killed_may_have_lacked_memory() {
        let said = |status: &str| {
            classify(&ProgramFailure { command: "docker load", status, stderr: "", image: None }).to_string()
        };
        for (status, killed) in [
            ("signal: 9 (SIGKILL)", true),
            ("exit status: 137", true),
            ("signal: 15 (SIGTERM)", false),
            ("exit status: 1", false),
        ] {
            assert_eq!(said(status).contains("when memory runs out"), killed, "{status}");
        }
    }

    #[test]
    fn a_batch_may_miss_images() {
        assert!(only_missing_images("Error: No such image: a\nError: No such image: b\n"));
        assert!(only_missing_images(
            "error inspecting object: a: image not known\nError: inspecting object: b: image not known\n"
        ));
        assert!(!only_missing_images("Error: No such image: a\nCannot connect to the Docker daemon\n"));
        assert!(!only_missing_images(""));
    }

    #[test]
    fn the_message_is_one_clean_line() {
        let stderr = "Getting image source signatures\nCopying blob sha256:1\nError: a\u{1b}[31m b\n\n c\n";
        assert_eq!(digest(stderr), "a[31m b; c");
        assert_eq!(digest("\n"), "it said nothing on standard error");
        assert_eq!(digest(&"é".repeat(4000)).chars().count(), 1502);
    }
}
