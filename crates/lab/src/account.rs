//! The account behind a login: its shell, its user, and the files and directories as it sees them.

use std::path::PathBuf;

/// User and group of the guest; no package of Debian uses it.
pub(crate) const GUEST_ID: u32 = 64_230;

/// The shell of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shell {
    /// bash
    #[default]
    Bash,
    /// dash, Debian's `sh`
    Dash,
    /// The shell of busybox, Alpine's `sh`
    Ash,
    /// fish, which is no POSIX shell
    Fish,
    /// tcsh, which is no POSIX shell either
    Tcsh,
}

impl Shell {
    /// All of them.
    pub const ALL: [Shell; 5] = [Shell::Bash, Shell::Dash, Shell::Ash, Shell::Fish, Shell::Tcsh];

    /// The name it is called by.
    pub const fn name(self) -> &'static str {
        self.program().0
    }

    /// Its name, the program it is, and the package that has it.
    pub(crate) const fn program(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Shell::Bash => ("bash", "bash", "bash"),
            Shell::Dash => ("dash", "dash", "dash"),
            Shell::Ash => ("ash", "busybox", "busybox-static"),
            Shell::Fish => ("fish", "fish", "fish"),
            Shell::Tcsh => ("tcsh", "tcsh", "tcsh"),
        }
    }
}

/// The user of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum User {
    /// root
    #[default]
    Root,
    /// Somebody who may not speak to the engine.
    Guest,
}

impl User {
    /// The name of the account.
    pub const fn name(self) -> &'static str {
        match self {
            User::Root => "root",
            User::Guest => "guest",
        }
    }
}

/// A `sudo` by which a guest becomes root, with [`Sudo::PASSWORD`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sudo {
    /// A line of its configuration, as `Defaults timestamp_timeout=0`.
    pub line: String,
}

impl Sudo {
    /// The password of the guest.
    pub const PASSWORD: &'static str = "lab-Secret.4711";
    /// As `openssl passwd -6` makes it.
    pub(crate) const HASH: &'static str = "$6$dsynclab$0fOQJ3uOP6F0XeHjDMzQFPBCLNpclTfO3Q6yAKBAVHNvlE3HU2htTm.U1OKoh91/\
        FIEryteuSWhizUACKQs831";

    /// Its configuration. The guest's variables say where the engine is.
    pub(crate) fn sudoers(&self) -> String {
        format!("Defaults !env_reset\n{}\nroot ALL=(ALL:ALL) ALL\nguest ALL=(root) ALL\n", self.line)
    }
}

/// A directory, as a login sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The account's home.
    Home,
    /// The account's `TMPDIR`.
    Tmp,
    /// Any other directory, as `/tmp`.
    Path(PathBuf),
}

/// The properties of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginOptions {
    /// The account's shell.
    pub shell: Shell,
    /// The text that the shell prints to standard output before it runs a command, as careless start-up files do.
    pub banner: Option<String>,
    /// Programs that are not to be found on `PATH`.
    pub hide: Vec<String>,
    /// Files that others see and this account does not, by their real paths.
    pub absent: Vec<PathBuf>,
    /// Directories in which nothing can be written.
    pub read_only: Vec<Place>,
    /// Directories in which no program can be run.
    pub no_exec: Vec<Place>,
    /// The megabytes of `TMPDIR`.
    pub tmp_limit_mb: Option<u32>,
    /// The megabytes of the home.
    pub home_limit_mb: Option<u32>,
    /// The command that runs in place of any other, as sshd's `ForceCommand` takes it.
    pub forced: Option<String>,
    /// The user whose account it is.
    pub user: User,
    /// The `sudo` by which the guest becomes root.
    pub sudo: Option<Sudo>,
    /// The programs of the account are of Debian for arm64, and there are no others.
    pub arm64: bool,
    /// More variables; these win over the lab's own.
    pub env: Vec<(String, String)>,
}
