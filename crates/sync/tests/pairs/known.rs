//! Kinds of pairs that are known to fail, each with the reason. The list is to be empty.

use dsync_testkit::pair::{Pair, Target};
use dsync_testkit::{Files, Wrap};

/// A kind of pairs that is known to fail.
pub(crate) struct Known {
    /// Why it fails.
    pub(crate) reason: &'static str,
    /// Whether this pair, which failed with these words, is of the kind.
    pub(crate) is_it: fn(&Pair, &str) -> bool,
}

/// All of them.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        reason: "a list of images that is null is refused",
        is_it: |pair, failure| pair.target == Target::Null && failure.contains("is no image index"),
    },
    Known {
        reason: "of one platform the report compares the content, and a sync the ID",
        is_it: |pair, failure| {
            let by_id = pair.files.by_manifest() && !pair.run.content && pair.run.platform.is_some();
            by_id && failure.contains("the report says")
        },
    },
    Known {
        reason: "an OCI archive is no source",
        is_it: |pair, failure| {
            pair.files == Files::OciArchive
                && (failure.contains("is not supported") || failure.contains("no manifest.json"))
        },
    },
    Known {
        reason: "a compressed archive is no source",
        is_it: |pair, failure| pair.wrap != Wrap::None && failure.contains("is broken"),
    },
];

/// Why a pair that failed may fail, if it may.
pub(crate) fn reason(pair: &Pair, failure: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.is_it)(pair, failure)).map(|known| known.reason)
}
