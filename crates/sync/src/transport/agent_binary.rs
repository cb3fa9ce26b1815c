//! Finds and compresses the agent for a remote host: docker-sync-agent beside this program, this program, or one for
//! another platform.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsync_proto::PROTOCOL;
use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest, Sha256};

use crate::interrupt::Interrupt;

/// The build id, a hash of the sources of this program: see build.rs.
pub(crate) const BUILD: [u8; 32] = include!(concat!(env!("OUT_DIR"), "/build_id.rs"));

/// The program for a host.
pub(crate) struct Program {
    /// gzip.
    pub(crate) packed: Vec<u8>,
    /// SHA-256 of the program.
    pub(crate) hash: [u8; 32],
}

/// The line that `docker-sync agent --version` prints: an agent is used when it is the client's own. With as much of the
/// build id as tells builds apart; all of it comes with the preamble.
pub fn agent_version(version: &str) -> String {
    let build: String = BUILD.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("docker-sync agent {version} protocol {PROTOCOL} build {build}")
}

/// The name of the agent alone.
const AGENT: &str = "docker-sync-agent";

/// The program for a host, by what its `uname -s` and `uname -m` say.
///
/// For a host of another kind the file `docker-sync-SYSTEM-MACHINE` is looked for beside this program and
/// in `$DOCKER_SYNC_AGENTS`.
pub(crate) fn for_host(
    system: &str,
    machine: &str,
    version: &str,
    interrupt: &Interrupt,
) -> Result<Program, String> {
    let (own_system, own_machine) = own_platform();
    let path = if (system, machine) == (own_system, own_machine) {
        own(version).map_err(|error| format!("cannot find this program's own file: {error}"))?
    } else {
        find_other(system, machine).ok_or_else(|| {
            format!("this docker-sync is for {own_system} {own_machine}, the host is {system} {machine}")
        })?
    };
    let bytes = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    compress(&bytes, interrupt).map_err(|error| format!("cannot compress {}: {error}", path.display()))
}

/// The program that a host of this kind is given: the agent that lies beside this program, if it is of the same build,
/// else this program.
pub(crate) fn own(version: &str) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let agent = program.with_file_name(AGENT);
    let said = Command::new(&agent).args(["agent", "--version"]).stdin(Stdio::null()).output();
    let same = said.is_ok_and(|said| said.stdout.trim_ascii_end() == agent_version(version).as_bytes());
    Ok(if same { agent } else { program })
}

/// SHA-256 of a file, under which a host keeps it, and its length.
pub(crate) fn measure(file: &Path) -> io::Result<([u8; 32], u64)> {
    let bytes = fs::read(file)?;
    Ok((Sha256::digest(&bytes).into(), bytes.len() as u64))
}

/// As `uname -s` and `uname -m` name what this program was built for.
fn own_platform() -> (&'static str, &'static str) {
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "freebsd" => "FreeBSD",
        other => other,
    };
    let machine = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "arm64",
        ("freebsd", "x86_64") => "amd64",
        (_, other) => other,
    };
    (system, machine)
}

fn find_other(system: &str, machine: &str) -> Option<PathBuf> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain(system) || !plain(machine) {
        return None;
    }
    let name = format!("docker-sync-{system}-{machine}");
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let folders = std::env::var_os("DOCKER_SYNC_AGENTS").map(PathBuf::from).into_iter().chain(beside);
    folders.map(|folder| folder.join(&name)).find(|path| path.is_file())
}

fn compress(program: &[u8], interrupt: &Interrupt) -> io::Result<Program> {
    interrupt.check()?;
    // Half a second for 3 % less than gzip makes.
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; compressor.gzip_compress_bound(program.len())];
    let len = compressor.gzip_compress(program, &mut packed).map_err(io::Error::other)?;
    packed.truncate(len);
    Ok(Program { packed, hash: Sha256::digest(program).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_host_is_told_apart() {
        assert!(
            for_host("Plan9", "mips", "1", &Interrupt::default())
                .is_err_and(|reason| reason.contains("the host is Plan9 mips"))
        );
        // The name that a host gives itself never becomes a path.
        assert!(find_other("../..", "x").is_none());
    }
}
