//! Transfers without an agent that break off, and go on: what arrived is not sent again.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dsync_core::Digest;
use dsync_sync::{Direction, Options, PartialEntry, PartialImages, TransferMethod};
use dsync_testkit::{Built, ImageSpec, Item, LayerSpec, Snapshot, What, isolated};

use crate::host::{Host, id};

const PATIENCE: Duration = Duration::from_secs(120);
const SHELL: [&str; 4] = ["cat", "rm", "mkdir", "sh"];

/// The partial transfers that are here.
fn partial_transfers() -> Vec<PartialEntry> {
    PartialImages::find(None).map_or_else(Vec::new, |images| images.entries().unwrap())
}

fn image(layers: &[u32]) -> Built {
    let layers = layers.iter().map(|seed| LayerSpec::noise(*seed, 200_000)).collect();
    Item::named("app:1", ImageSpec::of(layers)).build()
}

#[track_caller]
fn assert_arrived(host: &Host, image: &Built) {
    let layout = Snapshot::read(&host.path("here/layout")).unwrap();
    assert!(layout.is_named("app:1", &What::content(&image.images[0])), "{layout:?}");
    assert!(partial_transfers().is_empty());
    assert!(PartialImages::find(None).is_none(), "not even the folder is left");
    host.assert_tidy();
}

#[test]
fn of_a_stream_that_breaks_off_the_layers_that_came_whole_are_saved() {
    isolated("partial::of_a_stream_that_breaks_off_the_layers_that_came_whole_are_saved", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        let image = image(&[1, 2, 3]);
        host.has(&image);
        let archive = host.path("engine/archive");
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() * 5 / 6]).unwrap();
        let stream = || host.sync(Direction::Pull, host.options(TransferMethod::Stream), "app:1").result;
        assert!(stream().is_err());
        let [entry] = &partial_transfers()[..] else { panic!("{:?}", partial_transfers()) };
        assert_eq!(entry.names, ["app:1"]);
        assert_eq!(entry.config.to_string(), id(&image));
        assert!((400_000..600_000).contains(&entry.size), "two of three layers: {entry:?}");
        assert_eq!(host.commands("tar --delete"), 0);

        fs::write(&archive, &whole).unwrap();
        let (_, outcome) = stream().unwrap();
        let dropped = host.commands("tar --delete");
        assert_eq!(dropped, 1, "the layers that are saved are left out there");
        // A layer that is noise is as long as what crosses for it.
        let received = outcome.traffic.received;
        assert!((200_000..300_000).contains(&received), "{received}");
        assert_arrived(&host, &image);
    });
}

#[test]
fn a_saved_layer_that_is_damaged_comes_again() {
    isolated("partial::a_saved_layer_that_is_damaged_comes_again", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        let image = image(&[1, 2]);
        host.has(&image);
        let archive = host.path("engine/archive");
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() * 3 / 4]).unwrap();
        let stream = || host.sync(Direction::Pull, host.options(TransferMethod::Stream), "app:1").result;
        assert!(stream().is_err());
        let layers = |folder: &Path| {
            let files = fs::read_dir(folder.join("layers")).unwrap();
            files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
        };
        let folders = fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> =
            folders.filter(|path| path.to_string_lossy().contains("docker-sync-partial-")).collect();
        let [folder] = &folders[..] else { panic!("{folders:?}") };
        let of_image = folder.join(id(&image).trim_start_matches("sha256:"));
        let [layer] = &layers(&of_image)[..] else { panic!("one layer") };
        let mut bytes = fs::read(layer).unwrap();
        bytes[100_000] ^= 1;
        fs::write(layer, bytes).unwrap();
        fs::write(&archive, &whole).unwrap();
        stream().unwrap();
        assert_arrived(&host, &image);
    });
}

#[test]
fn a_partial_transfer_is_listed_and_goes_when_it_is_old_or_too_much() {
    isolated("partial::a_partial_transfer_is_listed_and_goes_when_it_is_old_or_too_much", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        let image = image(&[1, 2]);
        host.has(&image);
        let archive = host.path("engine/archive");
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() * 3 / 4]).unwrap();
        let stream = || host.sync(Direction::Pull, host.options(TransferMethod::Stream), "app:1").result;
        let all = || PartialImages::find(None).unwrap();
        assert!(stream().is_err());
        assert!(all().prune(1 << 30).unwrap().is_empty());
        assert_eq!(all().prune(1000).unwrap().len(), 1);
        assert!(partial_transfers().is_empty());

        assert!(stream().is_err());
        let week = SystemTime::now() - Duration::from_secs(8 * 86_400);
        let age = |folder: &Path| {
            for place in [folder.to_owned(), folder.join("layers")] {
                let files = fs::read_dir(&place).unwrap().map(|file| file.unwrap().path());
                files.chain([place.clone()]).for_each(|path| {
                    fs::File::open(path).unwrap().set_modified(week).unwrap();
                });
            }
        };
        let folders = fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().path());
        let partial_folders = folders.filter(|path| path.to_string_lossy().contains("docker-sync-partial-"));
        for folder in partial_folders.flat_map(|folder| fs::read_dir(folder).unwrap()) {
            age(&folder.unwrap().path());
        }
        assert_eq!(all().prune(1 << 30).unwrap().len(), 1, "it is a week old");
        fs::write(&archive, &whole).unwrap();
        stream().unwrap();
        assert_arrived(&host, &image);
    });
}

/// A folder of that name that others may write into is of no use, and no reason to fail.
#[test]
fn nothing_is_saved_in_a_folder_of_others() {
    isolated("partial::nothing_is_saved_in_a_folder_of_others", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        let image = image(&[1, 2]);
        host.has(&image);
        let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata(host.path("here")).unwrap());
        let folder = std::env::temp_dir().join(format!("docker-sync-partial-{user}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let archive = host.path("engine/archive");
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() * 3 / 4]).unwrap();
        let stream = || host.sync(Direction::Pull, host.options(TransferMethod::Stream), "app:1").result;
        assert!(stream().is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::write(&archive, &whole).unwrap();
        stream().unwrap();
        fs::remove_dir(&folder).unwrap();
    });
}

/// A part of an archive lies where rsync leaves it when it breaks off: its own name for it where it was killed, or ours.
#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_goes_on_with_what_it_has() {
    isolated("partial::rsync_goes_on_with_what_it_has", PATIENCE, || {
        for (direction, name) in [
            (Direction::Pull, "image.tar"),
            (Direction::Pull, ".image.tar.Ab3xYz"),
            (Direction::Push, "image.tar"),
            (Direction::Push, ".image.tar.Ab3xYz"),
        ] {
            let host = Host::new(&[&SHELL[..], &["rsync"]].concat());
            let image = image(&[4, 5, 6]);
            host.has(&image);
            let archive = fs::read(host.path("engine/archive")).unwrap();
            let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata(host.path("here")).unwrap());
            let partial_in = |place: &Path, image: &str, run: &str| {
                let folder = place.join(format!("docker-sync-partial-{user}"));
                let arriving = folder.join(image).join(run);
                fs::create_dir_all(&arriving).unwrap();
                fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
                fs::write(arriving.join(name), &archive[..archive.len() * 2 / 3]).unwrap();
                folder
            };
            let folder = match direction {
                Direction::Pull => {
                    host.layout(&[]);
                    partial_in(&std::env::temp_dir(), id(&image).trim_start_matches("sha256:"), "arriving")
                }
                Direction::Push => {
                    host.layout(std::slice::from_ref(&image));
                    host.shows("before", &[]);
                    host.shows("after", &[&image]);
                    let of_names = Digest::of(b"app").hex();
                    partial_in(&host.path("tmp"), &of_names, "new-docker-sync-1-gone")
                }
            };
            let options =
                Options { identity: dsync_sync::Identity::Content, ..host.options(TransferMethod::Rsync) };
            let (_, outcome) = host.sync(direction, options, "app:1").result.unwrap();
            let crossed = outcome.traffic.sent + outcome.traffic.received;
            assert!((150_000..300_000).contains(&crossed), "{direction:?}, {name}: {crossed}");
            assert!(!folder.exists(), "{direction:?}, {name}");
            if direction == Direction::Pull {
                assert_arrived(&host, &image);
            }
            host.assert_tidy();
        }
    });
}
