//! Header deltas that no encoder writes: each is refused by the name of what is wrong with it.

use std::collections::BTreeMap;

use super::columns::{Column, ColumnWriter, SECTION_MAX, put};
use super::*;
use crate::layer_index::CHUNK_MAX;
use crate::layer_index::fields::Field;
use crate::scan::VERBATIM_MAX;
use dsync_core::varint::zigzag;

const LIMITS: Limits = Limits { len: 1 << 40, entries: 1000, memory: 1 << 24 };

/// A layer as the bytes of its columns.
#[derive(Clone)]
struct Crafted {
    len: u64,
    entries: u64,
    columns: BTreeMap<usize, Vec<u8>>,
    fields: BTreeMap<usize, Vec<u8>>,
}

impl Crafted {
    /// A header without any field, and one literal of 100 bytes.
    fn file() -> Crafted {
        let crafted = Crafted { len: 1024, entries: 1, columns: BTreeMap::new(), fields: BTreeMap::new() };
        crafted
            .with(Column::Match, &[0])
            .with(Column::Shape, &[1, 2])
            .with(Column::Mask, &[0])
            .with(Column::Size, &[0])
            .with(Column::Mtime, &[0])
            .with(Column::Body, &[0])
            .with(Column::Tail, &[0])
            .with(Column::Chunks, &[3])
            .with(Column::Origin, &[0])
            .with(Column::Len, &[0])
            .with(Column::LenLow, &[100])
    }

    /// Two headers with pax records as their bodies, of which the second one has the keys of the first.
    fn pax(body: &[u8], codes: &[u8]) -> Crafted {
        let text = [&[0][..], body, &[0]].concat();
        let none = Crafted { len: 2048, entries: 2, columns: BTreeMap::new(), fields: BTreeMap::new() };
        none.with(Column::Match, &[0, 0])
            .with(Column::Shape, &[1, 2, 0])
            .with(Column::Mask, &[0, 0])
            .with(Column::Size, &[0, 0])
            .with(Column::Mtime, &[0, 0])
            .with(Column::Body, &[1, 2])
            .with(Column::BodyBytes, &text)
            .with(Column::PaxCode, codes)
            .with(Column::Tail, &[0, 0])
            .with(Column::Chunks, &[2, 0])
    }

    fn with(mut self, column: Column, bytes: &[u8]) -> Crafted {
        self.columns.insert(column as usize, bytes.to_vec());
        self
    }

    /// An edit of a field: bytes to drop, and what is added.
    fn with_field(mut self, field: Field, edit: &[u8]) -> Crafted {
        let mut mask = Vec::new();
        put(1 << field as u64, &mut mask);
        self.columns.insert(Column::Mask as usize, mask);
        self.fields.insert(field as usize, edit.to_vec());
        self
    }

    fn with_head(mut self, len: u64, entries: u64) -> Crafted {
        (self.len, self.entries) = (len, entries);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![7; 32];
        put(self.len, &mut out);
        put(self.entries, &mut out);
        let mut writer = ColumnWriter::new(&mut out);
        for (column, bytes) in &self.columns {
            writer.column(COLUMNS[*column]).extend_from_slice(bytes);
        }
        for (field, bytes) in &self.fields {
            writer.field(*field).extend_from_slice(bytes);
        }
        writer.finish().unwrap();
        out
    }

    fn decode(&self, limits: Limits) -> Result<Assembly, HeaderDeltaError> {
        Decoder::new(&[], Mode::References, limits).layer(&mut &self.bytes()[..])
    }

    /// The reason for which it is refused.
    fn refused(&self) -> String {
        self.refused_by(LIMITS)
    }

    fn refused_by(&self, limits: Limits) -> String {
        match self.decode(limits) {
            Err(HeaderDeltaError::Malformed(why)) => why.to_owned(),
            Err(HeaderDeltaError::Limit { what, limit }) => format!("{what}: more than {limit}"),
            Err(HeaderDeltaError::Short) => "short".into(),
            other => panic!("{other:?}"),
        }
    }
}

const COLUMNS: [Column; 20] = [
    Column::Match,
    Column::Shape,
    Column::Mask,
    Column::Size,
    Column::Mtime,
    Column::MtimeDelta,
    Column::Body,
    Column::BodyBytes,
    Column::PaxCode,
    Column::PaxBytes,
    Column::PaxSeconds,
    Column::PaxFraction,
    Column::Tail,
    Column::Zeros,
    Column::Raw,
    Column::Chunks,
    Column::Origin,
    Column::Len,
    Column::LenLow,
    Column::Id,
];

fn number(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(value, &mut bytes);
    bytes
}

fn numbers(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| number(*value)).collect()
}

#[test]
fn columns_are_numbered_in_their_order() {
    for (position, column) in COLUMNS.into_iter().enumerate() {
        assert_eq!(column as usize, position);
    }
}

#[test]
fn the_crafted_layers_are_sound() {
    let assembly = Crafted::file().decode(LIMITS).unwrap();
    assert_eq!(assembly.origins, [Origin::Literal(0)]);
    let chunk = assembly.index.chunks().at(0);
    assert_eq!((chunk.len, chunk.at), (100, 512));
    let assembly = Crafted::pax(b"13 mtime=1.5\n", &[0]).decode(LIMITS).unwrap();
    assert_eq!((assembly.index.records(), assembly.index.chunks().len()), (2, 0));
    // The longest chunk that there is.
    let longest = number(CHUNK_MAX >> 8);
    let longest = Crafted::file().with(Column::Len, &longest).with(Column::LenLow, &[0]);
    assert!(longest.with_head(512 + CHUNK_MAX, 1).decode(LIMITS).is_ok());
}

#[test]
fn entries_out_of_bounds_are_refused() {
    let with = |column, bytes: &[u8]| Crafted::file().with(column, bytes).refused();
    assert_eq!(with(Column::Match, &[1]), "an entry that is not in the basis");
    assert_eq!(with(Column::Match, &number(1 + zigzag(5))), "an entry that is not in the basis");
    assert_eq!(with(Column::Match, &number(1 + zigzag(-1))), "a distance out of bounds");
    assert_eq!(with(Column::Match, &number(1 + zigzag(i64::MAX))), "an entry that is not in the basis");
    assert_eq!(with(Column::Match, &number(u64::MAX)), "an entry that is not in the basis");
    assert_eq!(with(Column::Shape, &[0]), "an entry without records");
    assert_eq!(with(Column::Shape, &[5, 2, 2, 2, 2, 2]), "an entry of too many records");
    assert_eq!(with(Column::Shape, &number(u64::MAX)), "an entry of too many records");
    assert_eq!(with(Column::Shape, &[1, 3]), "a record of an unknown kind");
}

#[test]
fn fields_out_of_bounds_are_refused() {
    let with = |column, bytes: &[u8]| Crafted::file().with(column, bytes).refused();
    assert_eq!(with(Column::Mask, &number(1 << 16)), "a field that headers do not have");
    assert_eq!(with(Column::Mask, &number(1 << 63)), "a field that headers do not have");
    let edit = |field, bytes: &[u8]| Crafted::file().with_field(field, bytes).refused();
    assert_eq!(edit(Field::Name, &[&[0][..], &[b'n'; 101], &[0]].concat()), "a value too long");
    assert_eq!(edit(Field::Name, &[1, b'n', 0]), "prefix length out of range");
    assert_eq!(edit(Field::Name, &[&number(u64::MAX)[..], &[0]].concat()), "prefix length out of range");
    assert_eq!(edit(Field::Name, &[0, 1, 9, 0]), "an escape without bytes");
    assert_eq!(edit(Field::Name, &[0, b'n']), "short");
    assert_eq!(edit(Field::Name, &[0, b'n', 0, 0]), "bytes after the last entry");
    // Zeros at the end of a field are not part of it; a checksum is one of two styles.
    assert_eq!(edit(Field::Name, &[0, b'n', 1, 1, 0]), "a value that is none of its field");
    assert_eq!(edit(Field::Checksum, &[0, b'8', 0]), "a value that is none of its field");
    assert!(Crafted::file().with_field(Field::Checksum, &[0, b'7', 0]).decode(LIMITS).is_ok());
    assert_eq!(with(Column::Size, &[1]), "a size of an unknown kind");
    assert_eq!(with(Column::Size, &[3]), "a size of an unknown kind");
    assert_eq!(with(Column::Size, &[&[2, 13][..], &[b'1'; 13]].concat()), "bytes in a field: more than 12");
    assert_eq!(with(Column::Size, &[2, 2, b'1', 0]), "a value that is none of its field");
    assert!(Crafted::file().with(Column::Size, &[&[2, 12][..], &[0xff; 12]].concat()).decode(LIMITS).is_ok());
}

#[test]
fn mtimes_out_of_bounds_are_refused() {
    let with =
        |code: &[u8], delta: &[u8]| Crafted::file().with(Column::Mtime, code).with(Column::MtimeDelta, delta);
    // As the old one became, without an old one; before 1970; beyond eleven octal digits; no recent one.
    assert_eq!(with(&[1], &[]).refused(), "an mtime out of bounds");
    assert_eq!(with(&[2], &number(zigzag(-1))).refused(), "an mtime out of bounds");
    assert_eq!(with(&[2], &number(zigzag(1 << 33))).refused(), "an mtime out of bounds");
    assert_eq!(with(&[2], &number(zigzag(i64::MIN))).refused(), "an mtime out of bounds");
    assert_eq!(with(&[4], &[]).refused(), "an mtime out of bounds");
    assert_eq!(with(&number(u64::MAX), &[]).refused(), "an mtime out of bounds");
    assert_eq!(with(&[3], &[&[13][..], &[b'1'; 13]].concat()).refused(), "bytes in a field: more than 12");
    assert!(with(&[2], &number(zigzag((1 << 33) - 1))).decode(LIMITS).is_ok());
    assert!(with(&[3], &[2, 0xff, b'x']).decode(LIMITS).is_ok());
}

#[test]
fn bodies_and_pax_records_out_of_bounds_are_refused() {
    let long = |len: u64| {
        let body = vec![b'b'; len as usize];
        let body = Crafted::file()
            .with(Column::Body, &[1])
            .with(Column::BodyBytes, &[&[0], &body[..], &[0]].concat());
        // With a body of whole blocks, the chunk lies behind it.
        body.with_head(1024 + len, 1)
    };
    assert!(long(VERBATIM_MAX).decode(LIMITS).is_ok());
    assert_eq!(long(VERBATIM_MAX + 1).refused(), "a value too long");
    assert_eq!(Crafted::file().with(Column::Body, &[3]).refused(), "a body of an unknown kind");

    let time = b"13 mtime=1.5\n";
    assert_eq!(Crafted::pax(b"no records", &[]).refused(), "pax records where the entry before has none");
    assert_eq!(Crafted::pax(time, &[4]).refused(), "a pax record of an unknown kind");
    let untimed = b"8 uid=x\n";
    for code in [1, 2] {
        let refused = Crafted::pax(untimed, &[code]).with(Column::PaxSeconds, &[0]).refused();
        assert_eq!(refused, "a time as a difference without one before");
    }
    let later = |seconds: i64, fraction: &[u8]| {
        let crafted = Crafted::pax(time, &[2]).with(Column::PaxSeconds, &number(zigzag(seconds)));
        crafted.with(Column::PaxFraction, fraction)
    };
    assert!(later(8, &[2, b'.', b'5']).decode(LIMITS).is_ok());
    assert!(later(-8, &[2, b'.', b'5']).decode(LIMITS).is_ok());
    assert_eq!(later(i64::MAX, &[0]).refused(), "a time out of bounds");
    assert_eq!(later(8, &number(1 << 30)).refused(), "short");
    let fraction = [number(VERBATIM_MAX + 1), vec![b'5'; VERBATIM_MAX as usize + 1]].concat();
    assert_eq!(later(8, &fraction).refused(), "bytes in a row: more than 1048576");
    // A record that is just long enough makes the body too long.
    let fraction = [number(VERBATIM_MAX), vec![b'5'; VERBATIM_MAX as usize]].concat();
    assert_eq!(later(8, &fraction).refused(), "bytes in a row: more than 1048576");
}

#[test]
fn chunks_out_of_bounds_are_refused() {
    let with = |column, bytes: &[u8]| Crafted::file().with(column, bytes).refused();
    assert_eq!(with(Column::Chunks, &[1]), "the chunks of an entry that is not in the basis");
    assert_eq!(with(Column::Chunks, &[0]), "the chunks of an entry that is not in the basis");
    // More chunks than origins, while there are bytes in other columns.
    assert_eq!(with(Column::Chunks, &[4]), "short");
    let many = Crafted::file().with(Column::Chunks, &number(u64::MAX));
    assert!(many.decode(LIMITS).is_err());
    assert_eq!(with(Column::Origin, &[1]), "a chunk that is not in the basis");
    assert_eq!(with(Column::Origin, &number(1 + 2 * zigzag(-1))), "a distance out of bounds");
    assert_eq!(with(Column::Origin, &number(u64::MAX)), "a distance out of bounds");
    for back in [2, 4, 1 << 40, u64::MAX - 1] {
        assert_eq!(with(Column::Origin, &number(back)), "a repetition of a chunk that was not encoded");
    }
    assert_eq!(with(Column::LenLow, &[0]), "a length out of bounds");
    assert_eq!(with(Column::Len, &number(CHUNK_MAX >> 8)), "a length out of bounds");
    assert_eq!(with(Column::Len, &number(u64::MAX)), "a length out of bounds");
    assert_eq!(with(Column::Len, &number(u64::MAX >> 8)), "a length out of bounds");
}

const ENDS: &str = "the columns of a layer cannot be read";

#[test]
fn raw_bytes_and_zeros_out_of_bounds_are_refused() {
    let raw = |len: u64| {
        let bytes = [number(len), vec![9; len as usize]].concat();
        let crafted = Crafted { len, entries: 1, columns: BTreeMap::new(), fields: BTreeMap::new() };
        let crafted =
            crafted.with(Column::Match, &[0]).with(Column::Shape, &[1, 1]).with(Column::Raw, &bytes);
        crafted.with(Column::Chunks, &[2]).with(Column::Tail, &[1])
    };
    assert!(raw(VERBATIM_MAX).decode(LIMITS).is_ok());
    assert_eq!(raw(VERBATIM_MAX + 1).refused(), "bytes in a row: more than 1048576");
    let zeros = |blocks: u64, len: u64| {
        let crafted = Crafted { len, entries: 1, columns: BTreeMap::new(), fields: BTreeMap::new() };
        let crafted = crafted
            .with(Column::Match, &[0])
            .with(Column::Shape, &[1, 0])
            .with(Column::Zeros, &number(blocks));
        crafted.with(Column::Chunks, &[2]).with(Column::Tail, &[1])
    };
    assert!(zeros(9, 9 * 512).decode(LIMITS).is_ok());
    for blocks in [8, 10, u64::MAX, u64::MAX / 512 + 10] {
        assert_eq!(zeros(blocks, 9 * 512).refused(), SUM, "{blocks}");
    }
}

const SUM: &str = "the records and chunks do not add up to the length of the layer";

#[test]
fn lengths_and_counts_of_the_layer_are_checked() {
    let file = Crafted::file();
    assert_eq!(file.clone().with_head(1023, 1).refused(), SUM);
    assert_eq!(file.clone().with_head(1024 + 512, 1).refused(), SUM);
    assert_eq!(file.clone().with_head(1 << 41, 1).refused(), format!("bytes: more than {}", 1_u64 << 40));
    assert_eq!(file.clone().with_head(1024, 1001).refused(), "entries: more than 1000");
    assert_eq!(
        file.clone().with_head(u64::MAX, u64::MAX).refused(),
        format!("bytes: more than {}", 1_u64 << 40)
    );
    assert_eq!(file.clone().with_head(1024, 0).refused(), "bytes after the last entry");
    assert_eq!(file.clone().with_head(1024, 2).decode(LIMITS).unwrap_err().to_string(), ENDS);
    let none = Limits { entries: 1, ..LIMITS };
    assert!(file.decode(none).is_ok());
    let two = Crafted::file().with(Column::Chunks, &[4]).with(Column::Origin, &[0, 2]).with_head(1024, 1);
    assert_eq!(two.refused_by(none), "chunks: more than 1");
    let pax = Crafted::pax(b"13 mtime=1.5\n", &[0]);
    assert_eq!(pax.clone().with_head(2048, 1).refused_by(none), "bytes after the last entry");
    assert_eq!(pax.refused_by(none), "entries: more than 1");
    let file = Crafted::file();
    assert_eq!(file.refused_by(Limits { memory: 0, ..LIMITS }), "bytes of chunks: more than 0");
}

#[test]
fn a_repeated_body_counts_against_the_memory() {
    // Each of the entries costs a byte a column, and has a body of a megabyte.
    let entries: usize = 600;
    let (zeros, body) = (vec![0; entries], vec![b'b'; 1 << 20]);
    let crafted = Crafted {
        len: entries as u64 * ((1 << 20) + 512),
        entries: entries as u64,
        columns: BTreeMap::new(),
        fields: BTreeMap::new(),
    };
    let mut bodies = zeros.clone();
    bodies[0] = 1;
    let shapes = [&[1, 2], &zeros[1..]].concat();
    let chunks = [&[2], &zeros[1..]].concat();
    let crafted = crafted
        .with(Column::Match, &zeros)
        .with(Column::Shape, &shapes)
        .with(Column::Mask, &zeros)
        .with(Column::Size, &zeros)
        .with(Column::Mtime, &zeros)
        .with(Column::Body, &bodies)
        .with(Column::BodyBytes, &[&[0], &body[..], &[0]].concat())
        .with(Column::Tail, &zeros)
        .with(Column::Chunks, &chunks);
    let limits = Limits { memory: 4 << 20, ..LIMITS };
    match crafted.decode(limits) {
        // Packed, equal bodies take no memory; otherwise the limit holds.
        Ok(assembly) => assert!(assembly.index.memory() <= 4 << 20, "{} bytes", assembly.index.memory()),
        Err(HeaderDeltaError::Limit { what: "bytes of headers", .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn sections_out_of_bounds_are_refused() {
    let refused =
        |bytes: &[u8]| Decoder::new(&[], Mode::References, LIMITS).layer(&mut &bytes[..]).unwrap_err();
    let head = [&[7; 32][..], &number(1024), &[1]].concat();
    let section = |lens: &[u64]| [&head[..], &numbers(lens)].concat();
    for lens in [&[u64::MAX][..], &[SECTION_MAX as u64 + 1], &[SECTION_MAX as u64, 1], &[1, u64::MAX]] {
        let error = refused(&section(lens));
        assert!(matches!(error, HeaderDeltaError::Limit { what: "bytes in a section", .. }), "{error:?}");
    }
    // A number that goes on after its last bits, and one with a zero at its end.
    for number in [&[0x80, 0x00][..], &[0xff; 10]] {
        let error = refused(&[&head[..], number].concat());
        assert!(
            matches!(error, HeaderDeltaError::Malformed("a number that is not in its shortest form")),
            "{error:?}"
        );
    }
    // 36 columns of no bytes, and announced bytes that do not come.
    let none = section(&[0; 36]);
    assert_eq!(refused(&none).to_string(), ENDS);
    let mut lens = [0; 36];
    lens[14] = SECTION_MAX as u64;
    assert!(matches!(refused(&section(&lens)), HeaderDeltaError::Short));
    // A column that is used up while another one is not.
    let mut lens = [0; 36];
    lens[5] = 3;
    assert!(matches!(refused(&[&section(&lens)[..], &[0; 3]].concat()), HeaderDeltaError::Short));
}

#[test]
fn a_layer_that_ends_early_is_refused_wherever_it_ends() {
    let bytes = Crafted::pax(b"13 mtime=1.5\n", &[0]).bytes();
    for end in 0..bytes.len() {
        assert!(Decoder::new(&[], Mode::References, LIMITS).layer(&mut &bytes[..end]).is_err(), "{end}");
    }
    let mut rest = &[&bytes[..], b"more"].concat()[..];
    Decoder::new(&[], Mode::References, LIMITS).layer(&mut rest).unwrap();
    assert_eq!(rest, b"more", "not a byte more is read");
}
