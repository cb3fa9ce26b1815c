//! Packages for Fedora, openSUSE and what is made of them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use rpm::{BuildConfig, CompressionWithLevel, Dependency, FileOptions, PackageBuilder};

use super::VERSION;
use super::archive::{Content, Moment};
use super::installed::{self, Places};
use super::target::Target;
use crate::{Result, shell, show};

/// The places of Fedora and openSUSE.
const PLACES: Places = Places {
    zsh: "usr/share/zsh/site-functions",
    licence: "usr/share/licenses/docker-sync/LICENSE",
    notices: "usr/share/licenses/docker-sync",
};
const SUMMARY: &str = "Synchronise container images between hosts over ssh";
const DESCRIPTION: &str =
    "Brings an image of one host's image store into another's, without a registry and with
nothing to install on the other host. Only what the other side does not have
crosses. Docker, podman, containerd and OCI layouts, either way.";

/// The name of the package for a machine.
pub(super) fn name(target: &Target) -> String {
    format!("docker-sync-{}-1.{}.rpm", version(VERSION), target.machine)
}

/// A version as rpm compares it: one before a release is less than it.
fn version(version: &str) -> String {
    version.replace('-', "~")
}

/// The package of a program for a machine. It requires nothing: the program is static, and engines and ssh are found
/// when it runs. It is not packed: the gzip of this crate would take the place of the one that the whole workspace has.
pub(super) fn package(
    root: &Path,
    program: &[u8],
    notices: &str,
    target: &Target,
    Moment(moment): Moment,
) -> Result<Vec<u8>> {
    let moment = u32::try_from(moment).map_err(|_| "rpm knows no moment so late")?;
    let config = BuildConfig::v4().compression(CompressionWithLevel::None).source_date(moment);
    let mut builder = PackageBuilder::new("docker-sync", &version(VERSION), "MIT", target.machine, SUMMARY);
    builder.using_config(config).release("1").description(DESCRIPTION);
    builder.recommends(Dependency::any("openssh-clients"));
    for entry in installed::files(root, program, notices, &PLACES)? {
        let path = format!("/{}", entry.path);
        match entry.content {
            Content::File { bytes, mode } => {
                let options = FileOptions::new(path).permissions(u16::try_from(mode)?);
                builder.with_file_contents(bytes, options)?;
            }
            Content::Link { to } => {
                builder.with_symlink(FileOptions::symlink(path, to))?;
            }
        }
    }
    let mut package = Vec::new();
    builder.build()?.write(&mut package)?;
    Ok(package)
}

/// Has rpm describe, unpack and install a package, where there is an rpm. It is installed below a folder of its own,
/// into a database of its own, which takes root.
pub(super) fn try_out(package: &Path) -> Result {
    let here = |program: &str| dsync_lab::packages::find(program).is_some();
    if !here("rpm") || !here("rpm2cpio") || !here("cpio") {
        show::note(format_args!("not tried, since rpm or cpio is not here: {}", package.display()));
        return Ok(());
    }
    let ask = |arguments: &[&str]| shell::output(Command::new("rpm").args(arguments).arg(package));
    let described = ask(&["-qip", "--nosignature"])?;
    if !described.contains("Name        : docker-sync\n") {
        return Err(format!("rpm describes {}: {described}", package.display()).into());
    }
    let listed = ask(&["-qlp", "--nosignature"])?;
    let folder = tempfile::tempdir()?;
    // cpio does not read to the end of a pipe.
    let (archive, unpacked) = (folder.path().join("archive"), folder.path().join("unpacked"));
    // It fails at the end, as the crate says no size of the archive; what came out of it is looked at below.
    Command::new("rpm2cpio").arg(package).stdout(Stdio::from(File::create(&archive)?)).status()?;
    fs::create_dir(&unpacked)?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--quiet", "-idm", "--no-absolute-filenames"]).current_dir(&unpacked);
    shell::run(cpio.stdin(Stdio::from(File::open(&archive)?)))?;
    all_there(&listed, &unpacked)?;
    if !is_root() {
        show::note("not installed, since that takes root");
        return Ok(());
    }
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    let install = |arguments: &[&str]| {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(&root).args(arguments);
        shell::output(&mut rpm)
    };
    install(&["--initdb"])?;
    let path = package.canonicalize()?;
    install(&["-i", "--nosignature", "--ignorearch", &path.to_string_lossy()])?;
    all_there(&listed, &root)?;
    // It says nothing of what is as it was packed.
    let differs = install(&["-V", "docker-sync"])?;
    if differs.is_empty() { Ok(()) } else { Err(format!("rpm -V says {differs}").into()) }
}

/// Every file of a list is below a folder.
fn all_there(listed: &str, folder: &Path) -> Result {
    for file in listed.lines() {
        if folder.join(file.trim_start_matches('/')).symlink_metadata().is_err() {
            return Err(format!("{file} is not there").into());
        }
    }
    Ok(())
}

fn is_root() -> bool {
    dsync_lab::packages::require_root().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::target::TARGETS;
    use super::*;
    use crate::workspace;

    fn made(moment: u64) -> Vec<u8> {
        package(workspace::root(), b"#!/bin/sh\n", "MIT", &TARGETS[1], Moment(moment)).unwrap()
    }

    #[test]
    fn a_package_is_the_same_bytes_each_time() {
        assert_eq!(made(86_400), made(86_400));
        assert_ne!(made(86_400), made(86_401));
        let bytes = made(86_400);
        let text = String::from_utf8_lossy(&bytes);
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert!(!text.contains(host.trim()), "the host is in it");
    }

    #[test]
    fn a_version_before_a_release_is_less_than_it() {
        assert_eq!(version("1.2.0-rc.1"), "1.2.0~rc.1");
    }

    #[test]
    #[ignore = "needs rpm: cargo xtask test --all-engines"]
    fn rpm_reads_and_installs_a_package() {
        let programs = [("rpm", "rpm"), ("rpm2cpio", "rpm2cpio"), ("cpio", "cpio")];
        dsync_lab::packages::require(&programs).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name(&TARGETS[1]));
        fs::write(&file, made(86_400)).unwrap();
        try_out(&file).unwrap();
        let ask = |format: &str| {
            let mut rpm = Command::new("rpm");
            rpm.args(["-qp", "--nosignature", "--qf", format]).arg(&file);
            shell::output(&mut rpm).unwrap()
        };
        let expected = format!("docker-sync {} 1 aarch64 MIT 86400 (none)", version(VERSION));
        assert_eq!(
            ask("%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{BUILDTIME} %{BUILDHOST}"),
            expected
        );
        let files = ask("[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEMTIMES} %{FILENAMES} %{FILELINKTOS}\n]");
        assert!(files.contains("-rwxr-xr-x root 86400 /usr/bin/docker-sync \n"), "{files}");
        let plugin = "/usr/libexec/docker/cli-plugins/docker-sync ../../../bin/docker-sync\n";
        assert!(files.contains(plugin), "{files}");
        assert_eq!(files.lines().count(), 9, "{files}");
    }
}
