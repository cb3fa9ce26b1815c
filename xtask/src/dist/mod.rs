//! `cargo xtask dist`: the program as it is released, for each machine, in archives and packages. docs/releasing.md
//! says what is made of what.

mod archive;
mod deb;
mod formula;
mod install;
mod installed;
mod parts;
mod program;
mod rpm;
mod signature;
mod target;
mod toolchain;
mod trial;
mod wheel;
#[cfg(test)]
mod workflow;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use dsync_core::Digest;

use crate::{Result, shell, show, units, workspace};
use archive::{Entry, Moment};
use target::{CLIENTS, TARGETS, Target};
pub(crate) use toolchain::Toolchain;

/// Arguments of `cargo xtask dist`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fetch the toolchain, and build nothing
    #[arg(long, conflicts_with = "check")]
    fetch: bool,
    /// Build the last commit in another folder as well, and compare every file with those of dist
    #[arg(long)]
    check: bool,
    /// Write a formula for Homebrew, too, for archives that will be at this address: https://HOST/FOLDER
    #[arg(long, value_name = "ADDRESS", value_parser = formula::address)]
    url: Option<String>,
    /// Sign the checksums with this key, by ssh-keygen
    #[arg(long, value_name = "KEY", conflicts_with = "fetch")]
    sign: Option<PathBuf>,
}

/// The version that is released.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The file of checksums.
const SUMS: &str = "SHA256SUMS";
/// The file with the licences of others' parts.
const NOTICES: &str = "THIRD-PARTY-LICENSES.txt";
/// The script that installs an archive.
const INSTALLER: &str = include_str!("install.sh");

/// Makes what a release has, in `dist`.
pub(crate) fn run(options: &Options) -> Result {
    let toolchain = Toolchain::ready()?;
    if options.fetch {
        return Ok(());
    }
    let root = workspace::root();
    // A mistake is told before the builds.
    if let Some(key) = options.sign.as_ref().filter(|key| !key.is_file()) {
        return Err(format!("there is no key {}", key.display()).into());
    }
    let url = options.url.as_deref();
    make(&toolchain, root, url)?;
    if options.check {
        let folder = tempfile::Builder::new().prefix("docker-sync-release-").tempdir()?;
        let other = folder.path().join("elsewhere");
        shell::run(Command::new("git").arg("clone").arg("--quiet").arg(root).arg(&other))?;
        make(&toolchain, &other, url)?;
        compare(&sums(&root.join("dist"))?, &sums(&other.join("dist"))?)?;
        show::good("built twice, in two folders: every file is the same");
    }
    if let Some(key) = &options.sign {
        signature::sign(&root.join("dist"), key)?;
    }
    Ok(())
}

/// Builds the program and its agent for arm64, for tests; the folder that has both.
pub(crate) fn for_tests(toolchain: &Toolchain) -> Result<PathBuf> {
    program::for_tests(toolchain, workspace::root(), &TARGETS[1])
}

/// Checks that the client compiles for macOS. Where the toolchain cannot be had, a line says so.
pub(crate) fn check_macos() -> Result {
    match Toolchain::ready() {
        Ok(toolchain) => program::check(&toolchain, workspace::root(), &CLIENTS[0]),
        Err(error) => {
            show::note(format_args!("warning: nothing is checked for macOS: {error}"));
            Ok(())
        }
    }
}

/// Builds a workspace into its `dist`.
fn make(toolchain: &Toolchain, root: &Path, url: Option<&str>) -> Result {
    let moment = Moment::of(root)?;
    let dist = root.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(&dist)?;
    let parts = parts::all(toolchain, root)?;
    let notices = parts::notices(&parts)?;
    fs::write(dist.join(format!("docker-sync-{VERSION}.cdx.json")), parts::list(&parts, VERSION))?;
    let agents = program::agents(toolchain, root)?;
    for target in &TARGETS {
        let program = program::client(toolchain, root, &agents, target)?;
        if trial::runs(&program)? {
            trial::sync(&program, &agents)?;
        }
        let program = fs::read(program)?;
        let wheel = write_archive_and_wheel(root, target, &program, &notices, moment)?;
        if target.machine == std::env::consts::ARCH {
            wheel::try_out(&wheel)?;
        }
        let name = format!("docker-sync_{VERSION}_{}.deb", target.debian);
        fs::write(dist.join(name), deb::package(root, &program, &notices, target, moment)?)?;
        let package = dist.join(rpm::name(target));
        fs::write(&package, rpm::package(root, &program, &notices, target, moment)?)?;
        rpm::try_out(&package)?;
    }
    for target in &CLIENTS {
        let program = program::client(toolchain, root, &agents, target)?;
        trial::runs(&program)?;
        write_archive_and_wheel(root, target, &fs::read(program)?, &notices, moment)?;
    }
    if let Some(url) = url {
        let file = dist.join(formula::NAME);
        fs::write(&file, formula::formula(VERSION, url, &sums(&dist)?)?)?;
        formula::try_out(&file)?;
    }
    fs::write(dist.join("install.sh"), INSTALLER.replace("@VERSION@", VERSION))?;
    let sums = sums(&dist)?;
    let lines: String = sums.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect();
    fs::write(dist.join(SUMS), lines)?;
    install::try_out(&dist)?;
    show::heading(dist.display());
    for name in sums.keys() {
        println!("{:>10}  {name}", units::bytes(fs::metadata(dist.join(name))?.len()));
    }
    Ok(())
}

/// Writes the archive and the wheel of a program; the path of the wheel.
fn write_archive_and_wheel(
    root: &Path,
    target: &Target,
    program: &[u8],
    notices: &str,
    moment: Moment,
) -> Result<PathBuf> {
    let folder = format!("docker-sync-{VERSION}-{}", target.triple());
    let archive = archive::tar_gz(&beside(root, program, notices)?, &format!("{folder}/"), moment)?;
    let dist = root.join("dist");
    fs::write(dist.join(format!("{folder}.tar.gz")), archive)?;
    let wheel = dist.join(wheel::name(target));
    fs::write(&wheel, wheel::wheel(root, program, notices, target)?)?;
    Ok(wheel)
}

/// The files of an archive.
fn beside(root: &Path, program: &[u8], notices: &str) -> Result<Vec<Entry>> {
    let read = |path: &str| fs::read(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"));
    Ok(vec![
        Entry::program("docker-sync", program.to_vec()),
        Entry::file("docker-sync.1", read("crates/cli/generated/docker-sync.1")?),
        Entry::file("completions/docker-sync.bash", read("crates/cli/completions/docker-sync.bash")?),
        Entry::file("completions/docker-sync.fish", read("crates/cli/completions/docker-sync.fish")?),
        Entry::file("completions/_docker-sync", read("crates/cli/completions/docker-sync.zsh")?),
        Entry::file("LICENSE", read("LICENSE")?),
        Entry::file(NOTICES, notices.into()),
        Entry::file("README.md", read("README.md")?),
        Entry::file("CHANGELOG.md", read("CHANGELOG.md")?),
    ])
}

/// The SHA-256 of each file of a folder but that of the sums, and the signature over it.
fn sums(dist: &Path) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(dist)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != SUMS && name != signature::NAME {
            sums.insert(name, Digest::of(&fs::read(&path)?).hex());
        }
    }
    Ok(sums)
}

/// Fails where two builds differ.
fn compare(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Result {
    let names = one.keys().chain(other.keys());
    let mut differ: Vec<&str> =
        names.filter(|name| one.get(*name) != other.get(*name)).map(String::as_str).collect();
    differ.sort_unstable();
    differ.dedup();
    if differ.is_empty() { Ok(()) } else { Err(format!("two builds differ in {}", differ.join(", ")).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_are_the_same_when_every_file_is() {
        let sums = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect()
        };
        let one = sums(&[("a", "1"), ("b", "2")]);
        assert!(compare(&one, &one.clone()).is_ok());
        for other in [sums(&[("a", "1")]), sums(&[("a", "1"), ("b", "3")])] {
            assert_eq!(compare(&one, &other).unwrap_err().to_string(), "two builds differ in b");
            assert_eq!(compare(&other, &one).unwrap_err().to_string(), "two builds differ in b");
        }
    }
}
