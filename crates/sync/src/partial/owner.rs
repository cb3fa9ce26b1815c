//! The image of a partial transfer.

use dsync_core::{Digest, ImageRef};
use serde::{Deserialize, Serialize};

/// The image that a file has parts of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    config: [u8; 32],
    names: Vec<String>,
}

impl Owner {
    pub(crate) fn new(config: &Digest, names: &[ImageRef]) -> Owner {
        Owner { config: *config.as_bytes(), names: names.iter().map(ToString::to_string).collect() }
    }

    /// As a file has it.
    pub(crate) fn of_file(config: &Digest, names: Vec<String>) -> Owner {
        Owner { config: *config.as_bytes(), names }
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    pub(super) fn config(&self) -> Digest {
        Digest::from_bytes(self.config)
    }

    /// True if both are of one image, or have a name in one repository.
    pub(super) fn is_like(&self, other: &Owner) -> bool {
        let repository = |name: &String| name.parse().ok().map(|name: ImageRef| name.name().to_owned());
        let of = |owner: &Owner| owner.names.iter().filter_map(repository).collect::<Vec<_>>();
        self.config == other.config || of(self).iter().any(|name| of(other).contains(name))
    }
}
