//! Divides contents of which the target has parts, and lists those parts as old versions of their files.
//!
//! A content that is divided into stretches (see [`cut::fine`](crate::cut::fine)) becomes as many contents. So
//! all that comes after knows whole contents only, and the stretches that both sides have are contents of a
//! listing like any other of the basis: the same path, what is known of the file.

use crate::LayerIndex;
use crate::cut::fine::Stretch;

/// Layers in which contents are divided.
#[derive(Debug, Default)]
pub struct Divided {
    /// The layers with more contents, without ids.
    pub layers: Vec<LayerIndex>,
    /// For each layer and each content it had the first of those it became, and at the end how many there are.
    pub ordinals: Vec<Vec<u32>>,
    /// For each layer, of files in which a content is divided, what both sides have. These are no layers: their
    /// diff ids are those of the layers, and where their contents lie means nothing.
    pub shared: Vec<LayerIndex>,
    /// The origins of the contents of `shared`.
    pub parts: Vec<Vec<Copied>>,
}

/// The origin of a shared content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// A content of the layer, as it was before.
    Whole(usize),
    /// A stretch of a literal.
    Stretch {
        /// The literal.
        literal: usize,
        /// Which of its stretches; it is known.
        stretch: usize,
    },
}

/// Divides contents of the layers. `literal` says which literal a content (layer, ordinal) is, `None` for one that
/// the target has; `stretches` are those of a literal, none for one that is sent whole.
pub fn divide<'s>(
    new: &[&LayerIndex],
    literal: &dyn Fn(usize, usize) -> Option<usize>,
    stretches: &dyn Fn(usize) -> &'s [Stretch],
) -> Divided {
    let mut divided = Divided::default();
    for (layer, listing) in new.iter().enumerate() {
        let of = |content: usize| literal(layer, content);
        let (parted, ordinals) = listing.divided(&|content| match of(content) {
            Some(literal) => stretches(literal).iter().map(|stretch| stretch.bytes.end).collect(),
            None => Vec::new(),
        });
        divided.layers.push(parted);
        divided.ordinals.push(ordinals);
        let is_divided = |content| of(content).is_some_and(|literal| !stretches(literal).is_empty());
        let mut parts = Vec::new();
        let shared = listing.with_contents(&mut |contents| {
            let mut kept = Vec::new();
            if !contents.clone().any(is_divided) {
                return kept;
            }
            for content in contents {
                match of(content) {
                    None => {
                        kept.push(listing.contents().at(content).len);
                        parts.push(Copied::Whole(content));
                    }
                    Some(literal) => {
                        for (number, stretch) in stretches(literal).iter().enumerate() {
                            if stretch.known {
                                kept.push(stretch.bytes.end - stretch.bytes.start);
                                parts.push(Copied::Stretch { literal, stretch: number });
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

    fn listing(files: &[(&str, usize)]) -> LayerIndex {
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
    fn a_divided_content_is_many_and_what_is_known_of_its_file_is_shared() {
        let layer = listing(&[("a", 100), ("b", 1000), ("c", 200)]);
        let stretch = |bytes: std::ops::Range<u64>, known| Stretch { content: 0, bytes, known };
        let stretches =
            [vec![], vec![stretch(0..300, true), stretch(300..310, false), stretch(310..1000, true)]];
        // "a" is sent whole, "b" is divided, "c" is there.
        let divided =
            divide(&[&layer], &|_, content| (content < 2).then_some(content), &|n| &stretches[n][..]);
        assert_eq!(divided.ordinals, [[0, 1, 4, 5]]);
        let contents: Vec<_> = divided.layers[0].contents().iter().collect();
        assert_eq!(contents.iter().map(|content| content.len).collect::<Vec<_>>(), [100, 300, 10, 690, 200]);
        let at = layer.contents().at(1).at;
        assert_eq!((contents[1].at, contents[2].at, contents[3].at), (at, at + 300, at + 310));
        let parts = |listing: &LayerIndex| {
            let mut count = 0;
            listing
                .parts(&mut |_| -> Result<(), ()> {
                    count += 1;
                    Ok(())
                })
                .unwrap();
            count
        };
        assert_eq!(parts(&divided.layers[0]), parts(&layer) + 2);
        let files: Vec<_> = divided.shared[0].files().collect();
        assert_eq!(files.len(), 1);
        assert_eq!((&files[0].path[..], files[0].len), (&b"b"[..], 990));
        let known = |stretch| Copied::Stretch { literal: 1, stretch };
        assert_eq!(divided.parts, [[known(0), known(2)]]);
    }
}
