//! Artifacts that refer to an image: signatures, attestations, bills of materials.
//!
//! One names the image as its `subject` (OCI image specification, "Image Manifest"), or has a tag that is made of the
//! image's digest: `sha256-HEX.sig` and the like are cosign's, `sha256-HEX` is that of the OCI distribution
//! specification ("Referrers Tag Schema").

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::str::FromStr;

use dsync_core::{Digest, ImageRef};
use serde_json::Value;

use crate::blob::BlobRef;
use crate::package::{DocumentSource, LARGEST_DOCUMENT, Package, media_type, members};

/// A signature of an attestation of an image is as deep as it gets.
const DEEPEST: usize = 3;
/// Blobs that the documents of a referrer name, beside the root: a signature has a layer for each signer.
const MOST_BLOBS: usize = 1024;

/// An artifact that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its manifest, or an index of several.
    pub root: BlobRef,
    /// The media type of the root.
    pub media_type: String,
    /// The tag that it has beside those of the image.
    pub tag: Option<ReferrerTag>,
    /// All that it is made of, each blob once, a document before those that it names.
    pub blobs: Vec<BlobRef>,
}

impl Referrer {
    /// The bytes of all its blobs.
    pub fn size(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.size))
    }

    /// The names with its tag in the repositories of an image's names, each once.
    pub(crate) fn names_beside(&self, image: &[ImageRef]) -> Vec<ImageRef> {
        let beside = image.iter().filter_map(|name| self.tag.as_ref()?.beside(name));
        let mut names: Vec<ImageRef> = beside.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Reads what a root is made of, and which its subject is. `None` where that is not all there, or is no manifest.
    pub(crate) fn collect<D: DocumentSource>(
        root: BlobRef,
        tag: Option<ReferrerTag>,
        from: &mut D,
    ) -> Result<Option<(Referrer, Option<Digest>)>, D::Error> {
        let mut blobs = Vec::new();
        let Some(json) = document(&root, from)? else { return Ok(None) };
        let subject = json.get("subject").and_then(BlobRef::parse).map(|blob| blob.digest);
        let media_type = media_type(&json);
        if !follow(&root, &json, from, &mut blobs, DEEPEST)? {
            return Ok(None);
        }
        Ok(Some((Referrer { root, media_type, tag, blobs }, subject)))
    }
}

/// A document as JSON; `None` where it is not there or none.
fn document<D: DocumentSource>(blob: &BlobRef, from: &mut D) -> Result<Option<Value>, D::Error> {
    if blob.size > LARGEST_DOCUMENT {
        return Ok(None);
    }
    Ok(from.document(blob)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Adds a document and all that it names. False where that is not all there.
fn follow<D: DocumentSource>(
    blob: &BlobRef,
    json: &Value,
    from: &mut D,
    blobs: &mut Vec<BlobRef>,
    depth: usize,
) -> Result<bool, D::Error> {
    let add = |blob: BlobRef, blobs: &mut Vec<BlobRef>| {
        let is_new = blobs.iter().all(|other| other.digest != blob.digest);
        if is_new {
            blobs.push(blob);
        }
        is_new
    };
    if !add(*blob, blobs) {
        return Ok(true);
    }
    let Some(named) = members(json) else { return Ok(false) };
    if blobs.len() + named.len() > MOST_BLOBS {
        return Ok(false);
    }
    if json.get("manifests").is_none() {
        for blob in &named {
            add(*blob, blobs);
        }
        return from.has(&named);
    }
    for child in named {
        let Some(json) = document(&child, from)?.filter(|_| depth > 0) else { return Ok(false) };
        if !follow(&child, &json, from, blobs, depth - 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A tag that is made of the digest of what it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReferrerTag {
    of: Digest,
    /// `.sig`, or nothing.
    suffix: String,
}

impl ReferrerTag {
    /// The tag of a name as a store keeps it, if it is one: of `web:sha256-HEX.sig`, or of no name.
    pub(crate) fn in_name(name: &str) -> Option<Self> {
        name.rsplit(':').next()?.parse().ok()
    }

    /// The name with this tag in the repository of an image.
    pub fn beside(&self, image: &ImageRef) -> Option<ImageRef> {
        format!("{}:{self}", image.name()).parse().ok()
    }
}

impl Display for ReferrerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}{}", self.of.hex(), self.suffix)
    }
}

/// A text that is no tag of a referrer.
#[derive(Debug, thiserror::Error)]
#[error("no tag of a referrer")]
pub struct NoReferrerTag;

impl FromStr for ReferrerTag {
    type Err = NoReferrerTag;

    fn from_str(text: &str) -> Result<Self, NoReferrerTag> {
        let rest = text.strip_prefix("sha256-").ok_or(NoReferrerTag)?;
        let (hex, suffix) = rest.split_at_checked(64).ok_or(NoReferrerTag)?;
        let of = format!("sha256:{hex}").parse().map_err(|_| NoReferrerTag)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_suffix = suffix.is_empty()
            || suffix.starts_with('.') && suffix.len() <= 32 && suffix.bytes().all(is_plain);
        if is_suffix { Ok(Self { of, suffix: suffix.into() }) } else { Err(NoReferrerTag) }
    }
}

/// A document that a store names, and its tag where that is one of a referrer.
pub(crate) struct Candidate {
    pub(crate) root: BlobRef,
    pub(crate) tag: Option<ReferrerTag>,
}

/// The referrers of an image, of its manifests and of other referrers among these documents.
pub(crate) fn find<D: DocumentSource>(
    package: &Package,
    candidates: Vec<Candidate>,
    from: &mut D,
) -> Result<Vec<Referrer>, D::Error> {
    let mut known = Vec::new();
    for Candidate { root, tag } in candidates {
        if package.document(&root.digest).is_none()
            && let Some(found) = Referrer::collect(root, tag, from)?
        {
            known.push(found);
        }
    }
    Ok(of_image(package, &[], known))
}

/// Those of these artifacts, each with its subject, that refer to an image, to one of its manifests, to a referrer that
/// it has, or to each other.
fn of_image(
    package: &Package,
    there: &[Referrer],
    mut known: Vec<(Referrer, Option<Digest>)>,
) -> Vec<Referrer> {
    let mut meant: HashSet<Digest> = package.documents().map(|(digest, _)| *digest).collect();
    meant.extend(there.iter().map(|referrer| referrer.root.digest));
    let mut found: Vec<Referrer> = Vec::new();
    for _ in 0..DEEPEST {
        let (refer, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|(referrer, subject)| {
            let named = referrer.tag.as_ref().map(|tag| tag.of);
            [named, *subject].into_iter().flatten().any(|digest| meant.contains(&digest))
        });
        known = others;
        meant.extend(refer.iter().map(|(referrer, _)| referrer.root.digest));
        for (referrer, _) in refer {
            let is_same = |other: &Referrer| {
                other.root == referrer.root && (referrer.tag.is_none() || other.tag == referrer.tag)
            };
            if found.iter().any(is_same) {
                continue;
            }
            // With a tag it says more than without.
            found.retain(|other| other.root != referrer.root || other.tag.is_some());
            found.push(referrer);
        }
    }
    found
}

/// A referrer with the bytes of all its blobs.
#[derive(Debug)]
pub struct WholeReferrer {
    referrer: Referrer,
    blobs: HashMap<Digest, Vec<u8>>,
}

impl WholeReferrer {
    /// The artifact itself.
    pub fn referrer(&self) -> &Referrer {
        &self.referrer
    }

    /// Its blobs, a document before those that it names.
    pub fn blobs(&self) -> impl DoubleEndedIterator<Item = (&Digest, &[u8])> {
        let blobs = self.referrer.blobs.iter();
        blobs
            .filter_map(|blob| self.blobs.get_key_value(&blob.digest))
            .map(|(digest, bytes)| (digest, &bytes[..]))
    }

    /// Checks that these artifacts of another host, each with its tag and the bytes of its blobs, the root first, are
    /// whole and refer to this image, which has others there. An error is the reason why not.
    pub fn assemble(
        package: &Package,
        there: &[Referrer],
        given: Vec<(Option<ReferrerTag>, Vec<Vec<u8>>)>,
    ) -> Result<Vec<WholeReferrer>, String> {
        let mut known = Vec::new();
        let mut whole = Vec::new();
        for (tag, blobs) in given {
            let root = blobs.first().ok_or("a referrer has no blobs")?;
            let root = BlobRef { digest: Digest::of(root), size: root.len() as u64 };
            let count = blobs.len();
            let mut given = Given(blobs.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect());
            let collected = Referrer::collect(root, tag, &mut given).unwrap_or_else(|never| match never {});
            let (referrer, subject) = collected
                .filter(|(referrer, _)| referrer.blobs.len() == count)
                .ok_or_else(|| format!("the referrer {} is not whole", root.digest))?;
            known.push((referrer.clone(), subject));
            whole.push(WholeReferrer { referrer, blobs: given.0 });
        }
        let referring = of_image(package, there, known);
        match whole.iter().find(|one| referring.iter().all(|other| other.root != one.referrer.root)) {
            Some(other) => Err(format!("the artifact {} does not refer to it", other.referrer.root.digest)),
            None => Ok(whole),
        }
    }
}

/// Blobs in memory.
struct Given(HashMap<Digest, Vec<u8>>);

impl DocumentSource for Given {
    type Error = Infallible;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(&blob.digest).filter(|bytes| bytes.len() as u64 == blob.size).cloned())
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, Infallible> {
        Ok(blobs.iter().all(|blob| self.0.get(&blob.digest).is_some_and(|b| b.len() as u64 == blob.size)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    impl Given {
        fn add(&mut self, bytes: Vec<u8>) -> BlobRef {
            let blob = BlobRef { digest: Digest::of(&bytes), size: bytes.len() as u64 };
            self.0.insert(blob.digest, bytes);
            blob
        }

        fn manifest(&mut self, text: &str, subject: Option<&BlobRef>) -> BlobRef {
            let (config, layer) = (self.add(b"{}".to_vec()), self.add(text.into()));
            let mut json = json!({"config": named(&config), "layers": [named(&layer)]});
            if let Some(subject) = subject {
                json["subject"] = named(subject);
            }
            self.add(json.to_string().into())
        }

        fn image(&mut self) -> (BlobRef, Package) {
            let config =
                json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}});
            let config = self.add(config.to_string().into());
            let manifest = self.add(json!({"config": named(&config), "layers": []}).to_string().into());
            let package = Package::collect(&manifest, None, self).unwrap();
            (manifest, package)
        }
    }

    fn named(blob: &BlobRef) -> Value {
        json!({"mediaType": "x/y", "digest": blob.digest.to_string(), "size": blob.size})
    }

    fn roots(found: &[Referrer]) -> Vec<Digest> {
        found.iter().map(|referrer| referrer.root.digest).collect()
    }

    fn candidate(root: BlobRef) -> Candidate {
        Candidate { root, tag: None }
    }

    #[test]
    fn a_tag_is_made_of_a_digest() {
        let digest = Digest::of(b"image");
        for suffix in ["", ".sig", ".att", ".sbom"] {
            let text = format!("sha256-{}{suffix}", digest.hex());
            let tag: ReferrerTag = text.parse().unwrap();
            assert_eq!((tag.of, tag.to_string()), (digest, text.clone()));
            for name in [format!("docker.io/library/web:{text}"), format!("host:5000/web:{text}"), text] {
                assert_eq!(ReferrerTag::in_name(&name), Some(tag.clone()), "{name}");
            }
            let beside = tag.beside(&"shop/web:v2".parse().unwrap()).unwrap();
            assert_eq!(beside.to_string(), format!("shop/web:{tag}"));
        }
        let hex = digest.hex();
        for text in
            [hex.clone(), format!("sha256:{hex}"), format!("sha256-{hex}sig"), format!("sha256-{hex}./x")]
        {
            assert!(text.parse::<ReferrerTag>().is_err(), "{text}");
        }
        assert!("sha256-äöü".repeat(9).parse::<ReferrerTag>().is_err());
        assert_eq!(ReferrerTag::in_name("web:latest"), None);
    }

    #[test]
    fn referrers_are_found_by_subject_and_by_tag_and_those_of_referrers_too() {
        let mut blobs = Given(HashMap::new());
        let (image, package) = blobs.image();
        let bill = blobs.manifest("bill", Some(&image));
        let signature_of_bill = blobs.manifest("signature of the bill", Some(&bill));
        let signature = blobs.manifest("signature", None);
        let other = blobs.manifest("of another image", Some(&signature));
        let tag = format!("sha256-{}.sig", image.digest.hex()).parse().unwrap();
        let candidates = vec![
            candidate(signature_of_bill),
            candidate(bill),
            Candidate { root: signature, tag: Some(tag) },
            candidate(image),
        ];
        let found = find(&package, candidates, &mut blobs).unwrap();
        assert_eq!(roots(&found), [bill.digest, signature.digest, signature_of_bill.digest]);
        assert_eq!(found[0].blobs.len(), 3);
        assert_eq!(found[0].blobs[0], bill, "the root comes first");
        let found = find(&package, vec![candidate(other), candidate(signature)], &mut blobs).unwrap();
        assert_eq!(roots(&found), []);
    }

    #[test]
    fn a_referrer_of_which_a_part_is_missing_is_none() {
        let mut blobs = Given(HashMap::new());
        let (image, package) = blobs.image();
        let whole = blobs.manifest("whole", Some(&image));
        let broken = blobs.manifest("broken", Some(&image));
        blobs.0.remove(&Digest::of(b"broken"));
        let index = |blob: &BlobRef| json!({"manifests": [named(blob)]}).to_string();
        let (of_whole, of_broken) = (index(&whole), index(&broken));
        let [of_whole, of_broken] = [of_whole, of_broken].map(|text| blobs.add(text.into()));
        let tag: ReferrerTag = format!("sha256-{}", image.digest.hex()).parse().unwrap();
        let tagged = |root| Candidate { root, tag: Some(tag.clone()) };
        let found =
            find(&package, vec![candidate(broken), tagged(of_broken), tagged(of_whole)], &mut blobs).unwrap();
        assert_eq!(roots(&found), [of_whole.digest]);
        assert_eq!(found[0].blobs.len(), 4, "the index, the manifest and what it names");
        assert_eq!(found[0].media_type, "application/vnd.oci.image.index.v1+json");
    }

    #[test]
    fn an_artifact_with_and_without_a_name_is_one() {
        let mut blobs = Given(HashMap::new());
        let (image, package) = blobs.image();
        let bill = blobs.manifest("bill", Some(&image));
        let tag: ReferrerTag = format!("sha256-{}.sbom", image.digest.hex()).parse().unwrap();
        let named = || Candidate { root: bill, tag: Some(tag.clone()) };
        for candidates in [vec![candidate(bill), named()], vec![named(), candidate(bill), named()]] {
            let found = find(&package, candidates, &mut blobs).unwrap();
            assert_eq!(found.iter().map(|one| one.tag.clone()).collect::<Vec<_>>(), [Some(tag.clone())]);
        }
    }

    #[test]
    fn what_another_host_gives_is_whole_and_refers_to_the_image() {
        let mut blobs = Given(HashMap::new());
        let (image, package) = blobs.image();
        let bill = blobs.manifest("bill", Some(&image));
        let signature = blobs.manifest("signature", Some(&bill));
        let mut bytes = |root: &BlobRef| -> Vec<Vec<u8>> {
            let (referrer, _) = Referrer::collect(*root, None, &mut blobs).unwrap().unwrap();
            referrer.blobs.iter().map(|blob| blobs.0[&blob.digest].clone()).collect()
        };
        let (of_bill, of_signature) = (bytes(&bill), bytes(&signature));
        let assemble = |there: &[Referrer], given: Vec<Vec<Vec<u8>>>| {
            WholeReferrer::assemble(&package, there, given.into_iter().map(|blobs| (None, blobs)).collect())
        };
        let whole = assemble(&[], vec![of_signature.clone(), of_bill.clone()]).unwrap();
        assert_eq!(whole.iter().map(|one| one.referrer.root).collect::<Vec<_>>(), [signature, bill]);
        assert_eq!(whole[1].blobs().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), of_bill);
        let of = |given| assemble(&[], given).unwrap_err();
        assert!(of(vec![of_signature.clone()]).ends_with("does not refer to it"));
        assert!(
            assemble(&[whole[1].referrer.clone()], vec![of_signature]).is_ok(),
            "it refers to one that is there"
        );
        for broken in
            [of_bill[..2].to_vec(), [&of_bill[..], &[b"more".to_vec()]].concat(), vec![b"x".to_vec()]]
        {
            assert!(of(vec![broken]).ends_with("is not whole"));
        }
        assert_eq!(of(vec![Vec::new()]), "a referrer has no blobs");
    }
}
