//! A storage made by hand as podman keeps it.

use std::cell::RefCell;

use super::super::export::tests::{Kept, packed, plain, special, split};
use super::super::export::{Stopped, export};
use super::*;

/// The folder, and what is to be in its lists.
struct Made {
    root: tempfile::TempDir,
    images: RefCell<Vec<Value>>,
    layers: RefCell<Vec<Value>>,
}

impl Made {
    fn new() -> Self {
        let made = Self {
            root: tempfile::tempdir().unwrap(),
            images: RefCell::default(),
            layers: RefCell::default(),
        };
        for folder in ["overlay", "overlay-images", "overlay-layers"] {
            fs::create_dir(made.root.path().join(folder)).unwrap();
        }
        made
    }

    fn podman(&self) -> Podman {
        let path = |of: &str| self.root.path().join(format!("overlay-{of}/{of}.json"));
        fs::write(path("images"), json!(*self.images.borrow()).to_string()).unwrap();
        fs::write(path("layers"), json!(*self.layers.borrow()).to_string()).unwrap();
        Podman { root: self.root.path().into(), driver: "overlay".into() }
    }

    /// Puts a layer on others; says its ID, which is none that follows from it.
    fn layer(&self, parent: &str, tar: &[u8]) -> String {
        let diff_id = DiffId::of(tar);
        let id = Digest::of(format!("{parent} {diff_id}").as_bytes()).hex();
        let contents = self.root.path().join(format!("overlay/{id}/diff"));
        fs::create_dir_all(&contents).unwrap();
        let lines = packed(&split(tar, &contents));
        fs::write(self.root.path().join(format!("overlay-layers/{id}.tar-split.gz")), lines).unwrap();
        let mut layer = json!({"id": id, "diff-digest": diff_id.to_string(), "diff-size": tar.len()});
        if !parent.is_empty() {
            layer["parent"] = parent.into();
        }
        self.layers.borrow_mut().push(layer);
        id
    }

    /// An image with these names, of these layers, whose history has these steps.
    fn image(&self, names: &[&str], top: &str, layers: &[&[u8]], steps: &[&str]) -> ImageId {
        let diff_ids: Vec<String> = layers.iter().map(|tar| DiffId::of(tar).to_string()).collect();
        let history: Vec<Value> = steps.iter().map(|step| json!({"created_by": step})).collect();
        let config = json!({
            "os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z", "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let id = ImageId::of(config.as_bytes());
        let path = self.podman().config(&id);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &config).unwrap();
        let sizes = json!({"manifest": 100, id.to_string(): config.len()});
        let mut image = json!({"id": id.hex(), "layer": top, "big-data-sizes": sizes});
        if !names.is_empty() {
            image["names"] = names.into();
        }
        self.images.borrow_mut().push(image);
        id
    }
}

#[test]
fn the_config_is_where_podman_puts_it() {
    let id: ImageId =
        "sha256:4c1a10c5f33bfb7a16f686b15ec78482d64202db2d33e0fa10835dfbb0ffbfcb".parse().unwrap();
    let podman = Podman { root: "/r".into(), driver: "overlay".into() };
    assert_eq!(
        podman.config(&id).to_str().unwrap(),
        "/r/overlay-images/4c1a10c5f33bfb7a16f686b15ec78482d64202db2d33e0fa10835dfbb0ffbfcb/=c2hhMjU2OjRjMWExMGM1ZjMzYmZiN2ExNmY2ODZiMTVlYzc4NDgyZDY0MjAyZGIyZDMzZTBmYTEwODM1ZGZiYjBmZmJmY2I="
    );
}

#[test]
fn images_are_told_by_files() {
    let made = Made::new();
    let (low, top) = (plain("a", "low"), plain("b", "top"));
    let low_id = made.layer("", &low);
    let top_id = made.layer(&low_id, &top);
    let names = ["localhost/web:1", "docker.io/library/web:2", "docker.io/library/web@sha256:00"];
    let id = made.image(&names, &top_id, &[&low, &top], &["ADD", "COPY"]);
    let podman = made.podman();
    let config = fs::metadata(podman.config(&id)).unwrap().len();
    let expected = Image {
        id,
        config: Some(id.digest()),
        digests: Vec::new(),
        names: ["localhost/web:1", "web:2"].map(|name| name.parse().unwrap()).into(),
        diff_ids: vec![DiffId::of(&low), DiffId::of(&top)],
        platform: "linux/amd64".parse().unwrap(),
        size: (low.len() + top.len()) as u64 + 100 + config,
        created: "2026-01-02T03:04:05Z".into(),
    };
    let sizes = podman.layer_sizes(&expected).unwrap();
    assert_eq!(sizes, [low.len() as u64, top.len() as u64]);
    assert_eq!(podman.list().unwrap(), ReadImages { images: vec![expected], others: Vec::new() });
}

#[test]
fn intermediate_images_are_not_shown() {
    let made = Made::new();
    let (low, top) = (plain("a", "low"), plain("b", "top"));
    let low_id = made.layer("", &low);
    let top_id = made.layer(&low_id, &top);
    let base = made.image(&["localhost/base:1"], &low_id, &[&low], &["ADD"]);
    let _env = made.image(&[], &low_id, &[&low], &["ADD", "ENV"]);
    let _copy = made.image(&[], &top_id, &[&low, &top], &["ADD", "ENV", "COPY"]);
    let built = made.image(&["localhost/web:1"], &top_id, &[&low, &top], &["ADD", "ENV", "COPY", "CMD"]);
    let dangling = made.image(&[], &top_id, &[&low, &top], &["ADD", "ENV", "COPY", "LABEL"]);
    let other = made.image(&[], &top_id, &[&low, &top], &["FROM"]);
    let ids: Vec<ImageId> = made.podman().list().unwrap().images.iter().map(|image| image.id).collect();
    assert_eq!(ids, [base, built, dangling, other]);
}

#[test]
fn what_is_not_as_expected_is_left_to_the_engine() {
    let made = Made::new();
    let (low, top) = (plain("a", "low"), plain("b", "top"));
    let low_id = made.layer("", &low);
    let whole = made.image(&["localhost/whole:1"], &low_id, &[&low], &["ADD"]);
    let others = [
        made.image(&["localhost/lost:1"], "absent", &[&low], &["lost"]),
        made.image(&["localhost/short:1"], &low_id, &[&low, &top], &["short"]),
        made.image(&["localhost/long:1"], &low_id, &[], &["long"]),
        made.image(&["localhost/other:1"], &low_id, &[&top], &["other"]),
        made.image(&["localhost/damaged:1"], &low_id, &[&low], &["damaged"]),
        made.image(&["localhost/gone:1"], &low_id, &[&low], &["gone"]),
    ];
    fs::write(made.podman().config(&others[4]), "{}").unwrap();
    fs::remove_file(made.podman().config(&others[5])).unwrap();
    let list = Digest::of(b"a list of manifests").hex();
    made.images.borrow_mut().push(json!({"id": list, "names": ["localhost/list:1"]}));
    let found = made.podman().list().unwrap();
    assert_eq!(found.images.iter().map(|image| image.id).collect::<Vec<_>>(), [whole]);
    let ids: Vec<String> = others.iter().map(ImageId::hex).chain([list]).collect();
    assert_eq!(found.others, ids);
    for file in ["overlay-layers/layers.json", "overlay-images/images.json"] {
        fs::write(made.root.path().join(file), "[{").unwrap();
        assert!(Podman { root: made.root.path().into(), driver: "overlay".into() }.list().is_err());
    }
}

#[test]
fn it_has_to_be_the_storage_that_the_engine_speaks_of() {
    let made = Made::new();
    let low = plain("a", "low");
    let low_id = made.layer("", &low);
    let open = |(driver, images, allocated): (&str, u64, u64), has: bool| {
        let told = StorageInfo { driver: driver.into(), allocated };
        Podman::open(made.root.path(), (&told, images), |_| has).is_some()
    };
    let file_system = rustix::fs::statvfs(made.root.path()).unwrap();
    let allocated = file_system.f_blocks * file_system.f_frsize;
    made.podman();
    assert!(!open(("overlay", 0, allocated), true), "nothing tells that it is this one");
    made.image(&["localhost/web:1"], &low_id, &[&low], &[]);
    made.podman();
    assert!(open(("overlay", 1, allocated), true));
    assert!(!open(("overlay", 1, allocated), false));
    assert!(!open(("overlay", 2, allocated), true));
    assert!(!open(("overlay", 1, allocated + 4096), true));
    assert!(!open(("btrfs", 1, allocated), true));
}

#[test]
fn layers_come_out_bit_for_bit() {
    let made = Made::new();
    let layers = [plain("a", "low"), special(), plain("c", "top")];
    let mut top = String::new();
    for layer in &layers {
        top = made.layer(&top, layer);
    }
    let id = made.image(&[], &top, &[&layers[0], &layers[1], &layers[2]], &[]);
    let podman = made.podman();
    let all = || layers.iter().map(|layer| DiffId::of(layer)).collect::<HashSet<_>>();
    let (mut missing, mut sink) = (all(), Kept::default());
    export(&podman, &id, &mut missing, &mut sink).unwrap();
    assert!(missing.is_empty());
    let given: Vec<&[u8]> = sink.layers.iter().map(|(_, bytes)| &bytes[..]).collect();
    assert_eq!(given, [&layers[0][..], &layers[1], &layers[2]]);

    // With other layers in the place, or such that lead elsewhere, it is left to the engine.
    for (field, value) in [("diff-digest", DiffId::of(b"").to_string()), ("id", "../x".into())] {
        let whole = made.layers.borrow()[2].clone();
        made.layers.borrow_mut()[2][field] = value.into();
        made.images.borrow_mut()[0]["layer"] = made.layers.borrow()[2]["id"].clone();
        let ended = export(&made.podman(), &id, &mut all(), &mut Kept::default());
        assert!(matches!(ended, Err(Stopped::Storage(_))), "{field}: {ended:?}");
        made.layers.borrow_mut()[2] = whole;
    }
}
