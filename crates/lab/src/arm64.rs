//! A host with another machine: programs of Debian for arm64, which an emulator runs on this kernel.
//!
//! The kernel starts the emulator for programs of that machine, in any root directory (`binfmt_misc` with the flag F).
//! The lab registers the emulator where nobody has, and leaves it registered, as Debian's package does. A login
//! whose programs are these has a root directory of its own, without a program of this machine: sshd enters it when
//! somebody has logged in. The lab's directory is where it is outside, so that paths mean the same to both sides.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsync_core::Digest;

use crate::command::run;
use crate::files::write;
use crate::images::{Image, Layer};
use crate::{LabError, cache, packages, suite};

/// The emulator, and the package that has it.
const EMULATOR: [&str; 2] = ["qemu-aarch64-static", "qemu-user-static"];
/// Programs for Linux on this machine, as the kernel is told of them: the head of an ELF file, the bits of it that count,
/// and the flag by which it opens the emulator now and not in the root directory of each program.
const HEAD: &str = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
/// The place where the kernel is told.
const FORMATS: &str = "/proc/sys/fs/binfmt_misc";
/// The name of the lab's own entry there.
const ENTRY: &str = "docker-sync-lab-aarch64";

/// The keys that Debian signs its releases with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The suite that a host of this kind has, and the next one, which has other versions of the same packages.
const SUITES: [&str; 2] = ["bookworm", "trixie"];
/// The packages of a host: a shell, the programs that a bootstrap calls, and their libraries.
const PACKAGES: [&str; 9] =
    ["dash", "coreutils", "gzip", "libc6", "libacl1", "libattr1", "libgmp10", "libpcre2-8-0", "libselinux1"];
/// The packages in an image.
const IN_IMAGE: [&str; 3] = ["dash", "sed", "gzip"];

/// The shell of an account, as `/bin/sh` is.
pub(crate) const SHELL: &str = "/usr/bin/dash";
/// The place in the mount namespace of a login where its root directory is. sshd wants one that root alone can write,
/// with all above it.
pub(crate) const ROOT: &str = "/mnt";

/// A release of the packages in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Debian 12
    Old,
    /// Debian 13
    New,
}

/// Makes sure that this system runs programs for arm64, and that a host can have them.
pub fn require() -> Result<(), LabError> {
    root().map(drop)
}

/// An image of packages for arm64, each a layer as it is in its package.
pub fn image(name: &str, release: Release) -> Result<Image, LabError> {
    let cache = cache::directory()?;
    let _lock = cache::lock(&cache, "arm64.lock")?;
    let files = download(&cache, SUITES[release as usize], &IN_IMAGE)?;
    let image = Image::named(name).platform("linux/arm64");
    files.iter().try_fold(image, |image, file| Ok(image.layer(&Layer::from_tar(content(file)?))))
}

/// The directory with the programs of a host, which run.
pub(crate) fn root() -> Result<PathBuf, LabError> {
    packages::require_root()?;
    let cache = cache::directory()?;
    // A second process waits, and then finds the directory.
    let _lock = cache::lock(&cache, "arm64.lock")?;
    let root = cache.join(format!("arm64-{}", Digest::of(PACKAGES.join(" ").as_bytes()).short()));
    if !root.is_dir() {
        let part = root.with_extension("part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(LabError::io(format_args!("remove {}", part.display())))?;
        }
        for name in ["bin", "sbin", "lib"] {
            let usr = part.join("usr").join(name);
            fs::create_dir_all(&usr).map_err(LabError::io(format_args!("create {}", usr.display())))?;
            symlink(format!("usr/{name}"), part.join(name)).map_err(LabError::io("link a directory"))?;
        }
        for file in download(&cache, SUITES[0], &PACKAGES)? {
            unpack(&file, &part, &[])?;
        }
        fs::rename(&part, &root).map_err(LabError::io(format_args!("keep {}", root.display())))?;
    }
    let runs = || {
        let said = run(Command::new("chroot").arg(&root).args(["/usr/bin/uname", "-m"]))?;
        if said.trim() == "aarch64" {
            return Ok(());
        }
        Err(LabError::Usage(format!("a program for arm64 says that the machine is {said:?}")))
    };
    if runs().is_err() {
        register(&emulator(&cache)?)?;
        runs()?;
    }
    Ok(root)
}

/// The part of an sshd's script that makes the root directory of a login in this lab.
pub(crate) fn script(root: &Path, lab: &Path) -> String {
    let (root, lab) = (root.display(), lab.display());
    format!(
        "mount -t tmpfs -o mode=755 docker-sync-lab {ROOT}\n\
         cd {ROOT}\n\
         mkdir -p usr etc dev proc tmp var/tmp '.{lab}'\n\
         chmod 1777 tmp\n\
         for d in bin sbin lib; do ln -s usr/$d $d; done\n\
         cp /etc/passwd /etc/group etc\n\
         mount --bind '{root}/usr' usr\n\
         mount -o remount,bind,ro usr\n\
         for d in dev proc; do mount --rbind /$d $d; done\n\
         mount --bind /var/tmp var/tmp\n\
         mount --rbind '{lab}' '.{lab}'\n\
         cd /\n"
    )
}

/// The emulator: this machine's, or one in the cache.
fn emulator(cache: &Path) -> Result<PathBuf, LabError> {
    let [program, package] = EMULATOR;
    if let Some(found) = packages::find(program) {
        return Ok(found);
    }
    let kept = cache.join(program);
    if !kept.is_file() {
        let folder = scratch(cache)?;
        packages::download(&[package], folder.path(), &[])?;
        for file in packages_in(folder.path())? {
            // All emulators of the package would be 380 MB.
            unpack(&file, folder.path(), &[&format!("./usr/bin/{program}")])?;
        }
        let unpacked = folder.path().join("usr/bin").join(program);
        fs::rename(unpacked, &kept).map_err(LabError::io(format_args!("keep {}", kept.display())))?;
    }
    Ok(kept)
}

/// Tells the kernel which program runs those for arm64.
fn register(emulator: &Path) -> Result<(), LabError> {
    let entry = Path::new(FORMATS).join(ENTRY);
    let register = Path::new(FORMATS).join("register");
    if !register.exists() {
        run(Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc", FORMATS]))?;
    }
    if entry.exists() {
        // Of an earlier lab, whose emulator may be gone.
        fs::write(&entry, "-1").map_err(LabError::io(format_args!("remove {}", entry.display())))?;
    }
    let line = format!(":{ENTRY}:M::{HEAD}:{MASK}:{}:F", emulator.display());
    let file = fs::OpenOptions::new().write(true).open(&register);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(LabError::io("have the kernel run programs for arm64"))
}

/// Downloads packages for arm64 of a suite, by an apt that knows these alone; where they are.
fn download(cache: &Path, suite: &str, packages: &[&str]) -> Result<Vec<PathBuf>, LabError> {
    let home = cache.join("arm64-packages");
    let folder = home.join(suite);
    let cannot = || LabError::io(format_args!("create {}", folder.display()));
    fs::create_dir_all(&folder).map_err(cannot())?;
    let missing = |there: &[PathBuf]| -> Vec<String> {
        let is_there = |name: &str| there.iter().any(|file| is_of(file, name));
        packages.iter().filter(|name| !is_there(name)).map(|name| format!("{name}/{suite}")).collect()
    };
    let wanted = missing(&packages_in(&folder)?);
    if !wanted.is_empty() {
        let config = home.join("apt.conf");
        fs::create_dir_all(home.join("lists/partial")).map_err(cannot())?;
        write(&home.join("status"), "")?;
        write(&home.join("sources"), &sources(suite::mirror()?.as_deref()))?;
        write(&config, &settings(&home))?;
        let words: Vec<&str> = wanted.iter().map(String::as_str).collect();
        packages::download(&words, &folder, &[("APT_CONFIG", &config)])?;
    }
    let there = packages_in(&folder)?;
    if let Some(name) = missing(&there).first() {
        return Err(LabError::Usage(format!("apt did not download {name} for arm64")));
    }
    let wanted = |name: &&str| there.iter().find(|file| is_of(file, name)).cloned();
    Ok(packages.iter().filter_map(wanted).collect())
}

/// Both suites, from this machine's mirror, signed by Debian.
fn sources(mirror: Option<&str>) -> String {
    let mirror = mirror.unwrap_or("http://deb.debian.org/debian");
    SUITES.map(|suite| format!("deb [signed-by={KEYS}] {mirror} {suite} main\n")).concat()
}

/// The settings of an apt for arm64, with nothing of this machine's.
fn settings(home: &Path) -> String {
    let home = home.display();
    format!(
        "APT::Architecture \"arm64\";\n\
         APT::Architectures {{ \"arm64\"; }};\n\
         Dir::State \"{home}\";\n\
         Dir::State::Lists \"{home}/lists\";\n\
         Dir::State::status \"{home}/status\";\n\
         Dir::Cache \"{home}\";\n\
         Dir::Etc::SourceList \"{home}/sources\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"/dev/null\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n\
         Acquire::Check-Date \"false\";\n"
    )
}

/// True if a file is a package of this name: `NAME_VERSION_ARCH.deb`.
fn is_of(file: &Path, package: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix(package).is_some_and(|rest| rest.starts_with('_'))
}

/// The packages in a folder.
fn packages_in(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    let cannot = LabError::io(format_args!("read {}", folder.display()));
    let entries = fs::read_dir(folder).map_err(cannot)?;
    let files = entries.flatten().map(|entry| entry.path());
    Ok(files.filter(|file| file.extension().is_some_and(|end| end == "deb")).collect())
}

/// Unpacks these files of a package, or all.
fn unpack(package: &Path, into: &Path, files: &[&str]) -> Result<(), LabError> {
    let mut sh = Command::new("sh");
    let script = "deb=$1 into=$2; shift 2\n\
                  dpkg-deb --fsys-tarfile \"$deb\" | tar -x -C \"$into\" --keep-directory-symlink -- \"$@\"";
    sh.args(["-euc", script, "sh"]).arg(package).arg(into).args(files);
    run(&mut sh).map(drop)
}

/// The tar that a package has in itself.
fn content(package: &Path) -> Result<Vec<u8>, LabError> {
    let mut dpkg = Command::new("dpkg-deb");
    let dpkg = dpkg.arg("--fsys-tarfile").arg(package);
    let output = dpkg.output().map_err(LabError::io("run dpkg-deb"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(LabError::Command { command: crate::command::line(dpkg), status: output.status, stderr })
}

fn scratch(cache: &Path) -> Result<tempfile::TempDir, LabError> {
    let builder = tempfile::Builder::new().prefix("build-").tempdir_in(cache);
    builder.map_err(LabError::io("make a directory in the lab's cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_name_and_not_by_a_part_of_it() {
        let file = Path::new("/x/dash_0.5.12-2_arm64.deb");
        assert!(is_of(file, "dash"));
        assert!(!is_of(file, "das") && !is_of(file, "dash-static"));
    }

    #[test]
    fn packages_come_from_the_mirror_of_this_machine() {
        let lines = sources(Some("http://mirror/debian/"));
        let ends: Vec<&str> = lines.lines().filter_map(|line| Some(line.split_once("] ")?.1)).collect();
        assert_eq!(ends, ["http://mirror/debian/ bookworm main", "http://mirror/debian/ trixie main"]);
        assert!(sources(None).contains("] http://deb.debian.org/debian bookworm "));
    }
}
