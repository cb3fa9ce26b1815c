//! The ways of moving an image that are compared, each as the command that a person would type.

use std::process::Command;

use clap::ValueEnum;
use dsync_lab::{Host, Lab};

use super::pair::Pair;

/// A way of moving an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// docker-sync
    DockerSync,
    /// docker save | zstd -3 | ssh | docker load
    SaveZstd,
    /// The original's way: archives on both sides, rsync -z, docker load
    Rsync,
    /// docker save | ssh | docker load
    Save,
    /// gzip -6 of the missing layers, computed only
    Layers,
}

/// `$SSH` is ssh with the lab's configuration; standard input and output are nobody's.
const SAVE: &str = r#"$SSH alpha "docker save $NEW" | docker load -q"#;

const SAVE_ZSTD: &str = r#"$SSH alpha "docker save $NEW | zstd -3 -q" | zstd -dq | docker load -q"#;

/// The steps of the original, over its one connection. That it finds an old dump at the target is what it
/// promises.
const RSYNC: &str = r#"
dump=$TMPDIR/image.tar
ssh="$SSH -o ControlPath=$TMPDIR/control"
$ssh -o ControlMaster=yes -fN alpha
trap '$ssh -O exit alpha 2>/dev/null; rm -f "$dump"' EXIT
[ -z "$OLD" ] || docker save -o "$dump" "$OLD"
$ssh alpha "docker save -o $SOURCE_TMP/image.tar $NEW"
rsync -e "$ssh" -vhz "alpha:$SOURCE_TMP/image.tar" "$dump"
$ssh alpha "rm $SOURCE_TMP/image.tar"
docker load -q -i "$dump"
"#;

impl Method {
    /// What the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Method::DockerSync => "docker-sync",
            Method::SaveZstd => "save │ zstd -3 │ ssh │ load",
            Method::Rsync => "archives and rsync -z",
            Method::Save => "save │ ssh │ load",
            Method::Layers => "missing layers, gzip -6",
        }
    }

    /// The script of a method that is one.
    fn script(self) -> Option<&'static str> {
        match self {
            Method::Save => Some(SAVE),
            Method::SaveZstd => Some(SAVE_ZSTD),
            Method::Rsync => Some(RSYNC),
            Method::DockerSync | Method::Layers => None,
        }
    }
}

/// Who moves what.
pub(crate) struct Ends<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) source: &'a Host,
    pub(crate) target: &'a Host,
    pub(crate) program: &'a std::path::Path,
}

impl Ends<'_> {
    /// `docker-sync`, run at the target.
    pub(crate) fn docker_sync(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["--ssh", &self.ssh(), self.source.alias()]).args(args);
        self.at_target(command)
    }

    /// The command that moves the pair's new image by this method, if the method is a command.
    pub(crate) fn command(&self, method: Method, pair: &Pair) -> Option<Command> {
        if method == Method::DockerSync {
            return Some(self.docker_sync(&[pair.new]));
        }
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", method.script()?]);
        command.env("SSH", self.ssh()).env("SOURCE_TMP", self.source.tmp());
        command.env("NEW", pair.new).env("OLD", if pair.same_repository() { pair.old } else { "" });
        Some(self.at_target(command))
    }

    fn ssh(&self) -> String {
        format!("ssh -F {}", self.lab.ssh_config().display())
    }

    /// With the target's engine and directories, and nothing of the person's own settings.
    fn at_target(&self, mut command: Command) -> Command {
        for name in ["SSH", "DOCKER", "REMOTE_DOCKER", "TMPFOLDER"] {
            command.env_remove(format!("DOCKER_SYNC_{name}"));
        }
        command.env_remove("XDG_CACHE_HOME").env("HOME", self.target.home()).env("TMPDIR", self.target.tmp());
        command.envs(self.target.engine().environment());
        command
    }
}
