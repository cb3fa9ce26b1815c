//! The model of a sync: "the target holds exactly this config and these layers under this name, or is as it was".
//!
//! Layouts are read here by their specification, with nothing of the program under test: every byte is hashed, every
//! compressed layer is unpacked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::digest::hex;
use crate::image::{Built, BuiltImage};
use crate::layout::{name_of, nameless};
use crate::packing::unpack;
use crate::sha256;

/// All that is in a layout directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Each file, directories apart, with its digest.
    files: BTreeMap<String, String>,
    /// The root of each name.
    names: BTreeMap<String, String>,
    /// The roots, named or not.
    roots: BTreeSet<String>,
    /// The images of each root whose documents and layers are all there.
    images: BTreeMap<String, Vec<Image>>,
    /// The blobs of each root that are there.
    blobs: BTreeMap<String, BTreeSet<String>>,
    /// The entries of the index without their names, and all else that the index says.
    strange: BTreeSet<String>,
}

/// An image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    platform: String,
    config: String,
    diff_ids: Vec<String>,
}

/// An image that a target must hold after a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Under this name; without one, just hold it.
    pub name: Option<String>,
    /// The identity of the image.
    pub what: What,
    /// By what a report sees whether it is there, where that is not the same: of one platform of an index the ID that the
    /// target would have is not known before it is made, so the content decides.
    pub seen_by: Option<What>,
}

impl Wanted {
    /// An image that a report sees by just what is wanted.
    pub fn new(name: Option<String>, what: What) -> Self {
        Wanted { name, what, seen_by: None }
    }
}

/// The identity of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The very manifest or index, and these blobs of it.
    Root(String, BTreeSet<String>),
    /// This config and these layers; where it is in an index, of the image for this platform, or for the host's.
    Content(String, Vec<String>, Option<String>),
    /// One of these.
    Any(Vec<What>),
}

impl What {
    /// An item with its ID and all that is there of it.
    pub fn root(built: &Built) -> What {
        What::Root(built.root.digest.clone(), built.blobs.keys().cloned().collect())
    }

    /// One image of an item with the ID of its manifest.
    pub fn manifest(image: &BuiltImage) -> What {
        let stored = image.stored.iter().map(|(_, bytes)| sha256(bytes));
        let blobs = stored.chain([sha256(&image.config), image.manifest.clone()]).collect();
        What::Root(image.manifest.clone(), blobs)
    }

    /// An image without an ID.
    pub fn content(image: &BuiltImage) -> What {
        What::content_for(image, None)
    }

    /// The same where a platform was asked for.
    pub fn content_for(image: &BuiltImage, platform: Option<&str>) -> What {
        What::Content(sha256(&image.config), image.diff_ids.clone(), platform.map(str::to_owned))
    }
}

impl Snapshot {
    /// Reads a directory; one that is not there is like one that is empty.
    ///
    /// # Errors
    ///
    /// A sentence, where it is no whole layout: a file that does not belong there, a blob with another digest than its
    /// name, a name that two entries of the index have.
    pub fn read(dir: &Path) -> Result<Snapshot, String> {
        let mut snapshot = Snapshot::default();
        let mut contents = BTreeMap::new();
        walk(dir, "", &mut contents)?;
        for (path, bytes) in &contents {
            let digest = sha256(bytes);
            match path.strip_prefix("blobs/sha256/") {
                Some(name) if name != hex(&digest) => return Err(format!("the blob {name} is {digest}")),
                None if path != "index.json" && path != "oci-layout" => {
                    return Err(format!("{path} does not belong in a layout"));
                }
                _ => {}
            }
            snapshot.files.insert(path.clone(), digest);
        }
        let Some(index) = contents.get("index.json") else { return Ok(snapshot) };
        let index: Value =
            serde_json::from_slice(index).map_err(|error| format!("index.json is damaged: {error}"))?;
        for (key, value) in index.as_object().into_iter().flatten().filter(|(key, _)| *key != "manifests") {
            snapshot.strange.insert(format!("{key}: {value}"));
        }
        for entry in index["manifests"].as_array().into_iter().flatten() {
            snapshot.strange.insert(nameless(entry).to_string());
            let Some(root) = entry["digest"].as_str().map(str::to_owned) else { continue };
            if let Some(name) = name_of(entry)
                && let Some(other) = snapshot.names.insert(name.clone(), root.clone())
            {
                return Err(format!("{name} is both {other} and {root}"));
            }
            let mut reader = Reader { contents: &contents, images: Vec::new(), blobs: BTreeSet::new() };
            reader.document(entry);
            snapshot.images.insert(root.clone(), reader.images);
            snapshot.blobs.insert(root.clone(), reader.blobs);
            snapshot.roots.insert(root);
        }
        Ok(snapshot)
    }

    /// The names, with the digest of what each stands for.
    pub fn names(&self) -> &BTreeMap<String, String> {
        &self.names
    }

    /// The roots in the index, with a name or without.
    pub fn roots(&self) -> &BTreeSet<String> {
        &self.roots
    }

    /// True if an image of this root is the wanted one.
    fn is(&self, root: &str, what: &What) -> bool {
        match what {
            What::Root(digest, blobs) => {
                root == digest && self.blobs.get(root).is_some_and(|there| blobs.is_subset(there))
            }
            What::Content(config, diff_ids, platform) => {
                let images = self.images.get(root).map(Vec::as_slice).unwrap_or_default();
                let meant = meant(images, |image| &image.platform, platform.as_deref());
                meant.is_some_and(|image| image.config == *config && image.diff_ids == *diff_ids)
            }
            What::Any(several) => several.iter().any(|what| self.is(root, what)),
        }
    }

    /// True if the wanted image is there, with any name or none.
    pub fn holds(&self, what: &What) -> bool {
        self.roots.iter().any(|root| self.is(root, what))
    }

    /// True if the name stands for the wanted image.
    pub fn is_named(&self, name: &str, what: &What) -> bool {
        self.names.get(name).is_some_and(|root| self.is(root, what))
    }

    /// True if it has no files, or only those of an empty layout.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && !self.files.keys().any(|path| path.starts_with("blobs/"))
    }

    /// That this is still as it was.
    ///
    /// # Errors
    ///
    /// What is different. A directory without images may have become an empty layout.
    pub fn check_unchanged(&self, after: &Snapshot) -> Result<(), String> {
        if self.files == after.files || self.is_empty() && after.is_empty() {
            return Ok(());
        }
        Err(format!("the target has changed: {}", self.differences(after).join(", ")))
    }

    /// That everything is still there, and all that is wanted besides, and nothing else.
    ///
    /// # Errors
    ///
    /// What is different.
    pub fn check_holds(&self, after: &Snapshot, wanted: &[Wanted]) -> Result<(), String> {
        let moved = |name: &str| wanted.iter().any(|wanted| wanted.name.as_deref() == Some(name));
        for (path, digest) in self.files.iter().filter(|(path, _)| *path != "index.json") {
            match after.files.get(path) {
                None => return Err(format!("the target has lost {path}")),
                Some(now) if now != digest => return Err(format!("{path} of the target has changed")),
                Some(_) => {}
            }
        }
        if let Some(lost) = self.strange.difference(&after.strange).next() {
            return Err(format!("the index of the target has lost {lost}"));
        }
        if let Some(lost) = self.roots.difference(&after.roots).next() {
            return Err(format!("the target has lost the image {lost}"));
        }
        for (name, root) in self.names.iter().filter(|(name, _)| !moved(name)) {
            match after.names.get(name) {
                Some(now) if now == root => {}
                now => return Err(format!("{name} was {root} and is {now:?}, though it was not asked for")),
            }
        }
        for Wanted { name, what, .. } in wanted {
            let there = match name {
                Some(name) => after.is_named(name, what),
                None => after.holds(what),
            };
            if !there {
                let has = name.as_ref().and_then(|name| after.names.get(name));
                let images = has.and_then(|root| after.images.get(root));
                return Err(format!(
                    "the target does not hold what is wanted as {name:?}: {what:?}, but {has:?}: {images:?}"
                ));
            }
        }
        if let Some(name) = after.names.keys().find(|name| !self.names.contains_key(*name) && !moved(name)) {
            return Err(format!("the target has a new name, {name}"));
        }
        let strange = after
            .roots
            .difference(&self.roots)
            .find(|root| !wanted.iter().any(|wanted| after.is(root, &wanted.what)));
        if let Some(root) = strange {
            return Err(format!("the target has another new image, {root}"));
        }
        let named: BTreeSet<String> =
            after.blobs.values().flatten().map(|digest| format!("blobs/sha256/{}", hex(digest))).collect();
        let stray = after.files.keys().filter(|path| path.starts_with("blobs/"));
        if let Some(path) =
            stray.filter(|path| !self.files.contains_key(*path)).find(|path| !named.contains(*path))
        {
            return Err(format!("no image names the new {path}"));
        }
        Ok(())
    }

    fn differences(&self, after: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, root) in &self.names {
            if after.names.get(name) != Some(root) {
                lines.push(format!("{name} was {root} and is {:?}", after.names.get(name)));
            }
        }
        lines.extend(
            after
                .names
                .keys()
                .filter(|name| !self.names.contains_key(*name))
                .map(|name| format!("new {name}")),
        );
        for (path, digest) in &self.files {
            if after.files.get(path) != Some(digest) {
                lines.push(format!("{path} was {digest} and is {:?}", after.files.get(path)));
            }
        }
        lines.extend(
            after
                .files
                .keys()
                .filter(|path| !self.files.contains_key(*path))
                .map(|path| format!("new {path}")),
        );
        lines
    }
}

/// Every file below a directory.
fn walk(dir: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(|error| error.to_string())?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), into)?;
        } else {
            let bytes = fs::read(entry.path()).map_err(|error| format!("{path}: {error}"))?;
            into.insert(path, bytes);
        }
    }
    Ok(())
}

/// Every file below a directory, with its digest: to see that nothing was touched.
///
/// # Errors
///
/// A sentence, where it cannot be read.
pub fn files(dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut contents = BTreeMap::new();
    walk(dir, "", &mut contents)?;
    Ok(contents.into_iter().map(|(path, bytes)| (path, sha256(&bytes))).collect())
}

/// Follows the documents of one root, as far as they are there and can be understood.
struct Reader<'a> {
    contents: &'a BTreeMap<String, Vec<u8>>,
    images: Vec<Image>,
    blobs: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// A blob, if it is there.
    fn blob(&mut self, descriptor: &Value) -> Option<&'a [u8]> {
        let digest = descriptor["digest"].as_str()?;
        let contents = self.contents;
        let bytes = contents.get(&format!("blobs/sha256/{}", hex(digest)))?;
        self.blobs.insert(digest.to_owned());
        (descriptor["size"] == bytes.len()).then_some(bytes)
    }

    /// A manifest or an index, and all that it names.
    fn document(&mut self, descriptor: &Value) {
        let Some(document) = self.blob(descriptor).and_then(|bytes| serde_json::from_slice(bytes).ok())
        else {
            return;
        };
        let document: Value = document;
        if let Some(manifests) = document["manifests"].as_array() {
            manifests.iter().for_each(|entry| self.document(entry));
            return;
        }
        let config = self.blob(&document["config"]);
        let layers: Vec<Option<String>> = document["layers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|layer| {
                let media_type = layer["mediaType"].as_str().unwrap_or_default();
                Some(sha256(&unpack(media_type, self.blob(layer)?).ok()?))
            })
            .collect();
        let is_attestation = descriptor["annotations"]["vnd.docker.reference.type"] == "attestation-manifest";
        let (Some(config), Some(diff_ids), false) = (config, layers.into_iter().collect(), is_attestation)
        else {
            return;
        };
        let parsed: Value = serde_json::from_slice(config).unwrap_or_default();
        let text = |key: &str| parsed[key].as_str().unwrap_or_default().to_owned();
        let platform = [text("os"), text("architecture"), text("variant")].join("/");
        let platform = platform.trim_end_matches('/').to_owned();
        self.images.push(Image { platform, config: sha256(config), diff_ids });
    }
}

/// The one of some images that is meant: the only one, or that for the platform, or for this host's. A plain image for
/// another platform than the one that is asked for is not meant.
pub(crate) fn meant<'a, T>(
    images: &'a [T],
    platform_of: impl Fn(&T) -> &str,
    platform: Option<&str>,
) -> Option<&'a T> {
    let host = host_platform().join("/");
    let satisfies = |image: &&T| {
        let parts = |text: &str| text.splitn(3, '/').map(str::to_owned).collect::<Vec<_>>();
        let (has, wants) = (parts(platform_of(image)), parts(platform.unwrap_or(&host)));
        has.get(..2) == wants.get(..2) && (wants.len() < 3 || has == wants)
    };
    match (images, platform) {
        ([only], None) => Some(only),
        (all, _) => all.iter().find(satisfies),
    }
}

/// Operating system and architecture of this machine, in Go's words.
pub fn host_platform() -> [String; 2] {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    ["linux".to_owned(), architecture.to_owned()]
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
