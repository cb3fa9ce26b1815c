//! Go's level 0: stored blocks.

use super::*;
use crate::inputs::{encoded, inflate, noise};

#[test]
fn every_65535_bytes_are_a_stored_block() {
    for len in [0, 1, STORED - 1, STORED, STORED + 1, 3 * STORED] {
        let plain = noise(len, 256, 1);
        let stream = encoded(Stored::new(), &plain);
        assert!(inflate(&stream) == plain);
        // Each block has five bytes more, the empty last one, too.
        assert_eq!(stream.len(), len + 5 * (len.div_ceil(STORED) + 1), "{len}");
        assert!(stream.ends_with(&[1, 0, 0, 0xff, 0xff]));
    }
}

#[test]
fn a_block_is_full_wherever_writes_end() {
    let plain = noise(2 * STORED + 9, 256, 2);
    let mut encoder = Stored::new();
    plain.chunks(997).for_each(|part| encoder.write(part));
    encoder.finish();
    assert!(*encoder.output() == encoded(Stored::new(), &plain));
}
