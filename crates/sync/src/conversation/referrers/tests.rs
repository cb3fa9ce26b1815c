//! Referrers over a link, between layouts that have their blobs and none.

use std::fs;
use std::path::Path;
use std::thread;

use dsync_engine::{BlobRef, StoreSpec};
use dsync_proto::FailureKind;

use super::*;
use crate::interrupt::Interrupt;

/// A layout with these blobs and no image.
fn layout(folder: &Path, blobs: &[&[u8]]) -> Box<dyn Store> {
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    for blob in blobs {
        fs::write(folder.join("blobs/sha256").join(Digest::of(blob).hex()), blob).unwrap();
    }
    dsync_engine::open(&StoreSpec::OciLayout(folder.to_owned()), folder).unwrap()
}

fn referrer(blobs: &[&[u8]], tag: &str) -> Referrer {
    let blob = |bytes: &&[u8]| BlobRef { digest: Digest::of(bytes), size: bytes.len() as u64 };
    let blobs: Vec<BlobRef> = blobs.iter().map(blob).collect();
    let tag = (!tag.is_empty()).then(|| tag.parse().unwrap());
    Referrer { root: blobs[0], media_type: String::new(), tag, blobs }
}

/// The blobs of each referrer that the target lacked.
type Received = Result<Vec<Vec<Vec<u8>>>, EndpointError>;

/// Both halves, where the target lacks the referrers at these places.
fn cross(
    store: &dyn Store,
    referrers: &[Referrer],
    lacking: &[usize],
) -> (Result<(), EndpointError>, Received) {
    let (mut source, mut target) = Link::pair(&Interrupt::default());
    thread::scope(|scope| {
        let sending = scope.spawn(move || send(&mut source, store, referrers, Effort::Level(3)));
        let received = receive_list(&mut target).and_then(|list| {
            assert!(list.iter().map(|listed| &listed.tag).eq(referrers.iter().map(|one| &one.tag)));
            assert!(list.iter().map(|listed| listed.root).eq(referrers.iter().map(|one| one.root.digest)));
            receive(&mut target, &list, lacking)
        });
        drop(target);
        (sending.join().unwrap(), received)
    })
}

#[test]
fn the_target_gets_the_blobs_of_those_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let store = layout(folder.path(), &[b"one", b"two", b"", b"three"]);
    let tag = format!("sha256-{}.sig", Digest::of(b"image").hex());
    let referrers =
        [referrer(&[b"one", b"two"], &tag), referrer(&[b"", b"three"], ""), referrer(&[b"one"], "")];
    let one = vec![b"one".to_vec(), b"two".to_vec()];
    let two = vec![Vec::new(), b"three".to_vec()];
    for (lacking, blobs) in [(&[][..], vec![]), (&[1], vec![two.clone()]), (&[0, 1], vec![one, two])] {
        let (sent, received) = cross(&*store, &referrers, lacking);
        sent.unwrap();
        assert_eq!(received.unwrap(), blobs);
    }
}

#[test]
fn a_source_sends_no_blob_that_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = layout(folder.path(), &[b"one"]);
    fs::write(folder.path().join("blobs/sha256").join(Digest::of(b"one").hex()), "two").unwrap();
    let (sent, received) = cross(&*store, &[referrer(&[b"one"], "")], &[0]);
    assert!(sent.unwrap_err().to_string().contains("has another digest"));
    assert!(received.is_err());
}

#[test]
fn a_target_asks_once_for_referrers_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = layout(folder.path(), &[b"one"]);
    let referrers = [referrer(&[b"one"], "")];
    for lacking in [vec![1], vec![0, 0], vec![u32::MAX]] {
        let (mut source, mut target) = Link::pair(&Interrupt::default());
        target.send_peer(&Peer::Lacking(lacking)).unwrap();
        let error = send(&mut source, &*store, &referrers, Effort::Level(3)).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Protocol, "{error}");
        receive_list(&mut target).unwrap();
    }
}

/// The result of `receive` of one referrer of two blobs whose stream is this.
fn received(stream: &[u8]) -> Received {
    let (source, mut target) = Link::pair(&Interrupt::default());
    let mut out = source.data_writer();
    let mut section = SectionWriter::new(&mut out, Effort::Level(3));
    section.write_all(stream).unwrap();
    section.finish().unwrap();
    out.finish().unwrap();
    receive(&mut target, &[Offered { root: Digest::of(b""), tag: None, blobs: 2 }], &[0])
}

#[test]
fn a_stream_of_other_lengths_is_refused() {
    assert_eq!(received(b"\x01\0\0\0a\0\0\0\0").unwrap(), [[b"a".to_vec(), Vec::new()]]);
    for stream in [&b"\x01\0\0\0a\x02\0\0\0b"[..], b"\x01\0\0\0a\0\0\0", b"\x01\0\0\0a\0\0\0\0more", b""] {
        assert!(received(stream).is_err(), "{stream:?}");
    }
    let most = u32::try_from(limits::REFERRER_BYTES).unwrap().to_le_bytes();
    let too_large = received(&[&b"\x01\0\0\0a"[..], &most].concat()).unwrap_err();
    assert_eq!(too_large.kind(), FailureKind::Protocol, "{too_large}");
}

#[test]
fn a_list_beyond_its_limits_is_refused() {
    let listed = |count: usize, blobs: usize, tag: &str| {
        let one = ListedReferrer { root: [0; 32], tag: tag.into(), blobs: u32::try_from(blobs).unwrap() };
        let (source, mut target) = Link::pair(&Interrupt::default());
        source.send_peer(&Peer::Referrers(vec![one; count])).unwrap();
        receive_list(&mut target).map(|list| list.len())
    };
    assert_eq!(listed(limits::REFERRERS, limits::REFERRER_BLOBS, "").unwrap(), limits::REFERRERS);
    for refused in [
        listed(limits::REFERRERS + 1, 1, ""),
        listed(1, limits::REFERRER_BLOBS + 1, ""),
        listed(1, 1, "latest"),
    ] {
        assert_eq!(refused.unwrap_err().kind(), FailureKind::Protocol);
    }
    let (source, mut target) = Link::pair(&Interrupt::default());
    source.send_peer(&Peer::Abort).unwrap();
    assert!(receive_list(&mut target).is_err());
}
