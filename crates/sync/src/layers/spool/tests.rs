//! Layers that an engine gives twice, in another form, or of another length, and more of them than memory has room for.

use dsync_testkit::Layer;

use super::*;
use crate::transfer_tests::{index_of, tar, workspace};

fn layer(text: &str) -> Vec<u8> {
    tar(&text.repeat(1000))
}

fn key(layer: &[u8]) -> LayerKey {
    LayerKey::Tar(dsync_core::DiffId::of(layer))
}

fn spool(memory: u64) -> Spool {
    Spool::new(&workspace(memory), None).unwrap()
}

fn spooled(spool: &Spool, layer: &[u8]) -> Vec<u8> {
    let SpoolRange { at, len } = spool.spooled(&Digest::of(layer)).unwrap();
    let mut bytes = Vec::new();
    spool.copy(at, len, &mut bytes).unwrap();
    bytes
}

#[test]
fn layers_are_spooled_with_and_without_a_key_and_others_only_listed() {
    let (one, two, listed, other) = (layer("one"), layer("two"), layer("listed"), layer("other"));
    let mut spool = spool(64 << 20);
    let wanted =
        spool.request([&one, &two, &listed].map(|layer| key(layer)), |it| *it != key(&listed), Role::New);
    assert_eq!(wanted, HashSet::from([&one, &two, &listed].map(|layer| key(layer))));
    spool.layer(Some(key(&one)), &mut &one[..]).unwrap();
    spool.layer(None, &mut &other[..]).unwrap();
    spool.layer(Some(key(&listed)), &mut &listed[..]).unwrap();
    spool.layer(None, &mut &two[..]).unwrap();
    assert_eq!((spooled(&spool, &one), spooled(&spool, &two)), (one.clone(), two));
    for layer in [&other, &listed] {
        assert!(spool.spooled(&Digest::of(layer)).is_none());
        assert_eq!(spool.index(&Digest::of(layer)).unwrap().len, layer.len() as u64);
    }
    // A spooled layer need not be read once more; one that is only listed must be, where it is to be spooled.
    assert_eq!(spool.request([key(&one), key(&listed)], |_| false, Role::New), HashSet::new());
    assert_eq!(spool.request([key(&one), key(&listed)], |_| true, Role::New), HashSet::from([key(&listed)]));
    spool.layer(Some(key(&listed)), &mut &listed[..]).unwrap();
    assert_eq!((spooled(&spool, &listed), spooled(&spool, &one)), (listed, one));
}

#[test]
fn a_layer_that_comes_twice_is_spooled_once() {
    let (one, two) = (layer("one"), layer("two"));
    let mut spool = spool(64 << 20);
    spool.request([key(&one), key(&two)], |_| true, Role::New);
    for name in [None, Some(key(&one)), None] {
        spool.layer(name, &mut &one[..]).unwrap();
    }
    spool.layer(None, &mut &two[..]).unwrap();
    assert_eq!((spooled(&spool, &one), spooled(&spool, &two)), (one, two));
}

#[test]
fn other_bytes_than_the_key_names_are_damage_and_leave_nothing() {
    let (one, two, longer) = (layer("one"), layer("two"), [&layer("one")[..], &[0; 512]].concat());
    let mut spool = spool(64 << 20);
    spool.request([key(&one), key(&two)], |_| true, Role::New);
    let error = spool.layer(Some(key(&one)), &mut &two[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(spool.index(&Digest::of(&one)).is_none() && spool.spooled(&Digest::of(&one)).is_none());
    // One that is known is not hashed once more, but counted.
    spool.know(index_of(&one));
    for wrong in [&longer[..], &one[..one.len() - 1], b""] {
        let error = spool.layer(Some(key(&one)), &mut &*wrong).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("another length"), "{error}");
        assert!(spool.spooled(&Digest::of(&one)).is_none());
    }
    // The engine may have another way to it.
    spool.layer(Some(key(&one)), &mut &one[..]).unwrap();
    spool.layer(Some(key(&two)), &mut &two[..]).unwrap();
    assert_eq!((spooled(&spool, &one), spooled(&spool, &two)), (one, two));
}

#[test]
fn a_layer_of_an_image_that_failed_is_forgotten_unless_it_is_spooled() {
    let (one, two) = (layer("one"), layer("two"));
    let mut spool = spool(64 << 20);
    let wanted = spool.request([key(&one), key(&two)], |it| *it == key(&one), Role::Basis);
    for layer in [&one, &two] {
        spool.layer(Some(key(layer)), &mut &layer[..]).unwrap();
    }
    spool.forget_scanned(&wanted);
    assert!(spool.index(&Digest::of(&one)).is_some() && spool.index(&Digest::of(&two)).is_none());
}

/// A layer of many small files, whose index takes much more memory than that of one with a few bytes.
fn many() -> Vec<u8> {
    let files = (0..3000).fold(Layer::builder(), |layer, number| {
        layer.file(format!("dir/{number:05}"), format!("{number}").repeat(300))
    });
    files.build().tar().to_vec()
}

#[test]
fn nothing_is_built_on_a_layer_that_memory_has_no_room_for() {
    let (many, one) = (many(), layer("one"));
    let mut spool = spool(64 << 10);
    spool.request([key(&many), key(&one)], |_| true, Role::Basis);
    spool.layer(Some(key(&many)), &mut &many[..]).unwrap();
    assert!(spool.index(&Digest::of(&many)).is_none());
    let notes = spool.take_notes();
    assert!(notes.len() == 1 && notes[0].contains("nothing is built on it"), "{notes:?}");
    // There is still room for another one.
    spool.layer(Some(key(&one)), &mut &one[..]).unwrap();
    assert!(spool.index(&Digest::of(&one)).is_some() && spool.take_notes().is_empty());
    assert!(spool.taken() <= spool.memory.share());
}

#[test]
fn the_end_of_a_new_layer_with_too_many_files_goes_as_bytes() {
    let many = many();
    let whole = Memory::new_layer(&index_of(&many));
    let mut spool = spool(whole);
    spool.request([key(&many)], |_| true, Role::New);
    spool.layer(Some(key(&many)), &mut &many[..]).unwrap();
    assert_eq!(spooled(&spool, &many), many);
    let index = spool.index(&Digest::of(&many)).unwrap();
    assert_eq!(index.len, many.len() as u64);
    assert!(index.files().count() < 3000 && spool.taken() < whole);
    assert!(spool.take_notes()[0].contains("goes as mere bytes"));
}

#[test]
fn the_indexes_of_all_layers_count() {
    let layers = ["one", "two", "three"].map(layer);
    let mut spool = spool(64 << 20);
    let mut expected = 0;
    let memory = [Memory::new_layer, Memory::new_layer, Memory::basis_layer];
    for ((bytes, role), of) in layers.iter().zip([Role::New, Role::New, Role::Basis]).zip(memory) {
        spool.request([key(bytes)], |_| true, role);
        spool.layer(Some(key(bytes)), &mut &bytes[..]).unwrap();
        expected += of(&index_of(bytes));
        assert_eq!(spool.taken(), expected);
    }
}

#[test]
fn a_new_layer_that_has_no_room_at_all_is_a_failure_that_names_the_memory() {
    let layer = layer("one");
    let mut spool = spool(16);
    spool.request([key(&layer)], |_| true, Role::New);
    let error = spool.layer(Some(key(&layer)), &mut &layer[..]).unwrap_err();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()), "{error}");
}

#[test]
fn an_index_is_remembered_and_recalled_where_memory_has_room() {
    let (one, folder) = (layer("one"), tempfile::tempdir().unwrap());
    let cache = || Cache::locate_below(Some(folder.path()));
    let spool = |memory| Spool::new(&workspace(memory), Some(cache().unwrap())).unwrap();
    let digest = Digest::of(&one);
    let mut first = spool(64 << 20);
    assert!(!first.recall(&digest));
    first.request([key(&one)], |_| false, Role::Basis);
    first.layer(None, &mut &one[..]).unwrap();
    // Another run, which is told how its digest begins.
    let short = *digest.as_bytes().first_chunk().unwrap();
    let mut second = spool(64 << 20);
    assert_eq!(second.recall_short(&short), Some(digest));
    assert_eq!(second.recall_short(&[0; 5]), None);
    assert_eq!(second.taken(), Memory::basis_layer(&index_of(&one)));
    assert_eq!(second.request([key(&one)], |_| false, Role::Basis), HashSet::new());
    // Recalled twice it takes its memory once.
    assert!(second.recall(&digest));
    assert_eq!(second.taken(), Memory::basis_layer(&index_of(&one)));
    assert_eq!(spool(16).recall_short(&short), None);
}

#[test]
fn an_interrupt_ends_reading() {
    let room = workspace(64 << 20);
    let mut spool = Spool::new(&room, None).unwrap();
    let one = layer("one");
    spool.request([key(&one)], |_| true, Role::New);
    room.interrupt.interrupt();
    assert!(spool.layer(Some(key(&one)), &mut &one[..]).is_err());
    assert!(spool.index(&Digest::of(&one)).is_none());
}
