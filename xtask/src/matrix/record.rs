//! What was measured: one line of JSON for each cell.

use dsync_e2e::{KINDS, Sameness};
use serde::{Deserialize, Serialize};

/// What stays the same of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Same {
    /// Config and layers
    #[default]
    Content,
    /// The ID as well
    Id,
}

impl Same {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Same::Content => "the same config and layers",
            Same::Id => "the same ID",
        }
    }
}

impl From<Sameness> for Same {
    fn from(same: Sameness) -> Same {
        match same {
            Sameness::Content => Same::Content,
            Sameness::Id => Same::Id,
        }
    }
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) pair: String,
    /// The kind of store at the source.
    pub(crate) from: String,
    /// The kind of store at the target.
    pub(crate) to: String,
    /// What `--compression` was.
    pub(crate) compression: String,
    /// The day, as `2024-02-29`.
    pub(crate) date: String,
    /// The commit of this repository, with a `+` if there were changes.
    pub(crate) commit: String,
    /// What it was measured on.
    pub(crate) machine: String,
    /// Releases of the engines, nothing for a layout.
    pub(crate) versions: [String; 2],
    /// The first digits of the digests of the configs of the old and the new image.
    pub(crate) images: [String; 2],
    /// Bytes on the wire from the target, which dials, to the source.
    pub(crate) up: u64,
    /// Bytes on the wire from the source to the target.
    pub(crate) down: u64,
    /// The time it took.
    pub(crate) seconds: f64,
    pub(crate) same: Same,
}

impl Record {
    /// Bytes on the wire, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.up + self.down
    }

    /// Whether this takes the place of the other.
    pub(crate) fn replaces(&self, other: &Record) -> bool {
        let cell = |record: &Record| {
            [&record.pair, &record.compression, &record.from, &record.to].map(String::clone)
        };
        cell(self) == cell(other)
    }

    /// Its place in the file: cells in the order of the table, whenever they were measured.
    pub(crate) fn key(&self) -> impl Ord + use<> {
        let place = |kind: &str| KINDS.iter().position(|known| *known == kind);
        (self.pair.clone(), self.compression.clone(), place(&self.from), place(&self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_known_by_its_place() {
        let cell = |from: &str, to: &str, compression: &str, up| Record {
            from: from.to_owned(),
            to: to.to_owned(),
            compression: compression.to_owned(),
            up,
            ..Record::default()
        };
        let record = cell("docker", "oci", "max", 1);
        assert!(record.replaces(&cell("docker", "oci", "max", 2)));
        for other in [cell("oci", "docker", "max", 1), cell("docker", "oci", "auto", 1)] {
            assert!(!record.replaces(&other));
        }
        assert!(!Record { pair: "node".to_owned(), ..record.clone() }.replaces(&record));
        // As in the table, not as in the alphabet.
        assert!(
            cell("podman", "docker", "max", 0).key() < cell("docker-26-containerd", "docker", "max", 0).key()
        );
        assert!(cell("docker", "podman", "max", 0).key() < cell("docker", "oci", "max", 0).key());
    }
}
