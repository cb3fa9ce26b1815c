//! Streams of batches, and literals that are copied in any order.

use std::io::Read;
use std::sync::Arc;

use dsync_delta::LayerIndex;
use dsync_delta::batch::Effort;
use dsync_delta::batching::form_in_order;
use dsync_delta::header_delta::{Encoder, Mode};
use dsync_testkit::{Layer, Random};

use super::*;
use crate::coding::batch::{self as wire, Uncoded};
use crate::coding::branch::{self, BatchCode};
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::transfer_tests::index_of;

/// A layer of six files, of which two have the same bytes, its literals, and how many of them a batch has.
struct SentLayer {
    layer: Layer,
    index: Arc<LayerIndex>,
    literals: Vec<Literal>,
    batches: Vec<Batch>,
}

impl SentLayer {
    /// In batches of about two files.
    fn new() -> SentLayer {
        let files: Vec<Vec<u8>> = (0..5).map(|seed| Random::new(seed).bytes(3000)).collect();
        let named = files.iter().zip(["a", "b", "c", "d", "e"]);
        let layer = named.fold(Layer::builder(), |layer, (content, name)| layer.file(name, content));
        let layer = layer.file("again", &files[1]).build();
        let index = Arc::new(index_of(layer.tar()));
        let mut encoder = Encoder::new(&[], Mode::References);
        encoder.layer(&index, &mut io::sink()).unwrap();
        let literals = encoder.into_literals();
        let refs = literals.iter().map(Literal::chunk_ref);
        let batches = form_in_order(&[&index], refs, std::iter::repeat(6000));
        assert_eq!((literals.len(), batches.len()), (5, 3));
        SentLayer { layer, index, literals, batches }
    }

    fn bytes(&self, literal: usize) -> Vec<u8> {
        let chunk = self.index.chunks().at(self.literals[literal].chunk as usize);
        self.layer.tar()[chunk.at as usize..][..chunk.len as usize].to_vec()
    }

    /// A batch as it crosses.
    fn coded(&self, batch: &Batch) -> Vec<u8> {
        let mut bytes = Vec::new();
        for at in batch.new.iter().flat_map(ChunkRange::chunk_refs) {
            let chunk = self.index.chunks().at(at.chunk as usize);
            bytes.extend_from_slice(&self.layer.tar()[chunk.at as usize..][..chunk.len as usize]);
        }
        let (new_lens, pairs) = (lens(&batch.new), vec![None; batch.new.len()]);
        let uncoded = Uncoded { bytes, begin: 0, old_lens: &[], new_lens: &new_lens, pairs: &pairs };
        let packed = branch::encode(uncoded, &BatchCode::default(), Effort::Level(3)).unwrap();
        let mut out = Vec::new();
        wire::write(&packed, &mut out).unwrap();
        out
    }

    fn stream(&self) -> Vec<u8> {
        self.batches.iter().flat_map(|batch| self.coded(batch)).collect()
    }

    /// Gives what arrives in this stream to a test, which gets the source's end of the link, too.
    fn with<T>(
        &self,
        stream: Vec<u8>,
        batches: Vec<Batch>,
        take: impl FnOnce(&mut Arrivals<'_>, &Link) -> T,
    ) -> T {
        let (source, mut target) = Link::pair(&Interrupt::default());
        let mut writer = source.data_writer();
        writer.write_all(&stream).unwrap();
        writer.finish().unwrap();
        let outbox = target.outbox.clone();
        let old = |_: &ChunkRange, _: &mut Vec<u8>| -> io::Result<()> { panic!("there is nothing old") };
        let file = tempfile::tempfile().unwrap();
        let stream = target.data_reader();
        let mut arrivals = Arrivals::new(Incoming { stream, outbox }, &old, file, None);
        arrivals.expect(batches, &self.literals, self.literals.iter().map(|literal| literal.uses));
        take(&mut arrivals, &source)
    }
}

fn copied(arrivals: &mut Arrivals<'_>, literal: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    arrivals.copy_literal(literal as u32, &mut bytes).map(|()| bytes)
}

#[test]
fn literals_are_copied_in_the_order_of_the_layer_and_the_one_that_is_there_twice_once_more() {
    let sent = SentLayer::new();
    assert_eq!(sent.literals.iter().map(|literal| literal.uses).collect::<Vec<_>>(), [1, 2, 1, 1, 1]);
    sent.with(sent.stream(), sent.batches.clone(), |arrivals, source| {
        for literal in [0, 1, 2, 3, 4, 1] {
            assert_eq!(copied(arrivals, literal).unwrap(), sent.bytes(literal), "literal {literal}");
        }
        // Only the one that was needed again was put away.
        assert_eq!(arrivals.file_len, 3000);
        assert_eq!(source.took().count(), 3, "the source hears of each batch");
    });
}

#[test]
fn literals_may_be_needed_before_those_that_arrive_first() {
    let sent = SentLayer::new();
    sent.with(sent.stream(), sent.batches.clone(), |arrivals, _| {
        for literal in [4, 0, 3, 1, 2, 1] {
            assert_eq!(copied(arrivals, literal).unwrap(), sent.bytes(literal), "literal {literal}");
        }
        let none = copied(arrivals, 5).unwrap_err();
        assert!(none.to_string().contains("no literal 5"), "{none}");
    });
}

#[test]
fn a_literal_of_no_batch_is_missed_and_not_waited_for() {
    let sent = SentLayer::new();
    sent.with(sent.stream(), sent.batches[..2].to_vec(), |arrivals, _| {
        let error = copied(arrivals, 4).unwrap_err();
        assert!(error.to_string().contains("neither here nor on its way"), "{error}");
    });
    // A chunk that was copied as often as it was needed is gone.
    sent.with(sent.stream(), sent.batches.clone(), |arrivals, _| {
        copied(arrivals, 0).unwrap();
        copied(arrivals, 4).unwrap();
        assert!(copied(arrivals, 0).is_err());
    });
}

#[test]
fn a_stream_that_ends_anywhere_in_a_batch_is_a_failure() {
    let sent = SentLayer::new();
    let batch = sent.coded(&sent.batches[0]);
    for end in [0, 1, 3, 4, 5, batch.len() / 2, batch.len() - 1] {
        sent.with(batch[..end].to_vec(), sent.batches.clone(), |arrivals, _| {
            assert!(copied(arrivals, 0).is_err(), "{end} bytes");
        });
    }
}

#[test]
fn a_batch_that_claims_more_than_coding_makes_is_refused_before_it_is_read() {
    let sent = SentLayer::new();
    let most = dsync_proto::limits::packed(sent.batches[0].len());
    for (len, expected) in [(most, "ended before"), (most + 1, "at most"), (u32::MAX.into(), "at most")] {
        let stream = u32::try_from(len).unwrap().to_le_bytes().to_vec();
        sent.with(stream, sent.batches.clone(), |arrivals, _| {
            let error = copied(arrivals, 0).unwrap_err();
            let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
            assert!(error.to_string().contains(expected) || (len == most && is_end), "{error}");
        });
    }
}

#[test]
fn batches_of_other_literals_than_their_places_are_told() {
    let sent = SentLayer::new();
    // The second batch in place of the first is as long, so only its bytes differ.
    let swapped = [sent.coded(&sent.batches[1]), sent.coded(&sent.batches[0])].concat();
    sent.with(swapped, sent.batches.clone(), |arrivals, _| {
        assert_eq!(copied(arrivals, 0).unwrap(), sent.bytes(2));
    });
    // The last one is shorter.
    sent.with(sent.coded(&sent.batches[2]), sent.batches.clone(), |arrivals, _| {
        assert!(copied(arrivals, 0).is_err());
    });
    // A chunk that was sent before is no literal.
    let again = ChunkRange::of(0, &sent.index, 5..6).unwrap();
    let batch = Batch::alone(again, None);
    sent.with(sent.coded(&batch), vec![batch], |arrivals, _| {
        let error = copied(arrivals, 0).unwrap_err();
        assert!(error.to_string().contains("no literal"), "{error}");
    });
}

#[test]
fn more_batches_and_literals_follow_those_before() {
    let sent = SentLayer::new();
    sent.with(sent.stream(), sent.batches[..1].to_vec(), |arrivals, _| {
        let literals = arrivals.literals.split_off(2);
        assert_eq!(copied(arrivals, 1).unwrap(), sent.bytes(1));
        assert!(copied(arrivals, 2).is_err());
        let uses = literals.iter().map(|literal| literal.uses);
        arrivals.expect(sent.batches[1..].to_vec(), &sent.literals[2..], uses);
        for literal in [4, 1] {
            assert_eq!(copied(arrivals, literal).unwrap(), sent.bytes(literal));
        }
        assert!(arrivals.copy(Origin::Basis { layer: 0, chunk: 0 }, 0, &mut Vec::new()).is_err());
        assert_eq!(arrivals.stream().read(&mut [0]).unwrap(), 0, "the end of the stream");
    });
}
