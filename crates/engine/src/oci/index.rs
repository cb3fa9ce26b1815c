//! The `index.json` of a layout: its images and their names.
//!
//! Each entry has at most one name; an image with several names has several entries. All that is not
//! understood stays as it is.

use dsync_core::ImageRef;
use serde_json::{Map, Value, json};

use crate::blob::BlobRef;
use crate::manifest::{CONTAINERD_NAME, REF_NAME};
use crate::referrers::{Referrer, ReferrerTag};

/// The document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayoutIndex(Map<String, Value>);

impl LayoutIndex {
    /// The index of a new layout.
    pub(super) fn empty() -> Self {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [],
        });
        match index {
            Value::Object(map) => Self(map),
            _ => Self(Map::new()),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes).ok()? {
            // An empty list that a Go program never made is written as null.
            Value::Object(map)
                if map.get("manifests").is_none_or(|list| list.is_array() || list.is_null()) =>
            {
                Some(Self(map))
            }
            _ => None,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// The entries, in order.
    pub(super) fn entries(&self) -> &[Value] {
        self.0.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds an entry without a name.
    pub(super) fn add(&mut self, media_type: &str, blob: &BlobRef) {
        let mut entries = self.entries().to_vec();
        entries.push(json!({
            "mediaType": media_type,
            "digest": blob.digest.to_string(),
            "size": blob.size,
        }));
        self.replace(entries);
    }

    /// Gives these names to the image of this entry; an image that has one keeps that entry as it is. Entries that had
    /// them lose them; an entry without a name goes where another one has the same image.
    pub(super) fn tag(&mut self, entry: usize, names: &[ImageRef]) {
        let mut entries = self.entries().to_vec();
        let Some(unnamed) = entries.get(entry).cloned().map(without_name) else { return };
        let image = BlobRef::parse(&unnamed);
        let stands = |wanted: &ImageRef| {
            let mut of = entries.iter().filter(|entry| name(entry).as_ref() == Some(wanted));
            matches!((of.next(), of.next()), (Some(one), None) if image.is_some() && BlobRef::parse(one) == image)
        };
        let names: Vec<ImageRef> = names.iter().filter(|name| !stands(name)).cloned().collect();
        if names.is_empty() {
            return;
        }
        for other in &mut entries {
            if name(other).is_some_and(|name| names.contains(&name)) {
                *other = without_name(other.take());
            }
        }
        entries.extend(names.iter().map(|name| with_name(unnamed.clone(), name)));
        let mut kept: Vec<Value> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            // An entry that cannot be read stays: it may be another tool's.
            let blob = BlobRef::parse(entry);
            let again = |other: &Value| blob.is_some() && BlobRef::parse(other) == blob;
            let needless =
                name(entry).is_none() && (kept.iter().any(again) || entries[at + 1..].iter().any(again));
            if !needless {
                kept.push(entry.clone());
            }
        }
        self.replace(kept);
    }

    /// Adds an artifact with these names; in place of them, where there are none, its tag alone. Entries that have one of
    /// them lose it.
    pub(super) fn refer(&mut self, referrer: &Referrer, names: &[ImageRef]) {
        let root = &referrer.root;
        if !self.entries().iter().any(|entry| BlobRef::parse(entry).as_ref() == Some(root)) {
            self.add(&referrer.media_type, root);
        }
        let mut entries = self.entries().to_vec();
        let is_it = |entry: &Value| BlobRef::parse(entry).as_ref() == Some(root);
        let Some(at) = entries.iter().position(is_it) else { return };
        match &referrer.tag {
            None => {}
            Some(_) if !names.is_empty() => self.tag(at, names),
            Some(tag) => {
                let has_tag = |entry: &Value| annotation(entry, REF_NAME) == Some(&tag.to_string());
                for other in entries.iter_mut().filter(|entry| has_tag(entry) && !is_it(entry)) {
                    *other = without_name(other.take());
                }
                if !entries.iter().any(|entry| is_it(entry) && has_tag(entry)) {
                    let tagged =
                        with_annotation(without_name(entries[at].clone()), REF_NAME, tag.to_string());
                    let is_unnamed = |entry: &Value| {
                        let names = [CONTAINERD_NAME, REF_NAME];
                        is_it(entry) && names.iter().all(|key| annotation(entry, key).is_none())
                    };
                    match entries.iter().position(is_unnamed) {
                        Some(at) => entries[at] = tagged,
                        None => entries.push(tagged),
                    }
                }
                self.replace(entries);
            }
        }
    }

    fn replace(&mut self, entries: Vec<Value>) {
        self.0.insert("manifests".into(), Value::Array(entries));
    }
}

/// The name of an entry, if it has one that can be an image's. containerd's is a full one, the other may be only a tag:
/// then engines take it for a name, `latest` for `latest:latest`, and so does this.
pub(super) fn name(entry: &Value) -> Option<ImageRef> {
    let name = annotation(entry, CONTAINERD_NAME).or_else(|| annotation(entry, REF_NAME))?;
    // A name with a digest still names the image of this name and tag.
    match name.split_once('@') {
        Some((name, _)) => name.rsplit('/').next()?.contains(':').then(|| name.parse().ok())?,
        None => name.parse().ok(),
    }
}

/// The tag of an entry, if it is that of a referrer.
pub(super) fn referrer_tag(entry: &Value) -> Option<ReferrerTag> {
    let names = [CONTAINERD_NAME, REF_NAME];
    names.into_iter().find_map(|key| ReferrerTag::in_name(annotation(entry, key)?))
}

fn annotation<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry.get("annotations")?.get(key)?.as_str().filter(|name| !name.is_empty())
}

fn without_name(mut entry: Value) -> Value {
    if let Some(annotations) = entry.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(CONTAINERD_NAME);
        annotations.remove(REF_NAME);
    }
    entry
}

fn with_name(entry: Value, name: &ImageRef) -> Value {
    let entry = with_annotation(entry, CONTAINERD_NAME, name.qualified());
    with_annotation(entry, REF_NAME, name.to_string())
}

fn with_annotation(mut entry: Value, key: &str, text: String) -> Value {
    if let Some(entry) = entry.as_object_mut() {
        let annotations = entry.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(key.into(), text.into());
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use dsync_core::Digest;

    use super::*;

    fn blob(text: &str) -> BlobRef {
        BlobRef { digest: Digest::of(text.as_bytes()), size: 7 }
    }

    fn reference(name: &str) -> ImageRef {
        name.parse().unwrap()
    }

    /// `DIGEST=NAME` of each entry, with the text that the digest is of.
    fn shape(index: &LayoutIndex) -> Vec<String> {
        let texts = ["a", "b"];
        let text = |entry: &Value| {
            let digest = BlobRef::parse(entry).unwrap().digest;
            *texts.iter().find(|text| blob(text).digest == digest).unwrap()
        };
        let shape = index.entries().iter().map(|entry| {
            let name = name(entry).map(|name| name.to_string()).unwrap_or_default();
            format!("{}={name}", text(entry))
        });
        shape.collect()
    }

    #[test]
    fn names_move_and_images_stay() {
        let mut index = LayoutIndex::empty();
        index.add("m", &blob("a"));
        index.add("m", &blob("b"));
        index.tag(0, &[reference("app:1"), reference("app:latest")]);
        assert_eq!(shape(&index), ["b=", "a=app:1", "a=app:latest"]);
        index.tag(0, &[reference("app:latest")]);
        assert_eq!(shape(&index), ["a=app:1", "b=app:latest"]);
        index.tag(1, &[reference("app:1")]);
        assert_eq!(shape(&index), ["a=", "b=app:latest", "b=app:1"]);
        index.tag(1, &[reference("app:1")]);
        assert_eq!(shape(&index), ["a=", "b=app:latest", "b=app:1"]);
        assert_eq!(LayoutIndex::parse(&index.to_bytes()), Some(index));
    }

    #[test]
    fn an_image_that_has_the_name_keeps_its_entry_as_another_tool_wrote_it() {
        let mut index = LayoutIndex::empty();
        index.add("m", &blob("a"));
        let mut entries = index.entries().to_vec();
        entries[0]["annotations"] = json!({REF_NAME: "app:1", "of": "another tool"});
        index.replace(entries.clone());
        index.tag(0, &[reference("app:1")]);
        assert_eq!(index.entries(), entries);
        index.tag(0, &[reference("app:1"), reference("app:2")]);
        assert_eq!(index.entries()[0], entries[0]);
        assert_eq!(shape(&index), ["a=app:1", "a=app:2"]);
        // A name that two entries have is given anew.
        entries.push(entries[0].clone());
        index.replace(entries);
        index.tag(1, &[reference("app:1")]);
        assert_eq!(shape(&index), ["a=app:1"]);
    }

    #[test]
    fn an_entry_that_cannot_be_read_stays() {
        let mut index = LayoutIndex::empty();
        index.add("m", &blob("a"));
        let mut entries = index.entries().to_vec();
        let unsized_entry = json!({"mediaType": "m", "digest": blob("a").digest.to_string()});
        entries.extend([unsized_entry.clone(), json!({"of": "another tool"}), unsized_entry]);
        index.replace(entries.clone());
        index.tag(0, &[reference("app:1")]);
        // The entry without a name went, as another one names its image; the others are as they were.
        assert_eq!(index.entries()[..3], entries[1..]);
        assert_eq!(index.entries()[3..].iter().map(name).collect::<Vec<_>>(), [Some(reference("app:1"))]);
    }

    #[test]
    fn names_are_read_as_others_write_them() {
        let entry = |annotations: Value| json!({"annotations": annotations});
        let skopeo = entry(json!({REF_NAME: "app:1"}));
        assert_eq!(name(&skopeo), Some(reference("app:1")));
        let containerd = entry(json!({CONTAINERD_NAME: "docker.io/library/app:1", REF_NAME: "1"}));
        assert_eq!(name(&containerd), Some(reference("app:1")));
        let other = |containerd: &str| name(&entry(json!({CONTAINERD_NAME: containerd, REF_NAME: "1"})));
        assert_eq!(
            other("docker.io/library/App:1"),
            None,
            "the tag of a name that is none names nothing else"
        );
        assert_eq!(other(""), Some(reference("1:latest")));
        let digest = Digest::of(b"x");
        assert_eq!(other(&format!("docker.io/library/app:1@{digest}")), Some(reference("app:1")));
        assert_eq!(other(&format!("localhost:5000/app@{digest}")), None);
        // A reference that is only a tag (skopeo, buildah) is a name for Docker and podman.
        for (tag, named) in [("latest", "latest:latest"), ("1.27", "1.27:latest")] {
            assert_eq!(name(&entry(json!({REF_NAME: tag}))), Some(reference(named)));
        }
        assert_eq!(name(&entry(json!({REF_NAME: "No Name"}))), None);
        assert_eq!(name(&json!({})), None);
    }

    #[test]
    fn what_is_not_understood_stays() {
        let text = r#"{"annotations":{"x":"y"},"manifests":[{"annotations":{"k":"v","org.opencontainers.image.ref.name":"app"},"digest":"d"}],"schemaVersion":2}"#;
        let mut index = LayoutIndex::parse(text.as_bytes()).unwrap();
        index.tag(9, &[reference("b")]);
        assert_eq!(index.to_bytes(), text.as_bytes());
        index.tag(0, &[reference("b")]);
        assert!(index.entries().iter().all(|entry| entry["annotations"]["k"] == "v"));
        assert_eq!(index.entries().len(), 2, "the name is one more");
        let mut null = LayoutIndex::parse(br#"{"manifests":null}"#).unwrap();
        assert!(null.entries().is_empty());
        null.add("m", &blob("a"));
        assert_eq!(shape(&null), ["a="]);
        for text in ["[]", "x", r#"{"manifests":1}"#] {
            assert_eq!(LayoutIndex::parse(text.as_bytes()), None, "{text}");
        }
    }
}
