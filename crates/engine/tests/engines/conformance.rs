//! The suite that every store passes, on every engine; and it leaves none of them with anything.

use dsync_core::{Digest, ImageId, ImageRef, LayerKey};
use dsync_engine::conformance::conformance;
use dsync_engine::{Description, Store, StoreKind};
use dsync_lab::Suite;
use dsync_lab::images::{Image, Layer};

use crate::silent::Taken;
use crate::stand::{Guest, Stand};

/// Left-overs that may stay when all images of the suite are gone again, by the lab's names.
type Leaves = &'static [&'static str];

const NOTHING: Leaves = &[];
/// podman keeps the lower layers of an image that it refuses, for the next try.
const LAYERS_OF_REFUSED_IMAGES: Leaves = &["layer ", "contents "];
/// A save of Docker from 25 on never lets go of an image in which a layer occurs twice. Reading the
/// engine's files instead is free of that.
const LAYERS_OF_SAVED_IMAGES: Leaves = &["layer ", "contents "];
/// A save of Docker 26 that is given up leaves a lease on all blobs of the image.
const LEASES_OF_SAVES: Leaves = &["lease ", "blob "];

/// Runs the suite, then removes what it made.
fn passes(stand: &Stand, store: &dyn Store, kind: StoreKind, leaves: Leaves) {
    let _alone = stand.alone();
    assert_eq!(store.describe().kind, kind, "{}", store.describe().name);
    let before = stand.engine().holdings().unwrap();
    let made = conformance(store);
    assert!(made.len() > 5, "{made:?}");
    // An engine that got an empty file for a layer it knows would run the image, with the layer missing.
    let empty = format!("blob {}", Digest::of(b"").hex());
    assert!(!stand.engine().holdings().unwrap().contains(&empty));
    for id in made {
        stand.engine().remove_image(&id.to_string()).unwrap();
    }
    stand.assert_holds_but_for(&before, leaves);
}

/// With the engine's own files at hand, where the kind has files that are read.
fn an_engine_passes(name: &str, kind: StoreKind, leaves: Leaves) {
    let stand = Stand::get(name);
    passes(stand, &*stand.store(), kind, leaves);
}

/// By nothing but what its client says.
fn a_client_passes(name: &str, kind: StoreKind, leaves: Leaves) {
    let stand = Stand::get(name);
    passes(stand, &*stand.store_behind_its_client(), kind, leaves);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_20() {
    an_engine_passes("docker", StoreKind::DockerClassic, NOTHING);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_20_by_its_client() {
    a_client_passes("docker", StoreKind::DockerClassic, NOTHING);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd() {
    an_engine_passes("docker-28-containerd", StoreKind::DockerContainerd, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_28_containerd_by_its_client() {
    a_client_passes("docker-28-containerd", StoreKind::DockerContainerd, NOTHING);
}

/// The names that `images` prints are in the engine's files; `images` takes 5 ms for each.
fn docker_lists_images_by_its_files(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let store = stand.store_behind_its_client();
    let names: Vec<ImageRef> = (0..40).map(|n| format!("listed:{n}").parse().unwrap()).collect();
    let ids: Vec<_> = store.list().unwrap().images.into_iter().map(|image| image.id).collect();
    store.tag(&ids[0], &names).unwrap();
    let listed = |store: &dyn Store| {
        let mut images: Vec<_> = store.list().unwrap().images.into_iter().map(|i| (i.id, i.names)).collect();
        images.sort_unstable();
        images
    };
    assert_eq!(listed(&*stand.store_without("images")), listed(&*store));
    for name in &names {
        stand.engine().remove_image(&name.to_string()).unwrap();
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_lists_images_by_its_files() {
    docker_lists_images_by_its_files("docker-28-containerd");
}

/// It does not say which containerd it uses.
#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_lists_images_by_its_files() {
    docker_lists_images_by_its_files("docker-26-containerd");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4() {
    an_engine_passes("podman", StoreKind::Podman, LAYERS_OF_REFUSED_IMAGES);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4_by_its_client() {
    a_client_passes("podman", StoreKind::Podman, LAYERS_OF_REFUSED_IMAGES);
}

/// Both ways must say the same of images with and without names, of those that others were built from, and of lists.
fn podman_lists_images_by_its_files(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let before = stand.engine().holdings().unwrap();
    let [low, top] = ["low", "top"].map(|file| Layer::builder().file(file, name).build());
    let built = |named: Option<&str>, layers: &[&Layer], steps: &[&str]| {
        let image = named.map_or_else(Image::untagged, Image::named);
        let image = layers.iter().fold(image, |image, layer| image.layer(layer)).built_by(steps);
        stand.engine().load(&image.archive()).unwrap();
        ImageId::from(image.id())
    };
    let base = built(Some("localhost/base:1"), &[&low], &["ADD"]);
    let hidden = [built(None, &[&low], &["ADD", "ENV"]), built(None, &[&low, &top], &["ADD", "ENV", "COPY"])];
    let web = built(Some("localhost/web:1"), &[&low, &top], &["ADD", "ENV", "COPY", "CMD"]);
    let dangling = built(None, &[&low, &top], &["ADD", "ENV", "COPY", "LABEL"]);
    let podman = |args: &[&str]| {
        let output = stand.engine().client().args(args).output().unwrap();
        assert!(output.status.success(), "podman {args:?}: {output:?}");
    };
    podman(&["tag", &web.to_string(), "registry.example:5000/a/web:2"]);
    podman(&["manifest", "create", "localhost/list:1"]);

    // The client alone cannot list them.
    let (direct, client) = (stand.store_without("images"), stand.store_behind_its_client());
    assert!(direct.describe().name.ends_with(", storage readable"), "{}", direct.describe().name);
    assert!(!client.describe().name.contains("storage"), "{}", client.describe().name);
    let listed = |store: &dyn Store| {
        let mut images = store.list().unwrap().images;
        images.sort_by_key(|image| image.id);
        images
    };
    let images = listed(&*direct);
    assert_eq!(images, listed(&*client));
    for id in [base, web, dangling] {
        let image = images.iter().find(|image| image.id == id).unwrap();
        let sizes = direct.layer_sizes(image).unwrap().unwrap();
        assert_eq!(sizes, [&low, &top].map(|layer| layer.tar().len() as u64)[..image.diff_ids.len()]);
    }
    assert!(images.iter().all(|image| !hidden.contains(&image.id)));
    podman(&["manifest", "rm", "localhost/list:1"]);
    for id in [dangling, web, hidden[1], hidden[0], base] {
        // Without its last child an image goes along.
        let _ = stand.engine().remove_image(&id.to_string());
    }
    stand.assert_holds_but_for(&before, NOTHING);
}

/// The suite would pass by `save` as well.
fn layers_are_read_from_files(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let [low, top] = ["low", "top"].map(|file| Layer::builder().file(file, format!("{name} {file}")).build());
    let image = Image::untagged().layer(&low).layer(&top);
    stand.engine().load(&image.archive()).unwrap();
    let store = stand.store_without("save");
    let diff_ids = [low.diff_id(), top.diff_id()];
    let listed = store.list().unwrap().images.into_iter().find(|listed| listed.diff_ids == diff_ids).unwrap();
    let mut taken = Taken::default();
    store.export(&listed.id, &diff_ids.map(LayerKey::Tar).into(), &mut taken).unwrap();
    assert_eq!(taken.0, diff_ids);
    stand.engine().remove_image(&listed.id.to_string()).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_of_docker_20_are_read_from_files() {
    layers_are_read_from_files("docker");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_of_docker_28_containerd_are_read_from_files() {
    layers_are_read_from_files("docker-28-containerd");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_of_podman_4_are_read_from_files() {
    layers_are_read_from_files("podman");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn layers_of_all_other_engines_are_read_from_files() {
    for name in ["docker-26-classic", "docker-28-classic", "docker-26-containerd", "podman-5.4", "podman-5.8"]
    {
        layers_are_read_from_files(name);
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4_lists_images_by_its_files() {
    podman_lists_images_by_its_files("podman");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_4_lists_images_by_its_files() {
    podman_lists_images_by_its_files("podman-5.4");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_8_lists_images_by_its_files() {
    podman_lists_images_by_its_files("podman-5.8");
}

/// Without root, as people run it on their machines; its user sees no file of others.
fn a_guest_passes(suite: Option<Suite>, version: &str) {
    let guest = Guest::start(suite);
    let store = guest.store();
    let Description { kind, name } = store.describe();
    assert_eq!(kind, StoreKind::Podman, "{name}");
    assert!(name.contains(&format!("podman {version}.")), "{name}");
    assert_eq!(guest.podman(&["info", "--format", "{{.Host.Security.Rootless}}"]), "true");
    let made = conformance(&*store);
    assert!(made.len() > 5, "{made:?}");
    for id in made {
        guest.podman(&["image", "rm", "--force", &id.to_string()]);
    }
    assert_eq!(guest.podman(&["image", "ls", "--all", "--quiet"]), "");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4_of_a_guest() {
    a_guest_passes(None, "4");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_4_of_a_guest() {
    a_guest_passes(Some(Suite::Trixie), "5.4");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_8_of_a_guest() {
    a_guest_passes(Some(Suite::Forky), "5.8");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_classic() {
    an_engine_passes("docker-26-classic", StoreKind::DockerClassic, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_classic_by_its_client() {
    a_client_passes("docker-26-classic", StoreKind::DockerClassic, LAYERS_OF_SAVED_IMAGES);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd() {
    an_engine_passes("docker-26-containerd", StoreKind::DockerContainerd, LEASES_OF_SAVES);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_by_its_client() {
    a_client_passes("docker-26-containerd", StoreKind::DockerContainerd, LEASES_OF_SAVES);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_28_classic() {
    an_engine_passes("docker-28-classic", StoreKind::DockerClassic, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_28_classic_by_its_client() {
    a_client_passes("docker-28-classic", StoreKind::DockerClassic, LAYERS_OF_SAVED_IMAGES);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_4() {
    an_engine_passes("podman-5.4", StoreKind::Podman, LAYERS_OF_REFUSED_IMAGES);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_8() {
    an_engine_passes("podman-5.8", StoreKind::Podman, LAYERS_OF_REFUSED_IMAGES);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn containerd_1_6() {
    an_engine_passes("containerd-1.6", StoreKind::Containerd, NOTHING);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn containerd_1_6_by_its_client() {
    a_client_passes("containerd-1.6", StoreKind::Containerd, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_1_7() {
    an_engine_passes("containerd-1.7", StoreKind::Containerd, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_1_7_by_its_client() {
    a_client_passes("containerd-1.7", StoreKind::Containerd, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_2_1() {
    an_engine_passes("containerd-2.1", StoreKind::Containerd, NOTHING);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_2_1_by_its_client() {
    a_client_passes("containerd-2.1", StoreKind::Containerd, NOTHING);
}
