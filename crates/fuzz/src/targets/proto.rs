//! Frames and messages of a peer.

use std::fmt::Debug;

use dsync_proto::{
    Channel, Compression, Event, Examined, Failure, FailureKind, Folder, FolderPurpose, HEADER_LEN, Header,
    Holder, Known, ListedConfig, ListedImage, ListedPlatform, ListedReferrer, Offer, Open, Peer, Receive,
    Reply, Request, Status, Stored, Survey, Want, decode, encode,
};
use serde::{Deserialize, Serialize};

use crate::{Memory, Target};

/// A message of any bytes, which is the same again when it is said on; and the header of a frame.
pub(super) const MESSAGES: Target =
    Target { name: "messages", run, memory: Memory { least: 1 << 16, factor: 128 }, seeds };

fn run(input: &[u8]) {
    let Some((kind, payload)) = input.split_first() else { return };
    match kind % 6 {
        0 => said_on::<Request>(payload),
        1 => said_on::<Reply>(payload),
        2 => said_on::<Peer>(payload),
        3 => said_on::<Event>(payload),
        4 => said_on::<ListedImage>(payload),
        _ => frame(payload),
    }
}

fn said_on<T: Serialize + for<'a> Deserialize<'a> + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = decode::<T>(payload) else { return };
    let again = encode(&message).expect("a message can be said on");
    // Numbers can be written with more bytes than they need, never with fewer.
    assert!(again.len() <= payload.len(), "a message became longer");
    assert_eq!(decode::<T>(&again).ok(), Some(message));
    let more = [&again[..], &[0]].concat();
    assert!(decode::<T>(&more).is_err(), "bytes are left over");
}

fn frame(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else { return };
    let Ok(header) = Header::decode(bytes) else { return };
    assert!(header.len <= header.channel.limit());
    assert_eq!(header.encode(), Some(*bytes));
}

/// An image as it is listed.
pub(super) fn listed() -> ListedImage {
    ListedImage {
        id: [1; 32],
        config: ListedConfig::Digest([2; 32]),
        names: vec!["registry.example:5000/app:1".into()],
        digests: vec![[3; 32]],
        diff_ids: vec![[4; 32], [5; 32]],
        platform: ListedPlatform { os: "linux".into(), architecture: "arm".into(), variant: "v7".into() },
        size: 300_000,
        created: "2026-01-02T03:04:05Z".into(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    fn seed<T: Serialize>(kind: u8, message: &T) -> Vec<u8> {
        [&[kind][..], &encode(message).expect("a message can be said")].concat()
    }
    let image = listed();
    let receive = Receive {
        image: image.clone(),
        names: vec!["app:1".into(), "app:latest".into()],
        basis: "app:0".into(),
        without_basis: false,
        dry_run: false,
        exact: true,
        prove: false,
        key: [9; 16],
    };
    let want = Want::Layers {
        layers: vec![1, 2],
        without_basis: false,
        basis: vec![[7; 5], [8; 5]],
        partial: 1,
        described: vec![0],
    };
    let offer = Offer {
        basis: vec![Known::No, Known::Index, Known::Bytes],
        stored: vec![Stored::Plain, Stored::Compressed(vec![1, 6, 6, 0, 0, 0, 0]), Stored::Opaque],
    };
    let failure = Failure {
        kind: FailureKind::TemporaryFull,
        causes: vec!["the disk is full".into(), "os error".into()],
    };
    let open = Open {
        store: "oci:/srv/images".into(),
        tmpfolder: String::new(),
        platform: "linux/arm64".into(),
        memory: 256 << 20,
        timeout: 60_000,
        engine_timeout: 0,
        password: Some(dsync_proto::Secret::new("secret".into())),
    };
    let survey = Survey {
        status: vec![Status::Current, Status::NeedUpdate],
        layers: vec![dsync_proto::LayerState::Shared, dsync_proto::LayerState::Missing],
        basis: vec!["app:0".into()],
        open: false,
        holders: vec![None, Some(Holder { id: [4; 32], created: "2026-01-02T03:04:05Z".into() })],
        foreign_to: "linux/amd64".into(),
    };
    let folder = Folder { purpose: FolderPurpose::Cache, path: "/c".into(), free: Some(1 << 30) };
    let examined = Examined {
        system: "Linux x86_64".into(),
        uid: 1000,
        clock: 1 << 40,
        has_rsync: true,
        folders: vec![folder],
        probe: vec![7; 5],
    };
    let listed_referrer =
        ListedReferrer { root: [6; 32], tag: format!("sha256-{}.sig", "0".repeat(64)), blobs: 3 };
    vec![
        seed(0, &Request::Open(open)),
        seed(0, &Request::List { patterns: vec!["app:*".into()] }),
        seed(0, &Request::Survey { images: vec![image.clone()], exact: true }),
        seed(0, &Request::Receive(receive)),
        seed(0, &Request::Configs { images: vec![[5; 32]] }),
        seed(0, &Request::Examine { tmpfolder: "/t".into(), probe: vec![7; 9], wanted: 5 }),
        seed(0, &Request::SendReferrers { image: [5; 32] }),
        seed(0, &Request::ReceiveReferrers { image: [5; 32], names: vec!["app:1".into()] }),
        seed(1, &Reply::Surveyed(vec![survey])),
        seed(1, &Reply::Examined(examined)),
        seed(1, &Reply::Failed(failure)),
        seed(1, &Reply::Configs(vec![None, Some([6; 32])])),
        seed(1, &Reply::Referrers { count: 3 }),
        seed(2, &Peer::Referrers(vec![listed_referrer])),
        seed(2, &Peer::Lacking(vec![0])),
        seed(2, &Peer::Want(want)),
        seed(2, &Peer::Offer(offer)),
        seed(2, &Peer::Question { question: vec![1, 2, 3, 4] }),
        seed(2, &Peer::Took { len: 1 << 20, micros: 300_000 }),
        seed(2, &Peer::Proofs(vec![[1, 2, 3]])),
        seed(3, &Event::Note("reads the layer".into())),
        seed(3, &Event::Waiting { program: "docker".into(), seconds: 40 }),
        seed(3, &Event::Advance(1 << 30)),
        seed(3, &Event::Batch { raw: 1 << 20, packed: 1 << 10 }),
        seed(3, &Event::Partial(1 << 26)),
        seed(4, &image),
        seed(0, &Compression::Level(9)),
        [&[5][..], &Header { channel: Channel::Data, len: 300 }.encode().expect("it is short")].concat(),
    ]
}
