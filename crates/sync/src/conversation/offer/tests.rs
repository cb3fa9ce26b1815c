//! Offers over a link, and other messages in their place.

use dsync_proto::{Known, Stored};

use super::*;
use crate::interrupt::Interrupt;

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
fn another_message_is_told_by_the_step_that_waited() {
    let (left, mut right) = Link::pair(&Interrupt::default());
    left.send_peer(&Peer::Question { question: vec![1] }).unwrap();
    let error = receive(&mut right, 0).unwrap_err().to_string();
    assert!(error.starts_with(Step::Offer.awaited()), "{error}");
    drop(left);
    assert!(matches!(receive(&mut right, 0), Err(EndpointError::Io { .. })));
}
