//! The scanner against tars of every kind, good and bad: what it takes for chunks, and that it loses nothing.

use crate::support::{Layout, Segment, assert_sound, assert_survives, scan, scan_split};
use crate::tars::{END, body, build, chunks_by_the_tar_crate, entry, header, items, octal, seal};
use dsync_delta::ChunkId;
use dsync_delta::layer_index::CHUNK_MAX;
use dsync_delta::scan::VERBATIM_MAX;
use proptest::prelude::*;

/// Segments as `(is chunk, length)`.
fn shape(layout: &Layout) -> Vec<(bool, u64)> {
    layout.segments.iter().map(|segment| (matches!(segment, Segment::Chunk { .. }), segment.len())).collect()
}

fn spans_of_chunks(layout: &Layout) -> Vec<(u64, u64)> {
    chunks(layout).map(|(_, at, len)| (at, len)).collect()
}

fn chunks(layout: &Layout) -> impl Iterator<Item = (ChunkId, u64, u64)> + '_ {
    layout.segments.iter().filter_map(|segment| match *segment {
        Segment::Chunk { id, at, len } => Some((id, at, len)),
        Segment::Verbatim(_) => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        assert_survives(&bytes);
    }

    #[test]
    fn chunks_are_those_of_the_tar_crate(items in items()) {
        let bytes = build(&items);
        let layout = assert_survives(&bytes);
        prop_assert_eq!(spans_of_chunks(&layout), chunks_by_the_tar_crate(&bytes));
    }

    #[test]
    fn splitting_changes_nothing(items in items(), sizes in proptest::collection::vec(1..2000usize, 1..9)) {
        let bytes = build(&items);
        let layout = scan(&bytes);
        prop_assert_eq!(&scan_split(&bytes, &sizes), &layout);
        prop_assert_eq!(&scan_split(&bytes, &[sizes[0] % 7 + 1]), &layout);
    }

    #[test]
    fn damaged_tars_survive(
        items in items(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        insert in (any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..700)),
        sizes in proptest::collection::vec(1..3000usize, 1..5),
    ) {
        let mut bytes = build(&items);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() * 2).min(bytes.len()));
        let at = insert.0.index(bytes.len() + 1);
        bytes.splice(at..at, insert.1);
        let layout = assert_survives(&bytes);
        prop_assert_eq!(scan_split(&bytes, &sizes), layout);
    }

    /// Damage where it counts: headers that are wrong but have a right checksum.
    #[test]
    fn lying_headers_survive(
        blocks in proptest::collection::vec((any::<u8>(), 0..40usize, 0..512usize, any::<u8>()), 0..20),
        flags in proptest::collection::vec(prop::sample::select(&b"0017xgLKSSVD\0"[..]), 20),
        sizes in proptest::collection::vec(1..600usize, 1..4),
    ) {
        let mut bytes = Vec::new();
        for ((zeros, size, at, value), flag) in blocks.into_iter().zip(flags) {
            let mut block = header(flag, &octal(size * 50));
            block[at] = value;
            seal(&mut block);
            bytes.extend(block);
            bytes.extend(vec![0; usize::from(zeros) % 3 * 512]);
        }
        let layout = assert_survives(&bytes);
        prop_assert_eq!(scan_split(&bytes, &sizes), layout);
    }
}

#[test]
fn nothing_gives_nothing() {
    let layout = assert_survives(b"");
    assert!(layout.segments.is_empty());
    assert_eq!(shape(&assert_survives(&END)), [(false, 1024)]);
}

#[test]
fn small_chunks_stay_verbatim() {
    let bytes =
        [entry(b'0', &body(63, 1)), entry(b'0', &body(64, 2)), entry(b'0', b""), END.to_vec()].concat();
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 1536), (true, 64), (false, 448 + 512 + 1024)]);
}

#[test]
fn a_chunk_of_whole_blocks_has_no_padding() {
    let bytes = [entry(b'0', &body(1024, 1)), entry(b'7', &body(512, 2)), END.to_vec()].concat();
    assert_eq!(
        shape(&assert_survives(&bytes)),
        [(false, 512), (true, 1024), (false, 512), (true, 512), (false, 1024)]
    );
}

#[test]
fn long_names_and_attributes_stay_verbatim() {
    let bytes = [
        entry(b'g', b"17 comment=hello\n"),
        entry(b'L', &body(600, 1)),
        entry(b'K', &body(600, 2)),
        entry(b'x', &[&b"640 SCHILY.xattr.user.x="[..], &body(615, 3), b"\n"].concat()),
        entry(b'0', &body(100, 4)),
    ]
    .concat();
    let before = 1024 + 3 * (512 + 1024) + 512;
    assert_eq!(shape(&assert_survives(&bytes)), [(false, before), (true, 100), (false, 412)]);
}

#[test]
fn a_pax_size_overrides_the_header_and_only_the_next_one() {
    let mut bytes = entry(b'x', b"12 size=700\n");
    bytes.extend(entry(b'L', &body(100, 1)));
    bytes.extend(header(b'0', &octal(5)));
    bytes.extend(body(1024, 2));
    bytes.extend(entry(b'0', &body(100, 3)));
    assert_eq!(
        shape(&assert_survives(&bytes)),
        [(false, 2048 + 512), (true, 700), (false, 324 + 512), (true, 100), (false, 412)]
    );
}

#[test]
fn a_size_of_many_gigabytes_may_end_early() {
    let mut base256 = [0; 12];
    base256[0] = 0x80;
    base256[4..].copy_from_slice(&(20u64 << 30).to_be_bytes());
    let bytes = [&header(b'0', &base256)[..], &body(1000, 1)].concat();
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 512), (true, 1000)]);

    let mut bytes = entry(b'x', b"20 size=21474836480\n");
    bytes.extend(header(b'0', &octal(0)));
    bytes.extend(body(3000, 1));
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 1536), (true, 3000)]);

    let largest = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    let bytes = [&header(b'0', largest)[..], &body(64, 1)].concat();
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 512), (true, 64)]);
    let bytes = [&header(b'0', largest)[..], &body(63, 1)].concat();
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 512 + 63)]);
}

#[test]
fn old_gnu_sparse_maps_go_before_the_chunk() {
    let mut first = header(b'S', &octal(700));
    first[482] = 1;
    seal(&mut first);
    let mut more = [b'0'; 512];
    more[504] = 1;
    let mut last = [b'0'; 512];
    last[504] = 0;
    let mut chunk = body(700, 1);
    chunk.resize(1024, 0);
    let bytes = [&first[..], &more, &last, &chunk, &entry(b'S', &body(100, 2))].concat();
    assert_eq!(
        shape(&assert_survives(&bytes)),
        [(false, 1536), (true, 700), (false, 324 + 512), (true, 100), (false, 412)]
    );
}

#[test]
fn links_have_no_chunk_whatever_their_size() {
    for flag in *b"123456" {
        let bytes = [&header(flag, &octal(700))[..], &entry(b'0', &body(100, 1))].concat();
        assert_eq!(shape(&assert_survives(&bytes)), [(false, 1024), (true, 100), (false, 412)]);
    }
    // With the end of the archive after it, and with a size that is none.
    assert_eq!(shape(&assert_survives(&[&header(b'1', &octal(700))[..], &END].concat())), [(false, 1536)]);
    assert_eq!(shape(&assert_survives(&[&header(b'2', b"none")[..], &END].concat())), [(false, 1536)]);
}

#[test]
fn a_link_that_brings_its_chunk_is_believed() {
    let bytes = [entry(b'1', &body(700, 1)), entry(b'0', &body(100, 2)), entry(b'2', &body(9, 3))].concat();
    let after = [(false, 324 + 512), (true, 100), (false, 412 + 1024)];
    assert_eq!(shape(&assert_survives(&bytes)), [&[(false, 512), (true, 700)], &after[..]].concat());
}

#[test]
fn what_is_long_or_no_tar_is_cut_by_chunk() {
    let long = body(2 << 20, 1);
    let opaque = assert_survives(&long);
    assert!(shape(&opaque).iter().all(|(is_chunk, len)| *is_chunk && *len <= 256 << 10));
    assert!(opaque.segments.len() > 10);
    assert_eq!(scan_split(&long, &[100_000, 7, 333]), opaque);
    // In a tar it is cut at the same places.
    let tar = assert_survives(&[entry(b'0', &long), END.to_vec()].concat());
    let cuts = |layout: &Layout| chunks(layout).map(|(id, _, len)| (id, len)).collect::<Vec<_>>();
    assert_eq!(cuts(&tar), cuts(&opaque));
    // Up to the limit a file is one chunk.
    let whole = body(CHUNK_MAX as usize, 1);
    assert_eq!(shape(&assert_survives(&entry(b'0', &whole))), [(false, 512), (true, CHUNK_MAX)]);
    // Less than a block is not worth a decision.
    assert_eq!(shape(&assert_survives(&long[..511])), [(false, 511)]);
}

#[test]
fn garbage_makes_the_rest_opaque() {
    let bytes = [entry(b'0', &body(100, 1)), body(512, 2), entry(b'0', &body(100, 1))].concat();
    assert_eq!(shape(&assert_survives(&bytes)), [(false, 512), (true, 100), (false, 412), (true, 1536)]);
}

#[test]
fn a_tar_may_go_on_after_its_end() {
    let tar = [entry(b'0', &body(100, 1)), END.to_vec()].concat();
    let layout = assert_survives(&[tar.clone(), tar].concat());
    assert_eq!(
        shape(&layout),
        [(false, 512), (true, 100), (false, 412 + 1024 + 512), (true, 100), (false, 1436)]
    );
    let ids: Vec<ChunkId> = chunks(&layout).map(|(id, ..)| id).collect();
    assert_eq!(ids, [ChunkId::of(&body(100, 1)); 2]);
}

#[test]
fn verbatim_bodies_and_zeros_are_bounded() {
    let limit = VERBATIM_MAX as usize;
    for flag in *b"xgLK" {
        let bytes = entry(flag, &body(limit, 1));
        assert_eq!(shape(&assert_survives(&bytes)), [(false, 512 + VERBATIM_MAX)]);
        let bytes = entry(flag, &body(limit + 1, 1));
        let shape = shape(&assert_survives(&bytes));
        assert!(shape.len() > 2 && shape[1..].iter().all(|(is_chunk, _)| *is_chunk), "{shape:?}");
    }
    let bytes = vec![0; limit + 2048];
    assert_eq!(shape(&assert_survives(&bytes)), [(false, VERBATIM_MAX), (true, 2048)]);
}

#[test]
fn a_cut_tar_survives_wherever_it_is_cut() {
    let bytes =
        [entry(b'x', b"12 size=700\n"), header(b'0', b"").to_vec(), body(700, 1), vec![0; 324]].concat();
    for end in 0..=bytes.len() {
        assert_sound(&scan(&bytes[..end]), &bytes[..end]);
    }
}

/// An entry of some kind, which knows what the scanner must make of it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    File,
    Contiguous,
    /// Any other type flag, which POSIX wants to be taken for a file.
    Unknown(u8),
    /// With its size in binary.
    Base256,
    /// With its size in octal without a terminator, or with spaces around.
    Octal,
    /// With its size in a pax record, and another one in its header.
    PaxSize,
    /// With its size in a pax record, and a long name between that and its header.
    PaxSizeFirst,
    /// After a GNU long name and a long link name.
    LongNames,
    /// After global pax records, which have no say in its size.
    Global,
    /// Sparse, with so many extension blocks.
    Sparse(usize),
    Link,
    Directory,
    Zeros(usize),
}

const KINDS: [Kind; 14] = [
    Kind::File,
    Kind::Contiguous,
    Kind::Unknown(b'V'),
    Kind::Unknown(b'Z'),
    Kind::Base256,
    Kind::Octal,
    Kind::PaxSize,
    Kind::PaxSizeFirst,
    Kind::LongNames,
    Kind::Global,
    Kind::Sparse(0),
    Kind::Sparse(2),
    Kind::Link,
    Kind::Zeros(3),
];

/// The bytes of an entry: those before its chunk, and those of its chunk, which padding follows.
fn craft(kind: Kind, chunk: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let len = chunk.len();
    let mut base256 = [0; 12];
    base256[0] = 0x80;
    base256[4..].copy_from_slice(&(len as u64).to_be_bytes());
    let mut sparse = header(b'S', &octal(len));
    let pax = |size: usize| {
        let digits = size.to_string();
        let total = digits.len() + 7 + if digits.len() + 8 < 10 { 1 } else { 2 };
        entry(b'x', format!("{total} size={digits}\n").as_bytes())
    };
    let head = match kind {
        Kind::File => header(b'0', &octal(len)).to_vec(),
        Kind::Contiguous => header(b'7', &octal(len)).to_vec(),
        Kind::Unknown(flag) => header(flag, &octal(len)).to_vec(),
        Kind::Base256 => header(b'0', &base256).to_vec(),
        Kind::Octal => header(0, format!(" {len:o} ").as_bytes()).to_vec(),
        Kind::PaxSize => [pax(len), header(b'0', &octal(7 * len + 3)).to_vec()].concat(),
        Kind::PaxSizeFirst => {
            [pax(len), entry(b'L', &body(200, 9)), header(b'0', &octal(0)).to_vec()].concat()
        }
        Kind::LongNames => {
            [entry(b'K', &body(150, 7)), entry(b'L', &body(513, 8)), header(b'0', &octal(len)).to_vec()]
                .concat()
        }
        Kind::Global => [entry(b'g', b"12 size=999\n"), header(b'0', &octal(len)).to_vec()].concat(),
        Kind::Sparse(blocks) => {
            sparse[482] = u8::from(blocks > 0);
            seal(&mut sparse);
            let maps = (1..=blocks).flat_map(|block| {
                let mut map = [b'7'; 512];
                map[504] = u8::from(block < blocks);
                map
            });
            sparse.into_iter().chain(maps).collect()
        }
        Kind::Link => return (header(b'1', &octal(len)).to_vec(), Vec::new()),
        Kind::Directory => return (header(b'5', b"").to_vec(), Vec::new()),
        Kind::Zeros(blocks) => return (vec![0; 512 * blocks], Vec::new()),
    };
    (head, chunk.to_vec())
}

/// A tar of these entries, and the shape that it must have.
fn crafted(entries: &[(Kind, usize, u32)]) -> (Vec<u8>, Vec<(bool, u64)>) {
    let (mut bytes, mut shape) = (Vec::new(), Vec::new());
    let verbatim = |len: usize, shape: &mut Vec<(bool, u64)>| match shape.last_mut() {
        _ if len == 0 => {}
        Some((false, last)) => *last += len as u64,
        _ => shape.push((false, len as u64)),
    };
    for &(kind, len, seed) in entries {
        let (head, chunk) = craft(kind, &body(len, seed));
        verbatim(head.len(), &mut shape);
        match chunk.len() {
            0..64 => verbatim(chunk.len(), &mut shape),
            len => shape.push((true, len as u64)),
        }
        let padding = chunk.len().next_multiple_of(512) - chunk.len();
        verbatim(padding, &mut shape);
        bytes.extend([head, chunk, vec![0; padding]].concat());
    }
    (bytes, shape)
}

#[test]
fn every_kind_of_entry_is_found_after_every_other() {
    for first in KINDS {
        for second in KINDS {
            for (one, two) in [(100, 1000), (63, 64), (1024, 512), (0, 200)] {
                let end = (Kind::Directory, 0, 0);
                let (bytes, expected) = crafted(&[(first, one, 1), (second, two, 2), end]);
                assert_eq!(shape(&scan(&bytes)), expected, "{first:?} of {one}, {second:?} of {two}");
            }
        }
    }
}

#[test]
fn a_tar_of_every_kind_survives_wherever_it_ends() {
    let entries: Vec<(Kind, usize, u32)> = (0..).zip(KINDS).map(|(seed, kind)| (kind, 90, seed)).collect();
    let (bytes, expected) = crafted(&entries);
    assert_eq!(shape(&assert_survives(&bytes)), expected);
    for end in (0..bytes.len()).filter(|end| end % 7 == 0 || end % 512 < 3) {
        assert_sound(&scan(&bytes[..end]), &bytes[..end]);
    }
    for end in (0..bytes.len()).step_by(311) {
        assert_survives(&bytes[..end]);
    }
}

#[test]
fn a_pax_size_is_used_up_by_the_header_that_follows_even_a_link() {
    for flag in *b"1256" {
        let bytes =
            [entry(b'x', b"12 size=700\n"), header(flag, &octal(0)).to_vec(), entry(b'0', &body(100, 1))];
        let layout = assert_survives(&[&bytes.concat()[..], &END].concat());
        assert_eq!(shape(&layout), [(false, 1024 + 512 + 512), (true, 100), (false, 412 + 1024)], "{flag}");
    }
}

#[test]
fn padding_that_is_not_zero_stays_verbatim() {
    for len in [1, 63, 64, 100, 511, 513] {
        for at in [0, 1] {
            let mut bytes = [entry(b'0', &body(len, 1)), entry(b'0', &body(100, 2)), END.to_vec()].concat();
            // The first byte of the padding, or the last one.
            let padded = 512 + len.next_multiple_of(512);
            bytes[if at == 0 { 512 + len } else { padded - 1 }] = 1;
            let layout = assert_survives(&bytes);
            assert_eq!(chunks(&layout).count(), 1 + usize::from(len >= 64), "{len} {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn entries_of_all_kinds_are_found(
        entries in proptest::collection::vec(
            (prop::sample::select(&KINDS[..]), prop_oneof![0..70_usize, 500..530_usize, 0..9000_usize], 0..9_u32), 0..12,
        ),
        sizes in proptest::collection::vec(1..2000_usize, 1..5),
    ) {
        let (bytes, expected) = crafted(&[&entries[..], &[(Kind::Directory, 0, 0)]].concat());
        let layout = assert_survives(&bytes);
        prop_assert_eq!(shape(&layout), expected);
        prop_assert_eq!(scan_split(&bytes, &sizes), layout);
    }
}
