//! Layers of any bytes, scanned and joined.

use std::sync::Arc;

use dsync_delta::LayerIndex;
use dsync_delta::header_delta::Mode;

use super::layer::{Layer, scan, tell};
use crate::tars::{pairs, sealed};
use crate::{Memory, Target};

/// A tar whose headers have right checksums, and the same bytes as they are: whatever it is, it survives scan, listing and
/// join, however it is cut into pieces.
pub(in crate::targets) const TAR: Target =
    Target { name: "tar", run, memory: Memory { least: 4 << 20, factor: 64 }, seeds };

fn run(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    for bytes in [sealed(bytes), bytes.to_vec()] {
        let layer = Layer::new(bytes);
        for most in [1, usize::from(*how) * 7 + 2] {
            assert!(
                scan(&layer.bytes, most) == *layer.listing,
                "pieces of {most} bytes make another listing"
            );
        }
        let mut kept = Vec::new();
        layer.listing.write(&mut kept).expect("memory does not fail");
        let mut rest = &kept[..];
        let read = LayerIndex::read(&mut rest, 8 << 20).expect("a listing is read as it was written");
        assert!(read == *layer.listing && rest.is_empty(), "another listing");
        let mut again = Vec::new();
        Arc::new(read).write(&mut again).expect("memory does not fail");
        assert!(again == kept, "a listing is written in two ways");
        for file in layer.listing.files() {
            assert!(file.chunks.end <= layer.listing.chunks().len());
            assert_eq!(layer.listing.chunks().bytes(file.chunks.clone()), file.len);
        }
        for mode in [Mode::Literals, Mode::References, Mode::WithIds] {
            tell(&[], std::slice::from_ref(&layer), mode);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    pairs(12 << 10).into_iter().map(|(_, new)| [&[9][..], &new].concat()).collect()
}
