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
