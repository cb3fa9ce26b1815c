//! The program under test: `docker-sync` as it is released, with the agent beside it that a remote host gets.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use dsync_core::Digest;
use serde_json::Value;

/// The path of the program: `$DOCKER_SYNC_BIN`, or built by cargo, once for each process.
pub fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> =
        LazyLock::new(|| env::var_os("DOCKER_SYNC_BIN").map_or_else(build, PathBuf::from));
    &PROGRAM
}

/// The agent that a host is given: the one that was built beside the program.
pub fn agent() -> PathBuf {
    program().with_file_name("docker-sync-agent")
}

/// The name of the agent's file in a host's cache, as docs/protocol.md has it.
pub fn agent_file() -> &'static str {
    static NAME: LazyLock<String> =
        LazyLock::new(|| format!("agent-{}", Digest::of(&fs::read(agent()).unwrap()).hex()));
    &NAME
}

/// The folder of the program and the agent for arm64.
const ARM64: &str = "DOCKER_SYNC_ARM64";

/// A program for arm64: of `$DOCKER_SYNC_ARM64`, which `cargo xtask test` builds.
///
/// # Panics
/// The variable is not set: a cargo that only knows this machine cannot build it.
pub fn arm64(name: &str) -> PathBuf {
    let folder =
        env::var_os(ARM64).unwrap_or_else(|| panic!("{ARM64} names no folder: run `cargo xtask test`"));
    Path::new(&folder).join(name)
}

/// The names of the files in a host's cache that are agents of this build.
pub(crate) fn agent_files() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let other = env::var_os(ARM64).map(|folder| Path::new(&folder).join("docker-sync-agent"));
        let other = other.map(|agent| format!("agent-{}", Digest::of(&fs::read(agent).unwrap()).hex()));
        [agent_file().to_owned()].into_iter().chain(other).collect()
    });
    &NAMES
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    cargo.args(["build", "--quiet", "--release", "--package", "docker-sync", "--bins"]);
    let output = cargo.args(["--message-format", "json-render-diagnostics"]).output().unwrap();
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    messages
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|message| message["target"]["name"] == "docker-sync")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo says where the program is that it was asked to build")
}
