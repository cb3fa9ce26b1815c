//! Left-overs of a run, on either side: processes, files, containers.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Bench, Side, program};

/// All that should not be there, a line each. Files that were there before are nobody's fault.
pub(crate) fn find(bench: &Bench, before: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut lines = loose(bench, before);
    // A containerd is not asked to run anything.
    for side in [bench.here(), bench.there()].into_iter().filter(|side| !side.engine().is_containerd()) {
        let containers = side.docker(&["ps", "--all", "--no-trunc", "--format", "{{.Image}}"]);
        let own = containers.lines().filter(|image| is_own(&side, image, &bench.name("")));
        lines.extend(own.map(|image| format!("on {} a container of {image}", side.host.name())));
    }
    lines
}

/// Processes and files that should not be there.
pub(crate) fn loose(bench: &Bench, before: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut lines = Vec::new();
    for process in processes_of(bench.dir()) {
        lines.push(format!("here the process {process}"));
    }
    for process in bench.login().processes() {
        lines.push(format!("there the process {process}"));
    }
    let files = files(bench);
    lines.extend(files.difference(before).map(|file| format!("the file {}", file.display())));
    lines
}

/// True if a container's image, given by name or ID, is one of the test.
fn is_own(side: &Side<'_>, image: &str, prefix: &str) -> bool {
    let inspect = ["image", "inspect", "--format", "{{join .RepoTags \" \"}}", image];
    let is_id = image.bytes().all(|b| b.is_ascii_hexdigit()) || image.starts_with("sha256:");
    let names = if is_id { side.docker(&inspect) } else { image.to_owned() };
    names.split(' ').any(|name| name.starts_with(prefix))
}

/// All files in the places of the test, but for the agent, the index cache, partial transfers, and what is known of links
/// and of the images of remotes, which stay.
pub(crate) fn files(bench: &Bench) -> BTreeSet<PathBuf> {
    let mut files = all(bench);
    let is_agent = |file: &Path| program::agent_files().iter().any(|name| file.ends_with(name));
    let stays = |file: &Path| is_agent(file) || file.ends_with("docker-sync/links");
    let is_known =
        |file: &Path| ["docker-sync/index", "docker-sync/images"].iter().any(|dir| is_in(file, dir));
    // podman asks rpm, where that is installed, which package it is of; rpm makes itself a database for the answer.
    let is_of_rpm = |file: &Path| file.parent().is_some_and(|parent| parent.ends_with(".rpmdb"));
    files.retain(|file| !stays(file) && !is_known(file) && !is_partial(file) && !is_of_rpm(file));
    files
}

/// The files of transfers that broke off.
pub(crate) fn partial(bench: &Bench) -> Vec<PathBuf> {
    all(bench).into_iter().filter(|file| is_partial(file)).collect()
}

/// True if this is of a transfer that broke off, with an agent or without.
fn is_partial(file: &Path) -> bool {
    let is_without_agent =
        |part: &OsStr| part.to_str().is_some_and(|part| part.starts_with("docker-sync-partial-"));
    is_in(file, "docker-sync/partial") || file.iter().any(is_without_agent)
}

fn all(bench: &Bench) -> BTreeSet<PathBuf> {
    let login = bench.login();
    let mut files = BTreeSet::new();
    for dir in [bench.home(), bench.tmp(), login.home(), login.tmp(), login.var_tmp(), login.shm()] {
        collect(&dir, &mut files);
    }
    files
}

/// True if this is a complete file of this directory of the cache.
fn is_in(file: &Path, directory: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".recipe").unwrap_or(name);
    let is_digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest && file.parent().is_some_and(|parent| parent.ends_with(directory))
}

/// The processes with this directory or one below it as their `HOME`: pid and command line.
pub(crate) fn processes_of(dir: &Path) -> Vec<String> {
    let home = format!("HOME={}", dir.display());
    let marked = |pid: &str| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environ.split(|b| *b == 0).find(|entry| entry.starts_with(home.as_bytes()))?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // lab-wire outlives its ssh by a moment, to write down what it counted.
        (!line.is_empty() && !line.contains("lab-wire")).then(|| format!("{pid} {line}"))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| marked(entry.file_name().to_str()?)).collect()
}

fn collect(dir: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir {
            collect(&entry.path(), files);
        } else {
            files.insert(entry.path());
        }
    }
}
