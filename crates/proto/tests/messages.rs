//! Messages come out as they went in, and an offer says itself whether more has to be asked.

use dsync_proto::{Failure, FailureKind, Known, Offer, Opened, Peer, Reply, decode, encode};

#[test]
fn bytes_and_texts_come_out_as_they_went_in() {
    let bytes = || (0..=255).collect::<Vec<u8>>();
    let peers = [
        Peer::Question { question: bytes() },
        Peer::Question { question: Vec::new() },
        Peer::Answer { answer: bytes() },
        Peer::Candidates { bitmap: bytes() },
        Peer::Proofs(vec![[1, 2, 3], [4, 5, 6]]),
    ];
    for peer in peers {
        assert_eq!(decode::<Peer>(&encode(&peer).expect("it is short")).expect("it is whole"), peer);
    }
    let opened = Opened {
        store: "docker 20.10.24, overlay2".into(),
        id_is_config: true,
        has_packages: false,
        keeps_referrers: true,
        version: "ä 1".into(),
    };
    let failed = Failure { kind: FailureKind::Broken, causes: vec!["a layer".into(), String::new()] };
    for reply in [Reply::Opened(opened), Reply::Failed(failed)] {
        assert_eq!(decode::<Reply>(&encode(&reply).expect("it is short")).expect("it is whole"), reply);
    }
}

#[test]
fn a_source_asks_where_it_does_not_know_a_layer_and_needs_no_parts_where_it_has_all() {
    let offer = |basis: &[Known]| Offer { basis: basis.to_vec(), stored: Vec::new() };
    use Known::{Bytes, Index, No};
    let asks = [&[][..], &[Bytes], &[Bytes, Index], &[Bytes, No], &[No]].map(|basis| offer(basis).asks());
    assert_eq!(asks, [false, false, false, true, true]);
    let has_all =
        [&[][..], &[Bytes, Bytes], &[Bytes, Index], &[No, Bytes]].map(|basis| offer(basis).has_all());
    assert_eq!(has_all, [true, true, false, false]);
}

/// An error with a cause.
#[derive(Debug)]
struct Because(&'static str, Option<Box<Because>>);

impl std::fmt::Display for Because {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Because {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn a_failure_has_the_whole_chain_of_causes_the_outermost_first() {
    let error = Because("outer", Some(Because("middle", Some(Because("root", None).into())).into()));
    let failure = Failure::new(FailureKind::TemporaryFull, &error);
    assert_eq!(
        (failure.kind, &failure.causes[..]),
        (FailureKind::TemporaryFull, &["outer", "middle", "root"].map(String::from)[..])
    );
    assert_eq!(Failure::new(FailureKind::Other, &Because("alone", None)).causes, ["alone"]);
}
