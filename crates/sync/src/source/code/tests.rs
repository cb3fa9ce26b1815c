//! Programs as a linker makes them, whole, in parts, and beside other files.

use std::sync::Arc;

use super::*;
use crate::coding::batch::{Coded, Uncoded};
use crate::coding::branch::{decode, encode};
use dsync_delta::Scanner;
use dsync_delta::batch::Effort;
use dsync_testkit::{Machine as Linked, linked};

const FUNCTIONS: usize = 3000;

/// A layer of files.
struct Layer {
    tar: Vec<u8>,
    index: Arc<LayerIndex>,
}

impl Layer {
    fn of(files: &[(&str, &[u8])]) -> Layer {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut scanner = Scanner::new();
        scanner.push(&tar);
        Layer { index: Arc::new(scanner.finish()), tar }
    }

    fn programs(&self) -> CodeMap {
        let mut programs = CodeMap::default();
        let read_at = |at: u64, out: &mut [u8]| {
            out.copy_from_slice(&self.tar[at as usize..][..out.len()]);
            Ok(())
        };
        programs.add(&self.index, &read_at).unwrap();
        programs
    }

    fn run(&self, chunks: std::ops::Range<usize>) -> ChunkRange {
        ChunkRange::of(0, &self.index, chunks).unwrap()
    }

    fn bytes(&self, run: &ChunkRange) -> Vec<u8> {
        let chunks = self.index.chunks().range(run.chunks());
        chunks.flat_map(|c| &self.tar[c.at as usize..][..c.len as usize]).copied().collect()
    }
}

/// New runs of a layer with no old version, and where their code is.
struct Case {
    bytes: Vec<u8>,
    lens: Vec<u64>,
    pairs: Vec<Option<usize>>,
    code: BatchCode,
}

impl Case {
    fn of(layer: &Layer, runs: &[ChunkRange]) -> Case {
        let mut batch = Batch::default();
        runs.iter().for_each(|run| batch.push(*run, None));
        Case {
            bytes: runs.iter().flat_map(|run| layer.bytes(run)).collect(),
            lens: runs.iter().map(ChunkRange::len).collect(),
            code: layer.programs().of(&batch, &[&layer.index], &|_| Version::Plain),
            pairs: batch.pairs().collect(),
        }
    }

    fn encode(&self, code: &BatchCode) -> Vec<u8> {
        let (bytes, new_lens, pairs) = (self.bytes.clone(), &self.lens[..], &self.pairs[..]);
        let batch = Uncoded { bytes, begin: 0, old_lens: &[], new_lens, pairs };
        encode(batch, code, Effort::Level(9)).unwrap()
    }

    fn decode(&self, packed: &[u8]) -> io::Result<Vec<u8>> {
        decode(Coded { old: Vec::new(), old_lens: &[], new_lens: &self.lens, pairs: &self.pairs }, packed)
    }
}

#[test]
fn a_program_costs_less_with_addresses() {
    for machine in [Linked::X86, Linked::Aarch64] {
        let program = linked(machine, "addresses", FUNCTIONS, &[]);
        let layer = Layer::of(&[("text", b"no program"), ("program", &program), ("end", &[7; 20_000])]);
        let case = Case::of(&layer, &[layer.run(0..layer.index.chunks().len())]);
        assert_eq!(case.code.new.len(), 1, "{machine:?}: one section of code");
        let (with, without) = (case.encode(&case.code), case.encode(&BatchCode::default()));
        assert_eq!(case.decode(&with).unwrap(), case.bytes);
        assert_eq!(case.decode(&without).unwrap(), case.bytes);
        assert!(with.len() * 20 < without.len() * 19, "{machine:?}: {} and {}", with.len(), without.len());
    }
}

#[test]
fn parts_of_a_program_have_the_same_addresses() {
    let program = linked(Linked::X86, "parts", FUNCTIONS, &[]);
    let layer = Layer::of(&[("program", &program), ("other", &[1; 30_000])]);
    let all = layer.index.chunks().len();
    assert!(all > 3, "long enough to be cut: {all}");
    let runs = [layer.run(1..2), layer.run(all - 1..all), layer.run(2..3)];
    let case = Case::of(&layer, &runs);
    let [first, second] = case.code.new[..] else { panic!("{:?}", case.code.new) };
    assert_eq!((first.item, second.item), (0, 2));
    assert_eq!(u64::from(first.addr) + runs[0].len(), u64::from(second.addr));
    assert_eq!(case.decode(&case.encode(&case.code)).unwrap(), case.bytes);
}

#[test]
fn an_old_version_decides_whether_a_program_tells_addresses() {
    let program = linked(Linked::X86, "versions", FUNCTIONS, &[]);
    let layer = Layer::of(&[("program", &program)]);
    let run = layer.run(0..layer.index.chunks().len());
    let batch = Batch::alone(run, Some(run));
    let programs = layer.programs();
    let of = |version: Version<'_>| {
        let BatchCode { new, old } = programs.of(&batch, &[&layer.index], &|_| version);
        (new.len(), old.len())
    };
    assert_eq!(of(Version::Plain), (0, 0));
    assert_eq!(of(Version::Rewritten), (1, 0));
    assert_eq!(of(Version::Shared(&layer.index)), (1, 1));
}

#[test]
fn what_both_sides_have_of_it_tells_addresses_too() {
    let program = linked(Linked::X86, "shared", FUNCTIONS, &[]);
    let layer = Layer::of(&[("program", &program)]);
    let all = layer.index.chunks().len();
    let (known, sent) = (layer.run(0..all - 1), layer.run(all - 1..all));
    let batch = Batch::alone(sent, Some(known));
    let code = layer.programs().of(&batch, &[&layer.index], &|_| Version::Shared(&layer.index));
    let (old, new) = (layer.bytes(&known), layer.bytes(&sent));
    let (old_lens, new_lens) = ([known.len()], [sent.len()]);
    let (bytes, begin) = ([&old[..], &new].concat(), old.len());
    let (old_lens, new_lens, pairs) = (&old_lens[..], &new_lens[..], &[Some(0)][..]);
    let batch = Uncoded { bytes, begin, old_lens, new_lens, pairs };
    let packed = encode(batch, &code, Effort::Level(9)).unwrap();
    assert_eq!(decode(Coded { old, old_lens, new_lens, pairs }, &packed).unwrap(), new);
}
