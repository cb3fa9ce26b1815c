//! Completes a word of the command line: options, their values, commands, hosts, images.
//!
//! The scripts of bash, zsh and fish, and `docker` for `docker sync`, ask for the candidates of the last of some words,
//! and print what they get. Hosts are those of ssh's own files; images are those of this host's engine, and of a remote
//! those that its last report named.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dsync_core::Digest;
use dsync_sync::{Cache, Report};

use crate::{context, help};

/// The time after which an engine that has not answered is not waited for.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The directory beside the index cache with a file for each remote.
const IMAGES: &str = "images";
/// The most images of a remote that are remembered.
const MOST_IMAGES: usize = 2000;
/// The most remotes of which images are remembered.
const MOST_REMOTES: usize = 50;

/// A word that may stand in the place of the one that was begun, and its help.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    word: String,
    help: String,
}

/// The candidates for a word.
enum Candidates {
    Words(Vec<Candidate>),
    /// Names of files, which a shell knows best.
    Files,
}

/// The answer about the last of these words, in the form of cobra: a line for each candidate, its help after a tab, and
/// `:0` where the shell is to offer names of files, `:4` where it is not.
pub(crate) fn answer(words: &[OsString]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (current, before) = words.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let mut found = match candidates(before, current) {
        Candidates::Files => return ":0\n".into(),
        Candidates::Words(found) => found,
    };
    found.retain(|candidate| candidate.word.starts_with(current));
    found.sort();
    found.dedup();
    let line = |candidate: &Candidate| match &candidate.help[..] {
        "" => format!("{}\n", candidate.word),
        help => format!("{}\t{help}\n", candidate.word),
    };
    found.iter().map(line).collect::<String>() + ":4\n"
}

fn candidates(before: &[String], current: &str) -> Candidates {
    let mut command = help::command("docker-sync");
    command.build();
    let mut place = Place { command: &command, words: Vec::new(), push: false, value_of: None, ended: false };
    for word in before {
        place.pass(word);
    }
    if let Some(option) = place.value_of {
        return values(option, "");
    }
    if !place.ended && current.starts_with('-') {
        return match current.split_once('=') {
            None => Candidates::Words(options(place.command)),
            Some((name, _)) => match place.option(name) {
                Some(option) => values(option, &format!("{name}=")),
                None => Candidates::Words(Vec::new()),
            },
        };
    }
    if place.command.get_name() != command.get_name() {
        return operand(place.command, place.words.len());
    }
    match place.words.first() {
        None => Candidates::Words(remotes(&command)),
        Some(remote) => Candidates::Words(images(remote, place.push)),
    }
}

/// The place in a command line that some words lead to.
struct Place<'a> {
    command: &'a clap::Command,
    /// Operands of the command.
    words: Vec<String>,
    push: bool,
    /// The option whose value comes next.
    value_of: Option<&'a clap::Arg>,
    /// True after `--`.
    ended: bool,
}

impl<'a> Place<'a> {
    fn pass(&mut self, word: &str) {
        if self.value_of.take().is_some() {
            return;
        }
        if self.ended || !word.starts_with('-') || word == "-" {
            return self.pass_operand(word);
        }
        self.ended = word == "--";
        self.push |= matches!(word, "--push" | "-p");
        self.value_of = self.option(word).filter(|option| option.get_action().takes_values());
    }

    fn pass_operand(&mut self, word: &str) {
        let is_first = self.words.is_empty();
        match self.command.find_subcommand(word).filter(|_| is_first && !self.ended) {
            Some(command) => self.command = command,
            None if is_first
                && self.command.get_name() == "docker-sync"
                && matches!(word, "push" | "pull") =>
            {
                self.push = word == "push";
            }
            None => self.words.push(word.to_owned()),
        }
    }

    /// The option with this name, as `--ssh` or `-f`.
    fn option(&self, name: &str) -> Option<&'a clap::Arg> {
        let mut all = self.command.get_arguments();
        match name.strip_prefix("--") {
            Some(long) => all.find(|argument| argument.get_long() == Some(long)),
            // Of several letters together the last may take a value.
            None => all.find(|argument| argument.get_short() == name.chars().last()),
        }
    }
}

fn help_of(argument: &clap::Arg) -> String {
    argument.get_help().map(ToString::to_string).unwrap_or_default()
}

fn options(command: &clap::Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let named = shown.filter_map(|argument| {
        Some(Candidate { word: format!("--{}", argument.get_long()?), help: help_of(argument) })
    });
    named.collect()
}

/// The values of an option or operand, behind this prefix.
fn values(argument: &clap::Arg, prefix: &str) -> Candidates {
    let possible = argument.get_possible_values();
    let is_file = argument
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name == "FILE" || name == "DIR"));
    if possible.is_empty() && is_file {
        return Candidates::Files;
    }
    let words: Vec<(String, String)> = match argument.get_id().as_str() {
        "docker" | "remote_docker" => {
            ["docker", "podman", "containerd", "oci:"].map(|word| (word.into(), String::new())).into()
        }
        "compression" => ["auto", "max", "3", "9", "19"].map(|word| (word.into(), String::new())).into(),
        "platform" => ["linux/amd64", "linux/arm64"].map(|word| (word.into(), String::new())).into(),
        _ => possible
            .iter()
            .map(|value| {
                (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
            })
            .collect(),
    };
    let candidate = |(word, help)| Candidate { word: format!("{prefix}{word}"), help };
    Candidates::Words(words.into_iter().map(candidate).collect())
}

/// The operand of a command that follows so many others.
fn operand(command: &clap::Command, at: usize) -> Candidates {
    let mut found = if at == 0 { commands(command) } else { Vec::new() };
    match command.get_positionals().nth(at) {
        Some(argument) if matches!(argument.get_id().as_str(), "old" | "new") => found.extend(of_this_host()),
        Some(argument) if argument.get_id() == "remote" => found.extend(places()),
        Some(argument) => return values(argument, ""),
        None => {}
    }
    Candidates::Words(found)
}

fn commands(command: &clap::Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let candidate = |command: &clap::Command| Candidate {
        word: command.get_name().into(),
        help: command.get_about().map(ToString::to_string).unwrap_or_default(),
    };
    shown.map(candidate).collect()
}

fn remotes(command: &clap::Command) -> Vec<Candidate> {
    let words = [("push", "From this host to another"), ("pull", "From another host to this one")];
    let words = words.map(|(word, help)| Candidate { word: word.into(), help: help.into() });
    commands(command).into_iter().chain(words).chain(places()).collect()
}

/// Hosts, and the beginnings of stores of this host.
fn places() -> Vec<Candidate> {
    let stores = [
        ("oci:", "A directory in the OCI image layout"),
        ("containerd:", "A namespace of this host's containerd"),
        ("docker-archive:", "An archive of docker save"),
        ("oci-archive:", "An archive of an OCI image layout"),
    ];
    let stores = stores.map(|(word, help)| Candidate { word: word.into(), help: help.into() });
    let hosts = hosts().into_iter().chain(context::remotes());
    let hosts = hosts.map(|word| Candidate { word, help: String::new() });
    stores.into_iter().chain(hosts).collect()
}

/// The hosts that ssh's configuration and its list of known hosts name.
fn hosts() -> Vec<String> {
    let Some(home) = env::var_os("HOME").map(PathBuf::from) else { return Vec::new() };
    let read = |name: &str| fs::read_to_string(home.join(".ssh").join(name)).unwrap_or_default();
    let mut hosts = hosts_of_config(&read("config"));
    hosts.extend(hosts_known(&read("known_hosts")));
    hosts
}

/// `Host` lines of ssh_config(5), without patterns.
fn hosts_of_config(text: &str) -> Vec<String> {
    let words = |line: &str| {
        let line = line.trim().replacen('=', " ", 1);
        let (keyword, rest) = line.split_once(char::is_whitespace)?;
        keyword.eq_ignore_ascii_case("host").then(|| rest.to_owned())
    };
    let named = text.lines().filter_map(words);
    let hosts = named.flat_map(|rest| {
        rest.split_whitespace().map(|host| host.trim_matches('"').to_owned()).collect::<Vec<_>>()
    });
    hosts.filter(|host| !host.contains(['*', '?', '!'])).collect()
}

/// Names in known_hosts, of sshd(8), that are not hashed.
fn hosts_known(text: &str) -> Vec<String> {
    let named = text.lines().filter_map(|line| line.split_whitespace().find(|word| !word.starts_with('@')));
    let names = named.flat_map(|names| names.split(','));
    let is_plain = |name: &&str| !name.starts_with(['|', '#']) && !name.contains(['*', '?', '!']);
    let host = |name: &str| match name.strip_prefix('[').and_then(|name| name.split_once("]:")) {
        Some((host, port)) => format!("ssh://{host}:{port}"),
        None => name.to_owned(),
    };
    names.filter(is_plain).map(host).collect()
}

/// Images that can be named after a remote.
fn images(remote: &str, push: bool) -> Vec<Candidate> {
    if push {
        return of_this_host();
    }
    let file = Cache::locate().ok().map(|cache| file_of(&cache, remote));
    let names = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    names.lines().map(|name| Candidate { word: name.into(), help: String::new() }).collect()
}

/// Images of this host's engine, if it answers soon.
fn of_this_host() -> Vec<Candidate> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let store = env::var("DOCKER_SYNC_DOCKER").unwrap_or_default();
        // Nobody listens any more where it took too long.
        let _ = sender.send(dsync_sync::names_of_this_host(&store));
    });
    let names = receiver.recv_timeout(PATIENCE).ok().and_then(Result::ok).unwrap_or_default();
    names.iter().map(|name| Candidate { word: name.to_string(), help: String::new() }).collect()
}

/// Remembers the images of a remote, all of which a report names. It is never a reason to fail.
pub(crate) fn remember(remote: &str, report: &Report) {
    let names = report.entries.iter().filter_map(|entry| entry.name.as_ref()).take(MOST_IMAGES);
    let _ = write(remote, &names.map(ToString::to_string).collect::<Vec<_>>());
}

fn write(remote: &str, names: &[String]) -> io::Result<()> {
    let Ok(cache) = Cache::locate() else { return Ok(()) };
    cache.replace_beside(&file_of(&cache, remote), (names.join("\n") + "\n").as_bytes())?;
    forget(&cache.beside(IMAGES))
}

/// Forgets the remotes that were asked about longest ago.
fn forget(folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let many = files.len().saturating_sub(MOST_REMOTES);
    files.iter().take(many).try_for_each(|(_, file)| fs::remove_file(file))
}

/// The file with the images of a remote.
fn file_of(cache: &Cache, remote: &str) -> PathBuf {
    cache.beside(IMAGES).join(Digest::of(remote.as_bytes()).hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let answer = answer(&words);
        answer.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn options_and_their_values() {
        assert_eq!(complete("host --dr"), ["--dry-run", ":4"]);
        assert_eq!(complete("host --method d"), ["delta", ":4"]);
        assert_eq!(complete("host --method=r"), ["--method=rsync", ":4"]);
        assert_eq!(complete("--progress "), ["auto", "json", "none", "plain", "tty", ":4"]);
        assert_eq!(complete("host -f "), [":0"], "a directory");
        assert_eq!(complete("host -uf "), [":0"]);
        assert_eq!(complete("host -- --dr"), [":4"], "no option is behind --");
        assert_eq!(complete("host --nonsense=d"), [":4"]);
        assert!(!complete("host --").contains(&"--pull".to_owned()), "it is hidden");
        assert!(answer(&["--dr".into()]).starts_with("--dry-run\tPrint what would be moved"));
    }

    #[test]
    fn commands_and_their_operands() {
        assert_eq!(complete("ca"), ["cache", ":4"]);
        assert_eq!(complete("pu"), ["pull", "push", ":4"]);
        assert_eq!(complete("cache pr"), ["prune", ":4"]);
        assert_eq!(complete("cache prune --m"), ["--max-size", ":4"]);
        assert_eq!(complete("completions f"), ["fish", ":4"]);
        assert_eq!(complete("apply "), [":0"]);
        assert_eq!(complete("diff a b -o "), [":0"]);
        assert_eq!(complete("doct"), ["doctor", ":4"]);
        assert_eq!(complete("doctor oc"), ["oci-archive:", "oci:", ":4"]);
        assert_eq!(complete("doctor host --remote-d"), ["--remote-docker", ":4"]);
        assert_eq!(complete("doc"), ["docker-archive:", "doctor", ":4"]);
    }

    #[test]
    fn hosts_are_those_of_ssh() {
        let config = "Host build prod-*\n  HostName 10.0.0.7\nhost=\"ci\"\nMatch host x\nHOST !no web\n";
        assert_eq!(hosts_of_config(config), ["build", "ci", "web"]);
        let known = "# c\n|1|x|y ssh-rsa A\nalpha,10.0.0.1 ssh-rsa A\n@cert-authority *.z ssh-rsa A\n[beta]:2222 x y\n\n";
        assert_eq!(hosts_known(known), ["alpha", "10.0.0.1", "ssh://beta:2222"]);
    }
}
