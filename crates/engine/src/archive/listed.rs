//! The `manifest.json` of a saved archive: which images are in it (Docker image specification 1.2).

use std::collections::HashMap;

use dsync_core::DiffId;
use serde_json::Value;

/// Its path in the archive.
pub(crate) const MANIFEST_JSON: &str = "manifest.json";

/// An image as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestEntry {
    pub(crate) names: Vec<String>,
    /// The path of the config.
    pub(crate) config: String,
    /// The paths of the layers, the lowest first.
    pub(crate) layers: Vec<String>,
    /// The URLs of layers that may not be distributed with the image.
    pub(crate) elsewhere: HashMap<DiffId, Vec<String>>,
}

/// The images that a manifest lists; `None` for what is no manifest.
pub(crate) fn parse_manifest(bytes: &[u8]) -> Option<Vec<ManifestEntry>> {
    let manifest: Value = serde_json::from_slice(bytes).ok()?;
    manifest.as_array()?.iter().map(listed).collect()
}

fn listed(image: &Value) -> Option<ManifestEntry> {
    let config = image.get("Config")?.as_str()?.to_owned();
    let sources = image.get("LayerSources").and_then(Value::as_object);
    let urls = |source: &Value| texts(source.get("urls")).filter(|urls| !urls.is_empty());
    let elsewhere =
        sources.into_iter().flatten().filter_map(|(id, source)| Some((id.parse().ok()?, urls(source)?)));
    Some(ManifestEntry {
        names: texts(image.get("RepoTags"))?,
        config,
        layers: texts(image.get("Layers"))?,
        elsewhere: elsewhere.collect(),
    })
}

/// A list of texts; none where it is absent.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(values) => values.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_listed() {
        let id = DiffId::of(b"layer");
        let bytes = format!(
            r#"[{{"Config":"c","RepoTags":null,"Layers":["a","b"],"LayerSources":{{"{id}":{{"urls":["https://x/y"]}},"x":{{}}}}}}]"#
        );
        let images = parse_manifest(bytes.as_bytes()).unwrap();
        assert_eq!((images.len(), &images[0].layers[..]), (1, &["a".to_owned(), "b".to_owned()][..]));
        assert!(images[0].names.is_empty());
        assert_eq!(images[0].elsewhere[&id], ["https://x/y"]);
        assert_eq!(parse_manifest(b"[]"), Some(Vec::new()));
        for text in ["", "{}", "[{}]", r#"[{"Config":"c","Layers":1}]"#, r#"[{"Config":"c","RepoTags":[1]}]"#]
        {
            assert_eq!(parse_manifest(text.as_bytes()), None, "{text}");
        }
    }
}
