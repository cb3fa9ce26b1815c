//! Tries `install.sh`: from a folder and over HTTP, and with an archive that is not what it was.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::{Result, shell};

/// Installs what a folder has, as a user would, and runs it.
pub(super) fn try_out(dist: &Path) -> Result {
    let home = tempfile::tempdir()?;
    let from_folder = home.path().join("from folder");
    let said = install(&dist.join("install.sh"), &[], &from_folder, home.path())?;
    if !said.status.success() {
        return Err(format!("install.sh failed: {said:?}").into());
    }
    shell::output(Command::new(from_folder.join("bin/docker-sync")).arg("--version"))?;
    let server = Server::of(dist)?;
    let from_server = home.path().join("from server");
    let said = install(&dist.join("install.sh"), &["--from", &server.address], &from_server, home.path())?;
    if !said.status.success() {
        return Err(format!("install.sh --from {} failed: {said:?}", server.address).into());
    }
    shell::output(Command::new(from_server.join("bin/docker-sync")).arg("--version"))?;
    Ok(())
}

/// Runs the script, with `home` as the user's.
fn install(script: &Path, arguments: &[&str], prefix: &Path, home: &Path) -> Result<Output> {
    let mut sh = Command::new("sh");
    sh.arg(script).args(arguments).arg("--prefix").arg(prefix).env("HOME", home);
    Ok(sh.stdin(Stdio::null()).output()?)
}

/// A server of a folder on this machine alone.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn of(folder: &Path) -> Result<Server> {
        let mut python = Command::new("python3");
        python.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0", "--directory"]).arg(folder);
        let mut child = python.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        // Serving HTTP on 127.0.0.1 port 40001 (http://127.0.0.1:40001/) ...
        let address = line.split_once('(').and_then(|(_, rest)| Some(rest.split_once("/)")?.0.to_owned()));
        let server = Server { child, address: address.clone().unwrap_or_default() };
        address.map(|_| server).ok_or_else(|| format!("the server says no address: {line:?}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::{Entry, Moment, tar_gz};
    use super::super::{INSTALLER, SUMS, VERSION, beside};
    use super::*;
    use crate::workspace;
    use dsync_core::Digest;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A folder as `dist` is, whose program is a script.
    fn dist(folder: &Path, program: &str) -> String {
        dist_for(&format!("{}-unknown-linux-musl", std::env::consts::ARCH), folder, program)
    }

    fn dist_for(triple: &str, folder: &Path, program: &str) -> String {
        let name = format!("docker-sync-{VERSION}-{triple}");
        let entries: Vec<Entry> = beside(workspace::root(), program.as_bytes(), "MIT").unwrap();
        let archive = tar_gz(&entries, &format!("{name}/"), Moment(0)).unwrap();
        fs::write(folder.join(format!("{name}.tar.gz")), &archive).unwrap();
        fs::write(folder.join(SUMS), format!("{}  {name}.tar.gz\n", Digest::of(&archive).hex())).unwrap();
        fs::write(folder.join("install.sh"), INSTALLER.replace("@VERSION@", VERSION)).unwrap();
        format!("{name}.tar.gz")
    }

    #[test]
    fn it_is_installed_from_a_folder_and_over_http() {
        let folder = tempfile::tempdir().unwrap();
        dist(folder.path(), "#!/bin/sh\necho docker-sync\n");
        try_out(folder.path()).unwrap();
    }

    /// macOS has `shasum` and no `sha256sum`.
    #[test]
    fn a_mac_gets_the_archive_for_its_machine() {
        let folder = tempfile::tempdir().unwrap();
        dist_for("aarch64-apple-darwin", folder.path(), "#!/bin/sh\necho on a Mac\n");
        let bin = folder.path().join("path");
        fs::create_dir(&bin).unwrap();
        for program in ["cat", "chmod", "cp", "dirname", "gzip", "mkdir", "mktemp", "mv", "rm", "sed", "tar"]
        {
            let found = dsync_lab::packages::find(program).unwrap();
            std::os::unix::fs::symlink(found, bin.join(program)).unwrap();
        }
        let script = |name: &str, text: &str| {
            fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        };
        script("uname", "case $1 in -s) echo Darwin ;; *) echo arm64 ;; esac");
        let sha256sum = dsync_lab::packages::find("sha256sum").unwrap();
        script("shasum", &format!("[ \"$*\" = '-a 256' ] && exec {}", sha256sum.display()));
        let prefix = folder.path().join("prefix");
        let mut sh = Command::new("/bin/sh");
        sh.arg(folder.path().join("install.sh")).arg("--prefix").arg(&prefix).env("PATH", &bin);
        shell::output(&mut sh).unwrap();
        assert_eq!(shell::output(&mut Command::new(prefix.join("bin/docker-sync"))).unwrap(), "on a Mac\n");
    }

    #[test]
    fn what_is_there_is_replaced_and_linked_for_docker() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("prefix");
        for said in ["one", "two"] {
            dist(folder.path(), &format!("#!/bin/sh\necho {said}\n"));
            let script = folder.path().join("install.sh");
            let output = install(&script, &["--plugin"], &prefix, folder.path()).unwrap();
            assert!(output.status.success(), "{output:?}");
            let plugin = folder.path().join(".docker/cli-plugins/docker-sync");
            assert_eq!(shell::output(&mut Command::new(plugin)).unwrap().trim(), said);
        }
        for file in [
            "share/man/man1/docker-sync.1",
            "share/bash-completion/completions/docker-sync",
            "share/fish/vendor_completions.d/docker-sync.fish",
            "share/zsh/site-functions/_docker-sync",
        ] {
            assert!(prefix.join(file).is_file(), "{file}");
        }
        assert_eq!(fs::read_dir(prefix.join("bin")).unwrap().count(), 1);
    }

    #[test]
    fn checksums_are_those_that_a_known_key_has_signed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        dist(folder.path(), "#!/bin/sh\necho docker-sync\n");
        for key in ["key", "other"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(at(key));
            shell::run(&mut keygen).unwrap();
            let public = fs::read_to_string(at(&format!("{key}.pub"))).unwrap();
            fs::write(at(&format!("signers-{key}")), format!("release@example.org {public}")).unwrap();
        }
        let installs = |signers: &str| {
            let signers = at(signers).display().to_string();
            let output =
                install(&at("install.sh"), &["--signers", &signers], &at("prefix"), folder.path()).unwrap();
            let is_there = at("prefix").exists();
            fs::remove_dir_all(at("prefix")).ok();
            assert_eq!(output.status.success(), is_there);
            (is_there, String::from_utf8(output.stderr).unwrap())
        };
        let (unsigned, said) = installs("signers-key");
        assert!(!unsigned && said.contains("SHA256SUMS.sig"), "{said}");
        super::super::signature::sign(folder.path(), &at("key")).unwrap();
        assert!(installs("signers-key").0);
        let (by_another, said) = installs("signers-other");
        assert!(!by_another && said.contains("SHA256SUMS is not signed by a key of "), "{said}");
        let sums = fs::read_to_string(at(SUMS)).unwrap();
        fs::write(at(SUMS), format!("{sums}\n")).unwrap();
        assert!(!installs("signers-key").0);
        let (unread, said) = installs("nowhere");
        assert!(!unread && said.contains("cannot read"), "{said}");
    }

    #[test]
    fn an_archive_that_is_not_what_it_was_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join(dist(folder.path(), "#!/bin/sh\n"));
        let mut bytes = fs::read(&archive).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&archive, bytes).unwrap();
        let prefix = folder.path().join("prefix");
        let output = install(&folder.path().join("install.sh"), &[], &prefix, folder.path()).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("is not what SHA256SUMS says"), "{said}");
        assert!(!prefix.exists());
        fs::write(folder.path().join(SUMS), "").unwrap();
        let output = install(&folder.path().join("install.sh"), &[], &prefix, folder.path()).unwrap();
        assert!(!output.status.success() && !prefix.exists());
    }
}
