//! Messages within the memory of a decoder: what is short on the wire may be long in memory.

use dsync_proto::{Event, Failure, FailureKind, Peer, Reply, Survey, budget, decode, encode, limits};
use serde::Deserialize;

/// The number of a list's items, as postcard writes it.
fn count(mut count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while count >= 0x80 {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
    bytes
}

#[test]
fn a_list_of_empty_texts_is_refused_before_it_takes_the_memory() {
    let failed = |causes: usize| {
        let empty = Reply::Failed(Failure { kind: FailureKind::Other, causes: Vec::new() });
        let mut bytes = encode(&empty).expect("it is short");
        assert_eq!(bytes.pop(), Some(0), "the number of causes comes last");
        bytes.extend(count(causes));
        bytes.resize(bytes.len() + causes, 0);
        decode::<Reply>(&bytes)
    };
    // An empty text takes a byte of a frame, and 40 of memory.
    let most = limits::MESSAGE / 40;
    assert!(matches!(failed(most - 1), Ok(Reply::Failed(failure)) if failure.causes.len() == most - 1));
    assert!(failed(most + 1).is_err());
    assert!(failed(16 << 20).is_err());
    // The next message has all of it again.
    assert!(failed(most - 1).is_ok());
}

#[test]
fn a_count_without_its_items_is_refused() {
    for announced in [1, 1 << 20, 1 << 40, usize::MAX >> 1] {
        let mut bytes = encode(&Reply::Surveyed(Vec::new())).expect("it is short");
        bytes.pop();
        bytes.extend(count(announced));
        assert!(decode::<Reply>(&bytes).is_err(), "{announced} surveys");
        let mut bytes = encode(&Peer::Question { question: Vec::new() }).expect("it is short");
        bytes.pop();
        bytes.extend(count(announced));
        assert!(decode::<Peer>(&bytes).is_err(), "{announced} bytes");
    }
}

#[test]
fn lists_in_lists_count_together() {
    let survey = |holders: usize| Survey {
        status: Vec::new(),
        layers: Vec::new(),
        basis: Vec::new(),
        open: false,
        holders: vec![None; holders],
        foreign_to: String::new(),
    };
    let surveyed = |surveys: usize, holders: usize| {
        decode::<Reply>(&encode(&Reply::Surveyed(vec![survey(holders); surveys])).expect("they are short"))
    };
    assert!(surveyed(1000, 1000).is_ok());
    assert!(surveyed(2000, 1000).is_err());
}

#[test]
fn a_message_that_ends_early_or_goes_on_is_refused() {
    let event = Event::Note("a remark of some length".into());
    let bytes = encode(&event).expect("it is short");
    for end in 0..bytes.len() {
        assert!(decode::<Event>(&bytes[..end]).is_err(), "{end}");
    }
    assert!(decode::<Event>(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(decode::<Event>(&bytes).expect("it is whole"), event);
    // Text that is no UTF-8, and a variant that there is not.
    let mut other = bytes.clone();
    other[2] = 0xff;
    assert!(decode::<Event>(&other).is_err());
    assert!(decode::<Event>(&[99]).is_err());
}

#[derive(Debug, Deserialize)]
struct Both {
    #[serde(deserialize_with = "budget::bytes")]
    bytes: Vec<u8>,
    #[serde(deserialize_with = "budget::text")]
    text: String,
}

#[test]
fn bytes_and_texts_count_with_what_their_allocations_cost() {
    let wire = [&[100][..], &[7; 100], &[50], &[b't'; 50]].concat();
    let within = |memory| budget::within(memory, || postcard::from_bytes::<Both>(&wire));
    // 150 bytes, and 16 for each of two allocations.
    let both = within(182).expect("just enough");
    assert_eq!((both.bytes.len(), both.text.len()), (100, 50));
    assert!(within(181).is_err());
    // A budget within another one does not lessen or widen it.
    let nested = budget::within(182, || {
        assert!(budget::within(0, || postcard::from_bytes::<Both>(&wire)).is_err());
        postcard::from_bytes::<Both>(&wire)
    });
    assert!(nested.is_ok());
    let nested = budget::within(10, || {
        assert!(budget::within(182, || postcard::from_bytes::<Both>(&wire)).is_ok());
        postcard::from_bytes::<Both>(&wire)
    });
    assert!(nested.is_err());
}
