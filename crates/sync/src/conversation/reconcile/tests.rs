//! Both halves over a link, and halves that say something else.

use std::thread;

use dsync_proto::{FailureKind, Peer};
use dsync_testkit::{Layer, Random};

use super::*;
use crate::interrupt::Interrupt;
use crate::transfer_tests::index_of;

const MEMORY: Memory = Memory(64 << 20);

/// The content of a file.
fn content(seed: usize) -> Vec<u8> {
    Random::new(seed as u64).bytes(2000)
}

/// A layer of files of these names and contents.
fn layer(files: &[(&str, usize)]) -> Layer {
    let builder =
        files.iter().fold(Layer::builder(), |builder, (name, seed)| builder.file(name, content(*seed)));
    builder.build()
}

fn index(layer: &Layer) -> Arc<LayerIndex> {
    Arc::new(index_of(layer.tar()))
}

/// The facts that both ends agree on.
struct Both {
    source: ChunkMap,
    target: ChunkMap,
}

fn reconciled(new: &[&Layer], old: &[&Layer], known: &[&Layer], memory: Memory) -> Both {
    let (mut asking, mut answering) = Link::pair(&Interrupt::default());
    let indexes = |layers: &[&Layer]| layers.iter().map(|layer| index(layer)).collect::<Vec<_>>();
    let known: Vec<ChunkMap> =
        indexes(known).into_iter().map(|index| ChunkMap::layer(index, AtSource::Chunks)).collect();
    let (new, old) = (indexes(new), indexes(old));
    thread::scope(|scope| {
        let target = scope.spawn(|| answer_for(&mut answering, &old, &known, memory).unwrap());
        let source = ask_for(&mut asking, Asks::All, &new, &known, memory).unwrap();
        Both { source, target: target.join().unwrap() }
    })
}

impl Both {
    /// The contents that were agreed on, which must be the same at both ends.
    fn contents(&self, new: &[&Layer], old: &[&Layer]) -> Vec<Vec<u8>> {
        let agreed = |map: &ChunkMap, layers: &[&Layer]| -> Vec<Vec<u8>> {
            (0..map.index.chunks().len()).map(|chunk| read(map, chunk, layers)).collect()
        };
        let (source, target) = (agreed(&self.source, new), agreed(&self.target, old));
        assert_eq!(source, target);
        let files =
            |map: &ChunkMap| map.index.files().map(|file| (file.path, file.chunks)).collect::<Vec<_>>();
        assert_eq!(files(&self.source), files(&self.target));
        assert!(!self.source.is_at_source() && !self.target.is_at_source());
        source
    }
}

fn read(map: &ChunkMap, chunk: usize, layers: &[&Layer]) -> Vec<u8> {
    let slices = map.of(chunk).map(|Slice { place, from, len }| {
        let layer = layers.iter().find(|layer| layer.diff_id().digest() == place.layer).unwrap();
        let at = (index(layer).chunks().at(place.chunk).at + from) as usize;
        layer.tar()[at..at + len as usize].to_vec()
    });
    slices.collect::<Vec<_>>().concat()
}

#[test]
fn both_ends_agree_on_entries_and_on_contents_under_other_names() {
    let old = [layer(&[("etc/a", 1), ("etc/b", 2)]), layer(&[("lib/c", 3), ("lib/d", 4)])];
    let new = [layer(&[("etc/a", 1), ("etc/new", 9), ("etc/b", 2)]), layer(&[("moved/c", 3)])];
    let (new, old) = (new.each_ref(), old.each_ref());
    let both = reconciled(&new, &old, &[], MEMORY);
    // Entries first, then what has another name.
    assert_eq!(both.contents(&new, &old), [content(1), content(2), content(3)]);
}

#[test]
fn contents_that_are_known_otherwise_are_not_asked_about() {
    let (old, known) = (layer(&[("a", 1)]), layer(&[("b", 2)]));
    let new = layer(&[("renamed/a", 1), ("renamed/b", 2)]);
    let both = reconciled(&[&new], &[&old, &known], &[&known], MEMORY);
    assert_eq!(both.contents(&[&new], &[&old, &known]), [content(1)]);
}

#[test]
fn layers_with_nothing_in_common_and_no_layers_agree_on_nothing() {
    let (old, new, empty) = (layer(&[("a", 1)]), layer(&[("b", 2)]), layer(&[]));
    for (new, old) in
        [(vec![&new], vec![&old]), (vec![&new], vec![]), (vec![], vec![&old]), (vec![&empty], vec![&old])]
    {
        assert_eq!(reconciled(&new, &old, &[], MEMORY).contents(&new, &old).len(), 0);
    }
}

#[test]
fn both_ends_stop_at_the_same_entry_when_memory_is_taken() {
    let names: Vec<String> = (0..200).map(|number| format!("dir/file-{number:03}")).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| &name[..]).zip(0..).collect();
    let (old, mut more) = (layer(&files), files.clone());
    more.push(("dir/zz", 999));
    let new = layer(&more);
    let mut agreed = Vec::new();
    for memory in [0, 16 << 10, 32 << 10, 1 << 20] {
        let both = reconciled(&[&new], &[&old], &[], Memory(memory));
        let contents = both.contents(&[&new], &[&old]);
        assert_eq!(contents, (0..contents.len()).map(content).collect::<Vec<_>>(), "the first ones");
        assert!(Memory::basis_layer(&both.source.index) <= Memory(memory).share() + 4096);
        agreed.push(contents.len());
    }
    assert!(
        agreed[0] == 0 && agreed[0] < agreed[1] && agreed[1] < agreed[2] && agreed[3] == 200,
        "{agreed:?}"
    );
    // Known chunks of the basis take their part.
    let known = layer(&files[..100]);
    let memory = Memory(Memory::basis_layer(&index(&known)) / 7 * 16);
    assert_eq!(reconciled(&[&new], &[&old], &[&known], memory).contents(&[&new], &[&old]).len(), 0);
}

/// The source's half against these messages.
fn asked(said: &[Peer]) -> FailureKind {
    let (mut asking, answering) = Link::pair(&Interrupt::default());
    thread::scope(|scope| {
        let source = scope.spawn(move || {
            let new = index(&layer(&[("a", 1), ("b", 2)]));
            ask_for(&mut asking, Asks::All, &[new], &[], MEMORY)
        });
        said.iter().for_each(|message| answering.send_peer(message).unwrap());
        source.join().unwrap().expect_err("it fails").kind()
    })
}

#[test]
fn an_answer_that_does_not_fit_its_question_is_a_breach() {
    for answer in [&[][..], &[0xff; 3], &[0xff; 4096]] {
        assert_eq!(asked(&[Peer::Answer { answer: answer.to_vec() }]), FailureKind::Protocol, "{answer:?}");
    }
    let question = Peer::Question { question: vec![0] };
    assert_eq!(asked(&[question]), FailureKind::Protocol);
    assert_eq!(asked(&[Peer::Abort]), FailureKind::Aborted);
}

#[test]
fn a_question_that_is_none_is_refused() {
    let answered = |said: &Peer| {
        let (asking, mut answering) = Link::pair(&Interrupt::default());
        asking.send_peer(said).unwrap();
        drop(asking);
        let old = index(&layer(&[("a", 1)]));
        answer_for(&mut answering, &[old], &[], MEMORY).expect_err("it fails")
    };
    for question in [&[0xff; 9][..], &[0x80; 64]] {
        let said = Peer::Question { question: question.to_vec() };
        assert!(matches!(answered(&said), EndpointError::Reconcile(_)), "{question:?}");
    }
    assert_eq!(answered(&Peer::Answer { answer: vec![0] }).kind(), FailureKind::Protocol);
}
