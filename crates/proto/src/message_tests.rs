//! The bytes of messages, pinned.

use super::*;

#[test]
fn the_bytes_are_pinned() {
    let send = Request::Send {
        image: [7; 32],
        compression: Compression::Level(9),
        speed: Some(1000),
        dry_run: false,
        explain: true,
        exact: false,
        prove: true,
        key: [8; 16],
    };
    let mut expected = vec![3]; // the fourth variant
    expected.extend([7; 32]); // an array has no length in front
    expected.extend([1, 18]); // the second variant; 9, zigzag
    expected.extend([1, 0xe8, 7]); // there is one; 1000, seven bits at a time
    expected.extend([0, 1, 0, 1]); // false, true, false, true
    expected.extend([8; 16]);
    assert_eq!(encode(&send).unwrap(), expected);

    let want = Want::Layers {
        layers: vec![3],
        without_basis: false,
        basis: vec![[7; 5]],
        partial: 2,
        described: vec![5],
    };
    let mut expected = vec![0, 1, 1, 3, 0, 1];
    expected.extend([7; 5]);
    expected.extend([2, 1, 5]);
    assert_eq!(encode(&Peer::Want(want)).unwrap(), expected);
    assert_eq!(encode(&Peer::Proofs(vec![[1, 2, 3], [4, 5, 6]])).unwrap(), [7, 2, 1, 2, 3, 4, 5, 6]);
    let offer = Offer {
        basis: vec![Known::No, Known::Bytes],
        stored: vec![Stored::Plain, Stored::Compressed(vec![9]), Stored::Opaque],
    };
    assert_eq!(encode(&Peer::Offer(offer)).unwrap(), [1, 2, 0, 2, 3, 0, 1, 1, 9, 2]);

    let failed = Reply::Failed(Failure { kind: FailureKind::TemporaryFull, causes: vec!["full".into()] });
    assert_eq!(encode(&failed).unwrap(), [5, 4, 1, 4, b'f', b'u', b'l', b'l']);
    assert_eq!(encode(&Event::Phase(Phase::Load)).unwrap(), [0, 3]);
}

#[test]
fn a_listed_image_is_pinned() {
    let image = ListedImage {
        id: [1; 32],
        config: ListedConfig::Digest([2; 32]),
        names: vec!["a:1".into()],
        digests: vec![[3; 32]],
        diff_ids: vec![[4; 32]],
        platform: ListedPlatform { os: "linux".into(), architecture: "arm".into(), variant: "v7".into() },
        size: 300,
        created: "t".into(),
    };
    let mut expected = vec![1; 32];
    expected.push(2); // the third variant
    expected.extend([2; 32]);
    expected.extend(b"\x01\x03a:1\x01");
    expected.extend([3; 32]);
    expected.push(1);
    expected.extend([4; 32]);
    expected.extend(b"\x05linux\x03arm\x02v7\xac\x02\x01t");
    assert_eq!(encode(&image).unwrap(), expected);
    let unreadable = UnreadableImage { id: None, names: vec!["b:1".into()], reason: "r".into() };
    let images = Reply::Images { images: Vec::new(), unreadable: vec![unreadable], names: Vec::new() };
    assert_eq!(encode(&images).unwrap(), b"\x01\x00\x01\x00\x01\x03b:1\x01r\x00");
    assert_eq!(encode(&Request::Configs { images: vec![[5; 32]] }).unwrap()[..3], [6, 1, 5]);
    assert_eq!(encode(&Reply::Configs(vec![None, Some([6; 32])])).unwrap()[..5], [7, 2, 0, 1, 6]);
}

#[test]
fn a_survey_is_pinned() {
    let survey = Survey {
        status: vec![Status::NeedUpdate, Status::New],
        layers: vec![LayerState::Missing],
        basis: vec!["a:1".into()],
        open: true,
        holders: vec![Some(Holder { id: [5; 32], created: "t".into() }), None],
        foreign_to: "p".into(),
    };
    let mut expected = vec![2, 1]; // the third variant; one survey
    expected.extend([2, 1, 2]); // two statuses
    expected.extend([1, 2]); // one layer
    expected.extend(b"\x01\x03a:1"); // one basis
    expected.push(1); // true
    expected.extend([2, 1]); // two names, of which an image has the first
    expected.extend([5; 32]); // its ID
    expected.extend(b"\x01t\x00"); // its time; none has the second
    expected.extend(b"\x01p"); // the platform of the host
    assert_eq!(encode(&Reply::Surveyed(vec![survey])).unwrap(), expected);
}

/// A message, and its bytes as parts that a comment can stand beside.
fn pinned<T>(message: &T, parts: &[&[u8]])
where
    T: Serialize + for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    let bytes = parts.concat();
    assert_eq!(encode(message).unwrap(), bytes, "{message:?}");
    assert_eq!(&decode::<T>(&bytes).unwrap(), message);
}

fn image() -> (ListedImage, Vec<u8>) {
    let image = ListedImage {
        id: [1; 32],
        config: ListedConfig::Id,
        names: Vec::new(),
        digests: Vec::new(),
        diff_ids: Vec::new(),
        platform: ListedPlatform { os: String::new(), architecture: String::new(), variant: String::new() },
        size: 5,
        created: String::new(),
    };
    // The ID; it is the config's digest; no names, digests, diff ids, platform; five bytes; no time.
    let bytes = [&[1; 32][..], &[1, 0, 0, 0, 0, 0, 0, 5, 0]].concat();
    (image, bytes)
}

#[test]
fn an_examination_is_pinned() {
    let examine = Request::Examine { tmpfolder: "/t".into(), probe: vec![9, 8], wanted: 300 };
    pinned(&examine, &[&[7], b"\x02/t", &[2, 9, 8], &[0xac, 2]]);
    let folder = |purpose, free| Folder { purpose, path: "/a".into(), free };
    let examined = Examined {
        system: "s m".into(),
        uid: 300,
        clock: 128,
        has_rsync: true,
        folders: vec![
            folder(FolderPurpose::Images, Some(5)),
            folder(FolderPurpose::Temporary, None),
            folder(FolderPurpose::Cache, Some(300)),
        ],
        probe: vec![7],
    };
    let head = b"\x03s m\xac\x02\x80\x01\x01\x03";
    let folders = b"\x00\x02/a\x01\x05\x01\x02/a\x00\x02\x02/a\x01\xac\x02";
    pinned(&Reply::Examined(examined), &[&[8], head, folders, &[1, 7]]);
}

#[test]
fn requests_are_pinned() {
    let (image, listed) = image();
    let open = Open {
        store: "oci:x".into(),
        tmpfolder: "/t".into(),
        platform: "a/b".into(),
        memory: 128,
        timeout: 300,
        engine_timeout: 7,
        password: None,
    };
    let parts = [&[0][..], b"\x05oci:x", b"\x02/t", b"\x03a/b", &[0x80, 1], &[0xac, 2], &[7]];
    pinned(&Request::Open(open.clone()), &[&parts[..], &[&[0]]].concat());
    let open = Open { password: Some(Secret::new("secret".into())), ..open };
    assert!(!format!("{open:?}").contains("secret"));
    pinned(&Request::Open(open), &[&parts[..], &[b"\x01\x06secret"]].concat());
    pinned(&Request::List { patterns: vec!["a*".into()] }, &[&[1, 1], b"\x02a*"]);
    pinned(&Request::Survey { images: vec![image.clone()], exact: true }, &[&[2, 1], &listed, &[1]]);
    let receive = Receive {
        image: image.clone(),
        names: vec!["a:1".into()],
        basis: "b:1".into(),
        without_basis: true,
        dry_run: false,
        exact: true,
        prove: false,
        key: [9; 16],
    };
    let flags = [1, 0, 1, 0]; // whole, dry run, exact, prove
    let parts: [&[u8]; 6] = [&[4], &listed, b"\x01\x03a:1", b"\x03b:1", &flags, &[9; 16]];
    pinned(&Request::Receive(receive), &parts);
    pinned(&Request::Verify { image }, &[&[5], &listed]);
    for (compression, bytes) in
        [(Compression::Auto, &[0][..]), (Compression::Level(-1), &[1, 1]), (Compression::Max, &[2])]
    {
        pinned(&compression, &[bytes]);
    }
}

#[test]
fn referrers_are_pinned() {
    pinned(&Request::SendReferrers { image: [7; 32] }, &[&[8], &[7; 32]]);
    let receive = Request::ReceiveReferrers { image: [7; 32], names: vec!["a:1".into()] };
    pinned(&receive, &[&[9], &[7; 32], b"\x01\x03a:1"]);
    pinned(&Reply::Referrers { count: 300 }, &[&[9], &[0xac, 2]]);
    let listed = ListedReferrer { root: [5; 32], tag: "t".into(), blobs: 3 };
    // One; its root, its tag, the number of its blobs.
    pinned(&Peer::Referrers(vec![listed]), &[&[8, 1], &[5; 32], b"\x01t", &[3]]);
    pinned(&Peer::Lacking(vec![0, 300]), &[&[9, 2, 0], &[0xac, 2]]);
}

#[test]
fn replies_are_pinned() {
    let (image, listed) = image();
    let opened = Opened {
        store: "docker".into(),
        id_is_config: true,
        has_packages: false,
        keeps_referrers: true,
        version: "1".into(),
    };
    pinned(&Reply::Opened(opened), &[&[0], b"\x06docker", &[1, 0, 1], b"\x011"]);
    let images = Reply::Images { images: vec![image], unreadable: Vec::new(), names: vec!["a:1".into()] };
    pinned(&images, &[&[1, 1], &listed, &[0], b"\x01\x03a:1"]);
    let cost = Cost { layer: 2, path: "etc/".into(), files: 3, changed: true, raw: 300, packed: 4 };
    let sent = Reply::Sent { raw: 1, packed: 2, metadata: 3, costs: vec![cost] };
    pinned(&sent, &[&[3, 1, 2, 3, 1], &[2], b"\x04etc/", &[3, 1], &[0xac, 2], &[4]]);
    let layer = LayerOutcome { state: LayerState::Local, len: 200, reused: 100 };
    let received = Received { id: [6; 32], layers: vec![layer], was_there: true, packed_again: 7 };
    // An outcome: its state, its bytes, those that were here.
    pinned(&Reply::Received(received), &[&[4], &[6; 32], &[1], &[1, 0xc8, 1, 100], &[1, 7]]);
    pinned(&Reply::Verified { bytes: 9 }, &[&[6, 9]]);
}

#[test]
fn messages_of_peers_and_events_are_pinned() {
    pinned(&Peer::Want(Want::Nothing), &[&[0, 0]]);
    pinned(&Peer::Question { question: vec![1, 2] }, &[&[2], &[2, 1, 2]]);
    pinned(&Peer::Answer { answer: vec![3] }, &[&[3], &[1, 3]]);
    pinned(&Peer::Candidates { bitmap: vec![4] }, &[&[4], &[1, 4]]);
    pinned(&Peer::Took { len: 300, micros: 5 }, &[&[5], &[0xac, 2], &[5]]);
    pinned(&Peer::Abort, &[&[6]]);
    pinned(&Event::Total(300), &[&[1], &[0xac, 2]]);
    pinned(&Event::Advance(1), &[&[2, 1]]);
    pinned(&Event::Batch { raw: 300, packed: 2 }, &[&[6], &[0xac, 2], &[2]]);
    pinned(&Event::Note("n".into()), &[&[3], b"\x01n"]);
    pinned(&Event::Waiting { program: "p".into(), seconds: 40 }, &[&[4], b"\x01p", &[40]]);
    pinned(&Event::Partial(300), &[&[5], &[0xac, 2]]);
}

/// The number of each variant is its place.
#[test]
fn variants_are_numbered() {
    fn numbered<T: Serialize + std::fmt::Debug>(variants: &[T]) {
        for (number, variant) in variants.iter().enumerate() {
            assert_eq!(encode(variant).unwrap(), [number as u8], "{variant:?}");
        }
    }
    use FailureKind::*;
    let kinds = [
        EngineNotFound,
        EngineDown,
        EnginePermission,
        NoSuchImage,
        TemporaryFull,
        Broken,
        Mismatch,
        Aborted,
        Usage,
        Other,
        Changed,
        AnotherImage,
        NoStore,
        Unsupported,
        Protocol,
        DamagedPatch,
        NoBasis,
        StorageFull,
        ClientFull,
        NoDigest,
        EnginePassword,
    ];
    numbered(&kinds);
    numbered(&[Phase::Scan, Phase::Basis, Phase::Transfer, Phase::Load, Phase::Verify]);
    numbered(&[Status::Current, Status::NeedUpdate, Status::New]);
    numbered(&[LayerState::Shared, LayerState::Local, LayerState::Missing]);
    numbered(&[Known::No, Known::Index, Known::Bytes]);
    numbered(&[Stored::Plain]);
    assert_eq!(encode(&Stored::Opaque).unwrap(), [2]);
    assert_eq!(encode(&ListedConfig::Unknown).unwrap(), [0]);
}

#[test]
fn what_is_left_over_is_an_error() {
    assert!(decode::<Event>(&[1, 5]).is_ok());
    assert!(decode::<Event>(&[1, 5, 0]).is_err());
    assert!(decode::<Event>(&[9]).is_err());
}

#[test]
fn every_list_and_text_is_counted_while_it_is_decoded() {
    let (code, _) = include_str!("message.rs").split_once("#[cfg(test)]").unwrap();
    let mut before = "";
    for line in code.lines().map(str::trim) {
        let is_field = line.ends_with(',') && !line.starts_with("//");
        if is_field && (line.contains("Vec<") || line.contains("String")) {
            assert!(format!("{before}{line}").contains("budget::"), "not counted: {line}");
        }
        before = line;
    }
}

#[test]
fn a_small_frame_does_not_become_a_large_message() {
    // 16 MiB of empty names would take 400 MB, as many layers that are stored plainly 500 MB.
    let many = |begin: &[u8], count: usize| {
        let mut bytes = begin.to_vec();
        bytes.extend(encode(&(count as u64)).unwrap());
        bytes.resize(bytes.len() + count, 0);
        bytes
    };
    let (few, lot) = (1000, 4 << 20);
    assert!(decode::<Reply>(&many(&[5, 9], few)).is_ok());
    assert!(decode::<Reply>(&many(&[5, 9], lot)).is_err());
    assert!(decode::<Peer>(&many(&[1, 0], few)).is_ok());
    assert!(decode::<Peer>(&many(&[1, 0], lot)).is_err());
    // Byte strings take no more memory than their bytes.
    assert!(decode::<Peer>(&many(&[2], 15 << 20)).is_ok());
}

#[test]
fn a_length_alone_allocates_nothing() {
    // A vector that claims 2^60 entries and ends.
    let lie = [3, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(decode::<Peer>(&lie).is_err());
    assert!(decode::<Reply>(&lie).is_err());
}
