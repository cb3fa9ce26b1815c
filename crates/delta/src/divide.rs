//! Divides chunks of which the target has ranges, and indexes these ranges as old versions of their files.
//!
//! A chunk that is divided into byte ranges (see [`fine_chunks`](crate::fine_chunks)) becomes as many chunks. So all
//! that comes after deals with chunks only, and the ranges that both sides have are chunks of a layer index like any
//! other of the basis.

use crate::LayerIndex;
use crate::fine_chunks::ByteRange;
use crate::layer_index::DividedIndex;

/// Layers in which chunks are divided.
#[derive(Debug, Default)]
pub struct Divided {
    /// The layers with more chunks, without ids.
    pub layers: Vec<LayerIndex>,
    /// For each layer and each of its former chunks the first chunk that it became, and at the end their number.
    pub ordinals: Vec<Vec<u32>>,
    /// For each layer, the ranges that both sides have of files in which a chunk is divided. These are no layers: their
    /// diff ids are those of the layers, and the offsets of their chunks have no meaning.
    pub shared: Vec<LayerIndex>,
    /// The origins of the chunks of `shared`.
    pub parts: Vec<Vec<Copied>>,
}

/// The origin of a shared chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// A chunk of the layer, as it was before.
    Undivided(usize),
    /// A range of a literal.
    Range {
        /// The number of the literal.
        literal: usize,
        /// The number of its range, which is known.
        range: usize,
    },
}

/// Divides chunks of the layers. `literal` is the number of the literal that a chunk (layer, ordinal) is, `None` for
/// one that the target has; `ranges` are those of a literal, none where all of it is sent.
pub fn divide<'s>(
    new: &[&LayerIndex],
    literal: &dyn Fn(usize, usize) -> Option<usize>,
    ranges: &dyn Fn(usize) -> &'s [ByteRange],
) -> Divided {
    let mut divided = Divided::default();
    for (layer, index) in new.iter().enumerate() {
        let of = |chunk: usize| literal(layer, chunk);
        let DividedIndex { index: parted, ordinals } = index.divided(&|chunk| match of(chunk) {
            Some(literal) => ranges(literal).iter().map(|range| range.bytes.end).collect(),
            None => Vec::new(),
        });
        divided.layers.push(parted);
        divided.ordinals.push(ordinals);
        let is_divided = |chunk| of(chunk).is_some_and(|literal| !ranges(literal).is_empty());
        let mut parts = Vec::new();
        let shared = index.with_chunks(&mut |chunks| {
            let mut kept = Vec::new();
            if !chunks.clone().any(is_divided) {
                return kept;
            }
            for chunk in chunks {
                match of(chunk) {
                    None => {
                        kept.push(index.chunks().at(chunk).len);
                        parts.push(Copied::Undivided(chunk));
                    }
                    Some(literal) => {
                        for (number, range) in ranges(literal).iter().enumerate() {
                            if range.known {
                                kept.push(range.bytes.end - range.bytes.start);
                                parts.push(Copied::Range { literal, range: number });
                            }
                        }
                    }
                }
            }
            kept
        });
        divided.shared.push(shared);
        divided.parts.push(parts);
    }
    divided
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;

    fn index(files: &[(&str, usize)]) -> LayerIndex {
        let mut tar = tar::Builder::new(Vec::new());
        for (seed, (name, len)) in files.iter().enumerate() {
            let mut header = tar::Header::new_gnu();
            header.set_size(*len as u64);
            let body: Vec<u8> = (0..*len).map(|at| (at * 31 / 7 + seed) as u8).collect();
            tar.append_data(&mut header, name, &body[..]).unwrap();
        }
        let mut scanner = Scanner::new();
        scanner.push(&tar.into_inner().unwrap());
        scanner.finish()
    }

    #[test]
    fn a_divided_chunk_is_many_and_what_is_known_of_its_file_is_shared() {
        let layer = index(&[("a", 100), ("b", 1000), ("c", 200)]);
        let range = |bytes: std::ops::Range<u64>, known| ByteRange { chunk: 0, bytes, known };
        let ranges = [vec![], vec![range(0..300, true), range(300..310, false), range(310..1000, true)]];
        // All of "a" is sent, "b" is divided, "c" is there.
        let divided = divide(&[&layer], &|_, chunk| (chunk < 2).then_some(chunk), &|n| &ranges[n][..]);
        assert_eq!(divided.ordinals, [[0, 1, 4, 5]]);
        let chunks: Vec<_> = divided.layers[0].chunks().iter().collect();
        assert_eq!(chunks.iter().map(|chunk| chunk.len).collect::<Vec<_>>(), [100, 300, 10, 690, 200]);
        let at = layer.chunks().at(1).at;
        assert_eq!((chunks[1].at, chunks[2].at, chunks[3].at), (at, at + 300, at + 310));
        let segments = |index: &LayerIndex| {
            let mut count = 0;
            index
                .segments(&mut |_| -> Result<(), ()> {
                    count += 1;
                    Ok(())
                })
                .unwrap();
            count
        };
        assert_eq!(segments(&divided.layers[0]), segments(&layer) + 2);
        let files: Vec<_> = divided.shared[0].files().collect();
        assert_eq!(files.len(), 1);
        assert_eq!((&files[0].path[..], files[0].len), (&b"b"[..], 990));
        let known = |range| Copied::Range { literal: 1, range };
        assert_eq!(divided.parts, [[known(0), known(2)]]);
    }
}
