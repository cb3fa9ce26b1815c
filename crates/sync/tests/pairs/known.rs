//! Kinds of pairs that are known to fail, each with the reason. The list is to be empty.

use std::collections::BTreeMap;

use dsync_testkit::pair::{Pair, Way};
use dsync_testkit::{Files, Item, Wrap};

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
        reason: "the same content is seen by diff ids, time and platform, and not by the config",
        is_it: |pair, failure| {
            let by_content = !pair.files.by_manifest() || pair.run.content || pair.run.platform.is_some();
            by_content && ["report says", "does not hold"].iter().any(|words| failure.contains(words))
        },
    },
    Known {
        reason: "an image without an architecture or a system ends every report",
        is_it: |_, failure| failure.contains("is not a platform: a part of it is empty"),
    },
    Known {
        reason: "an image is committed before it is compared with what was asked for",
        is_it: |_, failure| failure.contains("has another new image"),
    },
    Known {
        reason: "one layer in two packings is asked for twice or not at all",
        is_it: |pair, _| pair.source.iter().any(packs_a_layer_twice),
    },
    Known {
        reason: "the layer of an old archive whose name says nothing is not given again",
        is_it: |pair, failure| pair.run.way == Way::Patch && failure.contains("was not given again"),
    },
    Known {
        reason: "a layer that is a gzip file itself is unpacked out of an archive",
        is_it: |pair, failure| {
            let words = ["its store is damaged", "did not give layer"];
            !pair.files.by_manifest() && words.iter().any(|words| failure.contains(words))
        },
    },
    Known {
        reason: "a layer that an archive has in two forms is given after nobody listens any more",
        is_it: |pair, failure| {
            !pair.files.by_manifest() && failure.contains("cannot be passed on: broken pipe")
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

/// Whether an item has two forms of one layer.
fn packs_a_layer_twice(item: &Item) -> bool {
    let built = item.build();
    let mut forms: BTreeMap<&String, &Vec<u8>> = BTreeMap::new();
    let layers = built.images.iter().flat_map(|image| image.diff_ids.iter().zip(&image.stored));
    layers
        .into_iter()
        .any(|(id, (_, stored))| forms.insert(id, stored).is_some_and(|other| other != &**stored))
}

/// Why a pair that failed may fail, if it may.
pub(crate) fn reason(pair: &Pair, failure: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.is_it)(pair, failure)).map(|known| known.reason)
}
