//! Proofs and offers over a link, and other messages in their place.

use dsync_core::Image;
use dsync_proto::{Known, Stored};

use super::*;
use crate::interrupt::Interrupt;
use crate::layers::Role;
use crate::transfer_tests::{Layout, index_of, tar, workspace};

#[test]
fn a_layer_that_is_not_here_is_proven_by_nothing() {
    let layout = Layout::new();
    let layer = tar(&"text".repeat(1000));
    let image: Image = layout.image("a", &[&layer], "a:1");
    let room = workspace(64 << 20);
    let mut own = Layers::new(&*layout.store, &room, None).unwrap();
    own.keep(&image.id, image.tars(), Role::Basis).unwrap();
    let (target, mut source) = Link::pair(&Interrupt::default());
    let (here, gone) = (DiffId::of(&layer), DiffId::of(b"gone"));
    send_proofs(&target.outbox, &own, &[gone, here], &[7; 16]).unwrap();
    let proof = index_of(&layer).proof(&[7; 16]);
    assert_ne!(proof, [0; 3]);
    assert_eq!(receive_proofs(&mut source).unwrap(), [[0; 3], proof]);
}

#[test]
fn an_offer_is_about_as_many_layers_as_were_named() {
    let (source, mut target) = Link::pair(&Interrupt::default());
    let stored = vec![Stored::Plain, Stored::Opaque, Stored::Compressed(vec![1, 2])];
    let offer = Offer { basis: vec![Known::Bytes, Known::No], stored };
    for (layers, is_right) in [(2, true), (1, false), (3, false), (0, false)] {
        let len = send(&source, &offer).unwrap();
        assert_eq!(len, encode(&offer).unwrap().len() as u64);
        match receive(&mut target, layers) {
            Ok(received) => assert!(is_right && received == offer),
            Err(error) => assert!(!is_right && matches!(error, EndpointError::Protocol(_)), "{error}"),
        }
    }
}

#[test]
fn other_messages_are_told_by_the_step_that_waited() {
    let (left, mut right) = Link::pair(&Interrupt::default());
    let other = Peer::Question { question: vec![1] };
    left.send_peer(&other).unwrap();
    let error = receive_proofs(&mut right).unwrap_err().to_string();
    assert!(error.starts_with(Step::Possession.awaited()), "{error}");
    left.send_peer(&other).unwrap();
    let error = receive(&mut right, 0).unwrap_err().to_string();
    assert!(error.starts_with(Step::Offer.awaited()), "{error}");
    drop(left);
    assert!(matches!(receive(&mut right, 0), Err(EndpointError::Io { .. })));
}
