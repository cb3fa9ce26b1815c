//! Engines of newer Debian releases than this machine's, as real programs.
//!
//! A suite is a whole small Debian in a directory of the cache, made once. Its programs are not run in a
//! root of their own: they see this machine, with the suite's `/usr` and `/etc` in the place of the
//! machine's. So every path means the same to an engine, its client and a test, and what a login or a
//! cgroup is needs no thought. It takes a machine on which `/bin` and `/lib` are links into `/usr`.
//!
//! The mounts are in a namespace that ends with the program; nothing has to be unmounted. The suite is
//! mounted read-only, and no lab changes it for another.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsync_core::Digest;

use crate::account::GUEST_ID;
use crate::command::{run, run_holding};
use crate::files::{set_mode, write};
use crate::{LabError, cache, packages};

/// A release of Debian whose engines the lab can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 13: Docker 26.1, podman 5.4, containerd 1.7.
    Trixie,
    /// Debian 14 to be: Docker 28.5, podman 5.8, containerd 2.1.
    Forky,
}

/// The packages of a suite beyond Debian's minimal system.
const PACKAGES: &[&str] = &[
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "containerd",
    "podman",
    "skopeo",
    "iptables",
    "runc",
    "uidmap",
];

/// The recipe of a suite beside its packages. A change of it makes the suites anew.
const EDITION: u32 = 1;

impl Suite {
    /// All suites.
    pub const ALL: [Suite; 2] = [Suite::Trixie, Suite::Forky];

    /// Its name, as Debian has it.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Trixie => "trixie",
            Suite::Forky => "forky",
        }
    }

    /// The root directory of the suite. If need be it is made, which takes a minute or two.
    pub fn get(self) -> Result<PathBuf, LabError> {
        let cache = cache::directory()?;
        let root = cache.join(self.key());
        if root.is_dir() {
            return Ok(root);
        }
        packages::require(&[("debootstrap", "debootstrap"), ("unshare", "util-linux")])?;
        packages::require_root()?;
        // A second process waits, and then finds the directory.
        let lock = cache::lock(&cache, &format!("{}.lock", self.name()))?;
        if root.is_dir() {
            return Ok(root);
        }
        eprintln!("lab: making a Debian {} with its engines in {}", self.name(), root.display());
        let part = cache.join(format!("{}.part", self.key()));
        if part.exists() {
            // Of somebody who was killed. What he had started has ended: it held the lock, too.
            fs::remove_dir_all(&part).map_err(LabError::io(format_args!("remove {}", part.display())))?;
        }
        self.make(&part, &lock)?;
        fs::rename(&part, &root).map_err(LabError::io(format_args!("keep {}", root.display())))?;
        Ok(root)
    }

    /// Makes a directory of programs of the suite, each to be called like the real one, from anywhere and
    /// also from a login. It must be root who calls.
    pub(crate) fn link_programs(self, programs: &[&str], dir: &Path) -> Result<(), LabError> {
        if !fs::symlink_metadata("/bin").is_ok_and(|bin| bin.is_symlink()) {
            return Err(LabError::Usage(format!(
                "the programs of {} need a machine on which /bin is a link to /usr/bin",
                self.name()
            )));
        }
        let root = self.get()?;
        let cannot = || LabError::io(format_args!("make {}", dir.display()));
        fs::create_dir_all(dir).map_err(cannot())?;
        let enter = dir.join(".enter");
        write(&enter, &enter_script(&root))?;
        set_mode(&enter, 0o755)?;
        programs.iter().try_for_each(|name| symlink(".enter", dir.join(name)).map_err(cannot()))
    }

    /// Writes a script that runs a program of the suite as the guest of a login with this directory. It must be root who
    /// calls it: mounts come first.
    pub(crate) fn write_guest_program(
        self,
        program: &str,
        login: &Path,
        script: &Path,
    ) -> Result<(), LabError> {
        write(script, &guest_script(&self.get()?, program, login))?;
        set_mode(script, 0o755)
    }

    fn key(self) -> String {
        let text = format!("{EDITION} {}", PACKAGES.join(" "));
        format!("suite-{}-{}", self.name(), Digest::of(text.as_bytes()).short())
    }

    /// Bootstraps the suite in a new directory. Whatever is started for it holds the lock.
    fn make(self, root: &Path, lock: &File) -> Result<(), LabError> {
        self.bootstrap(root, lock)?;
        for (file, text) in SETTINGS {
            write(&root.join(file), text)?;
        }
        set_mode(&root.join("usr/sbin/policy-rc.d"), 0o755)?;
        if Path::new("/etc/resolv.conf").exists() {
            let cannot = LabError::io("copy /etc/resolv.conf");
            fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf")).map_err(cannot)?;
        }
        let install = format!(
            "for d in dev sys; do mount --rbind /$d \"$0/$d\"; done\n\
             mount -t proc proc \"$0/proc\"\n\
             exec chroot \"$0\" /bin/sh -ec 'apt-get -qq update\n\
             apt-get -qq install -y --no-install-recommends {}\n\
             rm -rf /var/lib/apt/lists/* /var/cache/apt/*'",
            PACKAGES.join(" ")
        );
        let mut command = in_namespace();
        command.args(["/bin/sh", "-ec", &install]).arg(root).env("DEBIAN_FRONTEND", "noninteractive");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        run_holding(&mut command, lock).map(drop)
    }

    fn bootstrap(self, root: &Path, lock: &File) -> Result<(), LabError> {
        let mut command = in_namespace();
        command.args(["debootstrap", "--variant=minbase", "--include=ca-certificates", self.name()]);
        command.arg(root).env("LC_ALL", "C");
        let scripts = Path::new("/usr/share/debootstrap/scripts");
        let known = scripts.join(self.name()).exists();
        match mirror()? {
            Some(mirror) => command.arg(mirror),
            // The script's place in the arguments is behind the mirror's, for which debootstrap has a default.
            None => command.args((!known).then_some("")),
        };
        if !known {
            // A suite newer than this debootstrap is made like the newest that it knows.
            command.arg(scripts.join("sid"));
        }
        run_holding(&mut command, lock).map(drop)
    }
}

/// Files of a suite that packages are installed into.
const SETTINGS: &[(&str, &str)] = &[
    // No services are started.
    ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"),
    // A mirror may be a snapshot, older than the clock allows.
    (
        "etc/apt/apt.conf.d/90lab",
        "Acquire::Check-Valid-Until \"false\";\nAcquire::Check-Date \"false\";\nAcquire::Languages \"none\";\n",
    ),
    // An incomplete suite is thrown away, so nothing is synced to the disk; and nobody reads manuals.
    (
        "etc/dpkg/dpkg.cfg.d/90lab",
        "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n\
         path-exclude=/usr/share/locale/*\n",
    ),
];

/// A command to be added to, whose mounts nobody else sees.
fn in_namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

/// The script that is run under the names of programs.
fn enter_script(root: &Path) -> String {
    format!(
        "#!/bin/sh\n\
         # Runs the program of this name with the /usr and /etc of another Debian. The process stays the\n\
         # same, so whoever started it can signal it.\n\
         exec unshare --mount --propagation slave -- /bin/sh -ec '\n\
         for d in etc usr; do\n\
         \tmount --rbind \"$0/$d\" /$d\n\
         \tmount -o remount,bind,ro /$d\n\
         done\n\
         PATH=/usr/sbin:/usr/bin\n\
         exec \"$@\"' '{}' \"${{0##*/}}\" \"$@\"\n",
        root.display()
    )
}

/// The same for a guest, who is in the suite's tables of accounts only here.
fn guest_script(root: &Path, program: &str, login: &Path) -> String {
    let (root, login) = (root.display(), login.display());
    format!(
        "#!/bin/sh\n\
         exec unshare --mount --propagation slave -- /bin/sh -ec '\n\
         mount --bind {login}/passwd {root}/etc/passwd\n\
         for d in etc usr; do mount --rbind {root}/$d /$d; done\n\
         for table in subuid subgid; do mount --bind {login}/subid /etc/$table; done\n\
         mount --bind {login}/var-tmp /var/tmp\n\
         install -d -o guest -m 700 {login}/home/run\n\
         cd {login}/home\n\
         export PATH=/usr/sbin:/usr/bin HOME={login}/home XDG_RUNTIME_DIR={login}/home/run\n\
         exec setpriv --reuid=guest --regid={GUEST_ID} --clear-groups {program} \"$@\"' sh \"$@\"\n"
    )
}

/// The mirror that this machine's apt has its own release from.
pub(crate) fn mirror() -> Result<Option<String>, LabError> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let Some(release) = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")) else {
        return Ok(None);
    };
    let format = ["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"];
    let targets = run(Command::new("apt-get").args(format).env("LC_ALL", "C"))?;
    Ok(mirror_of(release, &targets).map(str::to_owned))
}

/// The address beside this release in lines of both.
fn mirror_of<'a>(release: &str, targets: &'a str) -> Option<&'a str> {
    targets
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(name, _)| *name == release))
        .map(|pair| pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release() {
        let targets = "bookworm-security http://mirror/debian-security/\nbookworm http://mirror/debian/\n";
        assert_eq!(mirror_of("bookworm", targets), Some("http://mirror/debian/"));
        assert_eq!(mirror_of("trixie", targets), None);
    }

    #[test]
    fn suites_have_places_of_their_own() {
        assert_ne!(Suite::Trixie.key(), Suite::Forky.key());
        assert!(Suite::Forky.key().starts_with("suite-forky-"), "{}", Suite::Forky.key());
    }
}
