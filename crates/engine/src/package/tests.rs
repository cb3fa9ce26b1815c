//! Packages of indexes and manifests, as builders make them, in small.

use serde_json::json;

use super::*;

/// Blobs by their digests.
#[derive(Default, Clone)]
struct Made(BTreeMap<Digest, Vec<u8>>);

impl Made {
    fn blob(&mut self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.0.insert(digest, bytes.to_vec());
        json!({"digest": digest.to_string(), "size": bytes.len()})
    }

    fn json(&mut self, value: &Value) -> Value {
        self.blob(value.to_string().as_bytes())
    }

    /// A manifest of layers: what each is, and what of it is stored.
    fn manifest(&mut self, platform: &str, layers: &[(&str, &str)]) -> Value {
        let diff_ids: Vec<String> =
            layers.iter().map(|(tar, _)| DiffId::of(tar.as_bytes()).to_string()).collect();
        let Platform { os, architecture, variant } = platform.parse().unwrap();
        let config = json!({
            "os": os, "architecture": architecture, "variant": variant, "rootfs": {"diff_ids": diff_ids},
        });
        let config = self.json(&config);
        let layers: Vec<Value> = layers.iter().map(|(_, stored)| self.blob(stored.as_bytes())).collect();
        let mut entry = self.json(&json!({"config": config, "layers": layers}));
        entry["platform"] = json!({"os": os, "architecture": architecture, "variant": variant});
        entry
    }

    fn index(&mut self, manifests: &[Value]) -> BlobRef {
        let index = self.json(&json!({"mediaType": "application/vnd.x.index+json", "manifests": manifests}));
        BlobRef::parse(&index).unwrap()
    }

    fn remove(&mut self, text: &str) {
        self.0.remove(&Digest::of(text.as_bytes())).unwrap();
    }

    fn collect(&mut self, root: &BlobRef, platform: Option<&str>) -> Result<Package, String> {
        let platform: Option<Platform> = platform.map(|platform| platform.parse().unwrap());
        Package::collect(root, platform.as_ref(), self).map_err(|error| error.to_string())
    }
}

impl DocumentSource for Made {
    type Error = String;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(&blob.digest).cloned())
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, String> {
        Ok(blobs.iter().all(|blob| self.0.contains_key(&blob.digest)))
    }
}

fn documents(package: &Package) -> Vec<Vec<u8>> {
    package.documents().map(|(_, bytes)| bytes.to_vec()).collect()
}

fn tar(text: &str) -> LayerKey {
    LayerKey::Tar(DiffId::of(text.as_bytes()))
}

fn blob(text: &str) -> LayerKey {
    LayerKey::Blob(Digest::of(text.as_bytes()))
}

fn digests(package: &Package) -> Vec<Digest> {
    package.layers().iter().map(|layer| layer.blob.digest).collect()
}

/// Two platforms that share a layer, an attestation of one of them, and a platform that nobody pulled.
fn image(made: &mut Made) -> BlobRef {
    let amd = made.manifest("linux/amd64", &[("low", "low.gz"), ("amd", "amd.gz")]);
    let arm = made.manifest("linux/arm64", &[("low", "low.gz"), ("arm", "arm.gz")]);
    let mut proof = made.manifest("unknown/unknown", &[("proof", "proof")]);
    proof["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let absent = json!({
        "digest": Digest::of(b"absent").to_string(), "size": 6,
        "platform": {"os": "linux", "architecture": "s390x"},
    });
    made.index(&[amd, arm, proof, absent])
}

#[test]
fn all_that_is_there_belongs_to_it() {
    let mut made = Made::default();
    let root = image(&mut made);
    let package = made.collect(&root, None).unwrap().check().unwrap();
    assert_eq!((package.root(), package.media_type()), (root.digest, "application/vnd.x.index+json"));
    assert_eq!(digests(&package), ["low.gz", "amd.gz", "arm.gz", "proof"].map(|s| Digest::of(s.as_bytes())));
    assert_eq!(package.absent(), ["linux/s390x"]);
    assert!(package.layers()[3].is_plain() && !package.layers()[0].is_plain());
    // Index, three manifests, three configs; the other side comes to the same.
    assert_eq!(package.documents().count(), 7);
    assert_eq!(Package::assemble(documents(&package)).unwrap(), package);
    let of = |platform: &str| package.image(&platform.parse().unwrap()).map(|(config, _)| config.diff_ids[1]);
    assert_eq!(of("linux/arm64"), Some(DiffId::of(b"arm")));
    assert_eq!(of("linux/s390x"), None, "an attestation is no image");
}

#[test]
fn one_platform_is_its_own_manifest() {
    let mut made = Made::default();
    let root = image(&mut made);
    let package = made.collect(&root, Some("linux/arm64")).unwrap();
    assert_ne!(package.root(), root.digest);
    assert_eq!(digests(&package), ["low.gz", "arm.gz"].map(|s| Digest::of(s.as_bytes())));
    assert!(made.collect(&root, Some("linux/s390x")).unwrap_err().contains("no image for linux/s390x"));
}

#[test]
fn a_manifest_without_all_its_layers_is_not_there() {
    let mut made = Made::default();
    let root = image(&mut made);
    made.remove("arm.gz");
    let package = made.collect(&root, None).unwrap();
    assert_eq!(package.absent(), ["linux/arm64", "linux/s390x"]);
    made.remove("low.gz");
    assert!(made.collect(&root, None).unwrap().check().unwrap_err().contains("linux/amd64"));
    let alone = made.manifest("linux/amd64", &[("x", "x.gz")]);
    made.remove("x.gz");
    assert!(made.collect(&BlobRef::parse(&alone).unwrap(), None).unwrap_err().contains("are missing"));
}

#[test]
fn the_same_layer_in_two_forms_goes_by_two_names() {
    let mut made = Made::default();
    let one = made.manifest("linux/amd64", &[("low", "low.gz")]);
    let other = made.manifest("linux/arm64", &[("low", "low.zst"), ("top", "top.gz")]);
    let root = made.index(&[one, other]);
    let keys = made.collect(&root, None).unwrap().layer_keys();
    assert_eq!(keys, [tar("low"), blob("low.zst"), tar("top")]);
}

#[test]
fn an_uncompressed_form_goes_by_the_layer_itself() {
    let mut made = Made::default();
    // The digest of an uncompressed blob is the diff id, which a compressed form of it must not go by.
    let root = made.manifest("linux/amd64", &[("low", "low.gz"), ("low", "low"), ("low", "low.zst")]);
    let keys = made.collect(&BlobRef::parse(&root).unwrap(), None).unwrap().layer_keys();
    assert_eq!(keys, [blob("low.gz"), tar("low"), blob("low.zst")]);
}

#[test]
fn what_another_host_says_is_checked() {
    let mut made = Made::default();
    let root = image(&mut made);
    let sent = documents(&made.collect(&root, None).unwrap());
    let error = |documents: Vec<Vec<u8>>| Package::assemble(documents).unwrap_err();
    assert!(error(Vec::new()).contains("no documents"));
    assert!(error([sent.clone(), vec![b"{}".to_vec()]].concat()).contains("nothing names"));
    assert!(error(vec![b"no".to_vec()]).contains("not JSON"));
    assert!(error(vec![br#"{"layers":[]}"#.to_vec()]).contains("names no config"));
    assert!(
        error(vec![br#"{"manifests":[{"digest":"sha256:../x"}]}"#.to_vec()]).contains("no digest and size")
    );
    // An index that names itself, in a way, is never followed far.
    let huge = format!(r#"{{"manifests":[{{"digest":"{}","size":{}}}]}}"#, Digest::of(b"x"), u64::MAX);
    assert!(error(vec![huge.into_bytes()]).contains("too large"));
    // A document of another size than its descriptor's is not the one that is named.
    let child = br#"{"manifests":[]}"#.to_vec();
    let (digest, len) = (Digest::of(&child), child.len() + 1);
    let root = format!(r#"{{"manifests":[{{"digest":"{digest}","size":{len}}}]}}"#);
    assert!(error(vec![root.into_bytes(), child]).contains("nothing names its document"));
}

#[test]
fn a_document_that_is_also_named_with_a_wrong_size_is_the_same_on_another_host() {
    let mut made = Made::default();
    let manifest = made.manifest("linux/amd64", &[("base", "base.gz")]);
    let mut wrong = manifest.clone();
    wrong["size"] = json!(7);
    for entries in [[wrong.clone(), manifest.clone()], [manifest, wrong]] {
        let root = made.index(&entries);
        let package = made.collect(&root, None).unwrap();
        assert_eq!(package.layers().len(), 1);
        let again = Package::assemble(documents(&package)).unwrap();
        assert_eq!(documents(&again), documents(&package));
    }
}

#[test]
fn a_layer_that_is_to_be_had_elsewhere_is_named() {
    let mut made = Made::default();
    let mut foreign = |media_type: &str, urls: &[&str]| {
        let entry = made.manifest("windows/amd64", &[("base", "base.gz"), ("top", "top.gz")]);
        let bytes = &made.0[&entry["digest"].as_str().unwrap().parse().unwrap()];
        let mut manifest: Value = serde_json::from_slice(bytes).unwrap();
        manifest["layers"][0]["mediaType"] = json!(media_type);
        manifest["layers"][0]["urls"] = json!(urls);
        let mut entry = made.json(&manifest);
        entry["platform"] = json!({"os": "windows", "architecture": "amd64"});
        made.remove("base.gz");
        let index = made.index(std::slice::from_ref(&entry));
        let alone = made.collect(&BlobRef::parse(&entry).unwrap(), None).unwrap_err();
        (alone, made.collect(&index, None).unwrap().check().unwrap_err())
    };
    let (alone, index) = foreign("x", &["https://x/base", "https://y/base"]);
    let layer = format!("its layer {} is foreign", Digest::of(b"base.gz"));
    assert!(alone.starts_with(&layer) && alone.contains("at https://x/base, https://y/base"), "{alone}");
    assert!(index.contains(&format!("windows/amd64: {layer}")), "{index}");
    let (alone, _) = foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &[]);
    assert!(alone.starts_with(&layer) && alone.contains("elsewhere"), "{alone}");
    // A layer that is merely lost is not called so, though another one is foreign and there.
    let (alone, _) = foreign("application/vnd.oci.image.layer.v1.tar+gzip", &[]);
    assert!(alone.contains("are missing in the store"), "{alone}");
}

#[test]
fn a_variant_chooses_among_manifests_of_one_architecture() {
    let mut made = Made::default();
    let platforms = ["linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/arm64"];
    let entries = platforms.map(|platform| made.manifest(platform, &[(platform, platform)]));
    let root = made.index(&entries);
    for (wanted, found) in [
        ("linux/arm/v6", Some("linux/arm/v6")),
        ("linux/arm/v7", Some("linux/arm/v7")),
        ("linux/arm/v8", None),
        // Without a variant the first one is taken, as containerd and Docker do.
        ("linux/arm", Some("linux/arm/v6")),
        ("linux/arm64", Some("linux/arm64/v8")),
        ("linux/arm64/v8", Some("linux/arm64/v8")),
        ("linux/amd64", None),
        ("windows/arm64", None),
    ] {
        let layer = found.map(|found| Digest::of(found.as_bytes()));
        let chosen = made.collect(&root, Some(wanted)).ok().map(|package| digests(&package)[0]);
        assert_eq!(chosen, layer, "--platform {wanted}");
        let whole = made.collect(&root, None).unwrap();
        let shown = whole.image(&wanted.parse().unwrap()).map(|(_, layers)| layers[0].blob.digest);
        assert_eq!(shown, layer, "shown for {wanted}");
    }
}

#[test]
fn an_index_in_an_index_is_followed_as_deep_as_any_is() {
    let mut made = Made::default();
    let mut entry = made.manifest("linux/amd64", &[("low", "low.gz")]);
    let mut roots = Vec::new();
    for _ in 0..=DEEPEST {
        let root = made.index(&[entry]);
        entry = json!({"digest": root.digest.to_string(), "size": root.size});
        roots.push(root);
    }
    for root in &roots[..DEEPEST] {
        let package = made.collect(root, None).unwrap();
        assert_eq!(digests(&package), [Digest::of(b"low.gz")]);
        let config = package.image(&"linux/amd64".parse().unwrap()).unwrap().0.digest;
        let path: Vec<Vec<u8>> = package.path_to(&config).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        assert!(crate::leads_to_config(&root.digest.into(), &path, &config));
        assert_eq!(made.collect(root, Some("linux/amd64")).unwrap().documents().count(), 2);
    }
    let deeper = made.collect(&roots[DEEPEST], None).unwrap();
    assert!(deeper.check().unwrap_err().contains("no image"), "the documents below are not looked at");
}

#[test]
fn documents_are_bounded() {
    let mut made = Made::default();
    let large = |size: u64| json!({"digest": Digest::of(b"large").to_string(), "size": size});
    for (entries, reason) in [
        (vec![large(LARGEST_DOCUMENT + 1)], "too large"),
        (vec![json!({"size": 1})], "no digest and size"),
        (vec![json!({"digest": Digest::of(b"x").to_string(), "size": -1})], "no digest and size"),
        (
            (0..5)
                .map(|at| json!({"digest": Digest::of(&[at]).to_string(), "size": LARGEST_DOCUMENT}))
                .collect(),
            "too large",
        ),
    ] {
        let root = made.index(&entries);
        let error = made.collect(&root, None).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    // Each manifest is a document, and its config another.
    let many: Vec<Value> =
        (0..1030).map(|at| made.manifest("linux/amd64", &[(&at.to_string(), "layer")])).collect();
    let root = made.index(&many);
    assert!(made.collect(&root, None).unwrap_err().contains("too many manifests"));
    let root = made.index(&many[..1000]);
    assert!(made.collect(&root, None).is_ok());
}

#[test]
fn fields_that_no_image_has_are_refused() {
    let mut made = Made::default();
    let config = made.json(&json!({"os": "linux", "rootfs": {"diff_ids": []}}));
    for (manifest, reason) in [
        (json!({"layers": []}), "names no config"),
        (json!({"config": {"digest": "sha256:x", "size": 1}}), "names no config"),
        (json!({"config": config, "layers": [{"size": 1}]}), "a layer without digest and size"),
        (json!({"config": config, "layers": {}}), "a layer without digest and size"),
    ] {
        let root = BlobRef::parse(&made.json(&manifest)).unwrap();
        let error = made.collect(&root, None).unwrap_err();
        assert!(error.contains(reason), "{manifest}: {error}");
    }
    let text = BlobRef::parse(&made.blob(b"no JSON")).unwrap();
    assert!(made.collect(&text, None).unwrap_err().contains("is not JSON"));
    // No layers at all may be written as null; a media type is passed on only where it needs no quoting.
    let root =
        BlobRef::parse(&made.json(&json!({"config": config, "layers": null, "mediaType": "a\"b"}))).unwrap();
    let package = made.collect(&root, None).unwrap().check().unwrap();
    assert_eq!(package.media_type(), crate::manifest::MANIFEST);
    assert!(package.layers().is_empty());
}
