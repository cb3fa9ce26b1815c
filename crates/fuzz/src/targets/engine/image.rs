//! The pieces of an image, from which archives and layouts are put together.

/// A config for the layers that are these pieces.
pub(super) fn config(layers: &[usize]) -> String {
    let ids: Vec<String> = layers.iter().map(|at| format!("\"sha256:~{at}\"")).collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","config":{{"Env":["A=b"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
}

/// A manifest of this config and these layers.
pub(super) fn manifest(config: usize, layers: &[usize]) -> String {
    let layers: Vec<String> =
        layers.iter().map(|at| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", *at, "")).collect();
    let config = descriptor("application/vnd.oci.image.config.v1+json", config, "");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{config},"layers":[{}]}}"#,
        layers.join(",")
    )
}

/// An index of these manifests, each with more fields.
pub(super) fn index(manifests: &[(usize, &str)]) -> String {
    let entries: Vec<String> = manifests
        .iter()
        .map(|(at, more)| descriptor("application/vnd.oci.image.manifest.v1+json", *at, more))
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    )
}

/// The fields by which containers' tools name an entry.
pub(super) fn named(name: &str) -> String {
    format!(
        r#","annotations":{{"io.containerd.image.name":"{name}","org.opencontainers.image.ref.name":"{name}"}}"#
    )
}

fn descriptor(media_type: &str, at: usize, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"sha256:@{at}","size":%{at}{more}}}"#)
}

/// A tar with one small file.
pub(super) fn layer(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::new());
    let added = tar.append_data(&mut header, name, contents);
    added.and_then(|()| tar.into_inner()).expect("memory does not fail")
}
