//! The recipe of a blob: all that re-creates it beside its plain bytes.

use crate::Method;
use crate::checkpoint::{self, Checkpoint, MOST};
use crate::corrections::{Corrections, LARGEST_PACKED};
use crate::deflate::Encoder;
use crate::follow::Follower;
use crate::gzip::{self, Start};

/// The first byte of a recipe: with nothing but an encoder, with checkpoints, with corrections.
const EXACT: u8 = 1;
const WITH_CHECKPOINTS: u8 = 2;
const WITH_CORRECTIONS: u8 = 3;
/// A recipe is at most this long, in bytes.
const LONGEST: usize = 16 + 4 * MOST + gzip::LONGEST_HEADER + LARGEST_PACKED;

/// The encoder of a blob, and the header of a gzip blob, which is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The encoder of the deflate stream.
    pub(crate) method: Method,
    /// The header before it, as [`gzip::start`] accepts it.
    pub(crate) header: Vec<u8>,
    /// Where the encoder can be resumed.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Corrections of the encoder, packed; empty where it makes the exact blob.
    pub(crate) corrections: Vec<u8>,
}

/// Why bytes are no recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRecipe {
    /// Its first byte is not the one of this format.
    #[error(
        "the recipe of a compressed layer has version {0}, and only versions up to {WITH_CORRECTIONS} are known"
    )]
    Version(u8),
    /// It names an encoder or a parameter that is not known here.
    #[error("the recipe of a compressed layer names an encoder that is not known")]
    Method,
    /// Its checkpoints are not in order, too far apart, or of an encoder that cannot be resumed.
    #[error("the recipe of a compressed layer has checkpoints that cannot be")]
    Checkpoints,
    /// Its corrections are damaged, or too many, or of an encoder that takes none.
    #[error("the recipe of a compressed layer has corrections that cannot be")]
    Corrections,
    /// It has no valid gzip header.
    #[error("the recipe of a compressed layer has a damaged header")]
    Header,
    /// It has more bytes than a recipe can have, or none.
    #[error("the recipe of a compressed layer has {0} bytes")]
    Length(usize),
}

impl Recipe {
    /// The recipe for a blob with this header, which must be a whole gzip header, or nothing for zstd.
    ///
    /// # Errors
    ///
    /// [`BadRecipe`], where the parameters of the method or the header are not possible.
    pub fn new(method: Method, header: Vec<u8>) -> Result<Self, BadRecipe> {
        if !method.is_valid() {
            return Err(BadRecipe::Method);
        }
        let is_header = match method.is_gzip() {
            true => gzip::start(&header) == Start::Header(header.len()),
            false => header.is_empty(),
        };
        if !is_header {
            return Err(BadRecipe::Header);
        }
        Ok(Self { method, header, checkpoints: Vec::new(), corrections: Vec::new() })
    }

    /// The same, for a blob that the encoder makes only with such corrections.
    pub(crate) fn corrected(
        method: Method,
        header: Vec<u8>,
        corrections: Vec<u8>,
    ) -> Result<Self, BadRecipe> {
        let recipe = Self { corrections, ..Self::new(method, header)? };
        recipe.follower().map(|_| recipe).ok_or(BadRecipe::Corrections)
    }

    fn follower(&self) -> Option<Follower> {
        Follower::leading(self.method, Corrections::from_bytes(&self.corrections)?)
    }

    /// An encoder of the blob, at the start of the stream.
    pub(crate) fn encoder(&self) -> Option<Box<dyn Encoder>> {
        match self.corrections[..] {
            [] => Some(self.method.encoder()),
            _ => Some(Box::new(self.follower()?)),
        }
    }

    /// Bytes of corrections; 0 where the encoder makes the exact blob.
    pub fn corrections(&self) -> usize {
        self.corrections.len()
    }

    /// The encoder of the blob.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The gzip header, from its magic number to its last field; nothing for zstd.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The greatest useful number of threads, where the encoder makes no independent blocks.
    pub fn segments(&self) -> usize {
        self.checkpoints.len() + 1
    }

    /// The version, the method (see [`Method`]), the checkpoints or corrections if there are any, and the header as it is to
    /// the end: 17 bytes for most, and four for each checkpoint and two more.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (version, more) = if !self.corrections.is_empty() {
            let len = (self.corrections.len() as u32).to_le_bytes();
            (WITH_CORRECTIONS, [&len, &self.corrections[..]].concat())
        } else if !self.checkpoints.is_empty() {
            (WITH_CHECKPOINTS, checkpoint::to_bytes(&self.checkpoints))
        } else {
            (EXACT, Vec::new())
        };
        [&[version], &self.method.to_bytes()[..], &more, &self.header].concat()
    }

    /// Reads what [`Recipe::to_bytes`] wrote, at most 1 MiB and 8208 bytes.
    ///
    /// # Errors
    ///
    /// [`BadRecipe`], where it did not write this.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecipe> {
        if bytes.len() > LONGEST {
            return Err(BadRecipe::Length(bytes.len()));
        }
        let (version, rest) = bytes.split_first().ok_or(BadRecipe::Length(0))?;
        if !(EXACT..=WITH_CORRECTIONS).contains(version) {
            return Err(BadRecipe::Version(*version));
        }
        let (method, rest) = rest.split_first_chunk().ok_or(BadRecipe::Length(bytes.len()))?;
        let method = Method::from_bytes(*method).ok_or(BadRecipe::Method)?;
        match *version {
            WITH_CORRECTIONS => {
                let (corrections, header) = take_counted(rest).ok_or(BadRecipe::Corrections)?;
                Self::corrected(method, header.to_vec(), corrections.to_vec())
            }
            WITH_CHECKPOINTS if !method.is_resumable() => Err(BadRecipe::Checkpoints),
            WITH_CHECKPOINTS => {
                let (checkpoints, header) = checkpoint::from_bytes(rest).ok_or(BadRecipe::Checkpoints)?;
                Ok(Self { checkpoints, ..Self::new(method, header.to_vec())? })
            }
            _ => Self::new(method, rest.to_vec()),
        }
    }
}

/// Bytes after their number, and the rest.
fn take_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Effort, Flavour, Generation, Release};

    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    /// The bytes before the header, which recipes that are kept have for ever.
    #[test]
    fn numbers_are_never_given_anew() {
        let (full, exact) = (Release::Full, Release::Exact);
        for (method, bytes) in [
            (Method::Go { level: 6 }, [1, 1, 6, 0, 0, 0, 0]),
            (Method::Go { level: 0 }, [1, 1, 0, 0, 0, 0, 0]),
            (Method::Klauspost { release: full, level: 5 }, [1, 2, 5, 0, 0, 0, 0]),
            (Method::Klauspost { release: exact, level: 6 }, [1, 3, 6, 0, 0, 0, 0]),
            (Method::Pgzip { release: full, level: 5, block: 1 << 20 }, [1, 4, 5, 0, 0, 16, 0]),
            (Method::Pgzip { release: exact, level: 5, block: 1 << 20 }, [1, 5, 5, 0, 0, 16, 0]),
            (Method::Zlib { flavour: Flavour::Zlib, level: 6 }, [1, 6, 6, 0, 0, 0, 0]),
            (Method::Zlib { flavour: Flavour::ZlibLarge, level: 9 }, [1, 7, 9, 0, 0, 0, 0]),
            (Method::Zlib { flavour: Flavour::Gnu, level: 6 }, [1, 8, 6, 0, 0, 0, 0]),
            (Method::Pigz { level: 9, block: 128 << 10 }, [1, 9, 9, 0, 0, 2, 0]),
            (Method::PigzChained { level: 9, block: 128 << 10 }, [1, 10, 9, 0, 0, 2, 0]),
        ] {
            let recipe = Recipe::new(method, HEADER.to_vec()).unwrap();
            assert_eq!(recipe.to_bytes(), [&bytes[..], &HEADER].concat(), "{method}");
            assert_eq!(Recipe::from_bytes(&recipe.to_bytes()), Ok(recipe));
        }
        let zstd = |generation, effort, flushed| Method::Zstd { generation, effort, flushed };
        for (method, bytes) in [
            (zstd(Generation::V1_15, Effort::Fastest, 0), [1, 11, 1, 0, 0, 0, 0]),
            (zstd(Generation::V1_16, Effort::Default, 8), [1, 12, 2, 8, 0, 0, 0]),
            (zstd(Generation::V1_18, Effort::Better, 300), [1, 13, 3, 44, 1, 0, 0]),
            (zstd(Generation::V1_18, Effort::Best, 0), [1, 13, 4, 0, 0, 0, 0]),
        ] {
            let recipe = Recipe::new(method, Vec::new()).unwrap();
            assert_eq!(recipe.to_bytes(), bytes, "{method}");
            assert_eq!(Recipe::from_bytes(&bytes), Ok(recipe));
        }
    }

    #[test]
    fn what_is_no_recipe_is_told() {
        let bytes = |start: &[u8]| [start, &HEADER].concat();
        assert_eq!(Recipe::from_bytes(&[]), Err(BadRecipe::Length(0)));
        assert_eq!(Recipe::from_bytes(&[1, 1, 6]), Err(BadRecipe::Length(3)));
        assert_eq!(Recipe::from_bytes(&vec![1; LONGEST + 1]), Err(BadRecipe::Length(LONGEST + 1)));
        assert_eq!(Recipe::from_bytes(&bytes(&[4, 1, 6, 0, 0, 0, 0])), Err(BadRecipe::Version(4)));
        for method in [
            [0, 6, 0, 0, 0, 0],
            [1, 10, 0, 0, 0, 0],
            // Go without matches (-2): known until nobody was found who makes it.
            [1, 254, 0, 0, 0, 0],
            [11, 6, 0, 0, 2, 0],
            [1, 6, 1, 0, 0, 0],
            [4, 5, 0, 1, 0, 0],
            [9, 6, 0, 0, 0, 2],
            [12, 4, 0, 0, 0, 0],
            [13, 0, 0, 0, 0, 0],
            [13, 2, 0, 0, 2, 0],
            [14, 2, 0, 0, 0, 0],
        ] {
            assert_eq!(Recipe::from_bytes(&bytes(&[&[1], &method[..]].concat())), Err(BadRecipe::Method));
        }
        assert_eq!(Recipe::from_bytes(&[1, 1, 6, 0, 0, 0, 0, 0x1f, 0x8b]), Err(BadRecipe::Header));
        assert_eq!(Recipe::from_bytes(&bytes(&[1, 13, 2, 0, 0, 0, 0])), Err(BadRecipe::Header));
        assert_eq!(
            Recipe::from_bytes(&[&bytes(&[1, 1, 6, 0, 0, 0, 0])[..], &[0]].concat()),
            Err(BadRecipe::Header)
        );
    }

    /// Two checkpoints: after 5 MiB and 3 bits, and 16 bytes later, where a byte is waiting.
    const CHECKPOINTS: [u8; 10] = [2, 0, 3, 0, 0, 5, 8, 1, 0, 0];

    #[test]
    fn checkpoints_are_before_the_header() {
        let bytes = [&[2, 8, 6, 0, 0, 0, 0], &CHECKPOINTS[..], &HEADER].concat();
        let recipe = Recipe::from_bytes(&bytes).unwrap();
        let expected = [
            Checkpoint { plain: 5 << 20, bits: 3, is_waiting: false },
            Checkpoint { plain: (5 << 20) + 16, bits: 0, is_waiting: true },
        ];
        assert_eq!((&recipe.checkpoints[..], recipe.segments()), (&expected[..], 3));
        assert_eq!(recipe.to_bytes(), bytes);
    }

    #[test]
    fn checkpoints_that_cannot_be_are_told() {
        let gzip6 = [2, 8, 6, 0, 0, 0, 0];
        for (start, checkpoints) in [
            // Of pigz, and of a level that is greedy.
            ([2, 9, 6, 0, 0, 2, 0], &CHECKPOINTS[..]),
            ([2, 8, 3, 0, 0, 0, 0], &CHECKPOINTS),
            // None, fewer than told, at no distance, and too far.
            (gzip6, &[0, 0]),
            (gzip6, &[9, 0, 3, 0, 0, 5]),
            (gzip6, &[1, 0, 3, 0, 0, 0]),
            (gzip6, &[1, 0, 0, 0, 0, 255]),
        ] {
            let bytes = [&start, checkpoints, &HEADER].concat();
            assert_eq!(Recipe::from_bytes(&bytes), Err(BadRecipe::Checkpoints), "{bytes:?}");
        }
    }

    #[test]
    fn corrections_are_before_the_header() {
        let packed = Corrections::new(true).to_bytes().unwrap();
        let recipe = |method: [u8; 6], packed: &[u8]| {
            let len = (packed.len() as u32).to_le_bytes();
            [&[3], &method[..], &len, packed, &HEADER].concat()
        };
        let bytes = recipe([6, 6, 0, 0, 0, 0], &packed);
        let read = Recipe::from_bytes(&bytes).unwrap();
        assert_eq!((read.corrections(), read.header()), (packed.len(), &HEADER[..]));
        assert_eq!(read.to_bytes(), bytes);
        // Of an encoder that takes none, damaged, and none at all.
        for bytes in [
            recipe([1, 6, 0, 0, 0, 0], &packed),
            recipe([6, 6, 0, 0, 0, 0], &packed[1..]),
            recipe([6, 6, 0, 0, 0, 0], &[]),
            vec![3, 6, 6, 0, 0, 0, 0, 255, 0, 0, 0],
        ] {
            assert_eq!(Recipe::from_bytes(&bytes), Err(BadRecipe::Corrections), "{bytes:?}");
        }
    }
}
