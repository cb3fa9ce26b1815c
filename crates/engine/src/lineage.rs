//! The documents between the ID of an image, where that is the digest of a manifest or of an index, and its config
//! (OCI image specification, "Image Index" and "Image Manifest").

use dsync_core::{Digest, ImageId};
use serde_json::Value;

/// True if documents lead from an ID to a config: the ID is the digest of the first, each names the digest of the next,
/// and the last that of the config.
pub fn leads_to_config(id: &ImageId, documents: &[Vec<u8>], config: &Digest) -> bool {
    let Some(last) = documents.len().checked_sub(1) else { return false };
    let mut expected = id.digest();
    for (at, document) in documents.iter().enumerate() {
        let Ok(json) = serde_json::from_slice::<Value>(document) else { return false };
        if Digest::of(document) != expected {
            return false;
        }
        if at == last {
            return json.pointer("/config/digest").and_then(digest) == Some(*config);
        }
        let next = Digest::of(&documents[at + 1]);
        let entries = json.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !entries.iter().any(|entry| entry.get("digest").and_then(digest) == Some(next)) {
            return false;
        }
        expected = next;
    }
    false
}

fn digest(json: &Value) -> Option<Digest> {
    json.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_lead_from_an_id_to_a_config() {
        let config = Digest::of(b"config");
        let manifest =
            json!({"config": {"digest": config.to_string()}, "layers": []}).to_string().into_bytes();
        let of = |bytes: &[u8]| json!({"digest": Digest::of(bytes).to_string()});
        let index = json!({"manifests": [of(b"other"), of(&manifest)]}).to_string().into_bytes();
        let id = |bytes: &[u8]| ImageId::of(bytes);

        assert!(leads_to_config(&id(&manifest), std::slice::from_ref(&manifest), &config));
        let both = [index.clone(), manifest.clone()];
        assert!(leads_to_config(&id(&index), &both, &config));
        for (id, documents, config) in [
            (id(&index), &both[..1], config),
            (id(&index), &both[1..], config),
            (id(&manifest), &both[..], config),
            (id(&index), &[index.clone(), index.clone()][..], config),
            (id(&index), &both[..], Digest::of(b"another config")),
            (id(b""), &[][..], config),
            (id(b"x"), &[b"x".to_vec()][..], config),
        ] {
            assert!(!leads_to_config(&id, documents, &config));
        }
        let other = json!({"manifests": [of(b"other")]}).to_string().into_bytes();
        assert!(
            !leads_to_config(&id(&other), &[other.clone(), manifest], &config),
            "the index does not name it"
        );
    }
}
