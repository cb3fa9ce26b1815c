//! As a plugin of the Docker CLI: linked as `docker-sync` into a `cli-plugins` folder, `docker sync …` works.
//!
//! `docker` asks a plugin for its metadata, and then runs it with its own arguments unchanged, the global
//! ones in front: `docker-sync --context prod sync alice@build`. See "Docker CLI plugins" in docker/cli's
//! documentation; the environment variable that it sets distinguishes such a call from a host with the name `sync`.

use std::ffi::{OsStr, OsString};

use serde::Serialize;

/// Set by `docker` in the environment of every plugin it runs.
pub(crate) const MARK: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// Global options of `docker` that are followed by a value.
const WITH_VALUE: &[&str] = &[
    "--config",
    "--context",
    "-c",
    "--host",
    "-H",
    "--log-level",
    "-l",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];

/// The way in which this program was called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// By a person or a script, under its own name.
    Plain(Vec<OsString>),
    /// By `docker`, to know what this is.
    Metadata,
    /// By a shell's script, or by `docker` for its own, to complete the last of these words.
    Complete(Vec<OsString>),
    /// As `docker sync`.
    Plugin {
        /// The arguments after `sync`.
        arguments: Vec<OsString>,
        /// The command that reaches the engine that `docker` was to use, if it named one.
        docker: Option<String>,
    },
}

/// Tells the calls apart. `arguments` come without the program's name.
pub(crate) fn call(arguments: Vec<OsString>, marked: bool) -> Call {
    if arguments.len() == 1 && arguments[0] == "docker-cli-plugin-metadata" {
        return Call::Metadata;
    }
    if !marked {
        return match &arguments[..] {
            [verb, words @ ..] if verb == "__complete" => Call::Complete(words.to_vec()),
            _ => Call::Plain(arguments),
        };
    }
    if let [verb, name, words @ ..] = &arguments[..] {
        if name == "sync" && (verb == "__complete" || verb == "__completeNoDesc") {
            return Call::Complete(words.to_vec());
        }
        if verb == "help" && name == "sync" {
            return Call::Plugin { arguments: vec!["--help".into()], docker: None };
        }
    }
    match split(&arguments) {
        Some((globals, rest)) => Call::Plugin { arguments: rest.to_vec(), docker: docker_command(globals) },
        None => Call::Plain(arguments),
    }
}

/// The arguments before and after the word `sync`.
fn split(arguments: &[OsString]) -> Option<(&[OsString], &[OsString])> {
    let mut at = 0;
    loop {
        let word = arguments.get(at)?;
        if word == "sync" {
            return Some((&arguments[..at], &arguments[at + 1..]));
        }
        if !word.as_encoded_bytes().starts_with(b"-") {
            return None;
        }
        at += if takes_next(word) { 2 } else { 1 };
    }
}

fn takes_next(word: &OsStr) -> bool {
    WITH_VALUE.iter().any(|option| word == *option)
}

/// `docker --context prod`, as a shell would read it.
fn docker_command(globals: &[OsString]) -> Option<String> {
    let words = globals.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>()?;
    // Debug output of docker would only stand among its answers.
    let words: Vec<&str> = words.into_iter().filter(|word| !matches!(*word, "-D" | "--debug")).collect();
    if words.is_empty() {
        return None;
    }
    shlex::try_join(["docker"].into_iter().chain(words)).ok()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    schema_version: &'static str,
    vendor: &'static str,
    version: &'static str,
    short_description: &'static str,
}

/// The answer to [`Call::Metadata`].
pub(crate) fn metadata() -> String {
    let metadata = Metadata {
        schema_version: "0.1.0",
        vendor: "docker-sync",
        version: env!("CARGO_PKG_VERSION"),
        short_description: "Synchronise images with another host over ssh, moving as few bytes as can be",
    };
    serde_json::to_string(&metadata).expect("four strings are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    fn plugin(line: &str) -> (String, Option<String>) {
        match call(words(line), true) {
            Call::Plugin { arguments, docker } => {
                let arguments: Vec<_> = arguments.iter().map(|a| a.to_str().unwrap()).collect();
                (arguments.join(" "), docker)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_word_sync_is_taken_off() {
        assert_eq!(plugin("sync -a host"), ("-a host".into(), None));
        assert_eq!(plugin("-D sync sync"), ("sync".into(), None));
        assert_eq!(plugin("help sync"), ("--help".into(), None));
    }

    #[test]
    fn what_docker_was_told_reaches_the_engine() {
        assert_eq!(plugin("--context prod sync host").1.as_deref(), Some("docker --context prod"));
        assert_eq!(plugin("-cprod --tls sync host").1.as_deref(), Some("docker -cprod --tls"));
        assert_eq!(plugin("-H sync sync host"), ("host".into(), Some("docker -H sync".into())));
        assert_eq!(plugin("--host=tcp://a;b sync h").1.as_deref(), Some("docker '--host=tcp://a;b'"));
    }

    #[test]
    fn a_host_may_be_called_sync() {
        assert_eq!(call(words("sync redis"), false), Call::Plain(words("sync redis")));
        assert_eq!(call(words("host sync"), true), Call::Plain(words("host sync")));
        assert_eq!(call(words("--push"), true), Call::Plain(words("--push")));
    }

    #[test]
    fn words_are_completed() {
        assert_eq!(call(words("__complete sync --dr"), true), Call::Complete(words("--dr")));
        assert_eq!(call(words("__complete host --dr"), false), Call::Complete(words("host --dr")));
    }
}
