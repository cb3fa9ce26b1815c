//! The records of images in a namespace: each is a name, and the digest of a manifest or an index.
//!
//! There is no image without a record. One that nobody names has a record of this program's, by its digest; those of
//! Kubernetes (`sha256:…` for the ID of a config, `web@sha256:…`) are no names that people give, either.

use std::collections::BTreeMap;

use dsync_core::{Digest, ImageId, ImageRef};

use crate::command::Program;
use crate::store::StoreError;

/// The beginning of the name of an image that has no name.
const UNNAMED: &str = "localhost/docker-sync@";

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// As it is kept: `docker.io/library/web:1`.
    pub(super) name: String,
    /// The media type of the document.
    pub(super) media_type: String,
    /// The document that it names.
    pub(super) id: ImageId,
}

/// The name of an image that has no name.
pub(super) fn unnamed(id: &ImageId) -> String {
    format!("{UNNAMED}{id}")
}

/// All records of the namespace.
pub(super) fn list(ctr: &Program) -> Result<Vec<Record>, StoreError> {
    let output = ctr.run(&["images", "ls"], None)?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads a table of `images ls`: `REF TYPE DIGEST SIZE PLATFORMS LABELS`.
fn parse(table: &str) -> Result<Vec<Record>, StoreError> {
    let mut lines = table.lines();
    let broken = |reason: String| StoreError::Broken { what: "the output of `ctr images ls`".into(), reason };
    if !lines.next().is_some_and(|heading| heading.split_whitespace().take(3).eq(["REF", "TYPE", "DIGEST"])) {
        return Err(broken("it has no heading that is known".into()));
    }
    let mut records = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let [Some(name), Some(media_type), Some(digest)] = [words.next(), words.next(), words.next()] else {
            return Err(broken(format!("{line:?} is no record")));
        };
        // An image may be named by a digest of another kind, which is none for us.
        if let Ok(id) = digest.parse() {
            records.push(Record { name: name.into(), media_type: media_type.into(), id });
        }
    }
    Ok(records)
}

/// All images, with the names that people gave them.
///
/// Clients write names in full; a short one is one that somebody gave by `ctr images tag`, and counts where nobody has
/// the full one.
pub(super) fn names(records: &[Record]) -> BTreeMap<ImageId, Vec<ImageRef>> {
    let named = |record: &Record| {
        let is_digest = record.name.contains('@') || record.name.parse::<Digest>().is_ok();
        (!is_digest).then(|| record.name.parse::<ImageRef>().ok()).flatten()
    };
    let mut images: BTreeMap<ImageId, Vec<ImageRef>> = BTreeMap::new();
    for record in records {
        let names = images.entry(record.id).or_default();
        let Some(name) = named(record) else { continue };
        let full = name.qualified();
        if record.name == full || records.iter().all(|other| other.name != full) {
            names.push(name);
        }
    }
    for names in images.values_mut() {
        names.sort_unstable();
        names.dedup();
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "sha256:6065f238ffa06a72d55393ba40dfa81d2816cd2b810ccc1d8cbd16887b72d1bd";
    const TWO: &str = "sha256:6e1f4bec509bd3a98cbc0405e2f400f83b5a96fd01a9e0c5eacf5abe9d43b06a";

    fn table(lines: &[(&str, &str)]) -> String {
        let mut text = "REF TYPE DIGEST SIZE PLATFORMS LABELS \n".to_owned();
        for (name, digest) in lines {
            text += &format!(
                "{name} application/vnd.oci.image.manifest.v1+json {digest} 20.9 KiB linux/amd64 - \n"
            );
        }
        text
    }

    #[test]
    fn a_table_is_read() {
        let records = parse(&table(&[("docker.io/library/web:1", ONE), ("x", "sha512:00")])).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].name.as_str(), records[0].id.to_string().as_str()),
            ("docker.io/library/web:1", ONE)
        );
        assert_eq!(records[0].media_type, "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(parse("REF TYPE DIGEST SIZE PLATFORMS LABELS \n").unwrap(), []);
        for text in ["", "x\n", "REF TYPE DIGEST\nx\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_those_that_people_give() {
        let unnamed = unnamed(&TWO.parse().unwrap());
        let by_digest = format!("docker.io/library/web@{ONE}");
        let records = parse(&table(&[
            ("docker.io/library/web:1", ONE),
            ("docker.io/shop/web:1", ONE),
            (ONE, ONE),
            (&by_digest, ONE),
            ("web:1", TWO),
            ("short:1", TWO),
            (&unnamed, TWO),
        ]))
        .unwrap();
        let names = names(&records);
        let of = |id: &str| -> Vec<String> {
            names[&id.parse().unwrap()].iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(ONE), ["shop/web:1", "web:1"]);
        assert_eq!(of(TWO), ["short:1"]);
    }
}
