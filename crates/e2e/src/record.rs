//! Records calls of docker: a script of that name writes them down and calls the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Puts the script into a directory that is first on a `PATH`.
pub(crate) fn install(bin: &Path, log: &Path) {
    let docker = dsync_lab::packages::find("docker").expect("the lab has started engines with it");
    let (docker, log) = (docker.display(), log.display());
    let script = bin.join("docker");
    fs::write(&script, format!("#!/bin/sh\necho \"$*\" >>{log}\nexec {docker} \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The recorded calls; empty if there was none.
pub(crate) fn read(log: &Path) -> Vec<String> {
    fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}
