//! Tries programs of a release, also those for other machines where this system runs them, as with qemu-user-static
//! and binfmt_misc.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsync_lab::images::{Image, Layer};

use super::target::{TARGETS, Target};
use crate::{Result, shell, show};

/// The error of an executable that the system does not run.
const NO_EXECUTABLE: i32 = 8;
/// The image that is synced.
const IMAGE: &str = "shop/web";

/// True if this system runs a program, agent or client, which has to say then of which build it is.
pub(super) fn runs(program: &Path) -> Result<bool> {
    let output = match Command::new(program).args(["agent", "--version"]).output() {
        Err(error) if error.raw_os_error() == Some(NO_EXECUTABLE) => {
            show::note(format_args!("not tried, since it does not run here: {}", program.display()));
            return Ok(false);
        }
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("docker-sync agent {} protocol ", super::VERSION);
    if !said.starts_with(&expected) {
        return Err(format!("{} says {said:?} ({})", program.display(), output.status).into());
    }
    Ok(true)
}

/// The sizes of an address space, in KiB, one of which lets an agent begin and start no thread: that is a panic.
const SMALL: std::ops::Range<u32> = 2000..12_000;
/// The beginning of the last words of an agent, on which the client tells a crash from a lost connection.
const CRASHED: &str = "docker-sync agent crashed: ";

/// Has an agent of this machine crash, which it has to say.
pub(super) fn tells_crashes(agent: &Path) -> Result {
    for size in SMALL.step_by(500) {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -v $1 && exec \"$0\" agent"]).arg(agent).arg(size.to_string());
        let output = shell.stdin(Stdio::null()).output()?;
        if String::from_utf8_lossy(&output.stderr).contains(CRASHED) {
            return Ok(());
        }
    }
    Err(format!("{} does not say that it crashes", agent.display()).into())
}

/// Has a program sync an image from a host of each machine that runs here: a script stands for ssh. The host has to be
/// given the agent that the program has for it.
pub(super) fn sync(program: &Path, agents: &Path) -> Result {
    for target in &TARGETS {
        let packed = agents.join(super::program::packed_agent(target));
        let mut agent = Vec::new();
        flate2::read::GzDecoder::new(fs::File::open(&packed)?).read_to_end(&mut agent)?;
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("agent");
        write_program(&copy, &agent)?;
        if runs(&copy)? {
            sync_from(program, target, &agent, folder.path())?;
            let machine = target.machine;
            show::good(format_args!(
                "{} syncs from a host with {machine}",
                show::typed(&Command::new(program))
            ));
        }
    }
    Ok(())
}

fn sync_from(program: &Path, target: &Target, agent: &[u8], folder: &Path) -> Result {
    let file = |path: &str| folder.join(path);
    let image = Image::named(IMAGE).layer(&Layer::builder().file("a", "a").build());
    tar::Archive::new(image.archive().as_slice()).unpack(file("source"))?;
    fs::create_dir_all(file("home"))?;
    fs::create_dir_all(file("bin"))?;
    fs::create_dir_all(file("target"))?;
    let uname = format!("#!/bin/sh\ncase $1 in -s) echo Linux ;; *) echo {} ;; esac\n", target.machine);
    write_program(&file("bin/uname"), uname.as_bytes())?;
    let ssh = format!(
        "#!/bin/sh\ncase \" $* \" in *' -G '*) exit 1 ;; esac\nfor command do :; done\n\
         HOME={0}/home PATH={0}/bin:$PATH\nunset XDG_CACHE_HOME\nexport HOME PATH\nexec sh -c \"$command\"\n",
        folder.display()
    );
    write_program(&file("ssh"), ssh.as_bytes())?;
    let layout = |name: &str| format!("oci:{}", file(name).display());
    let mut run = Command::new(program);
    run.args(["--quiet", "--ssh", &file("ssh").display().to_string(), "--docker", &layout("target")]);
    run.args(["--remote-docker", &layout("source"), "somewhere", IMAGE]).env("XDG_CACHE_HOME", file("cache"));
    shell::output(&mut run)?;
    let given = files(&file("home/.cache/docker-sync"))?;
    let is_agent =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("agent-"));
    let given = given.iter().find(is_agent).ok_or("the host was given no agent")?;
    if fs::read(given)? != agent {
        return Err(format!("the host was given another agent than that for {}", target.machine).into());
    }
    let arrived = files(&file("target/blobs/sha256"))?;
    let id = image.id().hex();
    if !arrived.iter().any(|path| path.ends_with(&id)) {
        return Err(format!("the image {id} did not arrive").into());
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>()?)
}

fn write_program(path: &Path, bytes: &[u8]) -> Result {
    fs::write(path, bytes)?;
    Ok(fs::set_permissions(path, PermissionsExt::from_mode(0o755))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_run_here_is_told_from_one_that_says_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let said = |name: &str, bytes: &[u8]| {
            let program = folder.path().join(name);
            write_program(&program, bytes).unwrap();
            runs(&program)
        };
        let line = format!("docker-sync agent {} protocol 1 build 2", crate::dist::VERSION);
        assert!(said("good", format!("#!/bin/sh\necho '{line}'\n").as_bytes()).unwrap());
        let nonsense = said("nonsense", b"#!/bin/sh\necho 'docker-sync agent 0'\n").unwrap_err().to_string();
        assert!(nonsense.contains("nonsense says \"docker-sync agent 0\\n\""), "{nonsense}");
        // The head of an ELF file for a machine that is none.
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[16..20].copy_from_slice(&[2, 0, 0xfe, 0xff]);
        assert!(!said("elsewhere", &elf).unwrap());
    }
}
