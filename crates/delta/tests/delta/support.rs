//! What the tests share: layers to scan, and the whole way from a layer to the same layer again.

use std::collections::HashMap;
use std::io::{self, Cursor, Write};

use dsync_core::DiffId;
use dsync_delta::scan::CONTENT_MIN;
use dsync_delta::{ContentId, ContentSource, Layout, Limits, Scanner, Segment, Skeleton, join, skeleton};

/// The layout of bytes that come all at once.
pub(crate) fn scan(bytes: &[u8]) -> Layout {
    let mut scanner = Scanner::new();
    scanner.push(bytes);
    scanner.finish()
}

/// The layout of bytes that come in pieces of these sizes, over and over.
pub(crate) fn scan_split(bytes: &[u8], sizes: &[usize]) -> Layout {
    let mut scanner = Scanner::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        scanner.push(piece);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    scanner.finish()
}

/// Asserts all that a layout promises, without any knowledge of the tar format.
pub(crate) fn assert_sound(layout: &Layout, bytes: &[u8]) {
    assert_eq!(layout.len, bytes.len() as u64);
    assert_eq!(layout.diff_id, DiffId::of(bytes));
    assert_eq!(layout.segments.iter().map(Segment::len).sum::<u64>(), layout.len);
    assert!(!layout.segments.iter().any(|segment| segment.len() == 0), "an empty segment");
    let verbatim = |segment: &Segment| matches!(segment, Segment::Verbatim { .. });
    assert!(!layout.segments.windows(2).any(|two| two.iter().all(verbatim)), "verbatim neighbours");
    for (offset, segment) in layout.spans() {
        if let Segment::Content { id, len } = segment {
            assert!(len >= CONTENT_MIN);
            assert_eq!(id, ContentId::of(&bytes[offset as usize..][..len as usize]));
        }
    }
}

/// Contents in memory.
#[derive(Default)]
pub(crate) struct Store(pub(crate) HashMap<(u64, u64), Vec<u8>>);

impl Store {
    /// The contents of a layer.
    pub(crate) fn of(layout: &Layout, bytes: &[u8]) -> Self {
        let mut store = Store::default();
        for (offset, segment) in layout.spans() {
            if let Segment::Content { id, len } = segment {
                store.0.insert((id.short(), len), bytes[offset as usize..][..len as usize].to_vec());
            }
        }
        store
    }
}

impl ContentSource for Store {
    fn copy(&mut self, short: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.0.get(&(short, len)).ok_or(io::ErrorKind::NotFound)?)
    }
}

/// The encoded skeleton of a layer.
pub(crate) fn encode(layout: &Layout, bytes: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    skeleton::encode(layout, &mut layout.verbatim(Cursor::new(bytes), 0), &mut wire).unwrap();
    wire
}

/// Scan, encode, decode, join: asserts that each step keeps all, and returns the layout.
pub(crate) fn assert_survives(bytes: &[u8]) -> Layout {
    let layout = scan(bytes);
    assert_sound(&layout, bytes);
    let wire = encode(&layout, bytes);
    let mut verbatim = Vec::new();
    let mut input = &wire[..];
    let decoded = skeleton::decode(&mut input, &Limits::default(), &mut verbatim).unwrap();
    assert!(input.is_empty(), "bytes are left over");
    assert_eq!(decoded, Skeleton::from(&layout));
    let mut joined = Vec::new();
    join(&decoded, &mut &verbatim[..], &mut Store::of(&layout, bytes), &mut joined).unwrap();
    assert!(joined == bytes, "another layer");
    layout
}
