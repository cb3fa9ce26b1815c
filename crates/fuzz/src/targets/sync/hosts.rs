//! Hosts with stores in files, as the fixed set of pairs has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dsync_testkit::{Built, Files, Item, Snapshot, Wrap, fixed};
use tempfile::TempDir;

/// The version that both ends say.
pub(super) const VERSION: &str = "fuzz";
/// The value of `--memory`.
pub(super) const MEMORY: u64 = 64 << 20;

/// An image, and what a target has before it gets that.
pub(super) struct Scenario {
    pub(super) old: Vec<Built>,
    pub(super) new: Built,
}

/// Pairs that take different ways: with and without a basis, as they are and compressed, one image and several.
const NAMES: [&str; 12] = [
    "usual",
    "middle",
    "twice-around",
    "empty-twice",
    "files",
    "paths",
    "attributes",
    "platforms",
    "repacked",
    "packed-twice",
    "twice-new",
    "no-tar",
];

/// All of them.
pub(super) static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
    let pairs = fixed::pairs();
    let named = |name: &&str| pairs.iter().find(|pair| pair.name == *name);
    let scenario = |pair: &fixed::Fixed| Scenario {
        old: pair.old.iter().map(Item::build).collect(),
        new: pair.new.build(),
    };
    NAMES.iter().filter_map(named).map(scenario).collect()
});

/// The folders of one host.
pub(super) struct Host {
    folder: TempDir,
}

impl Host {
    /// A host whose layout has these images.
    pub(super) fn with(images: &[Built]) -> Option<Host> {
        let host = Host { folder: tempfile::tempdir().ok()? };
        for name in ["tmp", "caches"] {
            fs::create_dir(host.path(name)).ok()?;
        }
        Files::Layout.write(Wrap::None, images, &host.path("store")).ok()?;
        Some(host)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The store as it is named.
    pub(super) fn store(&self) -> String {
        format!("oci:{}", self.path("store").display())
    }

    /// The images.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::read(&self.path("store")).expect("the store is a whole layout")
    }

    /// Fails where a temporary file is left, or a part of a transfer.
    pub(super) fn check_tidy(&self) {
        self.check_left(is_index);
    }

    /// Fails where a temporary file is left. Parts are kept of what the other end broke off.
    pub(super) fn check_tidy_but_for_parts(&self) {
        self.check_left(|path| is_index(path) || is_part(path));
    }

    fn check_left(&self, is_kept: impl Fn(&str) -> bool) {
        let left = dsync_testkit::files(&self.path("tmp")).expect("the folder can be read");
        assert!(left.is_empty(), "temporary files are left: {left:?}");
        let kept = dsync_testkit::files(&self.path("caches")).expect("the folder can be read");
        assert!(kept.keys().all(|path| is_kept(path)), "{kept:?}");
    }
}

fn is_index(path: &str) -> bool {
    path.starts_with("docker-sync/index/") && !path.contains("/new-")
}

/// A part is named by the digest of its image's config.
fn is_part(path: &str) -> bool {
    let is_digest = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    path.strip_prefix("docker-sync/partial/").is_some_and(is_digest)
}

/// All files below a folder, by name.
pub(super) fn files(folder: &Path) -> Vec<(String, String)> {
    dsync_testkit::files(folder).expect("the folder can be read").into_iter().collect()
}
