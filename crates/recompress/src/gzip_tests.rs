//! Headers of gzip: all combinations of fields, and what is none.

use super::*;

const PLAIN: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

#[test]
fn a_header_ends_after_its_last_field() {
    assert_eq!(start(&PLAIN), BlobFormat::Header(10));
    let mut full = PLAIN.to_vec();
    full[3] = HAS_EXTRA | HAS_NAME | HAS_COMMENT | HAS_CHECK;
    full.extend(b"\x03\0abcname\0comment\0xy");
    let len = full.len();
    full.extend([1; 5]);
    assert_eq!(start(&full), BlobFormat::Header(len));
    for short in 0..len {
        assert_eq!(start(&full[..short]), BlobFormat::Short);
    }
}

#[test]
fn what_is_no_gzip_is_told_apart() {
    assert_eq!(start(b"ustar"), BlobFormat::Other);
    assert_eq!(start(&[0x1f, 0x8b, 9]), BlobFormat::Other);
    let mut reserved = PLAIN;
    reserved[3] = 0x20;
    assert_eq!(start(&reserved), BlobFormat::Other);
}

#[test]
fn a_header_without_end_is_given_up() {
    let mut endless = PLAIN.to_vec();
    endless[3] = HAS_NAME;
    endless.resize(LONGEST_HEADER, b'x');
    assert_eq!(start(&endless), BlobFormat::Other);
}

#[test]
fn hints_are_read_from_their_places() {
    let header = [0x1f, 0x8b, 8, 0, 0, 0x09, 0x6e, 0x88, 4, 255];
    assert_eq!(hints(&header), Hints { mtime: 0x886e_0900, extra_flags: 4, system: 255 });
}

/// All 32 combinations of the fields of RFC 1952, each in the order of the standard; one bit says only that the
/// contents are text.
#[test]
fn every_combination_of_fields_ends_where_it_should() {
    for flags in 0..32u8 {
        let mut header = PLAIN.to_vec();
        header[3] = flags;
        if flags & HAS_EXTRA != 0 {
            header.extend(b"\x05\0a\0c\0e");
        }
        if flags & HAS_NAME != 0 {
            header.extend(b"layer.tar\0");
        }
        if flags & HAS_COMMENT != 0 {
            header.extend(b"\0");
        }
        if flags & HAS_CHECK != 0 {
            header.extend(b"\0\0");
        }
        let len = header.len();
        for short in 0..len {
            assert_eq!(start(&header[..short]), BlobFormat::Short, "{flags} {short}");
        }
        header.extend(b"\0\0deflate");
        assert_eq!(start(&header), BlobFormat::Header(len), "{flags}");
    }
    for flags in [32, 64, 128, 255] {
        let mut header = PLAIN;
        header[3] = flags;
        assert_eq!(start(&header), BlobFormat::Other, "{flags}");
    }
}

#[test]
fn a_header_has_at_most_its_limit() {
    let with_name = |len: usize| {
        let mut header = PLAIN.to_vec();
        header[3] = HAS_NAME;
        header.resize(len - 1, b'n');
        header.push(0);
        header
    };
    assert_eq!(start(&with_name(LONGEST_HEADER)), BlobFormat::Header(LONGEST_HEADER));
    assert_eq!(start(&with_name(LONGEST_HEADER + 1)), BlobFormat::Other);
    // An extra field tells its length before it is there.
    let with_extra = |len: u16| {
        let mut header = PLAIN.to_vec();
        header[3] = HAS_EXTRA;
        header.extend(len.to_le_bytes());
        start(&header)
    };
    assert_eq!(with_extra(4096 - 12), BlobFormat::Short);
    assert_eq!(with_extra(4096 - 11), BlobFormat::Other);
    assert_eq!(with_extra(u16::MAX), BlobFormat::Other);
}

#[test]
fn a_footer_is_the_checksum_and_the_length() {
    assert_eq!(footer(0x0403_0201, 0x0807_0605), [1, 2, 3, 4, 5, 6, 7, 8]);
    // The length is told modulo 2³².
    assert_eq!(footer(0, (1 << 32) + 9)[4..], [9, 0, 0, 0]);
}
