//! Proofs of possession over a link, and other messages in their place.

use dsync_core::Image;

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
    own.spool(&image.id, image.tars(), Role::Basis).unwrap();
    let (target, mut source) = Link::pair(&Interrupt::default());
    let (here, gone) = (Digest::of(&layer), Digest::of(b"gone"));
    send(&target.outbox, &own, &[gone, here], &[7; 16]).unwrap();
    let proof = index_of(&layer).possession_proof(&[7; 16]);
    assert_ne!(proof, [0; 3]);
    assert_eq!(receive(&mut source).unwrap(), [[0; 3], proof]);
}

#[test]
fn another_message_is_told_by_the_step_that_waited() {
    let (left, mut right) = Link::pair(&Interrupt::default());
    left.send_peer(&Peer::Question { question: vec![1] }).unwrap();
    let error = receive(&mut right).unwrap_err().to_string();
    assert!(error.starts_with(Step::Possession.awaited()), "{error}");
}
