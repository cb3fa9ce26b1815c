//! Both halves over a link, and halves that lie.

use std::ops::Range;
use std::thread;

use dsync_delta::header_delta::{Encoder, Mode};
use dsync_proto::FailureKind;
use dsync_testkit::{Layer, Random};

use super::*;
use crate::interrupt::Interrupt;
use crate::layers::Role;
use crate::transfer_tests::{Layout, index_of, workspace};

const MEMORY: u64 = 64 << 20;

fn layer(files: &[(&str, &[u8])]) -> Layer {
    files.iter().fold(Layer::builder(), |builder, (name, content)| builder.file(name, content)).build()
}

/// 20,000 bytes, and the same with some others in the middle.
fn versions(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let old = Random::new(seed).bytes(20_000);
    let new = [&old[..9000], b"an insertion", &old[9500..]].concat();
    (old, new)
}

/// An old layer that only the target has, and a new one of the source.
struct Case {
    old: Layer,
    new: Layer,
    index: Arc<LayerIndex>,
    literals: Vec<Literal>,
}

impl Case {
    fn of(old: Layer, new: Layer) -> Case {
        let index = Arc::new(index_of(new.tar()));
        let mut encoder = Encoder::new(&[], Mode::References);
        encoder.layer(&index, &mut std::io::sink()).unwrap();
        Case { old, new, index, literals: encoder.into_literals() }
    }

    /// Two files that changed, and one that is new.
    fn changed() -> Case {
        let [(a, new_a), (b, new_b)] = [versions(1), versions(2)];
        let fresh = Random::new(3).bytes(5000);
        let old = layer(&[("app/a", &a), ("app/b", &b)]);
        Case::of(old, layer(&[("app/a", &new_a), ("app/b", &new_b), ("fresh/c", &fresh)]))
    }

    fn bytes(&self, literal: &Literal) -> &[u8] {
        let chunk = self.index.chunks().at(literal.chunk as usize);
        &self.new.tar()[chunk.at as usize..][..chunk.len as usize]
    }

    fn ask(&self, link: &mut Link, memory: u64) -> Result<Parts, EndpointError> {
        let load = |literal: &Literal, out: &mut Vec<u8>| {
            out.extend_from_slice(self.bytes(literal));
            Ok(())
        };
        ask_for(link, &self.literals, &load, memory)
    }

    /// Answers a source that may say anything. `take` is given the target's layers, too.
    fn answer<T>(
        &self,
        link: &mut Link,
        readable: &[Option<&LayerIndex>],
        take: impl FnOnce(Result<PartMatches, EndpointError>, &Layers<'_>) -> T,
    ) -> T {
        let layout = Layout::new();
        let image = layout.image("old", &[self.old.tar()], "app:1");
        let room = workspace(MEMORY);
        let mut own = Layers::new(&*layout.store, &room, None).unwrap();
        own.spool(&image.id, image.tars(), Role::Basis).unwrap();
        let hidden = [Arc::new(index_of(self.old.tar()))];
        let new_layers = NewLayers { new: &[&self.index], literals: &self.literals };
        let basis = BasisView { hidden: &hidden, readable };
        take(answer_for(link, &mut own, &[&image], new_layers, basis, MEMORY), &own)
    }

    /// The agreement of both ends: the ranges of the source, and of the target each literal with its known ranges in it and
    /// zeros in place of the others.
    fn agreed(&self, memory: u64) -> (LiteralRanges, Vec<Vec<u8>>) {
        let (mut asking, mut answering) = Link::pair(&Interrupt::default());
        thread::scope(|scope| {
            let source = scope.spawn(move || self.ask(&mut asking, memory).unwrap());
            self.answer(&mut answering, &[], |matches, own| {
                let Parts { ranges, encoded } = source.join().unwrap();
                let found = matches.unwrap().parts(&encoded).unwrap();
                assert_eq!(bounds(&found.ranges), bounds(&ranges));
                let literals = self.literals.iter().enumerate();
                let filled = literals.map(|(number, literal)| {
                    let mut bytes = vec![0; literal.len as usize];
                    for (at, range) in ranges_of(&found.ranges, number).iter().enumerate() {
                        let known = found.slices.get(&LiteralRange { literal: number, range: at });
                        assert_eq!(known.is_some(), range.known);
                        let mut here = Vec::new();
                        known.into_iter().flatten().for_each(|slice| own.copy(*slice, &mut here).unwrap());
                        if range.known {
                            bytes[range.bytes.start as usize..range.bytes.end as usize]
                                .copy_from_slice(&here);
                        }
                    }
                    bytes
                });
                (ranges, filled.collect())
            })
        })
    }
}

/// The bytes of a range, and whether the target has them.
type Bound = (Range<u64>, bool);

/// The ranges in the order of their literals, without the numbers by which only one end knows these.
fn bounds(ranges: &LiteralRanges) -> Vec<(usize, Vec<Bound>)> {
    let range = |range: &ByteRange| (range.bytes.clone(), range.known);
    let mut all: Vec<_> =
        ranges.iter().map(|(literal, ranges)| (*literal, ranges.iter().map(range).collect())).collect();
    all.sort_unstable_by_key(|(literal, _)| *literal);
    all
}

/// Bytes of ranges that the target has.
fn known_bytes(ranges: &LiteralRanges) -> u64 {
    let known = ranges.values().flatten().filter(|range| range.known);
    known.map(|range| range.bytes.end - range.bytes.start).sum()
}

#[test]
fn both_ends_agree_on_the_ranges_and_the_target_has_the_known_ones() {
    let case = Case::changed();
    assert_eq!(case.literals.len(), 3);
    let (ranges, filled) = case.agreed(MEMORY);
    assert_eq!(bounds(&ranges).iter().map(|(literal, _)| *literal).collect::<Vec<_>>(), [0, 1]);
    assert!((30_000..39_000).contains(&known_bytes(&ranges)), "{} bytes", known_bytes(&ranges));
    for (number, literal) in case.literals.iter().enumerate() {
        let (bytes, ranges) = (case.bytes(literal), ranges_of(&ranges, number));
        // Without gaps, to the end.
        let mut at = 0;
        for range in ranges {
            assert_eq!(range.bytes.start, at);
            at = range.bytes.end;
            let here = range.bytes.start as usize..range.bytes.end as usize;
            assert!(!range.known || filled[number][here.clone()] == bytes[here]);
        }
        assert!(ranges.is_empty() || at == u64::from(literal.len));
    }
}

#[test]
fn cuts_are_made_as_far_as_memory_goes() {
    let case = Case::changed();
    let all = known_bytes(&case.agreed(MEMORY).0);
    // Room for the fine_chunks of one file, and for those of none.
    let some = known_bytes(&case.agreed(60 * FINE_CHUNK).0);
    assert!(0 < some && some < all, "{some} of {all}");
    assert_eq!(known_bytes(&case.agreed(FINE_CHUNK).0), 0);
}

#[test]
fn nothing_is_asked_where_the_target_has_no_old_version() {
    let case = Case::of(layer(&[("x", &[1; 5000])]), layer(&[("other/y", &Random::new(1).bytes(9000))]));
    let (ranges, _) = case.agreed(MEMORY);
    assert!(ranges.is_empty());
    // Or where the source can read one, too.
    let case = Case::changed();
    let (mut asking, mut answering) = Link::pair(&Interrupt::default());
    let old = index_of(case.old.tar());
    thread::scope(|scope| {
        let source = scope.spawn(|| case.ask(&mut asking, MEMORY).unwrap());
        case.answer(&mut answering, &[Some(&old)], |found, _| assert!(found.unwrap().is_empty()));
        assert!(source.join().unwrap().encoded.is_empty());
    });
}

#[test]
fn a_literal_whose_check_is_wrong_is_sent_whole() {
    let case = Case::changed();
    let (mut asking, mut target) = Link::pair(&Interrupt::default());
    let parts = thread::scope(|scope| {
        let source = scope.spawn(|| case.ask(&mut asking, MEMORY).unwrap());
        // A target that has all bytes of two literals, and of the first a wrong check.
        let literals = [case.bytes(&case.literals[0]), case.bytes(&case.literals[1])];
        let mut fine_chunks = FineChunks::new();
        literals.iter().for_each(|bytes| fine_chunks.push(bytes, usize::MAX));
        target.send_peer(&Peer::Candidates { bitmap: vec![3] }).unwrap();
        assert_eq!(await_question(&mut target, Step::Parts).unwrap(), fine_chunks.counts());
        answer(&mut target, Step::Parts, &mut Responder::narrow(fine_chunks.items())).unwrap();
        let checks = [check(b"other bytes"), check(literals[1])].concat();
        target.send_peer(&Peer::Answer { answer: checks }).unwrap();
        source.join().unwrap()
    });
    let len = |literal: usize| u64::from(case.literals[literal].len);
    let whole = |literal: usize, known| (literal, vec![(0..len(literal), known)]);
    assert_eq!(bounds(&parts.ranges), [whole(0, false), whole(1, true)]);
    assert_eq!(parts.encoded, [1], "a bit for each, and no lengths");
}

#[test]
fn a_source_that_lies_about_lengths_is_refused() {
    let case = Case::changed();
    let (mut asking, mut answering) = Link::pair(&Interrupt::default());
    thread::scope(|scope| {
        let source = scope.spawn(|| case.ask(&mut asking, MEMORY).unwrap());
        case.answer(&mut answering, &[], |matches, _| {
            let (matches, right) = (matches.unwrap(), source.join().unwrap().encoded);
            assert!(matches.parts(&right).is_ok());
            for wrong in [
                &[][..],
                &right[..right.len() - 1],
                &[&right[..], &[0]].concat(),
                &[&right[..1], &[0xff; 10]].concat(),
                // A bit for a third literal, which was not asked about.
                &[&[right[0] | 4], &right[1..]].concat(),
            ] {
                let error = matches.parts(wrong).err();
                let error = error.unwrap_or_else(|| panic!("{wrong:?} in place of {right:?}"));
                assert!(matches!(error.kind(), FailureKind::Protocol | FailureKind::Mismatch), "{error}");
            }
        });
    });
}

#[test]
fn candidates_and_checks_of_another_number_are_breaches() {
    let case = Case::changed();
    let said = |messages: Vec<Peer>| {
        let (mut asking, answering) = Link::pair(&Interrupt::default());
        thread::scope(|scope| {
            let source = scope.spawn(|| case.ask(&mut asking, FINE_CHUNK));
            messages.iter().for_each(|message| answering.send_peer(message).unwrap());
            source.join().unwrap()
        })
    };
    let bitmap = |bitmap: &[u8]| Peer::Candidates { bitmap: bitmap.to_vec() };
    let answer = |answer: &[u8]| Peer::Answer { answer: answer.to_vec() };
    assert!(said(vec![bitmap(&[0])]).unwrap().ranges.is_empty());
    for wrong in [&[][..], &[0, 0], &[8]] {
        assert_eq!(said(vec![bitmap(wrong)]).unwrap_err().kind(), FailureKind::Protocol, "{wrong:?}");
    }
    // There is no room for fine_chunks, so nothing is asked, and the checks come at once.
    let parts = said(vec![bitmap(&[3]), answer(&[0; 8])]).unwrap();
    assert_eq!(known_bytes(&parts.ranges), 0);
    for wrong in [&[][..], &[0; 4], &[0; 7], &[0; 12]] {
        let error = said(vec![bitmap(&[3]), answer(wrong)]).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Protocol, "{wrong:?}");
    }
    assert_eq!(said(vec![answer(&[0])]).unwrap_err().kind(), FailureKind::Protocol);
    assert_eq!(said(vec![bitmap(&[3]), Peer::Abort]).unwrap_err().kind(), FailureKind::Aborted);
}
