//! An endpoint and what a client asks of it, in its order and in others.

use std::io::Write;
use std::thread;

use dsync_core::Digest;
use dsync_engine::StoreError;
use dsync_proto::{Compression, Failure, FolderPurpose, Holder, LayerState, ListedImage, Status};

use super::*;
use crate::transfer_tests::{Layout, tar};

fn open(store: &str, platform: &str) -> Request {
    let (store, platform) = (store.to_owned(), platform.to_owned());
    Request::Open(Open {
        store,
        platform,
        tmpfolder: String::new(),
        memory: 64 << 20,
        timeout: 0,
        engine_timeout: 0,
        password: None,
    })
}

fn list(patterns: &[&str]) -> Request {
    Request::List { patterns: patterns.iter().map(ToString::to_string).collect() }
}

/// The answers to these requests.
fn answers(requests: &[Request]) -> Vec<Reply> {
    let interrupt = Interrupt::default();
    let (client, served) = Link::pair(&interrupt);
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(served, &Site::here("1.2.3", &interrupt)).unwrap());
        let replies = requests.iter().map(|request| {
            client.outbox.request(request).unwrap();
            loop {
                let frame = client.inbox.recv().unwrap();
                if frame.channel == dsync_proto::Channel::Control {
                    break dsync_proto::decode(&frame.payload).unwrap();
                }
            }
        });
        let replies = replies.collect();
        drop(client);
        serving.join().unwrap();
        replies
    })
}

fn kinds(replies: &[Reply]) -> Vec<Option<FailureKind>> {
    let kind = |reply: &Reply| match reply {
        Reply::Failed(failure) => Some(failure.kind),
        _ => None,
    };
    replies.iter().map(kind).collect()
}

impl Layout {
    fn spec(&self) -> String {
        format!("oci:{}", self.folder.path().display())
    }
}

#[test]
fn nothing_is_answered_before_a_store_is_open_and_all_of_it_after() {
    let layout = Layout::new();
    layout.image("a", &[&tar("a")], "a:1");
    let spec = layout.spec();
    let replies = answers(&[list(&[]), open(&spec, "nowhere"), list(&[]), open(&spec, ""), list(&[])]);
    let protocol = Some(FailureKind::Protocol);
    assert_eq!(kinds(&replies), [protocol, protocol, protocol, None, None]);
    let Reply::Opened(opened) = &replies[3] else { panic!("{:?}", replies[3]) };
    assert_eq!(opened.version, "1.2.3");
    assert!(opened.has_packages && !opened.id_is_config);
    let Reply::Images { images, .. } = &replies[4] else { panic!("{:?}", replies[4]) };
    assert_eq!(images.len(), 1);
}

#[test]
fn a_host_is_described_before_a_store_is_open_and_after() {
    let layout = Layout::new();
    let examine = |wanted| Request::Examine { tmpfolder: String::new(), probe: vec![7; 9], wanted };
    let too_many = u32::try_from(dsync_proto::limits::PROBE).unwrap() + 1;
    let probe = vec![0; dsync_proto::limits::PROBE + 1];
    let too_long = Request::Examine { tmpfolder: String::new(), probe, wanted: 0 };
    let replies = answers(&[examine(5), open(&layout.spec(), ""), examine(0), examine(too_many), too_long]);
    let protocol = Some(FailureKind::Protocol);
    assert_eq!(kinds(&replies), [None, None, None, protocol, protocol]);
    let described = |at: usize| match &replies[at] {
        Reply::Examined(examined) => examined,
        reply => panic!("{reply:?}"),
    };
    let uses = |at: usize| described(at).folders.iter().map(|folder| folder.purpose).collect::<Vec<_>>();
    assert_eq!(described(0).probe.len(), 5);
    assert!(described(0).system.contains(' '), "{:?}", described(0));
    assert!(!uses(0).contains(&FolderPurpose::Images), "no store is open: {:?}", uses(0));
    assert!(uses(0).contains(&FolderPurpose::Temporary), "{:?}", uses(0));
    assert_eq!(uses(2)[0], FolderPurpose::Images);
    assert!(described(2).folders[0].free.is_some_and(|free| free > 0), "{:?}", described(2));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(now.as_millis() - u128::from(described(2).clock) < 60_000);
}

#[test]
fn who_stands_in_for_another_host_does_not_describe_it() {
    let interrupt = Interrupt::default();
    let (client, served) = Link::pair(&interrupt);
    let serving =
        thread::spawn(move || serve(served, &Site { stands_in: true, ..Site::here("1.2.3", &interrupt) }));
    client.outbox.request(&Request::Examine { tmpfolder: String::new(), probe: vec![], wanted: 0 }).unwrap();
    let reply: Reply = dsync_proto::decode(&client.inbox.recv().unwrap().payload).unwrap();
    assert_eq!(kinds(&[reply]), [Some(FailureKind::Unsupported)]);
    drop(client);
    serving.join().unwrap().unwrap();
}

#[test]
fn a_store_that_is_opened_later_takes_the_place_of_the_first() {
    let (one, two) = (Layout::new(), Layout::new());
    one.image("a", &[&tar("a")], "a:1");
    two.image("b", &[&tar("b")], "b:1");
    let replies = answers(&[
        open(&one.spec(), ""),
        open(&two.spec(), ""),
        open(&one.spec(), "no/such/plat/form"),
        list(&[]),
    ]);
    assert_eq!(kinds(&replies), [None, None, Some(FailureKind::Protocol), None]);
    let Reply::Images { images, .. } = &replies[3] else { panic!("{:?}", replies[3]) };
    assert_eq!(images[0].names, ["b:1"], "one that failed leaves the one before");
}

#[test]
fn a_folder_that_is_none_is_a_mistake_of_the_user() {
    let layout = Layout::new();
    let mut request = open(&layout.spec(), "");
    let Request::Open(open) = &mut request else { unreachable!() };
    open.tmpfolder = layout.folder.path().join("index.json").display().to_string();
    assert_eq!(kinds(&answers(&[request])), [Some(FailureKind::Usage)]);
}

#[test]
fn a_list_has_the_images_that_patterns_mean_in_the_order_of_their_names() {
    let layout = Layout::new();
    let images = [("b", "shop/web:2"), ("a", "shop/web:1"), ("c", "tools:1")];
    let ids = images.map(|(label, name)| layout.image(label, &[&tar(label)], name).id);
    let short = &ids[2].hex()[..12];
    let spec = layout.spec();
    let listed = |platform: &str, patterns: &[&str]| {
        let reply = answers(&[open(&spec, platform), list(patterns)]).remove(1);
        let Reply::Images { images, names, .. } = reply else { panic!("{reply:?}") };
        let name = |image: &ListedImage| image.names.join(",");
        (images.iter().map(name).collect::<Vec<_>>(), names.len())
    };
    let none: [&str; 0] = [];
    assert_eq!(listed("", &[]), (["shop/web:1", "shop/web:2", "tools:1"].map(String::from).into(), 0));
    assert_eq!(listed("", &["shop/*:*"]).0, ["shop/web:1", "shop/web:2"]);
    assert_eq!(listed("", &[short]).0, ["tools:1"]);
    // For a pattern that means nothing, all names are there to find a near one.
    assert_eq!(listed("", &["tools:1", "shop/wep:1"]), (vec!["tools:1".into()], 3));
    assert_eq!(listed("linux/s390x", &[]).0, none);
    assert_eq!(kinds(&answers(&[open(&spec, ""), list(&["No Name"])])), [None, Some(FailureKind::Usage)]);
}

#[test]
fn a_digest_inside_an_index_means_the_image_that_has_it() {
    let (layout, index, [own, other]) = Layout::indexed("app:1");
    layout.image("b", &[&tar("b")], "b:1");
    let spec = layout.spec();
    let asked =
        |platform: &str, patterns: &[&str]| answers(&[open(&spec, platform), list(patterns)]).remove(1);
    let listed = |patterns: &[&str]| match asked("", patterns) {
        Reply::Images { images, .. } => images
            .iter()
            .map(|image| (ImageId::from_bytes(image.id), image.names.clone()))
            .collect::<Vec<_>>(),
        reply => panic!("{reply:?}"),
    };
    let unnamed = |image: &Image| (image.id, Vec::new());
    let named = |id: ImageId, name: &str| (id, vec![name.to_owned()]);
    for image in [&own, &other] {
        // The name is that of the index around it.
        assert_eq!(listed(&[&format!("app:1@{}", image.id)]), [unnamed(image)]);
        assert_eq!(listed(&[&format!("new:1@{}", image.id)]), [unnamed(image)]);
        assert_eq!(listed(&[&image.id.to_string()]), [unnamed(image)]);
        assert_eq!(listed(&[&image.id.hex()]), [unnamed(image)]);
        let twice = [format!("x:1@{}", image.id), format!("y:1@{}", image.id)];
        assert_eq!(listed(&[&twice[0], &twice[1]]), [unnamed(image)]);
        // Another image has the name.
        let b = listed(&["b:1"]).remove(0);
        assert_eq!(listed(&[&format!("b:1@{}", image.id)]), [b, unnamed(image)]);
    }
    assert_eq!(listed(&[&format!("app:1@{index}")]), [named(index, "app:1")]);
    // It may be listed by itself as well, under another name.
    layout.image_for("s390x", "other", &[&tar("other")], "alone:1");
    assert_eq!(listed(&[&format!("app:1@{}", other.id)]), [named(other.id, "alone:1")]);
    layout.image("b", &[&tar("b")], "alone:1");
    layout.leave(&index, "app:1");
    assert_eq!(
        listed(&[&other.id.hex()[..12]]),
        [],
        "a part of a digest is looked for among the images alone"
    );

    let refused = |platform: &str, digest: &Digest| match asked(platform, &[&format!("app:1@{digest}")]) {
        Reply::Failed(Failure { kind: FailureKind::NoDigest, causes }) => causes.concat(),
        reply => panic!("{reply:?}"),
    };
    let said = refused("linux/amd64", &other.id.digest());
    let begin = format!("{} is in the index of app:1 ({index}): it is ", other.id);
    assert_eq!(said, format!("{begin}its image for linux/s390x, and --platform asks for linux/amd64"));
    std::fs::remove_file(layout.path(&other.diff_ids[0].digest())).unwrap();
    let said = refused("", &other.id.digest());
    assert!(
        said.starts_with(&format!("{begin}its manifest for linux/s390x, which is not to be had there")),
        "{said}"
    );
}

#[test]
fn a_digest_inside_an_index_that_has_nothing_for_this_host_means_its_image() {
    let (layout, _, [own, other]) = Layout::indexed("app:1");
    let third = layout.image_for("riscv64", "third", &[&tar("third")], "third:1");
    let index = layout.index(&[&other, &third]);
    layout.leave(&index, "app:1");
    let asked = |pattern: &str| match answers(&[open(&layout.spec(), ""), list(&[pattern])]).remove(1) {
        Reply::Images { images, unreadable, .. } => (images.len(), unreadable.len()),
        reply => panic!("{reply:?}"),
    };
    assert_eq!(asked("app:1"), (0, 1));
    assert_eq!(asked(&format!("app:1@{}", third.id)), (1, 0), "the index around it was not asked for");
    assert_eq!(asked(&format!("app:1@{}", own.id)), (0, 1));
}

#[test]
fn a_source_must_exist_and_a_target_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let spec = format!("oci:{}", folder.path().join("none").display());
    let survey = Request::Survey { images: Vec::new(), exact: false };
    let replies = answers(&[open(&spec, ""), list(&[]), survey]);
    assert_eq!(kinds(&replies), [None, Some(FailureKind::NoStore), None]);
}

#[test]
fn a_survey_says_of_each_name_and_layer_what_the_target_has() {
    let (source, target) = (Layout::new(), Layout::new());
    let (base, old, new) = (tar("base"), tar("old"), tar("new"));
    let mut wanted = source.image("new", &[&base, &new], "app:1");
    wanted.names.push("app:2".parse().unwrap());
    let old = target.image("old", &[&base, &old], "app:1");
    let asked = Request::Survey { images: vec![to_wire(&wanted)], exact: false };
    let replies = answers(&[open(&target.spec(), ""), asked]);
    let Reply::Surveyed(surveys) = &replies[1] else { panic!("{:?}", replies[1]) };
    assert_eq!(surveys[0].status, [Status::NeedUpdate, Status::New]);
    assert_eq!(surveys[0].layers, [LayerState::Shared, LayerState::Missing]);
    assert_eq!(surveys[0].basis, ["app:1"]);
    let holder = Holder { id: *old.id.as_bytes(), created: "1970-01-01T00:00:01Z".into() };
    assert_eq!(surveys[0].holders, [Some(holder), None]);
    assert!(!surveys[0].open);
}

#[test]
fn an_image_is_verified_by_its_bytes() {
    let layout = Layout::new();
    let layer = tar(&"text".repeat(1000));
    let image = layout.image("a", &[&layer], "a:1");
    let verify = |image: &Image| {
        answers(&[open(&layout.spec(), ""), Request::Verify { image: to_wire(image) }]).remove(1)
    };
    // A layout keeps the layer uncompressed: its tar is its blob, read once.
    assert_eq!(verify(&image), Reply::Verified { bytes: layer.len() as u64 });
    // Another name of it is that of another image.
    layout.image("b", &[&tar("b")], "b:1");
    let both = Image { names: vec!["a:1".parse().unwrap(), "b:1".parse().unwrap()], ..image.clone() };
    assert_eq!(kinds(&[verify(&both)]), [Some(FailureKind::AnotherImage)]);
    let absent = Image { names: vec!["c:1".parse().unwrap()], ..image.clone() };
    assert_eq!(kinds(&[verify(&absent)]), [Some(FailureKind::NoSuchImage)]);
    let other =
        Image { config: Some(Digest::of(b"other")), names: vec!["a:1".parse().unwrap()], ..image.clone() };
    assert_eq!(kinds(&[verify(&other)]), [Some(FailureKind::AnotherImage)]);
    // A byte of the layer is another one.
    let path = layout.path(&Digest::of(&layer));
    let mut damaged = layer.clone();
    damaged[600] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::File::create(&path).unwrap().write_all(&damaged).unwrap();
    let failure = kinds(&[verify(&image)]);
    assert!(matches!(failure[..], [Some(FailureKind::Broken | FailureKind::Other)]), "{failure:?}");
}

#[test]
fn an_end_that_fails_tells_the_other_to_give_up() {
    let layout = Layout::new();
    let interrupt = Interrupt::default();
    let (mut client, served) = Link::pair(&interrupt);
    let send = Request::Send {
        image: [7; 32],
        compression: Compression::Auto,
        speed: None,
        dry_run: false,
        explain: false,
        exact: false,
        prove: false,
        key: [0; 16],
    };
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(served, &Site::here("1", &interrupt)).unwrap());
        client.outbox.request(&open(&layout.spec(), "")).unwrap();
        client.inbox.recv().unwrap();
        client.outbox.request(&send).unwrap();
        let error = client.expect_peer().unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<crate::failure::Aborted>()), "{error}");
        let reply: Reply = dsync_proto::decode(&client.inbox.recv().unwrap().payload).unwrap();
        assert_eq!(kinds(&[reply]), [Some(FailureKind::NoSuchImage)]);
        // It goes on.
        client.outbox.request(&list(&[])).unwrap();
        assert_eq!(client.inbox.recv().unwrap().channel, dsync_proto::Channel::Control);
        drop(client);
        serving.join().unwrap();
    });
}

#[test]
fn an_opener_that_fails_is_asked_again() {
    let interrupt = Interrupt::default();
    let (client, served) = Link::pair(&interrupt);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let opener = |spec: &str, _: &Path, _: &Sudo| -> Result<Box<dyn Store>, EndpointError> {
                Err(StoreError::NotFound { program: spec.to_owned() }.into())
            };
            serve(served, &Site { opener: &opener, ..Site::here("1", &interrupt) }).unwrap();
        });
        for _ in 0..2 {
            client.outbox.request(&open("docker", "")).unwrap();
            let reply: Reply = dsync_proto::decode(&client.inbox.recv().unwrap().payload).unwrap();
            assert_eq!(kinds(&[reply]), [Some(FailureKind::EngineNotFound)]);
        }
        drop(client);
        serving.join().unwrap();
    });
}
