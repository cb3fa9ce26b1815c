//! Files of partial transfers.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use dsync_core::{Digest, ImageRef};
use dsync_delta::{LayerIndex, Scanner};
use dsync_sync::fuzzing::{PartialLayers, PartialTransfer, Piece};

use crate::pieces::{joined, parts};
use crate::tars::pairs;
use crate::{Memory, Target};

/// A file of any bytes, and one of any pieces whose lengths are right, perhaps cut off: the next run finds the pieces that
/// are whole, in the order of the layers, keeps more of them, and leaves nothing when it is done.
pub(in crate::targets) const PARTIAL: Target =
    Target { name: "partial", run, memory: Memory { least: 8 << 20, factor: 256 }, seeds };

/// The file is the rest of the input as it is, rather than made of pieces.
const RAW: u8 = 1;
/// It lost bytes at its end, as many as the upper bits say and one more.
const CUT: u8 = 2;
/// Its layers came out wrong.
const WRONG: u8 = 4;

/// Bytes of memory for the tables of pieces.
const MEMORY: u64 = 64 << 10;
/// The most pieces of an input.
const PIECES: usize = 200;
/// The number of the layer that arrives later: inputs say lower ones, or the highest of all.
const NUMBER: usize = 300;

static FOLDER: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| tempfile::tempdir().ok());

/// A layer that arrives later.
struct Later {
    index: Arc<LayerIndex>,
    /// Its chunks, one after the other.
    chunks: Vec<u8>,
    /// The bytes that are kept of it.
    kept: Vec<u8>,
}

static LATER: LazyLock<Option<Later>> = LazyLock::new(|| {
    let (_, tar) = pairs(9 << 10).into_iter().nth(2)?;
    let (index, chunks) = scanned(&tar);
    let folder = tempfile::tempdir().ok()?;
    let file = kept(folder.path(), NUMBER, &index, &chunks)?;
    let kept = read(&file)?.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
    Some(Later { index, chunks, kept })
});

fn run(input: &[u8]) {
    let (Some(folder), Some(later)) = (&*FOLDER, &*LATER) else { return };
    let [how, rest @ ..] = input else { return };
    let made = match how & RAW {
        0 => Made::of_pieces(rest, (how & CUT != 0).then_some(usize::from(how >> 3) + 1)),
        _ => Made::raw(rest),
    };
    let all = PartialTransfer::below(folder.path());
    let place = folder.path().join("docker-sync/partial");
    if fs::write(place.join(made.config.hex()), &made.file).is_err() {
        return;
    }
    made.check_listed(&all);
    made.check_found_by_a_newer_image(&all);

    let Some(mut begun) = all.begin(&made.config, &made.names, MEMORY) else { panic!("a run cannot begin") };
    check(&begun.take_layers(), &made.found(&[]));
    // Nothing is kept where the disk is nearly full.
    let is_kept = begun.keep(NUMBER, &later.index, &later.chunks);
    drop(begun);
    let Some(mut begun) = all.begin(&made.config, &made.names, MEMORY) else { panic!("a run cannot begin") };
    if is_kept {
        check(&begun.take_layers(), &made.found(&later.kept));
    }
    match how & WRONG {
        0 => begun.complete(),
        _ => begun.discard(),
    }
    let left: Vec<_> = fs::read_dir(&place).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "a file is left: {left:?}");
}

/// The layers of a run are what they must be, and any part of them is read alone.
fn check(layers: &[PartialLayers], expected: &Expected) {
    assert!(layers.iter().map(PartialLayers::memory).sum::<u64>() <= MEMORY, "a table takes too much memory");
    let found = layers.first().map(|layer| layer.bytes().expect("what is listed can be read"));
    let found = found.unwrap_or_default();
    match expected {
        Expected::Bytes(bytes) => assert!(found == *bytes, "{} bytes, not {}", found.len(), bytes.len()),
        Expected::With(bytes) if bytes.is_empty() => {}
        Expected::With(bytes) => {
            assert!(found.windows(bytes.len()).any(|window| window == bytes), "what was kept is not found");
        }
    }
    let (Some(layer), len) = (layers.first(), found.len() as u64) else { return };
    for chunk in scanned(&found).0.chunks().iter() {
        let bytes = layer.copy(chunk.at, chunk.len).expect("a chunk that was scanned can be copied");
        assert_eq!(bytes, found[chunk.at as usize..][..chunk.len as usize]);
    }
    assert!(layer.copy(len, 1).is_err() && layer.copy(len.div_ceil(2), len).is_err(), "bytes behind the end");
}

/// The bytes that a run finds.
enum Expected {
    /// These.
    Bytes(Vec<u8>),
    /// These among others.
    With(Vec<u8>),
}

/// A file that was made of an input.
struct Made<'a> {
    config: Digest,
    names: Vec<String>,
    file: Vec<u8>,
    /// The pieces that are whole, where they are known.
    pieces: Option<Vec<Piece<'a>>>,
}

impl<'a> Made<'a> {
    /// Of these bytes. It is found under the name of the image that it says.
    fn raw(file: &[u8]) -> Made<'a> {
        let config = file.get(13..).and_then(|rest| rest.first_chunk::<32>()).copied().unwrap_or_default();
        let (config, names) = (Digest::from_bytes(config), vec!["web:1".to_owned()]);
        Made { config, names, file: file.to_vec(), pieces: None }
    }

    /// The first part are names, a line each; the others are pieces.
    fn of_pieces(input: &'a [u8], cut: Option<usize>) -> Made<'a> {
        let mut all = parts(input, PIECES).into_iter();
        let names = String::from_utf8_lossy(all.next().unwrap_or_default()).into_owned();
        let names: Vec<String> = names.lines().map(str::to_owned).collect();
        let mut pieces: Vec<Piece<'a>> = all.filter_map(piece).collect();
        let config = Digest::of(names.concat().as_bytes());
        let mut file = PartialTransfer::file(&config, &names, &pieces).unwrap_or_default();
        let begin = PartialTransfer::file(&config, &names, &[]).map_or(0, |head| head.len());
        file.truncate(file.len() - cut.unwrap_or(0).min(file.len()));
        let mut end = begin;
        let whole = pieces.iter().take_while(|piece| {
            end += 16 + piece.bytes.len();
            end <= file.len() && !piece.bytes.is_empty()
        });
        let whole = if begin > file.len() { 0 } else { whole.count() };
        pieces.truncate(whole);
        Made { config, names, file, pieces: Some(pieces) }
    }

    /// The bytes that the next run finds, after this was kept.
    fn found(&self, later: &[u8]) -> Expected {
        let Some(pieces) = &self.pieces else { return Expected::With(later.to_vec()) };
        let later = Piece { layer: NUMBER as u32, entry: 0, chunk: 0, bytes: later };
        let mut ordered: Vec<&Piece<'_>> = pieces.iter().chain([&later]).collect();
        // The shorter of two pieces with the same numbers comes first.
        ordered.sort_by_key(|piece| (piece.layer, piece.entry, piece.chunk, piece.bytes.len()));
        Expected::Bytes(ordered.into_iter().flat_map(|piece| piece.bytes.to_vec()).collect())
    }

    fn check_listed(&self, all: &PartialTransfer) {
        let listed = all.entries();
        assert!(listed.iter().all(|entry| entry.config == self.config), "another image is listed");
        let Some(pieces) = &self.pieces else { return };
        assert!(pieces.is_empty() || listed.len() == 1, "the file is not listed");
        assert!(listed.iter().all(|entry| entry.names == self.names), "it has other names");
    }

    /// A run of another image finds the same where a name of both is in one repository.
    fn check_found_by_a_newer_image(&self, all: &PartialTransfer) {
        let Some(pieces) = &self.pieces else { return };
        let newer = Digest::of(&[&b"newer"[..], self.config.as_bytes()].concat());
        let Some(mut begun) = all.begin(&newer, &self.names, MEMORY) else { panic!("a run cannot begin") };
        let layers = begun.take_layers();
        let is_image = |name: &String| name.parse::<ImageRef>().is_ok();
        match self.names.iter().any(is_image) && !pieces.is_empty() {
            true => check(&layers, &self.found(&[])),
            false => assert!(layers.is_empty(), "parts of an image that is not like it are used"),
        }
    }
}

/// A piece: the numbers of its layer, entry and chunk, a byte each, and its bytes.
fn piece(part: &[u8]) -> Option<Piece<'_>> {
    let ([layer, entry, chunk], bytes) = part.split_first_chunk()?;
    let number = |byte: &u8| if *byte == u8::MAX { u32::MAX } else { (*byte).into() };
    Some(Piece { layer: number(layer), entry: number(entry), chunk: number(chunk), bytes })
}

/// The index of a layer, and its chunks.
fn scanned(tar: &[u8]) -> (Arc<LayerIndex>, Vec<u8>) {
    let mut scanner = Scanner::new();
    scanner.push(tar);
    let index = scanner.finish();
    let chunks = index.chunks().iter().flat_map(|chunk| &tar[chunk.at as usize..][..chunk.len as usize]);
    let chunks = chunks.copied().collect();
    (Arc::new(index), chunks)
}

/// The file of a transfer of which this arrived, after what is there.
fn kept(folder: &Path, number: usize, index: &Arc<LayerIndex>, chunks: &[u8]) -> Option<Vec<u8>> {
    let (all, config) = (PartialTransfer::below(folder), Digest::of(b"image"));
    let mut begun =
        all.begin(&config, &["registry:5000/shop/web:1".to_owned(), "web:1".to_owned()], MEMORY)?;
    begun.keep(number, index, chunks).then_some(())?;
    fs::read(folder.join("docker-sync/partial").join(config.hex())).ok()
}

/// The pieces of a file.
fn read(file: &[u8]) -> Option<Vec<Piece<'_>>> {
    let begin = 13 + u32::from_le_bytes(*file.get(9..)?.first_chunk()?) as usize;
    let (mut pieces, mut rest) = (Vec::new(), file.get(begin..)?);
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (bytes, next) = after.split_at_checked(number(12) as usize)?;
        pieces.push(Piece { layer: number(0), entry: number(4), chunk: number(8), bytes });
        rest = next;
    }
    Some(pieces)
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, (old, new)) in pairs(9 << 10).into_iter().enumerate().take(8) {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let mut file = Vec::new();
        // Both are kept in one file, the upper one first.
        for (layer, tar) in [(1, &new), (0, &old)] {
            let (index, chunks) = scanned(tar);
            file = kept(folder.path(), layer, &index, &chunks).expect("a real layer is kept");
            if number < 2 {
                seeds.push([&[RAW][..], &file].concat());
            }
        }
        let pieces = read(&file).expect("a file that was written is whole");
        let mut input = vec![b"registry:5000/shop/web:1\nweb:1".to_vec()];
        for Piece { layer, entry, chunk, bytes } in pieces {
            input.push([&[layer as u8, entry as u8, chunk as u8][..], bytes].concat());
        }
        let input: Vec<&[u8]> = input.iter().map(Vec::as_slice).collect();
        let how = [0, CUT, WRONG, CUT | WRONG | 31 << 3][number % 4];
        seeds.push([&[how][..], &joined(&input)].concat());
    }
    seeds
}
