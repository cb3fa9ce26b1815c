//! The command line of an import, which differs between releases and hosts.

use crate::command::Program;
use crate::host;
use crate::package::Package;
use crate::store::StoreError;

/// The snapshotter of the client, unless its variable names another.
const SNAPSHOTTER: &str = "overlayfs";

/// The ways of a client to import.
pub(super) struct Importer {
    /// It can do it by itself, and have the daemon do it by rules of its own (from 2.0 on).
    has_local: bool,
    /// The snapshotter that unpacks images, if there is one: that of the client, or the simple one.
    snapshotter: Option<String>,
}

impl Importer {
    /// Asks the client.
    pub(super) fn of(ctr: &Program) -> Result<Self, StoreError> {
        let help = ctr.output(&["images", "import", "--help"])?;
        let has_local = String::from_utf8_lossy(&help.stdout).contains("--local");
        let named = std::env::var("CONTAINERD_SNAPSHOTTER").ok().filter(|name| !name.is_empty());
        if named.is_some() {
            return Ok(Self { has_local, snapshotter: named });
        }
        let plugins = ctr.run(&["plugins", "ls", "type==io.containerd.snapshotter.v1"], None)?;
        let snapshotter = snapshotter(&String::from_utf8_lossy(&plugins.stdout)).map(str::to_owned);
        Ok(Self { has_local, snapshotter })
    }

    /// The arguments of an import from standard input: of an index, where its package is given.
    pub(super) fn words(&self, package: Option<&Package>, unpack: bool) -> Vec<String> {
        let mut words = ["images", "import"].map(str::to_owned).to_vec();
        words.extend(self.has_local.then(|| "--local".into()));
        if let Some(package) = package.filter(|package| package.is_index()) {
            // Without it the client wants all platforms that its host runs, there or not.
            let platforms = package.platforms();
            let here = host::platform().to_string();
            let platform = platforms.iter().find(|platform| **platform == here).or(platforms.first());
            words.extend(platform.map(|platform| format!("--platform={platform}")));
        }
        match self.snapshotter.as_deref().filter(|_| unpack) {
            Some(SNAPSHOTTER) => {}
            Some(name) => words.push(format!("--snapshotter={name}")),
            None => words.push("--no-unpack".into()),
        }
        words.push("-".into());
        words
    }
}

/// The snapshotter for images in a table of `plugins ls`: `TYPE ID PLATFORMS STATUS`.
fn snapshotter(table: &str) -> Option<&'static str> {
    let works = |name: &str| {
        table.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1) == Some(&name) && words.last() == Some(&"ok")
        })
    };
    [SNAPSHOTTER, "native"].into_iter().find(|name| works(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_unpacked_where_that_works() {
        let line =
            |id: &str, status: &str| format!("io.containerd.snapshotter.v1 {id} linux/amd64 {status}\n");
        let table = |overlayfs: &str, native: &str| {
            "TYPE ID PLATFORMS STATUS\n".to_owned() + &line("native", native) + &line("overlayfs", overlayfs)
        };
        assert_eq!(snapshotter(&table("ok", "ok")), Some("overlayfs"));
        assert_eq!(snapshotter(&table("error", "ok")), Some("native"));
        assert_eq!(snapshotter(&table("skip", "error")), None);
    }
}
