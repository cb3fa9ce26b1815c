//! A target against sources that give another image than was asked for. Nothing of it stays.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, LayerKey, Platform};
use dsync_engine::{FreeSpace, Import, ImportIdentity, Store, StoreError, StoreSpec};
use dsync_proto::{Channel, Compression, FailureKind, Known, LayerState, Peer, Reply, Want, decode};
use dsync_recompress::Recipe;

use crate::cache::Used;
use crate::conversation::want::short_id;
use crate::conversation::{Attempt, Preserved};
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::layers::free_space::Disks;
use crate::layers::workspace::Workspace;
use crate::link::{Inbox, Link, Outbox};
use crate::source::{self, Sending};
use crate::target::{self, Peering, Receiving};

/// An OCI image layout of a test.
pub(crate) struct Layout {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Box<dyn Store>,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            dsync_engine::open(&StoreSpec::OciLayout(folder.path().into()), &std::env::temp_dir()).unwrap();
        drop(store.import(ImportIdentity::Content(Digest::of(b"{}"))).unwrap());
        Self { folder, store }
    }

    /// Makes an image of these layers.
    pub(crate) fn image(&self, label: &str, layers: &[&[u8]], name: &str) -> Image {
        self.image_for("amd64", label, layers, name)
    }

    /// The same for an architecture.
    pub(crate) fn image_for(&self, architecture: &str, label: &str, layers: &[&[u8]], name: &str) -> Image {
        let ids: Vec<String> = layers.iter().map(|layer| DiffId::of(layer).to_string()).collect();
        let config = format!(
            r#"{{"os":"linux","architecture":"{architecture}","created":"1970-01-01T00:00:01Z","config":{{"Labels":{{"is":"{label}"}}}},"rootfs":{{"type":"layers","diff_ids":{ids:?}}}}}"#
        );
        let identity = ImportIdentity::Content(Digest::of(config.as_bytes()));
        let mut import = self.store.import(identity).unwrap();
        for layer in layers {
            let key = DiffId::of(layer).into();
            import.layer(&key, layer.len() as u64, &mut |out| out.write_all(layer)).unwrap();
        }
        let id = import.commit(config.as_bytes(), &[]).unwrap();
        self.store.tag(&id, &[name.parse().unwrap()]).unwrap();
        self.store.list().unwrap().images.into_iter().find(|image| image.id == id).unwrap()
    }

    fn names_or_none(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join("index.json")).ok()
    }

    fn names(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("index.json")).unwrap()
    }

    fn named(&self, name: &str) -> Option<Image> {
        let name = name.parse().unwrap();
        self.store.list().unwrap().images.into_iter().find(|image| image.is_named(&name))
    }
}

/// The layers that a store was given.
pub(crate) struct RecordedImport<'a>(pub(crate) &'a mut Vec<(LayerKey, u64, Vec<u8>)>);

impl Import for RecordedImport<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        write(&mut bytes).map_err(|source| StoreError::Io { what: "no layer".into(), source })?;
        self.0.push((*key, len, bytes));
        Ok(())
    }

    fn commit(self: Box<Self>, config: &[u8], _: &[ImageRef]) -> Result<ImageId, StoreError> {
        Ok(ImageId::of(config))
    }
}

/// A place to work with this much memory.
pub(crate) fn workspace(memory: u64) -> Workspace {
    let (disks, interrupt) = (Disks::default(), Interrupt::default());
    Workspace { folder: std::env::temp_dir(), memory, caches: None, used: Used::default(), disks, interrupt }
}

const KEY: [u8; 16] = [7; 16];

fn receiving(image: &Image) -> Receiving {
    Receiving {
        image: image.clone(),
        names: vec!["app:1".parse().unwrap()],
        basis: None,
        attempt: Attempt::Delta,
        dry_run: false,
        preserved: Preserved::Content,
        prove: false,
        peering: Peering::Live { key: KEY },
    }
}

/// Has the source send one image and the target ask for another.
fn run(source: &Layout, sent: &ImageId, target: &Layout, what: &Receiving) -> Result<Reply, EndpointError> {
    let room = workspace(64 << 20);
    run_in(&room, source, sent, &room, target, what).1
}

/// The same with the workspaces of both. Returns what became of it at both.
fn run_in(
    source_room: &Workspace,
    source: &Layout,
    sent: &ImageId,
    room: &Workspace,
    target: &Layout,
    what: &Receiving,
) -> (Result<Reply, EndpointError>, Result<Reply, EndpointError>) {
    let ((mut mine, client_of_target), (client_of_source, mut theirs)) =
        (Link::pair(&Interrupt::default()), Link::pair(&Interrupt::default()));
    let sending = Sending {
        compression: Compression::Level(3),
        speed: None,
        dry_run: what.dry_run,
        explain: false,
        preserved: what.preserved.clone(),
        prove: what.prove,
        key: Some(KEY),
    };
    thread::scope(|scope| {
        let held = source.store.list().unwrap().images;
        let sender = scope.spawn(move || {
            let sent = source::send(&*source.store, &held, &mut theirs, sent, &sending, source_room);
            if sent.is_err() {
                theirs.send_peer(&Peer::Abort).ok();
            }
            sent
        });
        let Link { inbox: from_target, outbox: to_target } = client_of_target;
        let Link { inbox: from_source, outbox: to_source } = client_of_source;
        scope.spawn(move || pass(from_target, &to_source));
        scope.spawn(move || pass(from_source, &to_target));
        let reply = target::receive(&*target.store, &mut mine, what, room);
        mine.send_peer(&Peer::Abort).ok();
        drop(mine);
        (sender.join().unwrap(), reply)
    })
}

/// Passes on what one end says to the other, as a client does.
fn pass(from: Inbox, to: &Outbox) {
    while let Ok(frame) = from.recv() {
        if matches!(frame.channel, Channel::Peer | Channel::Data) && to.send(frame).is_err() {
            return;
        }
    }
}

fn is_refused(source: &Layout, sent: &Image, target: &Layout, what: &Receiving) {
    let before = target.names();
    let error = run(source, &sent.id, target, what).unwrap_err();
    assert_eq!(error.kind(), FailureKind::AnotherImage, "{error}");
    assert_eq!(target.names(), before, "no name moved and no image came");
}

pub(crate) fn tar(text: &str) -> Vec<u8> {
    let mut builder = tar_of(text);
    builder.extend([0; 1024]);
    builder
}

/// One file with this text.
fn tar_of(text: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..4].copy_from_slice(b"file");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&header[..], text.as_bytes()].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn another_config_over_the_same_layers_is_refused() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar(&"text\n".repeat(1000));
    let (asked, other) = (source.image("a", &[&layer], "a:1"), source.image("b", &[&layer], "b:1"));
    // Nothing to build on.
    is_refused(&source, &other, &target, &receiving(&asked));
    // An old image to build on.
    target.image("old", &[&tar(&"text\n".repeat(1001))], "app:1");
    is_refused(&source, &other, &target, &receiving(&asked));
    // The image that was asked for is taken.
    run(&source, &asked.id, &target, &receiving(&asked)).unwrap();
    assert_eq!(target.named("app:1").unwrap().config, asked.config);
}

#[test]
fn an_image_that_looks_alike_is_not_tagged() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let asked = source.image("a", &[&layer], "a:1");
    let alike = target.image("b", &[&layer], "app:1");
    let Ok(Reply::Received(received)) = run(&source, &asked.id, &target, &receiving(&asked)) else {
        panic!()
    };
    assert!(!received.was_there);
    assert_eq!(target.named("app:1").unwrap().config, asked.config);
    assert_ne!(alike.config, asked.config);
}

#[test]
fn a_layer_that_is_here_uncompressed_is_compressed_here_and_does_not_cross() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar(&(0..2_000).map(|n| format!("line {} of many\n", n * n)).collect::<String>());
    let asked = source.compressed(&source.image("a", &[&layer], "a:1"), &layer);
    target.image("b", &[&layer], "b:1");
    let reply =
        run(&source, &asked.id, &target, &Receiving { preserved: Preserved::Id, ..receiving(&asked) });
    let Reply::Received(received) = reply.unwrap() else { panic!("the target gave no account") };
    assert_eq!(target.named("app:1").unwrap().id, asked.id);
    assert_eq!(received.layers[0].state, LayerState::Local);
    assert_eq!(received.packed_again, layer.len() as u64);
}

#[test]
fn an_exact_image_is_the_one_with_the_id() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let (asked, other) = (source.image("a", &[&layer], "a:1"), source.image("b", &[&layer], "b:1"));
    for preserved in [Preserved::Id, Preserved::Manifest(asked.platform.clone())] {
        is_refused(&source, &other, &target, &Receiving { preserved, ..receiving(&asked) });
    }
    // A manifest that differs only in an annotation has the same config and another ID.
    let annotated = source.annotated(&asked);
    assert_eq!((annotated.config, &annotated.diff_ids), (asked.config, &asked.diff_ids));
    is_refused(&source, &annotated, &target, &Receiving { preserved: Preserved::Id, ..receiving(&asked) });
    run(&source, &annotated.id, &target, &Receiving { preserved: Preserved::Id, ..receiving(&annotated) })
        .unwrap();
    assert_eq!(target.named("app:1").unwrap().id, annotated.id);
}

#[test]
fn an_id_that_will_not_be_shown_is_proven() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let (asked, other) = (source.image("a", &[&layer], "a:1"), source.image("b", &[&layer], "b:1"));
    let proven = |image: &Image| Receiving { prove: true, ..receiving(image) };
    // The source says that the image with this ID has the config of another one.
    is_refused(&source, &other, &target, &proven(&Image { config: other.config, ..asked.clone() }));
    is_refused(&source, &asked, &target, &proven(&Image { config: other.config, ..asked.clone() }));
    run(&source, &asked.id, &target, &proven(&asked)).unwrap();
    assert_eq!(target.named("app:1").unwrap().config, asked.config);
}

#[test]
fn of_an_index_the_platform_is_proven() {
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let (asked, other) = (source.image("a", &[&layer], "a:1"), source.image("b", &[&layer], "b:1"));
    let index = source.index(&[&asked]);
    let platform = |image: &Image| Receiving {
        prove: true,
        preserved: Preserved::Manifest(image.platform.clone()),
        ..receiving(&Image { id: index, ..image.clone() })
    };
    is_refused(&source, &Image { id: index, ..other.clone() }, &target, &platform(&other));
    run(&source, &index, &target, &platform(&asked)).unwrap();
    assert_eq!(target.named("app:1").unwrap().id, asked.id, "the manifest of the platform");
}

#[test]
fn the_config_that_was_asked_for_is_the_one_that_this_host_uses() {
    let here = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let (mut source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let asked = source.image_for("s390x", "a", &[&layer], "a:1");
    let other = source.image_for(here, "b", &[&layer], "b:1");
    let index = source.index(&[&other, &asked]);
    source.store.prefer(&asked.platform);
    let pinned = |image: &Image| Receiving {
        prove: true,
        preserved: Preserved::Id,
        ..receiving(&Image { id: index, ..image.clone() })
    };
    is_refused(&source, &Image { id: index, ..asked.clone() }, &target, &pinned(&asked));
    source.store.prefer(&other.platform);
    run(&source, &index, &target, &pinned(&other)).unwrap();
    assert_eq!(target.named("app:1").unwrap().config, other.config);
}

impl Layout {
    pub(crate) fn path(&self, digest: &Digest) -> std::path::PathBuf {
        self.folder.path().join("blobs/sha256").join(digest.hex())
    }

    fn document(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        fs::write(self.path(&digest), bytes).unwrap();
        digest
    }

    /// Adds an entry to the index.
    fn add(&self, digest: &Digest, len: usize) {
        let index = String::from_utf8(self.names()).unwrap();
        let entry = format!(r#""manifests":[{{"digest":"{digest}","size":{len}}},"#);
        write(self.folder.path(), &index.replacen(r#""manifests":["#, &entry, 1));
    }

    /// The image again, with an annotation in its manifest.
    fn annotated(&self, image: &Image) -> Image {
        let manifest = fs::read_to_string(self.path(&image.id.digest())).unwrap();
        let manifest = manifest.replacen('{', r#"{"annotations":{"a":"b"},"#, 1);
        let digest = self.document(manifest.as_bytes());
        self.add(&digest, manifest.len());
        let id = ImageId::from(digest);
        self.store.list().unwrap().images.into_iter().find(|image| image.id == id).unwrap()
    }

    /// The image again, of one layer that is compressed as Go does it.
    fn compressed(&self, image: &Image, layer: &[u8]) -> Image {
        let header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let recipe = Recipe::new(dsync_recompress::CompressionMethod::Go { level: 6 }, header).unwrap();
        let mut blob = Vec::new();
        dsync_recompress::recreate(&recipe, layer, &mut blob).unwrap();
        let (digest, len) = (self.document(&blob), blob.len());
        let manifest = fs::read_to_string(self.path(&image.id.digest())).unwrap();
        let manifest = manifest
            .replace(&image.diff_ids[0].to_string(), &digest.to_string())
            .replace(&format!("\"size\":{}", layer.len()), &format!("\"size\":{len}"))
            .replace("layer.v1.tar", "layer.v1.tar+gzip");
        let digest = self.document(manifest.as_bytes());
        self.add(&digest, manifest.len());
        let id = ImageId::from(digest);
        self.store.list().unwrap().images.into_iter().find(|image| image.id == id).unwrap()
    }

    /// An index of these images.
    pub(crate) fn index(&self, images: &[&Image]) -> ImageId {
        let entries: Vec<String> = images
            .iter()
            .map(|image| {
                let digest = image.id.digest();
                let len = fs::metadata(self.path(&digest)).unwrap().len();
                let Platform { os, architecture, .. } = &image.platform;
                format!(
                    r#"{{"digest":"{digest}","size":{len},"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
                )
            })
            .collect();
        let index = format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
        let digest = self.document(index.as_bytes());
        self.add(&digest, index.len());
        ImageId::from(digest)
    }
}

impl Layout {
    /// A layout of an index under this name and nothing else, with the images of the index: for this host and for another.
    pub(crate) fn indexed(name: &str) -> (Layout, ImageId, [Image; 2]) {
        let layout = Layout::new();
        let [_, host] = dsync_testkit::host_platform();
        let own = layout.image_for(&host, "own", &[&tar("own")], "own:1");
        let other = layout.image_for("s390x", "other", &[&tar("other")], "other:1");
        let index = layout.index(&[&own, &other]);
        layout.leave(&index, name);
        (layout, index, [own, other])
    }

    /// Leaves one document in the index, under this name.
    pub(crate) fn leave(&self, root: &ImageId, name: &str) {
        let size = fs::metadata(self.path(&root.digest())).unwrap().len();
        let annotations = format!(r#"{{"org.opencontainers.image.ref.name":"{name}"}}"#);
        let entry = format!(r#"{{"digest":"{root}","size":{size},"annotations":{annotations}}}"#);
        write(self.folder.path(), &format!(r#"{{"manifests":[{entry}]}}"#));
    }
}

fn write(folder: &Path, index: &str) {
    fs::write(folder.join("index.json"), index).unwrap();
}

/// The proof of a layer by somebody who has it, or something like it.
type Prove<'a> = &'a dyn Fn(&[u8; 16]) -> [u8; 3];

/// The answer of a source about the layers of a basis: about one layer, named with each of these proofs.
fn told(proofs: &[Prove<'_>], of: &DiffId) -> Vec<Known> {
    let source = Layout::new();
    let public = source.image("public", &[&tar("public")], "public:1");
    source.image("private", &[&tar("private")], "private:1");
    let (mine, mut theirs) = Link::pair(&Interrupt::default());
    let key = [9; 16];
    let sending = Sending {
        compression: Compression::Level(3),
        speed: None,
        dry_run: true,
        explain: false,
        preserved: Preserved::Content,
        prove: false,
        key: Some(key),
    };
    let room = workspace(64 << 20);
    let basis = vec![short_id(&of.digest()); proofs.len()];
    thread::scope(|scope| {
        let (source, room, id) = (&source, &room, &public.id);
        scope.spawn(move || {
            let held = source.store.list().unwrap().images;
            source::send(&*source.store, &held, &mut theirs, id, &sending, room).ok()
        });
        mine.send_peer(&Peer::Want(Want::Layers {
            layers: vec![0],
            without_basis: false,
            basis,
            partial: 0,
            described: Vec::new(),
        }))
        .unwrap();
        mine.send_peer(&Peer::Proofs(proofs.iter().map(|proof| proof(&key)).collect())).unwrap();
        let known = loop {
            match mine.inbox.recv().map(|frame| (frame.channel, decode(&frame.payload))) {
                Ok((Channel::Peer, Ok(Peer::Offer(offer)))) => break offer.basis,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        mine.send_peer(&Peer::Abort).unwrap();
        drop(mine);
        known
    })
}

pub(crate) fn index_of(layer: &[u8]) -> dsync_delta::LayerIndex {
    let mut scanner = dsync_delta::Scanner::new();
    scanner.push(layer);
    scanner.finish()
}

#[test]
fn a_source_speaks_of_layers_that_the_target_proves_to_have() {
    let layer = tar("private");
    let private = DiffId::of(&layer);
    let index = index_of(&layer);
    assert_eq!(index.digest, private.digest());
    assert_eq!(told(&[&|key| index.possession_proof(key)], &private), [Known::Bytes]);
    assert_eq!(
        told(&[&|_| index.possession_proof(&[0; 16])], &private),
        [Known::No],
        "another transfer's proof"
    );
    assert_eq!(told(&[&|_| [0; 3]], &private), [Known::No], "a diff id alone is a guess");
}

#[test]
fn a_layer_without_chunks_is_not_proven_by_its_diff_id() {
    let private = DiffId::of(&tar("private"));
    // As many bytes, all of which stand in the index, too.
    let mut guess = index_of(&tar("guessed"));
    assert!(guess.chunks().is_empty());
    guess.digest = private.digest();
    assert_eq!(told(&[&|key| guess.possession_proof(key)], &private), [Known::No]);
}

#[test]
fn a_target_has_one_guess_for_each_layer() {
    let layer = tar("private");
    let (private, index) = (DiffId::of(&layer), index_of(&layer));
    assert_eq!(told(&[&|_| [0; 3], &|key| index.possession_proof(key)], &private), [Known::No; 2]);
    assert_eq!(told(&[&|key| index.possession_proof(key), &|_| [0; 3]], &private), [Known::Bytes, Known::No]);
}

/// A workspace on a host whose disks have this many bytes left.
fn with_free(bytes: u64) -> Workspace {
    let space = move |folder: &Path| {
        Some(FreeSpace { device: 1, mount: folder.ancestors().last().unwrap().into(), bytes })
    };
    Workspace { disks: Disks::new(space), ..workspace(64 << 20) }
}

#[test]
fn a_target_without_room_says_so_before_contents_cross() {
    let (source, ample) = (Layout::new(), workspace(64 << 20));
    let run = |free: usize, target: &Layout, what: &Receiving| {
        // Nothing is kept for the next run.
        let caches = tempfile::tempdir().unwrap();
        let room = Workspace { caches: Some(caches.path().to_owned()), ..with_free(free as u64) };
        run_in(&ample, &source, &what.image.id, &room, target, what).1
    };
    let [low, old_top, new_top] = [tar(&"low".repeat(1000)), tar("old"), tar(&"new".repeat(9000))];
    let new = source.image("new", &[&low, &new_top], "app:1");
    for has_basis in [true, false] {
        for dry_run in [true, false] {
            let target = Layout::new();
            let needed = match has_basis {
                true => {
                    target.image("old", &[&low, &old_top], "app:1");
                    new_top.len()
                }
                false => low.len() + new_top.len(),
            };
            // Without a basis the layers before have taken their room when the next is looked at.
            let last = if has_basis || dry_run { needed } else { new_top.len() };
            let before = target.names_or_none();
            let what = Receiving { dry_run, ..receiving(&new) };
            let error = run(last - 1, &target, &what).unwrap_err();
            assert_eq!(error.kind(), FailureKind::StorageFull, "{error}");
            assert!(error.to_string().contains(&format!("at least {last} bytes are needed")), "{error}");
            assert_eq!(target.names_or_none(), before, "{has_basis} {dry_run}");
            let reply = run(last, &target, &what);
            assert!(reply.is_ok(), "what fits is taken: {reply:?}");
            assert_eq!(target.named("app:1").is_some_and(|image| image.id == new.id), !dry_run);
        }
    }
}

#[test]
fn a_source_without_room_says_so_before_it_reads() {
    let (source, target, ample) = (Layout::new(), Layout::new(), workspace(64 << 20));
    let layer = tar(&"text".repeat(9000));
    let image = source.image("new", &[&layer], "app:1");
    for dry_run in [true, false] {
        let what = Receiving { dry_run, ..receiving(&image) };
        let short = with_free(layer.len() as u64 - 1);
        let (sent, reply) = run_in(&short, &source, &image.id, &ample, &target, &what);
        let error = sent.unwrap_err();
        assert_eq!(error.kind(), FailureKind::TemporaryFull, "{error}");
        assert!(error.to_string().contains("no room for temporary files"), "{error}");
        assert_eq!(reply.unwrap_err().kind(), FailureKind::Aborted);
        let (sent, _) = run_in(&with_free(layer.len() as u64), &source, &image.id, &ample, &target, &what);
        assert!(sent.is_ok(), "what fits is sent: {sent:?}");
    }
}

#[test]
fn an_index_that_is_wrong_in_the_cache_is_forgotten_with_the_full_resend() {
    let caches = tempfile::tempdir().unwrap();
    let room = || Workspace { caches: Some(caches.path().to_owned()), ..workspace(64 << 20) };
    let (source, target) = (Layout::new(), Layout::new());
    let [low, old_top, new_top] =
        [tar(&"low".repeat(1000)), tar(&"text".repeat(3000)), tar(&"text".repeat(3001))];
    target.image("old", &[&low, &old_top], "app:1");
    source.image("old", &[&low, &old_top], "app:0");
    let new = source.image("new", &[&low, &new_top], "app:1");
    let ample = workspace(64 << 20);
    let entries = || std::fs::read_dir(caches.path().join("docker-sync/index")).unwrap().count();
    let room = room();
    let dry = Receiving { dry_run: true, ..receiving(&new) };
    run_in(&ample, &source, &new.id, &room, &target, &dry).1.unwrap();
    let known = entries();
    assert!(known > 0);
    // It relies on what the cache has, which is then said to be wrong.
    run_in(&ample, &source, &new.id, &room, &target, &dry).1.unwrap();
    let again = Receiving { attempt: Attempt::FullResend, ..receiving(&new) };
    run_in(&ample, &source, &new.id, &room, &target, &again).1.unwrap();
    assert!(entries() < known, "{} of {known} are left", entries());
}
