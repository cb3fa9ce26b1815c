//! Packages for Debian and what is made of it.

use std::path::Path;

use super::VERSION;
use super::archive::{Entry, Moment, tar_gz};
use super::installed::{self, Places};
use super::target::Target;
use crate::Result;

/// The places of Debian.
const PLACES: Places = Places {
    zsh: "usr/share/zsh/vendor-completions",
    licence: "usr/share/doc/docker-sync/copyright",
    notices: "usr/share/doc/docker-sync",
};

/// The package of a program for a machine.
pub(super) fn package(
    root: &Path,
    program: &[u8],
    notices: &str,
    target: &Target,
    moment: Moment,
) -> Result<Vec<u8>> {
    let files = installed::files(root, program, notices, &PLACES)?;
    let size: usize = files.iter().map(|file| file.bytes().len().div_ceil(1024)).sum();
    let control = [Entry::file("control", control(target, VERSION, size).into_bytes())];
    Ok(ar(
        &[
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", &tar_gz(&control, "", moment)?),
            ("data.tar.gz", &tar_gz(&files, "", moment)?),
        ],
        moment,
    ))
}

/// The description of the package for dpkg. It depends on nothing: the program is static, and engines and ssh are found when it runs.
fn control(target: &Target, version: &str, kilobytes: usize) -> String {
    format!(
        "Package: docker-sync\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: the authors of docker-sync <docker-sync@localhost>\n\
         Installed-Size: {kilobytes}\n\
         Section: admin\n\
         Priority: optional\n\
         Recommends: openssh-client\n\
         Description: synchronise container images between hosts over ssh\n \
         Brings an image of one host's image store into another's, without a registry\n \
         and with nothing to install on the other host. Only what the other side does\n \
         not have crosses. Docker, podman and OCI layouts, either way.\n",
        target.debian
    )
}

/// An archive of ar, the form of a package.
fn ar(members: &[(&str, &[u8])], Moment(moment): Moment) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let len = bytes.len();
        archive.extend(
            format!("{name:<16}{moment:<12}{:<6}{:<6}{:<8}{len:<10}`\n", 0, 0, "100644").into_bytes(),
        );
        archive.extend_from_slice(bytes);
        if len % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

#[cfg(test)]
mod tests {
    use super::super::target::TARGETS;
    use super::*;
    use crate::workspace;
    use std::fs;
    use std::process::Command;

    /// Nothing can be said where there is no dpkg.
    #[test]
    fn dpkg_reads_a_package() {
        let package = package(workspace::root(), b"#!/bin/sh\n", "MIT", &TARGETS[1], Moment(86_400)).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &package).unwrap();
        let ask = |option: &str| {
            let output = Command::new("dpkg-deb").arg(option).arg(file.path()).env("TZ", "UTC").output();
            match output {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                output => {
                    let output = output.unwrap();
                    assert!(output.status.success(), "{output:?}");
                    Some(String::from_utf8(output.stdout).unwrap())
                }
            }
        };
        let Some(fields) = ask("--field") else { return };
        let head = format!("Package: docker-sync\nVersion: {VERSION}\nArchitecture: arm64\n");
        assert!(fields.contains(&head), "{fields}");
        let contents = ask("--contents").unwrap();
        let program = "-rwxr-xr-x root/root        10 1970-01-02 00:00 usr/bin/docker-sync\n";
        assert!(contents.contains(program), "{contents}");
        let plugin = "usr/libexec/docker/cli-plugins/docker-sync -> ../../../bin/docker-sync\n";
        assert!(contents.contains(plugin), "{contents}");
    }
}
