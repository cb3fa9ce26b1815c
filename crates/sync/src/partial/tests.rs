//! Files of partial transfers: what is in them, who uses them, and how long they stay.

use std::io::Read as _;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_delta::layer_index::Entries;
use dsync_delta::{LayerIndex, Scanner};

use dsync_core::ImageRef;

use super::writer::WAITING;
use super::*;

/// A layer of a directory, files of these lengths and a link, and its index.
fn layer(lens: &[usize]) -> (Vec<u8>, Arc<LayerIndex>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    tar.append_data(&mut header, "d/", &[][..]).unwrap();
    for (number, len) in (1_u32..).zip(lens) {
        let mut header = tar::Header::new_gnu();
        header.set_size(*len as u64);
        header.set_mtime(u64::from(number));
        let bytes: Vec<u8> = (0..*len as u32)
            .flat_map(|at| (at / 4 * number).wrapping_mul(0x9e37_79b9).to_le_bytes())
            .collect();
        tar.append_data(&mut header, format!("d/{number}"), &bytes[..*len]).unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let index = Arc::new(index(&bytes));
    (bytes, index)
}

fn index(bytes: &[u8]) -> LayerIndex {
    let mut scanner = Scanner::new();
    scanner.push(bytes);
    scanner.finish()
}

fn chunks(bytes: &[u8], index: &LayerIndex, chunks: std::ops::Range<usize>) -> Vec<u8> {
    let bytes_of =
        |chunk: dsync_delta::layer_index::Chunk| bytes[chunk.at as usize..][..chunk.len as usize].to_vec();
    index.chunks().range(chunks).flat_map(bytes_of).collect()
}

fn partials() -> (tempfile::TempDir, Partials) {
    let directory = tempfile::tempdir().unwrap();
    let partials = Partials::locate_below(Some(directory.path())).unwrap();
    (directory, partials)
}

fn owner(image: &[u8], names: &[&str]) -> Owner {
    let names: Vec<ImageRef> = names.iter().map(|name| name.parse().unwrap()).collect();
    Owner::new(&Digest::of(image), &names)
}

/// Bytes of memory for the tables of pieces.
const MEMORY: u64 = 1 << 20;

fn begin(partials: &Partials, owner: &Owner) -> PartialBasis {
    partials.begin(owner, MEMORY).unwrap()
}

/// Keeps chunks of a layer as they arrive, in these runs.
fn write(partials: &Partials, owner: &Owner, layer: &(Vec<u8>, Arc<LayerIndex>), runs: &[(usize, usize)]) {
    let (bytes, index) = layer;
    let mut basis = begin(partials, owner);
    let mut writer = basis.writer(owner).unwrap();
    writer.add_layer(3, index, BasisKind::None);
    for (first, end) in runs {
        writer.write(0, *first..*end, &chunks(bytes, index, *first..*end)).unwrap();
        writer.flush().unwrap();
    }
}

/// The bytes of the last layer that an image finds.
fn found(partials: &Partials, owner: &Owner) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(layer) = begin(partials, owner).take_layers().last() {
        layer.reader().read_to_end(&mut bytes).unwrap();
    }
    bytes
}

#[test]
fn little_waits_to_be_written_however_many_files_arrive_at_once() {
    let (bytes, index) = layer(&[65; 10_000]);
    let (_directory, partials) = partials();
    let owner = owner(b"image", &["app:1"]);
    let mut basis = begin(&partials, &owner);
    let mut writer = basis.writer(&owner).unwrap();
    writer.add_layer(0, &index, BasisKind::None);
    let all = 0..index.chunks().len();
    writer.write(0, all.clone(), &chunks(&bytes, &index, all)).unwrap();
    assert!(writer.waiting() <= 2 * WAITING, "{} bytes wait", writer.waiting());
    writer.flush().unwrap();
    drop((writer, basis));
    let found = found(&partials, &owner);
    // All of it but the directory in front.
    assert_eq!(found[..bytes.len() - 1536], bytes[512..bytes.len() - 1024]);
}

#[test]
fn what_arrived_is_the_layer_as_far_as_it_came_in_the_order_of_the_layer() {
    let (_directory, partials) = partials();
    let (web, layer) = (owner(b"web", &["shop/web:1"]), layer(&[100, 5000, 40, 70_000, 300]));
    // Chunks are numbered from 0; the file of 40 bytes has none.
    write(&partials, &web, &layer, &[(0, 1), (2, 4)]);
    write(&partials, &web, &layer, &[(1, 2)]);
    let (found, new) = (found(&partials, &web), &layer.1);
    let found = index(&found);
    let ids = |index: &LayerIndex| index.chunks().iter().map(|chunk| chunk.id).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(new));
    let entries = |index: &LayerIndex| {
        let mut ids = Vec::new();
        Entries::of(index).ids(&mut ids);
        ids
    };
    // All entries from the first file on are there, the one without chunks included; the end of the layer is not.
    let (found, new) = (entries(&found), entries(new));
    assert_eq!(found, new[1..6]);
}

#[test]
fn chunks_of_a_file_that_is_not_all_there_are_written_one_by_one() {
    let (_directory, partials) = partials();
    let (web, layer) = (owner(b"web", &[]), layer(&[900_000]));
    let count = layer.1.chunks().len();
    assert!(count > 4, "{count}");
    let (first, bytes) = (0..3, chunks(&layer.0, &layer.1, 0..3));
    let mut basis = begin(&partials, &web);
    let mut writer = basis.writer(&web).unwrap();
    writer.add_layer(0, &layer.1, BasisKind::None);
    // Of the last one some bytes are missing.
    writer.write(0, first, &bytes[..bytes.len() - 1]).unwrap();
    writer.flush().unwrap();
    drop((writer, basis));
    let found = index(&found(&partials, &web));
    let ids: Vec<_> = found.chunks().iter().map(|chunk| chunk.id).collect();
    assert_eq!(ids, layer.1.chunks().range(0..2).map(|chunk| chunk.id).collect::<Vec<_>>());
}

#[test]
fn a_chunk_of_the_layer_is_read_where_it_lies() {
    let (_directory, partials) = partials();
    let (web, layer) = (owner(b"web", &[]), layer(&[3000, 70_000, 500]));
    write(&partials, &web, &layer, &[(2, 3), (0, 2)]);
    let mut basis = begin(&partials, &web);
    let partial = basis.take_layers().pop().unwrap();
    let mut bytes = Vec::new();
    partial.reader().read_to_end(&mut bytes).unwrap();
    for chunk in index(&bytes).chunks().iter() {
        let mut copied = Vec::new();
        partial.copy(chunk.at, chunk.len, &mut copied).unwrap();
        assert_eq!(copied, bytes[chunk.at as usize..][..chunk.len as usize]);
    }
    assert!(partial.copy(bytes.len() as u64 - 1, 2, &mut io::sink()).is_err());
}

#[test]
fn a_file_that_is_cut_off_has_its_whole_pieces_and_grows_again() {
    let (_directory, partials) = partials();
    let (web, layer) = (owner(b"web", &["shop/web:1"]), layer(&[100, 200, 300]));
    write(&partials, &web, &layer, &[(0, 1), (1, 2)]);
    let path = partials.path(&web.config());
    let whole = fs::read(&path).unwrap();
    let first = found(&partials, &web);
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let found = found(&partials, &web);
        assert!(first.starts_with(&found) && found.len() < first.len(), "{end}");
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    write(&partials, &web, &layer, &[(1, 2), (2, 3)]);
    assert_eq!(index(&found(&partials, &web)).chunks().len(), 3);
    for damage in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[damage] ^= 0x55;
        fs::write(&path, damaged).unwrap();
        self::found(&partials, &web);
    }
}

#[test]
fn parts_are_for_the_same_image_and_for_others_of_its_repository() {
    let (_directory, partials) = partials();
    let layer = layer(&[1000]);
    write(&partials, &owner(b"old", &["shop/web:1", "shop/web:latest"]), &layer, &[(0, 1)]);
    let layers = |image: &[u8], names: &[&str]| begin(&partials, &owner(image, names)).take_layers().len();
    assert_eq!(layers(b"old", &[]), 1, "the same image, whatever its name");
    assert_eq!(layers(b"new", &["shop/web:2"]), 1);
    assert_eq!(layers(b"new", &["shop/webs:1"]), 0, "another repository");
    assert_eq!(layers(b"new", &[]), 0);
    let basis = begin(&partials, &owner(b"new", &["shop/web:2"]));
    assert_eq!(layers(b"old", &[]), 0, "another run has it");
    basis.complete();
    assert_eq!(partials.entries().unwrap(), [], "what was built on is no longer needed");
}

#[test]
fn parts_of_images_that_are_there_go_and_no_others() {
    let (_folder, partials) = partials();
    let [there, used, other] = ["there", "used", "other"].map(|image| owner(image.as_bytes(), &[image]));
    let layer = layer(&[100_000]);
    [&there, &used, &other].into_iter().for_each(|owner| write(&partials, owner, &layer, &[(0, 1)]));
    let user = begin(&partials, &used);
    partials.remove_complete(&HashSet::from([there.config(), used.config()])).unwrap();
    let left = |partials: &Partials| -> HashSet<Digest> {
        partials.entries().unwrap().into_iter().map(|entry| entry.config).collect()
    };
    assert_eq!(left(&partials), HashSet::from([used.config(), other.config()]), "one is in use");
    drop(user);
}

#[test]
fn of_a_run_in_which_nothing_arrived_nothing_stays() {
    let (_directory, partials) = partials();
    let web = owner(b"web", &["shop/web:1"]);
    let mut basis = begin(&partials, &web);
    assert!(basis.take_layers().is_empty());
    drop(basis.writer(&web).unwrap());
    drop(basis);
    assert!(partials.configs().unwrap().is_empty());
    write(&partials, &web, &layer(&[1000]), &[(0, 1)]);
    begin(&partials, &web).discard();
    assert!(partials.configs().unwrap().is_empty(), "after a wrong layer");
}

#[test]
fn files_expire_and_the_oldest_go_first_but_none_that_is_in_use() {
    let (_directory, partials) = partials();
    let layer = layer(&[10_000]);
    let images: [&[u8]; 3] = [b"a", b"b", b"c"];
    for (days, image) in (1_u32..).zip(images) {
        let owner = owner(image, &["shop/web:1"]);
        write(&partials, &owner, &layer, &[(0, 1)]);
        let written = SystemTime::now() - Duration::from_secs(24 * 3600) * days * 3;
        File::options()
            .write(true)
            .open(partials.path(&owner.config()))
            .unwrap()
            .set_modified(written)
            .unwrap();
    }
    let left = || {
        let configs = partials.entries().unwrap().into_iter().map(|entry| entry.config).collect::<Vec<_>>();
        images.map(|image| configs.contains(&Digest::of(image)))
    };
    assert_eq!(left(), [true; 3]);
    let pruned = partials.prune(PARTIAL_LIMIT).unwrap();
    assert_eq!((left(), pruned.len()), ([true, true, false], 1), "nine days are too many");
    assert_eq!(pruned[0].names, ["shop/web:1"]);
    let held = begin(&partials, &owner(b"b", &[]));
    partials.prune(0).unwrap();
    assert_eq!(left(), [false, true, false]);
    drop(held);
    partials.prune(0).unwrap();
    assert_eq!(left(), [false; 3]);
}

#[test]
fn what_is_no_file_of_ours_does_no_harm() {
    let (_directory, partials) = partials();
    let web = owner(b"web", &["shop/web:1"]);
    let path = partials.path(&web.config());
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    assert!(partials.begin(&web, MEMORY).is_err() && partials.entries().unwrap().is_empty());
    fs::remove_file(&path).unwrap();
    fs::write(&path, [0xff; 4096]).unwrap();
    assert!(begin(&partials, &web).take_layers().is_empty());
    write(&partials, &web, &layer(&[1000]), &[(0, 1)]);
    // A length that reaches beyond the file.
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&u32::MAX.to_le_bytes(), 9).unwrap();
    assert!(found(&partials, &web).is_empty());
    fs::write(partials.directory().join("no digest"), b"x").unwrap();
    assert!(partials.entries().unwrap().is_empty());
}

#[test]
fn a_file_that_names_another_image_than_its_own_has_nothing_and_goes() {
    let (_directory, partials) = partials();
    let (web, other) = (owner(b"web", &["shop/web:1"]), owner(b"other", &["shop/web:2"]));
    let layer = layer(&[1000, 2000]);
    write(&partials, &other, &layer, &[(0, 1)]);
    let misplaced =
        |partials: &Partials| fs::copy(partials.path(&other.config()), partials.path(&web.config()));
    misplaced(&partials).unwrap();
    assert_eq!(partials.entries().unwrap().len(), 1);
    assert_eq!(begin(&partials, &web).take_layers().len(), 1, "that of the other image alone");
    misplaced(&partials).unwrap();
    let (file, path) = partials.lock(&web.config(), PartialOf::ThisImage).unwrap().unwrap();
    let mut budget = PieceBudget::of_memory(MEMORY);
    let mut read = PartialFile::read(file, path, &web.config(), &mut budget).unwrap();
    assert!(read.take_layer().is_none());
    drop(read);
    write(&partials, &web, &layer, &[(1, 2)]);
    assert_eq!(partials.entries().unwrap().len(), 2, "what is written now has its own name");
    misplaced(&partials).unwrap();
    partials.prune(PARTIAL_LIMIT).unwrap();
    assert_eq!(partials.configs().unwrap(), [other.config()]);
}

#[test]
fn tables_of_pieces_are_within_their_memory() {
    let (_directory, partials) = partials();
    let (old, new) = (owner(b"old", &["shop/web:1"]), owner(b"new", &["shop/web:2"]));
    let layer = layer(&[100; 50]);
    write(&partials, &old, &layer, &[(0, 50)]);
    write(&partials, &new, &layer, &[(0, 30)]);
    let lens = |memory| -> Vec<u64> {
        let layers = partials.begin(&new, memory).unwrap().take_layers();
        assert!(layers.iter().map(PartialLayer::memory).sum::<u64>() <= memory);
        layers.iter().map(|layer| io::copy(&mut layer.reader(), &mut io::sink()).unwrap() / 1024).collect()
    };
    assert_eq!(lens(MEMORY), [50, 30]);
    assert_eq!(lens(48 * 60), [30, 30], "the image's own come first");
    assert_eq!(lens(48 * 20), [20]);
    assert!(lens(0).is_empty());
}

#[test]
fn a_run_that_has_not_ended_yet_is_waited_for() {
    let (_directory, partials) = partials();
    let web = owner(b"web", &["shop/web:1"]);
    write(&partials, &web, &layer(&[1000, 2000]), &[(0, 2)]);
    let last = begin(&partials, &web);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(5 * TICK);
            drop(last);
        });
        assert_eq!(begin(&partials, &web).take_layers().len(), 1);
    });
}

#[test]
fn the_numbers_of_what_a_piece_has_are_pinned() {
    use super::file::PieceContent::{Chunk, Entry, Range};
    let numbers = [Entry, Chunk(0), Chunk(4), Range(0), Range(4)].map(super::file::PieceContent::number);
    assert_eq!(numbers, [0, 1, 5, 0x8000_0001, 0x8000_0005]);
}

#[test]
fn no_more_partial_transfers_are_read_than_are_used() {
    let (_directory, partials) = partials();
    let layer = layer(&[1000]);
    for image in [&b"a"[..], b"b", b"c", b"d", b"e"] {
        write(&partials, &owner(image, &["shop/web:1"]), &layer, &[(0, 1)]);
    }
    assert_eq!(begin(&partials, &owner(b"a", &["shop/web:2"])).take_layers().len(), USED);
}
