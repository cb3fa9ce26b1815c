//! Blobs out of an engine that is a script: it saves what a manifest names, as Docker 26 to 28 do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsync_core::DiffId;
use serde_json::json;

use super::*;

/// Loads by keeping blobs. Saves the blobs that a manifest names in the sizes that it declares, and appends an error to
/// one of another size; where one of them is absent, it saves none.
const ENGINE: &str = r#"
echo "$1" >>"$store/calls"
cd "$store" || exit 1
case $1 in
load)
    tar -x -f -
    hex=$(sed 's/.*"manifests":\[{[^}]*"digest":"sha256:\([0-9a-f]*\)".*/\1/' index.json)
    name=$(sed 's/.*"io.containerd.image.name":"\([^"]*\)".*/\1/' index.json)
    cp "blobs/sha256/$hex" "named-${name##*:}"
    rm "blobs/sha256/$hex" ;;
rmi) rm "named-${2##*:}" ;;
image)
    shift 2
    if [ "$1" = --format ]; then
        cat "$3.json" 2>/dev/null || { echo "Error response from daemon: No such image: $3" >&2; exit 1; }
        exit
    fi
    printf '['
    for id; do [ "$id" = "$1" ] || printf ','; cat "$id.json"; done
    printf ']'
    ;;
save)
    # As it does while somebody prunes.
    if [ -s lost ]; then
        sed -i 1d lost
        echo 'Error response from daemon: NotFound: lease "800483194-1Lvj": not found' >&2
        exit 1
    fi
    { sed 's/{/\n{/g' "named-${2##*:}"; echo; } |
        sed -n 's/.*octet-stream","digest":"sha256:\([0-9a-f]*\)","size":\([0-9]*\).*/\1 \2/p' >wanted
    while read -r hex size; do [ -f "blobs/sha256/$hex" ] || : >wanted; done <wanted
    while read -r hex size; do
        mkdir -p out/blobs/sha256
        cp "blobs/sha256/$hex" out/blobs/sha256/
        has=$(($(wc -c <"blobs/sha256/$hex")))
        truncate -s "$size" "out/blobs/sha256/$hex"
        if [ "$has" != "$size" ]; then
            [ "$has" -lt "$size" ] || has=$size
            tar -c -C out "blobs/sha256/$hex" 2>/dev/null | head -c $((512 + has))
            printf '{"errorDetail":{"message":"wrong size"}}'
            exit
        fi
        tar -c -C out "blobs/sha256/$hex" | head -c $((512 + (size + 511) / 512 * 512))
    done <wanted
    head -c 1024 /dev/zero
    ;;
esac
"#;

struct Engine {
    store: tempfile::TempDir,
}

impl Engine {
    fn new() -> Self {
        let store = tempfile::tempdir().unwrap();
        fs::create_dir_all(store.path().join("blobs/sha256")).unwrap();
        let script = format!("#!/bin/sh\nstore='{}'{ENGINE}", store.path().display());
        let file = store.path().join("docker");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Self { store }
    }

    fn program(&self) -> Program {
        Program::find(&[self.store.path().join("docker").display().to_string()]).unwrap()
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.store.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({"digest": digest.to_string(), "size": bytes.len()})
    }

    fn manifest(&self, platform: &str, layer: &str) -> Value {
        let wanted: Platform = platform.parse().unwrap();
        let diff_ids = [DiffId::of(layer.as_bytes()).to_string()];
        let config =
            json!({"os": wanted.os, "architecture": wanted.architecture, "rootfs": {"diff_ids": diff_ids}});
        let config = self.blob(config.to_string().as_bytes());
        let layers = [self.blob(layer.as_bytes())];
        let mut entry = self.blob(json!({"config": config, "layers": layers}).to_string().as_bytes());
        entry["platform"] = json!({"os": wanted.os, "architecture": wanted.architecture});
        entry
    }

    /// Has the engine show an image, and the size of its document as engines from 28 on do.
    fn show(&self, root: &Value, with_size: bool) -> ImageId {
        let id = root["digest"].as_str().unwrap();
        let mut shown = json!({"Id": id});
        if with_size {
            shown["Descriptor"] = json!({"size": root["size"]});
        }
        fs::write(self.store.path().join(format!("{id}.json")), shown.to_string()).unwrap();
        id.parse().unwrap()
    }

    fn calls(&self, of: &str) -> usize {
        let calls = fs::read_to_string(self.store.path().join("calls")).unwrap();
        calls.lines().filter(|call| *call == of).count()
    }
}

fn config_of(layer: &str, platform: &str) -> Digest {
    let wanted: Platform = platform.parse().unwrap();
    let diff_ids = [DiffId::of(layer.as_bytes()).to_string()];
    let config =
        json!({"os": wanted.os, "architecture": wanted.architecture, "rootfs": {"diff_ids": diff_ids}});
    Digest::of(config.to_string().as_bytes())
}

#[test]
fn an_image_is_collected_with_and_without_the_size_of_its_document() {
    for with_size in [true, false] {
        let engine = Engine::new();
        let entries = [engine.manifest("linux/amd64", "amd"), engine.manifest("linux/arm64", "arm")];
        let root = engine.blob(json!({"manifests": entries}).to_string().as_bytes());
        let id = engine.show(&root, with_size);
        let program = engine.program();
        let package = Fetch(&program).package(&id, None).unwrap();
        assert_eq!(ImageId::from(package.root()), id);
        assert_eq!(package.documents().count(), 5, "an index, two manifests, two configs");
        let layers: Vec<Digest> = package.layers().iter().map(|layer| layer.blob.digest).collect();
        assert_eq!(layers, [Digest::of(b"amd"), Digest::of(b"arm")]);
        let arm = Fetch(&program).package(&id, Some(&"linux/arm64".parse().unwrap())).unwrap();
        assert_eq!((arm.documents().count(), arm.layers().len()), (2, 1));
        assert_eq!(engine.calls("load"), engine.calls("rmi"), "no manifest of ours stays");
    }
}

#[test]
fn an_image_of_which_a_layer_is_gone_is_broken() {
    let engine = Engine::new();
    let manifest = engine.manifest("linux/amd64", "gone");
    let id = engine.show(&manifest, true);
    fs::remove_file(engine.store.path().join("blobs/sha256").join(Digest::of(b"gone").hex())).unwrap();
    let error = Fetch(&engine.program()).package(&id, None).unwrap_err().to_string();
    assert!(error.contains("are missing in the store; pull or build the image again"), "{error}");
}

#[test]
fn configs_are_found_through_manifests_and_indexes() {
    let engine = Engine::new();
    let single = engine.manifest("linux/amd64", "single");
    let entries = [engine.manifest("linux/arm64", "arm"), engine.manifest("linux/amd64", "amd")];
    let index = engine.blob(json!({"manifests": entries}).to_string().as_bytes());
    let other = engine.manifest("linux/arm64", "other");
    let other = engine.blob(json!({"manifests": [other]}).to_string().as_bytes());
    let ids = [engine.show(&single, true), engine.show(&index, true), engine.show(&other, false)];
    let amd = "linux/amd64".parse().unwrap();
    let configs = Fetch(&engine.program()).configs(&ids, &amd).unwrap();
    let expected = [
        Some(config_of("single", "linux/amd64")),
        Some(config_of("amd", "linux/amd64")),
        // The only image of an index is its image on every host.
        Some(config_of("other", "linux/arm64")),
    ];
    assert_eq!(configs, expected);
}

#[test]
fn blobs_are_found_one_by_one_among_absent_ones() {
    let engine = Engine::new();
    let program = engine.program();
    let fetch = Fetch(&program);
    let long = "long".repeat(1000);
    let reference = |text: &str| BlobRef { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
    engine.blob(b"a");
    engine.blob(long.as_bytes());
    let blobs = ["a", "absent", &long, "gone", "a"].map(reference);
    assert_eq!(fetch.has(&blobs).unwrap(), [true, false, true, false, true]);
    assert_eq!(fetch.has(&[]).unwrap(), [false; 0]);
    let mut bytes = Vec::new();
    fetch.take(&reference(&long)).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, long.as_bytes());
    let error = fetch.take(&reference("absent")).err().unwrap().to_string();
    assert!(error.contains("is missing; pull or build the image again"), "{error}");
    assert_eq!(engine.calls("load"), engine.calls("rmi"), "no manifest of ours stays");
}

#[test]
fn a_lease_that_somebody_took_is_asked_for_again() {
    for (lost, arrives) in [(3, true), (30, false)] {
        let engine = Engine::new();
        let blob = engine.blob(b"some bytes");
        fs::write(engine.store.path().join("lost"), "one\n".repeat(lost)).unwrap();
        let program = engine.program();
        let taken = Fetch(&program).take(&BlobRef::parse(&blob).unwrap()).map(|mut saved| {
            let mut bytes = Vec::new();
            saved.read_to_end(&mut bytes).unwrap();
            bytes
        });
        match arrives {
            true => assert_eq!(taken.unwrap(), b"some bytes"),
            false => assert!(taken.unwrap_err().to_string().contains("lease"), "it is said why"),
        }
        assert_eq!(engine.calls("load"), engine.calls("rmi"), "no manifest of ours stays");
    }
}

#[test]
fn a_manifest_inside_an_index_is_found_by_its_digest_and_collected() {
    let engine = Engine::new();
    let single = engine.manifest("linux/amd64", "single");
    let [arm, amd] = ["linux/arm64", "linux/amd64"].map(|platform| engine.manifest(platform, platform));
    let absent = json!({
        "digest": Digest::of(b"absent").to_string(), "size": 6, "platform": {"os": "linux", "architecture": "s390x"},
    });
    let index = engine.blob(json!({"manifests": [arm, amd, absent]}).to_string().as_bytes());
    let other = engine.blob(json!({"manifests": [arm]}).to_string().as_bytes());
    // Engines before 28 do not show the size of a document.
    let ids = [engine.show(&single, true), engine.show(&index, true), engine.show(&other, false)];
    let program = engine.program();
    let host = "linux/amd64".parse().unwrap();
    let nested = |digest: &Digest| Fetch(&program).nested(digest, &ids, &host).unwrap();
    let digest: Digest = arm["digest"].as_str().unwrap().parse().unwrap();
    let Nested { within, image } = nested(&digest).unwrap();
    assert_eq!(within, ids[1..]);
    let image = image.unwrap();
    assert_eq!((image.id.digest(), image.config), (digest, Some(config_of("linux/arm64", "linux/arm64"))));
    assert_eq!(nested(&Digest::of(b"nothing")), None);
    let reason = nested(&Digest::of(b"absent")).unwrap().image.unwrap_err();
    assert!(reason.starts_with("its manifest for linux/s390x"), "{reason}");

    // The engine does not show such a document, and says so as docker does.
    let package = Fetch(&program).package(&image.id, None).unwrap();
    assert_eq!((package.root(), package.layers().len()), (digest, 1));
    let gone = Fetch(&program).package(&ImageId::of(b"gone"), None).unwrap_err();
    assert!(matches!(gone, StoreError::NoSuchImage { .. }), "{gone}");
    assert_eq!(engine.calls("load"), engine.calls("rmi"), "no manifest of ours stays");
}
