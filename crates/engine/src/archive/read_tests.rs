//! The archive forms of all engines, in small, and archives that are not whole.

use std::io::Write as _;

use super::*;

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Given);

impl LayerSink for Kept {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)?;
        let diff_id = |key| match key {
            LayerKey::Tar(diff_id) => diff_id,
            LayerKey::Blob(digest) => panic!("{digest} was given as a blob"),
        };
        self.0.push((key.map(diff_id), bytes));
        Ok(())
    }
}

const LAYERS: [&[u8]; 3] = [b"low layer", b"middle layer", b"top layer"];

fn ids() -> [DiffId; 3] {
    LAYERS.map(DiffId::of)
}

fn config(ids: &[DiffId]) -> Vec<u8> {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(",")).into_bytes()
}

enum Item<'a> {
    File(String, &'a [u8]),
    Link(String, String),
    Hardlink(String, String),
}

fn archive(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        match item {
            Item::File(path, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, *bytes).unwrap();
            }
            Item::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
            Item::Hardlink(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn manifest(config: &str, layers: &[String]) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!([{"Config": config, "RepoTags": null, "Layers": layers}])).unwrap()
}

type Given = Vec<(Option<DiffId>, Vec<u8>)>;

fn take(bytes: &[u8], config: &[u8], known: &[DiffId], wanted: &[DiffId]) -> Result<Given, ReadError> {
    let wanted = wanted.iter().copied().collect();
    let request = ArchiveRequest { config: Some(Digest::of(config)), diff_ids: known, wanted: &wanted };
    let mut sink = Kept::default();
    let export = read(bytes, &request, &mut sink)?;
    assert_eq!(export.config, config);
    Ok(sink.0)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `blobs/sha256/` of these; the name of each is its digest.
fn blobs(blobs: &[&[u8]], config: &[u8]) -> Vec<u8> {
    let path = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let list = manifest(&path(config), &blobs.iter().map(|blob| path(blob)).collect::<Vec<_>>());
    let mut items: Vec<Item<'_>> = vec![Item::File(path(b"{\"v1\":1}"), b"{\"v1\":1}")];
    items.extend(blobs.iter().map(|blob| Item::File(path(blob), blob)));
    items.push(Item::File(path(config), config));
    items.push(Item::File("index.json".into(), b"{}"));
    items.push(Item::File("manifest.json".into(), &list));
    archive(&items)
}

/// An archive as Docker 20.10 makes it: named by V1 ids, sorted by name, links for what occurs twice.
fn old(layers: &[DiffId], config: &[u8]) -> Vec<u8> {
    let mut names = v1_ids(layers);
    names.push(Digest::of(b"the top").hex());
    let mut items = Vec::new();
    for (at, (name, id)) in names.iter().zip(layers).enumerate() {
        items.push(Item::File(format!("{name}/VERSION"), b"1.0"));
        items.push(Item::File(format!("{name}/json"), b"{}"));
        let first = layers.iter().position(|other| other == id).unwrap();
        let layer = format!("{name}/layer.tar");
        items.push(match LAYERS.iter().find(|bytes| DiffId::of(bytes) == *id) {
            Some(bytes) if first == at => Item::File(layer, bytes),
            _ => Item::Link(layer, format!("../{}/layer.tar", names[first])),
        });
    }
    items.reverse();
    let config_name = format!("{}.json", Digest::of(config).hex());
    let paths: Vec<String> = names.iter().map(|name| format!("{name}/layer.tar")).collect();
    let list = manifest(&config_name, &paths);
    items.push(Item::File(config_name, config));
    items.push(Item::File("manifest.json".into(), &list));
    items.push(Item::File("repositories".into(), b"{}"));
    archive(&items)
}

#[test]
fn docker_before_25() {
    let [low, middle, top] = ids();
    let diff_ids = [low, middle, low, top];
    let config = config(&diff_ids);
    let bytes = old(&diff_ids, &config);
    // The name of the top layer is not known, all others are.
    let given = take(&bytes, &config, &diff_ids, &[low]).unwrap();
    assert_eq!(given, [(None, LAYERS[2].to_vec()), (Some(low), LAYERS[0].to_vec())]);
    let given = take(&bytes, &config, &diff_ids, &[middle, top]).unwrap();
    assert_eq!(given, [(None, LAYERS[2].to_vec()), (Some(middle), LAYERS[1].to_vec())]);
    // Without the diff ids no name is known.
    assert_eq!(take(&bytes, &config, &[], &[low]).unwrap().len(), 3);
    assert_eq!(take(&bytes, &config, &diff_ids, &[]).unwrap(), []);
}

#[test]
fn the_top_layer_may_be_a_link() {
    let [low, middle, _] = ids();
    let diff_ids = [low, middle, low];
    let config = config(&diff_ids);
    let given = take(&old(&diff_ids, &config), &config, &diff_ids, &[low]).unwrap();
    assert_eq!(given, [(Some(low), LAYERS[0].to_vec())]);
}

#[test]
fn docker_from_25_on() {
    let [low, middle, top] = ids();
    let config = config(&ids());
    let bytes = blobs(&LAYERS, &config);
    for known in [&ids()[..], &[]] {
        let given = take(&bytes, &config, known, &[top, low]).unwrap();
        assert_eq!(given, [(Some(low), LAYERS[0].to_vec()), (Some(top), LAYERS[2].to_vec())]);
        assert_eq!(take(&bytes, &config, known, &[middle]).unwrap().len(), 1);
        assert_eq!(take(&bytes, &config, known, &[]).unwrap(), []);
    }
}

#[test]
fn the_containerd_store_gives_compressed_layers() {
    let [low, _, top] = ids();
    let config = config(&ids());
    let zstd = zstd::encode_all(LAYERS[1], 3).unwrap();
    let bytes = blobs(&[&gzip(LAYERS[0]), &zstd, LAYERS[2]], &config);
    let given = take(&bytes, &config, &ids(), &[low, top]).unwrap();
    let expected = [(None, LAYERS[0].to_vec()), (None, LAYERS[1].to_vec()), (Some(top), LAYERS[2].to_vec())];
    assert_eq!(given, expected);
    // Nothing is decompressed for nothing.
    assert_eq!(take(&bytes, &config, &ids(), &[]).unwrap(), []);
}

#[test]
fn podman() {
    let [low, middle, top] = ids();
    let config = config(&[low, middle, low, top]);
    let name = |id: &DiffId| format!("{}.tar", id.hex());
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let list = manifest(&config_name, &[low, middle, low, top].map(|id| name(&id)));
    let bytes = archive(&[
        Item::File(name(&low), LAYERS[0]),
        Item::File(name(&middle), LAYERS[1]),
        Item::File(name(&top), LAYERS[2]),
        Item::File(config_name, &config),
        Item::Link("v1/layer.tar".into(), format!("../{}", name(&low))),
        Item::File("manifest.json".into(), &list),
    ]);
    let given = take(&bytes, &config, &[], &[low, top]).unwrap();
    assert_eq!(given, [(Some(low), LAYERS[0].to_vec()), (Some(top), LAYERS[2].to_vec())]);
}

#[test]
fn what_is_not_whole_is_an_error() {
    let [low, _, top] = ids();
    let config_bytes = config(&ids());
    let reason =
        |bytes: &[u8], wanted: &[DiffId]| take(bytes, &config_bytes, &ids(), wanted).unwrap_err().to_string();
    let whole = blobs(&LAYERS, &config_bytes);
    assert!(reason(&whole[..whole.len() - 600], &[low]).contains("the end is missing"));
    assert!(reason(&whole[..700], &[low]).contains("the end is missing"));
    assert!(reason(b"", &[]).contains("the end is missing"));
    assert!(reason(&archive(&[]), &[]).contains("no manifest.json"));
    assert!(reason(&whole, &[DiffId::of(b"other")]).contains("has no layer"));
    assert!(reason(&blobs(&LAYERS[..2], &config_bytes), &[low]).contains("3 layers, its manifest 2"));
    let path = |id: &DiffId| format!("blobs/sha256/{}", id.hex());
    let list = manifest("c.json", &ids().map(|id| path(&id)));
    let absent = archive(&[
        Item::File(path(&low), LAYERS[0]),
        Item::File("c.json".into(), &config_bytes),
        Item::File("manifest.json".into(), &list),
    ]);
    assert!(reason(&absent, &[low, top]).contains(&format!("the layer {top} is missing")));
    assert_eq!(take(&absent, &config_bytes, &ids(), &[low]).unwrap().len(), 1);
}

#[test]
fn another_image_is_refused() {
    let bytes = blobs(&LAYERS, &config(&ids()));
    let wanted = HashSet::new();
    let request = ArchiveRequest { config: Some(Digest::of(b"other")), diff_ids: &[], wanted: &wanted };
    let error = read(&bytes[..], &request, &mut Kept::default()).unwrap_err();
    assert!(error.to_string().contains(", not sha256:"), "{error}");
}

#[test]
fn the_side_that_failed_is_named() {
    struct Full;
    impl LayerSink for Full {
        fn layer(&mut self, _: Option<LayerKey>, _: &mut dyn Read) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let config = config(&ids());
    let wanted = HashSet::from([ids()[0]]);
    let request = ArchiveRequest { config: None, diff_ids: &[], wanted: &wanted };
    let fails = |bytes: &[u8], sink: &mut dyn LayerSink| read(bytes, &request, sink).unwrap_err();
    assert!(matches!(fails(&blobs(&LAYERS, &config), &mut Full), ReadError::Sink(_)));
    let cut = gzip(&LAYERS[0].repeat(5000));
    let bytes = blobs(&[&cut[..cut.len() / 2]], &config);
    let error = fails(&bytes, &mut Kept::default());
    assert!(matches!(&error, ReadError::Broken(reason) if reason.contains("decompressed")), "{error}");
}

#[test]
fn links_are_seen_from_where_they_are() {
    assert_eq!(resolved("a/layer.tar", "../b/layer.tar"), "b/layer.tar");
    assert_eq!(resolved("a", "b"), "b");
    assert_eq!(resolved("a/b/c", "./../../../../d"), "d");
}

#[test]
fn layers_may_be_hard_links_of_each_other() {
    let [low, middle, _] = ids();
    let diff_ids = [low, middle, low];
    let config = config(&diff_ids);
    let list = manifest("c.json", &["a/layer.tar", "b/layer.tar", "c/layer.tar"].map(str::to_owned));
    let bytes = archive(&[
        Item::File("a/layer.tar".into(), LAYERS[0]),
        Item::File("b/layer.tar".into(), LAYERS[1]),
        Item::Hardlink("c/layer.tar".into(), "a/layer.tar".into()),
        Item::File("c.json".into(), &config),
        Item::File("manifest.json".into(), &list),
    ]);
    // No name is known, so both files are given, each once.
    let given = take(&bytes, &config, &diff_ids, &[low]).unwrap();
    assert_eq!(given, [(None, LAYERS[0].to_vec()), (None, LAYERS[1].to_vec())]);
}

#[test]
fn links_that_lead_nowhere_are_missing_layers() {
    let [low, ..] = ids();
    let config = config(&[low]);
    let list = manifest("c.json", &["a/layer.tar".to_owned()]);
    for (path, target) in [("a/layer.tar", "../b/layer.tar"), ("a/layer.tar", "layer.tar"), ("b", "c")] {
        let bytes = archive(&[
            Item::Link(path.into(), target.into()),
            Item::File("c.json".into(), &config),
            Item::File("manifest.json".into(), &list),
        ]);
        let error = take(&bytes, &config, &[], &[low]).unwrap_err().to_string();
        assert!(error.contains(&format!("the layer {low} is missing")), "{path} -> {target}: {error}");
    }
}

#[test]
fn of_two_manifests_the_last_counts() {
    let [low, middle, top] = ids();
    let (old, new) = (config(&[low, middle]), config(&[low, top]));
    let path = |id: &DiffId| format!("{}.tar", id.hex());
    let [first, last] = [("old.json", [&low, &middle]), ("new.json", [&low, &top])]
        .map(|(config, layers)| manifest(config, &layers.map(path)));
    let bytes = archive(&[
        Item::File("manifest.json".into(), &first),
        Item::File(path(&low), LAYERS[0]),
        Item::File(path(&middle), LAYERS[1]),
        Item::File(path(&top), LAYERS[2]),
        Item::File("old.json".into(), &old),
        Item::File("new.json".into(), &new),
        Item::File("manifest.json".into(), &last),
    ]);
    assert_eq!(take(&bytes, &new, &[], &[top]).unwrap(), [(Some(top), LAYERS[2].to_vec())]);
    let error = take(&bytes, &old, &[], &[middle]).unwrap_err().to_string();
    assert!(error.contains("its config is"), "{error}");
}

#[test]
fn of_several_images_the_one_with_the_config_is_read() {
    let [low, middle, top] = ids();
    let configs = [config(&[low, middle]), config(&[low, top])];
    let path = |id: &DiffId| format!("{}.tar", id.hex());
    let list = serde_json::json!([
        {"Config": "0.json", "RepoTags": ["a:1"], "Layers": [path(&low), path(&middle)]},
        {"Config": "1.json", "RepoTags": ["a:2"], "Layers": [path(&low), path(&top)]},
    ]);
    let list = list.to_string();
    let bytes = archive(&[
        Item::File(path(&low), LAYERS[0]),
        Item::File(path(&middle), LAYERS[1]),
        Item::File(path(&top), LAYERS[2]),
        Item::File("0.json".into(), &configs[0]),
        Item::File("1.json".into(), &configs[1]),
        Item::File("manifest.json".into(), list.as_bytes()),
    ]);
    for (config, own) in configs.iter().zip([(middle, LAYERS[1]), (top, LAYERS[2])]) {
        assert_eq!(take(&bytes, config, &[], &[own.0]).unwrap(), [(Some(own.0), own.1.to_vec())]);
    }
    let error = take(&bytes, &configs[0], &[], &[top]).unwrap_err().to_string();
    assert!(error.contains(&format!("has no layer {top}")), "a layer of the other image: {error}");
}

#[test]
fn podmans_compressed_archives_are_read() {
    let [low, ..] = ids();
    let config = config(&[low]);
    let name = format!("{}.tar.gz", low.hex());
    let list = manifest("c.json", std::slice::from_ref(&name));
    let packed = gzip(LAYERS[0]);
    let bytes = archive(&[
        Item::File(name, &packed),
        Item::File("c.json".into(), &config),
        Item::File("manifest.json".into(), &list),
    ]);
    let given = take(&bytes, &config, &[], &[low]).unwrap();
    assert_eq!(given, [(Some(low), LAYERS[0].to_vec())]);
}

#[test]
fn metadata_is_bounded() {
    let config = config(&[]);
    let large = vec![b' '; LARGEST_DOCUMENT as usize];
    let items = |count: usize| -> Vec<Item<'_>> {
        (0..count).map(|at| Item::File(format!("{at}.json"), &large)).collect()
    };
    let list = manifest("c.json", &[]);
    let mut few = items(3);
    few.push(Item::File("c.json".into(), &config));
    few.push(Item::File("manifest.json".into(), &list));
    assert_eq!(take(&archive(&few), &config, &[], &[]).unwrap(), []);
    let error = take(&archive(&items(5)), &config, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("bytes of metadata"), "{error}");
    // A document that is larger than any is left out, and then missing.
    let larger = vec![b' '; LARGEST_DOCUMENT as usize + 1];
    let list = manifest("large.json", &[]);
    let bytes =
        archive(&[Item::File("large.json".into(), &larger), Item::File("manifest.json".into(), &list)]);
    let error = take(&bytes, &config, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("the config large.json is missing"), "{error}");
}
