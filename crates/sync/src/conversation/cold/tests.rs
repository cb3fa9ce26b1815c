//! The stream of a cold transfer without its batches, and streams that are none.

use dsync_core::{DiffId, LayerKey};
use dsync_proto::FailureKind;

use super::*;
use crate::failure::Breach;
use crate::transfer_tests::{index_of, tar};

const MEMORY: Memory = Memory(64 << 20);
const LIMIT: u32 = limits::BATCH_LEAST;

fn layers() -> Vec<Vec<u8>> {
    ["one", "two"].map(|text| tar(&text.repeat(1000))).into()
}

fn key(layer: &[u8]) -> LayerKey {
    DiffId::of(layer).into()
}

/// The stream of these layers, each with this limit.
fn stream(layers: &[Vec<u8>], limit: u32) -> Vec<u8> {
    let mut encoder = Encoder::new(&[], Mode::WithIds);
    let mut out = Vec::new();
    for layer in layers {
        let index = Arc::new(index_of(layer));
        let before = out.len();
        let packed = write_layer(&mut out, limit, &mut encoder, &index, Effort::Level(3)).unwrap();
        assert!(packed > 0 && packed < (out.len() - before) as u64);
    }
    out
}

#[test]
fn layers_are_read_as_they_were_written_and_not_a_byte_more() {
    let layers = layers();
    let mut bytes = stream(&layers, LIMIT + 1);
    write_config(&mut bytes, b"{}", Effort::Level(3)).unwrap();
    bytes.extend(b"rest");
    let mut input = &bytes[..];
    let mut decoder = decoder(Mode::WithIds, MEMORY);
    for layer in &layers {
        let (limit, assembly) = read_layer(&mut input, &mut decoder, &key(layer)).unwrap();
        assert_eq!(limit, LIMIT + 1);
        assert_eq!(
            assembly.index.chunks().iter().collect::<Vec<_>>(),
            index_of(layer).chunks().iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(read_config(&mut input).unwrap(), b"{}");
    assert_eq!(input, b"rest");
}

#[test]
fn layers_in_another_order_or_of_another_image_are_refused() {
    let layers = layers();
    let bytes = stream(&layers, LIMIT);
    for asked in [&layers[1][..], b"another"] {
        let error =
            read_layer(&mut &bytes[..], &mut decoder(Mode::WithIds, MEMORY), &key(asked)).err().unwrap();
        assert!(error.to_string().contains("instead of"), "{error}");
        assert_eq!(error.kind(), FailureKind::Protocol);
    }
}

#[test]
fn a_stream_that_ends_anywhere_is_no_layer() {
    let layers = layers();
    let bytes = stream(&layers[..1], LIMIT);
    for end in 0..bytes.len() {
        let read = read_layer(&mut &bytes[..end], &mut decoder(Mode::WithIds, MEMORY), &key(&layers[0]));
        assert!(read.is_err(), "{end} of {} bytes", bytes.len());
    }
}

#[test]
fn a_limit_of_batches_beyond_the_protocol_is_a_breach() {
    for (limit, is_right) in [
        (limits::BATCH_LEAST - 1, false),
        (limits::BATCH_LEAST, true),
        (limits::BATCH, true),
        (limits::BATCH + 1, false),
    ] {
        let layers = layers();
        let bytes = stream(&layers[..1], limit);
        let read = read_layer(&mut &bytes[..], &mut decoder(Mode::WithIds, MEMORY), &key(&layers[0]));
        assert_eq!(read.as_ref().ok().map(|(limit, _)| *limit), is_right.then_some(limit));
        assert!(is_right || read.err().unwrap().kind() == FailureKind::Protocol);
    }
}

#[test]
fn a_section_that_goes_on_after_its_layer_is_a_breach() {
    let layer = layers().remove(0);
    let mut bytes = LIMIT.to_le_bytes().to_vec();
    let mut section = SectionWriter::new(&mut bytes, Effort::Level(3));
    Encoder::new(&[], Mode::WithIds).layer(&Arc::new(index_of(&layer)), &mut section).unwrap();
    section.write_all(b"more").unwrap();
    section.finish().unwrap();
    let read = read_layer(&mut &bytes[..], &mut decoder(Mode::WithIds, MEMORY), &key(&layer));
    assert_eq!(read.err().unwrap().kind(), FailureKind::Protocol);
}

#[test]
fn a_config_is_no_longer_than_a_document() {
    let config = vec![b' '; limits::DOCUMENT as usize + 1];
    for (config, is_right) in [(&config[1..], true), (&config[..], false)] {
        let mut bytes = Vec::new();
        write_config(&mut bytes, config, Effort::Level(1)).unwrap();
        match read_config(&mut &bytes[..]) {
            Ok(read) => assert!(is_right && read == config),
            Err(error) => assert!(!is_right && error.get_ref().is_some_and(|inner| inner.is::<Breach>())),
        }
    }
}

#[test]
fn batches_grow_from_small_ones_to_the_limit() {
    let of = |most: u32| batch_limits(most << 20).map(|limit| limit >> 20).take(5).collect::<Vec<_>>();
    assert_eq!(of(24), [4, 8, 16, 24, 24]);
    assert_eq!(of(16), [4, 8, 16, 16, 16]);
    assert_eq!(of(1), [1; 5]);
    assert!(batch_limits(u32::MAX).take(64).all(|limit| limit <= u64::from(u32::MAX)));
}
