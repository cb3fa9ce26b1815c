//! The ways of moving an image that are compared, each as the command that a person would type.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use dsync_lab::{Host, Lab};

use super::archive::Archive;
use super::computed;
use super::record::Scenario;
use crate::Result;
use crate::bench::pair::Pair;

/// A way of moving an image.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its name on the command line, in the records, and as a class of the plots.
    pub(crate) name: &'static str,
    /// Its name in tables and plots.
    pub(crate) title: &'static str,
    pub(crate) way: Way,
    /// In which scenarios it says something.
    pub(crate) scenarios: &'static [Scenario],
    /// True if it runs only when asked for.
    pub(crate) rare: bool,
    /// Its colour on light and on dark ground; without, the plots leave it out.
    pub(crate) colours: Option<[&'static str; 2]>,
}

/// The way to run a method.
#[derive(Debug)]
pub(crate) enum Way {
    /// docker-sync, with these arguments.
    Sync(&'static [&'static str]),
    /// A script for bash. `$SSH` is ssh with the lab's configuration, `$SOURCE` the host.
    Script(&'static str),
    /// Not at all: worked out from the archives of the old and the new image.
    Computed(fn(&Archive, &Archive) -> Result<u64>),
}

const EVERYWHERE: &[Scenario] = &[Scenario::Update, Scenario::Blind, Scenario::Cold];
const UPDATE: &[Scenario] = &[Scenario::Update];
const UPDATE_AND_COLD: &[Scenario] = &[Scenario::Update, Scenario::Cold];

pub(crate) const DOCKER_SYNC: &Method = &Method {
    name: "docker-sync",
    title: "docker-sync",
    way: Way::Sync(&[]),
    scenarios: EVERYWHERE,
    rare: false,
    colours: Some(["#1f6feb", "#58a6ff"]),
};

pub(crate) const DOCKER_SYNC_MAX: &Method = &Method {
    name: "docker-sync-max",
    title: "docker-sync, max",
    way: Way::Sync(&["--compression", "max"]),
    scenarios: &[Scenario::Update, Scenario::Blind],
    rare: false,
    colours: Some(["#0b4aa2", "#a5d0ff"]),
};

pub(crate) const DOCKER_SYNC_1: &Method =
    &level("docker-sync-1", "docker-sync, level 1", &["--compression", "1"]);

/// docker-sync at one level, to see whether `auto` chooses well.
const fn level(name: &'static str, title: &'static str, args: &'static [&'static str]) -> Method {
    Method { name, title, way: Way::Sync(args), scenarios: EVERYWHERE, rare: true, colours: None }
}

/// The steps of the original, over its one connection. That it finds an old dump at the target is what it
/// promises.
pub(crate) const RSYNC: &Method = &Method {
    name: "rsync",
    title: "archives and rsync -z",
    way: Way::Script(
        r#"
dump=$TMPDIR/image.tar
ssh="$SSH -o ControlPath=$TMPDIR/control"
$ssh -o ControlMaster=yes -fN "$SOURCE"
trap '$ssh -O exit "$SOURCE" 2>/dev/null; rm -f "$dump"' EXIT
[ -z "$OLD" ] || docker save -o "$dump" "$OLD"
$ssh "$SOURCE" "docker save -o $SOURCE_TMP/image.tar $NEW"
rsync -e "$ssh" -vhz "$SOURCE:$SOURCE_TMP/image.tar" "$dump"
$ssh "$SOURCE" "rm $SOURCE_TMP/image.tar"
docker load -q -i "$dump"
"#,
    ),
    scenarios: UPDATE,
    rare: false,
    colours: Some(["#d97706", "#f0a33c"]),
};

pub(crate) const SAVE_ZSTD: &Method = &Method {
    name: "save-zstd",
    title: "save │ zstd -3 │ ssh │ load",
    way: Way::Script(r#"$SSH "$SOURCE" "docker save $NEW | zstd -3 -q" | zstd -dq | docker load -q"#),
    scenarios: UPDATE_AND_COLD,
    rare: false,
    colours: Some(["#7d8590", "#9aa4af"]),
};

pub(crate) const SAVE_ZSTD_T0: &Method = &Method {
    name: "save-zstd-t0",
    title: "save │ zstd -T0 -3 │ ssh │ load",
    way: Way::Script(r#"$SSH "$SOURCE" "docker save $NEW | zstd -T0 -3 -q" | zstd -dq | docker load -q"#),
    scenarios: UPDATE_AND_COLD,
    rare: false,
    colours: None,
};

/// All methods, in the order of tables and plots.
pub(crate) const METHODS: &[&Method] = &[
    DOCKER_SYNC,
    DOCKER_SYNC_MAX,
    DOCKER_SYNC_1,
    &level("docker-sync-9", "docker-sync, level 9", &["--compression", "9"]),
    &level("docker-sync-12", "docker-sync, level 12", &["--compression", "12"]),
    &level("docker-sync-18", "docker-sync, level 18", &["--compression", "18"]),
    &Method {
        name: "patch",
        title: "zstd -19 --patch-from",
        way: Way::Computed(computed::patch),
        scenarios: UPDATE,
        rare: false,
        colours: Some(["#8250df", "#b392f0"]),
    },
    &Method {
        name: "patch-ultra",
        title: "zstd --ultra -22 --patch-from",
        way: Way::Computed(computed::patch_ultra),
        scenarios: UPDATE,
        rare: true,
        colours: None,
    },
    RSYNC,
    &Method {
        name: "chunks",
        title: "chunks of 16 KiB, zstd -3",
        way: Way::Computed(computed::chunks),
        scenarios: UPDATE,
        rare: false,
        colours: Some(["#0f8b7d", "#3ccfb9"]),
    },
    &Method {
        name: "layers",
        title: "missing layers, gzip -6",
        way: Way::Computed(computed::gzip),
        scenarios: UPDATE,
        rare: false,
        colours: Some(["#b4457a", "#e283a8"]),
    },
    SAVE_ZSTD,
    SAVE_ZSTD_T0,
    &Method {
        name: "save",
        title: "save │ ssh │ load",
        way: Way::Script(r#"$SSH "$SOURCE" "docker save $NEW" | docker load -q"#),
        scenarios: UPDATE,
        rare: false,
        colours: Some(["#b1b8c0", "#626c77"]),
    },
];

impl ValueEnum for &'static Method {
    fn value_variants<'a>() -> &'a [Self] {
        METHODS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let how = match (&self.way, self.rare) {
            (Way::Computed(_), true) => " (computed; 20 minutes and more for a pair)",
            (Way::Computed(_), false) => " (computed)",
            (_, true) => " (when asked for)",
            (_, false) => "",
        };
        Some(PossibleValue::new(self.name).help(format!("{}{how}", self.title)))
    }
}

impl Method {
    /// True if the method is docker-sync.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.way, Way::Sync(_))
    }

    /// True if the method is computed rather than run.
    pub(crate) fn is_computed(&self) -> bool {
        matches!(self.way, Way::Computed(_))
    }
}

/// The ends of a transfer, their lab, and docker-sync.
pub(crate) struct Ends<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) source: &'a Host,
    pub(crate) target: &'a Host,
    pub(crate) program: &'a Path,
}

impl Ends<'_> {
    /// `docker-sync`, run at the target, with the source by this name of ssh.
    pub(crate) fn docker_sync(&self, source: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["--ssh", &self.ssh(), source]).args(args);
        self.at_target(command)
    }

    /// The command that moves an image by this method, if the method is a command. Where the target has
    /// an image whose dump would have the same name, it is `old`.
    pub(crate) fn command(
        &self,
        method: &Method,
        source: &str,
        pair: &Pair,
        scenario: Scenario,
    ) -> Option<Command> {
        let script = match method.way {
            Way::Sync(args) => return Some(self.docker_sync(source, &[args, &[pair.new]].concat())),
            Way::Script(script) => script,
            Way::Computed(_) => return None,
        };
        let has_dump = pair.same_repository() && scenario != Scenario::Cold;
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]);
        command.env("SSH", self.ssh()).env("SOURCE", source).env("SOURCE_TMP", self.source.tmp());
        command.env("NEW", pair.new).env("OLD", if has_dump { pair.old } else { "" });
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_colours_are_all_different() {
        let names: BTreeSet<&str> = METHODS.iter().map(|method| method.name).collect();
        assert_eq!(names.len(), METHODS.len());
        let colours: Vec<[&str; 2]> = METHODS.iter().filter_map(|method| method.colours).collect();
        for ground in 0..2 {
            let all: BTreeSet<&str> = colours.iter().map(|pair| pair[ground]).collect();
            assert_eq!(all.len(), colours.len());
        }
    }
}
