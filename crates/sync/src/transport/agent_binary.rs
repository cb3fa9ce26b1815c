//! Finds the agent for a remote host, and has it in gzip: docker-sync-agent beside this program, one that lies in a
//! folder, one that this program has in itself, or this program.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dsync_proto::PROTOCOL;
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use sha2::{Digest, Sha256};

use crate::interrupt::Interrupt;
use crate::options::PackedAgent;

/// The build id, a hash of the sources of this program: see build.rs.
pub(crate) const BUILD: [u8; 32] = include!(concat!(env!("OUT_DIR"), "/build_id.rs"));

/// The program for a host.
pub(crate) struct Program {
    /// gzip.
    pub(crate) packed: Cow<'static, [u8]>,
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
/// No agent is larger: as long as a packed one says that it is, memory is taken for it.
const LARGEST: usize = 64 << 20;

/// A place where the agent for a host was found.
enum Found {
    File(PathBuf),
    Packed(&'static PackedAgent),
}

/// The program for a host, by what its `uname -s` and `uname -m` say.
///
/// For a host of another kind the file `docker-sync-SYSTEM-MACHINE` is looked for in `$DOCKER_SYNC_AGENTS` and beside
/// this program, then one of `agents`.
pub(crate) fn for_host(
    (system, machine): (&str, &str),
    version: &str,
    agents: &'static [PackedAgent],
    interrupt: &Interrupt,
) -> Result<Program, String> {
    let (own_system, own_machine) = own_platform();
    let found = if (system, machine) == (own_system, own_machine) {
        own(version, agents).map_err(|error| format!("cannot find this program's own file: {error}"))?
    } else {
        let file = find_other(system, machine).map(Found::File);
        file.or_else(|| packed_for(agents, system, machine)).ok_or_else(|| {
            format!("this docker-sync is for {own_system} {own_machine}, the host is {system} {machine}")
        })?
    };
    match found {
        Found::File(path) => {
            let bytes =
                fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            compress(&bytes, interrupt)
                .map_err(|error| format!("cannot compress {}: {error}", path.display()))
        }
        Found::Packed(agent) => {
            let program =
                agent.unpacked().map_err(|error| format!("cannot read this program's agents: {error}"))?;
            Ok(Program { packed: Cow::Borrowed(agent.packed), hash: Sha256::digest(program).into() })
        }
    }
}

/// SHA-256 and length of the program that a host of this kind is given; under the hash it is kept there.
pub(crate) fn measure_own(version: &str, agents: &'static [PackedAgent]) -> io::Result<([u8; 32], u64)> {
    let bytes = match own(version, agents)? {
        Found::File(path) => fs::read(path)?,
        Found::Packed(agent) => agent.unpacked()?,
    };
    Ok((Sha256::digest(&bytes).into(), bytes.len() as u64))
}

/// The program that a host of this kind is given: the agent that lies beside this program, if it is of the same build,
/// else one of `agents`, else this program.
fn own(version: &str, agents: &'static [PackedAgent]) -> io::Result<Found> {
    let program = std::env::current_exe()?;
    let agent = program.with_file_name(AGENT);
    let said = Command::new(&agent).args(["agent", "--version"]).stdin(Stdio::null()).output();
    if said.is_ok_and(|said| said.stdout.trim_ascii_end() == agent_version(version).as_bytes()) {
        return Ok(Found::File(agent));
    }
    let (system, machine) = own_platform();
    Ok(packed_for(agents, system, machine).unwrap_or(Found::File(program)))
}

/// The one of `agents` that is for such a host.
fn packed_for(agents: &'static [PackedAgent], system: &str, machine: &str) -> Option<Found> {
    let fits = |agent: &&PackedAgent| (agent.system, agent.machine) == (system, machine);
    agents.iter().find(fits).map(Found::Packed)
}

impl PackedAgent {
    /// The program itself, checked against the sum that gzip keeps of it.
    fn unpacked(&self) -> io::Result<Vec<u8>> {
        let len = self.packed.last_chunk().map_or(0, |len| u32::from_le_bytes(*len) as usize);
        if len > LARGEST {
            return Err(io::Error::other(format!(
                "the agent for {} {} is damaged",
                self.system, self.machine
            )));
        }
        let mut program = vec![0; len];
        Decompressor::new().gzip_decompress(self.packed, &mut program).map_err(io::Error::other)?;
        Ok(program)
    }
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
    Ok(Program { packed: Cow::Owned(packed), hash: Sha256::digest(program).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_host_is_told_apart() {
        assert!(
            for_host(("Plan9", "mips"), "1", &[], &Interrupt::default())
                .is_err_and(|reason| reason.contains("the host is Plan9 mips"))
        );
        // The name that a host gives itself never becomes a path.
        assert!(find_other("../..", "x").is_none());
    }

    /// The agents of a program that has some in itself: the second is damaged.
    fn brought(program: &[u8]) -> &'static [PackedAgent] {
        let packed = compress(program, &Interrupt::default()).unwrap().packed.into_owned();
        let mut damaged = packed.clone();
        *damaged.last_mut().unwrap() ^= 0x80;
        let agent =
            |machine, packed: Vec<u8>| PackedAgent { system: "Plan9", machine, packed: packed.leak() };
        Box::leak(Box::new([agent("mips", packed), agent("vax", damaged), agent("pdp11", Vec::new())]))
    }

    #[test]
    fn an_agent_that_the_program_brings_is_given_as_it_is() {
        let agents = brought(b"an agent");
        let given = |machine| for_host(("Plan9", machine), "1", agents, &Interrupt::default());
        let program = given("mips").unwrap();
        assert_eq!(program.packed, agents[0].packed);
        assert_eq!(program.hash, <[u8; 32]>::from(Sha256::digest(b"an agent")));
        for damaged in ["vax", "pdp11"] {
            assert!(given(damaged).is_err_and(|reason| reason.contains("this program's agents")));
        }
        assert!(given("s390x").is_err_and(|reason| reason.contains("the host is Plan9 s390x")));
    }

    #[test]
    fn a_host_of_the_own_kind_is_given_the_agent_that_the_program_brings() {
        let (system, machine) = own_platform();
        let packed = compress(b"small", &Interrupt::default()).unwrap().packed.into_owned().leak();
        let agents: &[_] = Box::leak(Box::new([PackedAgent { system, machine, packed }]));
        let hash = <[u8; 32]>::from(Sha256::digest(b"small"));
        assert_eq!(measure_own("1", agents).unwrap(), (hash, 5));
        let program = for_host((system, machine), "1", agents, &Interrupt::default()).unwrap();
        assert_eq!((&program.packed[..], program.hash), (&*packed, hash));
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(measure_own("1", &[]).unwrap().1, whole.len() as u64);
    }
}
