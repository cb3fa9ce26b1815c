//! From the entries of an index to images: through indexes of several platforms to one manifest, from
//! there to the config.

use dsync_core::{Config, DiffId, Image, ImageId, ImageRef, Platform};
use serde_json::Value;

use super::index::{BlobRef, name};
use super::layout::Layout;
use crate::store::StoreError;

/// An index in an index in an index is no image that anybody made on purpose.
const DEEPEST: usize = 4;

/// One image of a layout.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) image: Image,
    /// The layers as they are stored, one for each diff id.
    pub(super) layers: Vec<BlobRef>,
    /// Which entry of the index it was first seen in.
    pub(super) entry: usize,
}

impl BlobRef {
    /// Whether this is the layer itself and no compressed form of it.
    pub(super) fn is_plain(&self, id: &DiffId) -> bool {
        self.digest.as_bytes() == id.as_bytes()
    }
}

/// All images. Entries of the same image are one, with the names of all; what is no image, as a signature
/// or a chart, is passed over.
pub(super) fn resolve(layout: &Layout) -> Result<Vec<Found>, StoreError> {
    let platform = &layout.platform;
    let mut images: Vec<Found> = Vec::new();
    for (at, entry) in layout.index()?.entries().iter().enumerate() {
        let Some(mut found) = resolve_entry(layout, entry, at, DEEPEST)? else { continue };
        if let Some(name) = name(entry) {
            claim(&mut images, &mut found, name, platform);
        }
        match images.iter_mut().find(|image| image.image.id == found.image.id) {
            Some(same) => same.image.names.extend(found.image.names),
            None => images.push(found),
        }
    }
    for found in &mut images {
        found.image.names.sort_unstable();
        found.image.names.dedup();
    }
    Ok(images)
}

/// One name means one image: where several platforms share it, the preferred one has it, else the first.
fn claim(images: &mut [Found], found: &mut Found, name: ImageRef, preferred: &Platform) {
    let owner = images.iter_mut().find(|other| other.image.is_named(&name));
    if let Some(owner) = owner {
        if owner.image.platform.satisfies(preferred) || !found.image.platform.satisfies(preferred) {
            return;
        }
        owner.image.names.retain(|other| *other != name);
    }
    found.image.names.push(name);
}

fn resolve_entry(
    layout: &Layout,
    descriptor: &Value,
    entry: usize,
    depth: usize,
) -> Result<Option<Found>, StoreError> {
    let Some(blob) = BlobRef::parse(descriptor) else {
        return Err(layout.broken("an entry of its index has no valid digest and size"));
    };
    let document = layout.document(&blob.digest)?;
    let json: Value = serde_json::from_slice(&document)
        .map_err(|error| layout.broken(format!("{} is not JSON: {error}", blob.digest)))?;
    let Some(manifests) = json.get("manifests").and_then(Value::as_array) else {
        return image(layout, &json, entry);
    };
    if depth == 0 {
        return Ok(None);
    }
    // An archive of one platform can have an index that still names the others.
    let here: Vec<&Value> = manifests
        .iter()
        .filter(|manifest| !is_attestation(manifest))
        .filter(|manifest| BlobRef::parse(manifest).is_some_and(|blob| layout.has(&blob)))
        .collect();
    let chosen = match here[..] {
        [only] => Some(only),
        _ => here
            .into_iter()
            .find(|manifest| platform(manifest).is_some_and(|has| has.satisfies(&layout.platform))),
    };
    chosen.map_or(Ok(None), |manifest| resolve_entry(layout, manifest, entry, depth - 1))
}

/// What a builder says of an image is listed beside it.
fn is_attestation(manifest: &Value) -> bool {
    manifest.pointer("/annotations/vnd.docker.reference.type").is_some()
}

fn platform(manifest: &Value) -> Option<Platform> {
    let platform = manifest.get("platform")?;
    let text = |key: &str| platform.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") })
}

fn image(layout: &Layout, manifest: &Value, entry: usize) -> Result<Option<Found>, StoreError> {
    let Some(config) = manifest.get("config").and_then(BlobRef::parse) else { return Ok(None) };
    let Ok(config) = Config::parse(&layout.document(&config.digest)?) else { return Ok(None) };
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let layers: Option<Vec<BlobRef>> = layers.iter().map(BlobRef::parse).collect();
    let layers = layers.filter(|layers| layers.len() == config.diff_ids.len()).ok_or_else(|| {
        layout.broken(format!("the manifest of {} does not name one layer for each diff id", config.digest))
    })?;
    Ok(Some(Found {
        image: Image {
            id: ImageId::from_bytes(*config.digest.as_bytes()),
            names: Vec::new(),
            diff_ids: config.diff_ids,
            platform: config.platform,
            size: layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size)),
            created: config.created,
        },
        layers,
        entry,
    }))
}

/// What runs here, in Go's words. Containers are Linux on every host but Windows.
pub(super) fn host_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    };
    let os = if cfg!(windows) { "windows" } else { "linux" };
    Platform { os: os.into(), architecture: architecture.into(), variant: String::new() }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
