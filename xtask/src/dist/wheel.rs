//! Wheels, for pip, pipx and uv: the program as a script, without any Python (PyPA's binary distribution format).

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dsync_core::Digest;
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use super::target::{System, Target};
use super::{NOTICES, VERSION};
use crate::{Result, shell};

/// Its name on an index of packages, where `docker-sync` is a project of others.
const NAME: &str = "docker-sync-ssh";
/// The same in names of files.
const FILE_NAME: &str = "docker_sync_ssh";

/// The name of the wheel for a machine.
pub(super) fn name(target: &Target) -> String {
    format!("{FILE_NAME}-{VERSION}-{}.whl", tag(target))
}

/// The tag of a program. A static one runs with any C library of Linux.
fn tag(target: &Target) -> String {
    let machine = target.machine;
    match target.system {
        System::Linux => {
            format!("py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}")
        }
        // Python names the machine as Apple does.
        System::MacOs => format!("py3-none-macosx_11_0_{}", machine.replace("aarch64", "arm64")),
    }
}

/// The wheel of a program for a machine.
pub(super) fn wheel(root: &Path, program: &[u8], notices: &str, target: &Target) -> Result<Vec<u8>> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"))
    };
    let information = format!("{FILE_NAME}-{VERSION}.dist-info");
    let files = [
        (format!("{FILE_NAME}-{VERSION}.data/scripts/docker-sync"), program.to_vec(), 0o755),
        (format!("{information}/METADATA"), metadata(&read("README.md")?).into_bytes(), 0o644),
        (format!("{information}/WHEEL"), compatibility(target).into_bytes(), 0o644),
        (format!("{information}/licenses/LICENSE"), read("LICENSE")?.into_bytes(), 0o644),
        (format!("{information}/licenses/{NOTICES}"), notices.as_bytes().to_vec(), 0o644),
    ];
    let mut wheel = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |path: &str, bytes: &[u8], mode: u32| -> Result {
        let options = SimpleFileOptions::default().last_modified_time(DateTime::default());
        wheel.start_file(path, options.unix_permissions(mode))?;
        Ok(wheel.write_all(bytes)?)
    };
    let mut record = String::new();
    for (path, bytes, mode) in &files {
        add(path, bytes, *mode)?;
        let hash = URL_SAFE_NO_PAD.encode(Digest::of(bytes).as_bytes());
        record += &format!("{path},sha256={hash},{}\n", bytes.len());
    }
    let path = format!("{information}/RECORD");
    record += &format!("{path},,\n");
    add(&path, record.as_bytes(), 0o644)?;
    Ok(wheel.finish()?.into_inner())
}

/// The description of the package (PyPA's core metadata).
fn metadata(readme: &str) -> String {
    format!(
        "Metadata-Version: 2.4\n\
         Name: {NAME}\n\
         Version: {VERSION}\n\
         Summary: Synchronise container images between hosts over ssh, moving as few bytes as can be\n\
         License-Expression: MIT\n\
         License-File: LICENSE\n\
         License-File: {NOTICES}\n\
         Keywords: docker,podman,containerd,ssh,rsync,delta\n\
         Requires-Python: >=3.7\n\
         Description-Content-Type: text/markdown\n\n{readme}"
    )
}

fn compatibility(target: &Target) -> String {
    let tag = tag(target);
    let tags: String = tag
        .rsplit_once('-')
        .map(|(python, platforms)| platforms.split('.').map(|of| format!("Tag: {python}-{of}\n")).collect())
        .unwrap_or_default();
    format!("Wheel-Version: 1.0\nGenerator: docker-sync\nRoot-Is-Purelib: false\n{tags}")
}

/// Installs a wheel for this machine, and runs what is installed.
pub(super) fn try_out(wheel: &Path) -> Result {
    let folder = tempfile::tempdir()?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]);
    pip.env("PIP_ROOT_USER_ACTION", "ignore").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    shell::output(pip.arg(folder.path()).arg(wheel))?;
    let said = shell::output(Command::new(folder.path().join("bin/docker-sync")).arg("--version"))?;
    let expected = format!("docker-sync {VERSION}\n");
    if said == expected { Ok(()) } else { Err(format!("what pip installed says {said:?}").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::target::{CLIENTS, TARGETS};
    use crate::workspace;

    /// Nothing can be said where there is no pip.
    #[test]
    fn pip_installs_a_wheel() {
        let program = format!("#!/bin/sh\necho docker-sync {VERSION}\n");
        let here = TARGETS.iter().find(|target| target.machine == std::env::consts::ARCH).unwrap();
        let bytes = wheel(workspace::root(), program.as_bytes(), "MIT", here).unwrap();
        assert_eq!(bytes, wheel(workspace::root(), program.as_bytes(), "MIT", here).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name(here));
        std::fs::write(&file, bytes).unwrap();
        let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
        if pip.is_ok_and(|output| output.status.success()) {
            try_out(&file).unwrap();
        }
    }

    #[test]
    fn a_static_program_is_for_every_c_library() {
        let said = compatibility(&TARGETS[1]);
        assert!(said.contains("Tag: py3-none-manylinux_2_17_aarch64\n"), "{said}");
        assert!(said.ends_with("Tag: py3-none-musllinux_1_1_aarch64\n"), "{said}");
    }

    #[test]
    fn a_program_for_macos_is_for_its_oldest_version() {
        assert_eq!(
            CLIENTS.each_ref().map(tag),
            ["py3-none-macosx_11_0_arm64", "py3-none-macosx_11_0_x86_64"]
        );
    }
}
