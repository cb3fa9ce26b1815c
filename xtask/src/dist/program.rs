//! Builds agents and clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libdeflater::{CompressionLvl, Compressor};

use super::target::{TARGETS, Target};
use super::toolchain::Toolchain;
use super::trial;
use crate::{Result, shell, show, units, workspace};

/// The variable by which `crates/cli/build.rs` is told of the agents.
const EMBED: &str = "DOCKER_SYNC_EMBED";
/// The programs.
const CLIENT: &str = "docker-sync";
const AGENT: &str = "docker-sync-agent";
/// The profiles: of a release, and one that is built in less time.
const RELEASE: &str = "release";
const FOR_TESTS: &str = "trial";

/// Builds the agents for all machines; the folder in which they are packed.
pub(super) fn agents(toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/dist/agents");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for target in &TARGETS {
        let agent = built(cargo("build", toolchain, root, target, RELEASE, &[AGENT])?, AGENT)?;
        if trial::runs(&agent)? && target.machine == std::env::consts::ARCH {
            trial::tells_crashes(&agent)?;
        }
        let packed = gzip(&fs::read(&agent)?)?;
        show::note(format_args!(
            "the agent for {}: {} in gzip",
            target.machine,
            units::bytes(packed.len() as u64)
        ));
        fs::write(folder.join(packed_agent(target)), packed)?;
    }
    Ok(folder)
}

/// Builds the program for a machine with these agents in it.
pub(super) fn client(toolchain: &Toolchain, root: &Path, agents: &Path, target: &Target) -> Result<PathBuf> {
    let mut cargo = cargo("build", toolchain, root, target, RELEASE, &[CLIENT])?;
    cargo.env(EMBED, agents);
    built(cargo, CLIENT)
}

/// Builds the program for a machine, with no agents in it, and its agent; the folder that has both.
pub(super) fn for_tests(toolchain: &Toolchain, root: &Path, target: &Target) -> Result<PathBuf> {
    let program = built(cargo("build", toolchain, root, target, FOR_TESTS, &[CLIENT, AGENT])?, CLIENT)?;
    trial::runs(&program)?;
    Ok(program.parent().ok_or("a program is in a folder")?.to_owned())
}

/// Checks that the client compiles for a machine, and links nothing.
pub(super) fn check(toolchain: &Toolchain, root: &Path, target: &Target) -> Result {
    shell::run(&mut cargo("check", toolchain, root, target, FOR_TESTS, &[CLIENT])?)
}

fn cargo(
    command: &str,
    toolchain: &Toolchain,
    root: &Path,
    target: &Target,
    profile: &str,
    programs: &[&str],
) -> Result<Command> {
    let mut cargo = toolchain.cargo(root, target)?;
    cargo.args([command, "--profile", profile, "--locked", "--package", "docker-sync"]);
    cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
    cargo.args(["--target", &target.triple(), "--target-dir"]).arg(root.join("target/dist"));
    cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
    Ok(cargo)
}

/// Runs cargo; where the program is that it made.
fn built(mut cargo: Command, program: &str) -> Result<PathBuf> {
    show::command("", show::typed(&cargo));
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let messages = shell::output(&mut cargo)?;
    workspace::executable(&messages, program).ok_or_else(|| format!("cargo built no {program}").into())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let len = compressor.gzip_compress(bytes, &mut packed)?;
    packed.truncate(len);
    Ok(packed)
}

/// The name of the file in which the agent for a machine is packed.
pub(super) fn packed_agent(target: &Target) -> String {
    format!("docker-sync-Linux-{}.gz", target.machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_packed_agent_is_one_member_of_gzip() {
        let program = b"a program ".repeat(100);
        let packed = gzip(&program).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, program);
        assert!(packed.len() < 100, "{}", packed.len());
    }
}
