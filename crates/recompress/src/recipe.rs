//! What re-creates a blob, beside its plain bytes.

use crate::Method;
use crate::gzip::{self, Start};

/// The first byte of a recipe, changed with its format.
const VERSION: u8 = 1;
/// A recipe is at most this long, in bytes.
const LONGEST: usize = 16 + gzip::LONGEST_HEADER;

/// The encoder of a gzip blob, and its header, which is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// How the deflate stream was made.
    pub(crate) method: Method,
    /// What is before it, as [`gzip::start`] accepts it.
    pub(crate) header: Vec<u8>,
}

/// Why bytes are no recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRecipe {
    /// Its first byte is not the one of this format.
    #[error("the recipe of a compressed layer has version {0}, and only version {VERSION} is known")]
    Version(u8),
    /// It names an encoder or a parameter that is not known here.
    #[error("the recipe of a compressed layer names an encoder that is not known")]
    Method,
    /// What it says of the header is no gzip header.
    #[error("the recipe of a compressed layer has a damaged header")]
    Header,
    /// It has more bytes than a recipe can have, or none.
    #[error("the recipe of a compressed layer has {0} bytes")]
    Length(usize),
}

impl Recipe {
    /// The recipe for a blob with this header, which must be a whole gzip header.
    ///
    /// # Errors
    ///
    /// [`BadRecipe`], where the parameters of the method or the header are not possible.
    pub fn new(method: Method, header: Vec<u8>) -> Result<Self, BadRecipe> {
        if !method.is_valid() {
            return Err(BadRecipe::Method);
        }
        if gzip::start(&header) != Start::Header(header.len()) {
            return Err(BadRecipe::Header);
        }
        Ok(Self { method, header })
    }

    /// How the blob was compressed.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The gzip header, from its magic number to its last field.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The version, the method (see [`Method`]), and the header as it is to the end: 17 bytes for most.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.method.to_bytes());
        bytes.extend_from_slice(&self.header);
        bytes
    }

    /// Reads what [`Recipe::to_bytes`] wrote, at most 4112 bytes.
    ///
    /// # Errors
    ///
    /// [`BadRecipe`], where it did not write this.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecipe> {
        if bytes.len() > LONGEST {
            return Err(BadRecipe::Length(bytes.len()));
        }
        let (version, rest) = bytes.split_first().ok_or(BadRecipe::Length(0))?;
        if *version != VERSION {
            return Err(BadRecipe::Version(*version));
        }
        let (method, header) = rest.split_first_chunk().ok_or(BadRecipe::Length(bytes.len()))?;
        let method = Method::from_bytes(*method).ok_or(BadRecipe::Method)?;
        Self::new(method, header.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flavour, Release};

    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    /// The bytes before the header, which recipes that are kept have for ever.
    #[test]
    fn numbers_are_never_given_anew() {
        let (full, exact) = (Release::Full, Release::Exact);
        for (method, bytes) in [
            (Method::Go { level: 6 }, [1, 1, 6, 0, 0, 0, 0]),
            (Method::Go { level: -2 }, [1, 1, 254, 0, 0, 0, 0]),
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
    }

    #[test]
    fn what_is_no_recipe_is_told() {
        let bytes = |start: &[u8]| [start, &HEADER].concat();
        assert_eq!(Recipe::from_bytes(&[]), Err(BadRecipe::Length(0)));
        assert_eq!(Recipe::from_bytes(&[1, 1, 6]), Err(BadRecipe::Length(3)));
        assert_eq!(Recipe::from_bytes(&[1; 5000]), Err(BadRecipe::Length(5000)));
        assert_eq!(Recipe::from_bytes(&bytes(&[2, 1, 6, 0, 0, 0, 0])), Err(BadRecipe::Version(2)));
        for method in [
            [0, 6, 0, 0, 0, 0],
            [1, 10, 0, 0, 0, 0],
            [11, 6, 0, 0, 2, 0],
            [1, 6, 1, 0, 0, 0],
            [4, 5, 0, 1, 0, 0],
            [9, 6, 0, 0, 0, 2],
        ] {
            assert_eq!(Recipe::from_bytes(&bytes(&[&[1], &method[..]].concat())), Err(BadRecipe::Method));
        }
        assert_eq!(Recipe::from_bytes(&[1, 1, 6, 0, 0, 0, 0, 0x1f, 0x8b]), Err(BadRecipe::Header));
        assert_eq!(
            Recipe::from_bytes(&[&bytes(&[1, 1, 6, 0, 0, 0, 0])[..], &[0]].concat()),
            Err(BadRecipe::Header)
        );
    }
}
