//! Targets that ask for other than they may.

use dsync_core::DiffId;

use super::*;
use crate::interrupt::Interrupt;

fn keys(layers: u32) -> Vec<LayerKey> {
    (0..layers).map(|layer| DiffId::of(&layer.to_le_bytes()).into()).collect()
}

fn want(layers: &[u32], described: &[u32]) -> Want {
    let (layers, described) = (layers.to_vec(), described.to_vec());
    Want::Layers { layers, without_basis: false, basis: vec![[1; 5], [1; 5]], partial: 0, described }
}

fn received(said: &Peer, layers: u32) -> Result<Option<WantedLayers>, EndpointError> {
    let (mut source, target) = Link::pair(&Interrupt::default());
    target.send_peer(said).unwrap();
    receive(&mut source, &ImageId::of(b"image"), &keys(layers))
}

#[test]
fn layers_are_asked_for_by_their_numbers_in_any_order() {
    let (mut source, target) = Link::pair(&Interrupt::default());
    send(&target, want(&[2, 0], &[1])).unwrap();
    let keys = keys(3);
    let want = receive(&mut source, &ImageId::of(b"image"), &keys).unwrap().unwrap();
    assert_eq!((want.layers, want.described), (vec![keys[2], keys[0]], vec![keys[1]]));
    // Short ids may be alike.
    assert_eq!((want.basis, want.attempt), (vec![[1; 5], [1; 5]], Attempt::Delta));
    send(&target, Want::Nothing).unwrap();
    assert!(receive(&mut source, &ImageId::of(b"image"), &keys).unwrap().is_none());
}

#[test]
fn a_target_asks_for_layers_of_the_image_each_once_and_no_more_than_there_may_be() {
    let most = u32::try_from(limits::LAYERS).unwrap();
    let all: Vec<u32> = (0..most).collect();
    let is_heard = |want: Want, layers| match received(&Peer::Want(want), layers) {
        Ok(want) => want.is_some(),
        Err(EndpointError::Protocol(_)) => false,
        Err(error) => panic!("{error}"),
    };
    assert!(is_heard(want(&all, &[]), most));
    assert!(is_heard(want(&all[1..], &[0]), most));
    for (layers, described) in
        [(&[3][..], &[][..]), (&[], &[3]), (&[u32::MAX], &[]), (&[1, 1], &[]), (&[], &[1, 1]), (&[1], &[1])]
    {
        assert!(!is_heard(want(layers, described), 3), "{layers:?} {described:?}");
    }
    assert!(!is_heard(want(&all, &[most]), most + 1), "too many in both lists together");

    let basis = |layers| {
        let (basis, described) = (vec![[0; 5]; layers], Vec::new());
        Want::Layers { layers: vec![0], without_basis: false, basis, partial: 0, described }
    };
    assert!(is_heard(basis(limits::LAYERS), 1));
    assert!(!is_heard(basis(limits::LAYERS + 1), 1));
}

#[test]
fn another_message_is_no_want() {
    let others = [Peer::Proofs(Vec::new()), Peer::Answer { answer: Vec::new() }];
    for other in others {
        assert!(matches!(received(&other, 3), Err(EndpointError::Protocol(_))), "{other:?}");
    }
    let given_up = received(&Peer::Abort, 3).err().unwrap();
    assert!(matches!(given_up, EndpointError::Io { what, .. } if what == Step::Want.awaited()));
}

#[test]
fn an_image_is_the_first_where_the_basis_has_no_more_than_parts() {
    let heard = |basis: Vec<[u8; 5]>, partial| {
        let want =
            Want::Layers { layers: vec![0], without_basis: false, basis, partial, described: Vec::new() };
        received(&Peer::Want(want), 1).unwrap().unwrap()
    };
    assert!(heard(Vec::new(), 0).is_first());
    assert!(heard(vec![[1; 5], [2; 5]], 2).is_first());
    assert!(!heard(vec![[1; 5], [2; 5]], 1).is_first());
}
