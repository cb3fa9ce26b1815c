//! The recipe of a blob: all that re-creates it beside its plain bytes.

use crate::checkpoint::{self, Checkpoint, MOST};
use crate::corrections::{Corrections, LARGEST_PACKED};
use crate::deflate::StreamEncoder;
use crate::follow::Follower;
use crate::gzip::{self, BlobFormat};
use crate::method::CompressionMethod;

/// The first byte of a recipe: with nothing but an encoder, with checkpoints, with corrections.
const EXACT: u8 = 1;
const WITH_CHECKPOINTS: u8 = 2;
const WITH_CORRECTIONS: u8 = 3;
/// A recipe is at most this long, in bytes.
const LONGEST: usize = 16 + 4 * MOST + gzip::LONGEST_HEADER + LARGEST_PACKED;

/// The encoder of a blob, and the header of a gzip blob, which is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The encoder of the compressed stream.
    pub(crate) method: CompressionMethod,
    /// The header before it, as [`gzip::start`] accepts it.
    pub(crate) header: Vec<u8>,
    /// The places where the encoder can be resumed.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Corrections of the encoder, packed; empty where it makes the exact blob.
    pub(crate) corrections: Vec<u8>,
}

/// The reason why bytes are not a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRecipe {
    /// The first byte is not the one of this format.
    #[error(
        "the recipe of a compressed layer has version {0}, and only versions up to {WITH_CORRECTIONS} are known"
    )]
    Version(u8),
    /// The recipe names an encoder or a parameter that is not known here.
    #[error("the recipe of a compressed layer names an encoder that is not known")]
    CompressionMethod,
    /// The checkpoints are not in order, too far apart, or of an encoder that cannot be resumed.
    #[error("the recipe of a compressed layer has checkpoints that cannot be")]
    Checkpoints,
    /// The corrections are damaged, or too many, or of an encoder that takes none.
    #[error("the recipe of a compressed layer has corrections that cannot be")]
    Corrections,
    /// The gzip header is not valid.
    #[error("the recipe of a compressed layer has a damaged header")]
    Header,
    /// There are more bytes than a recipe can have, or none.
    #[error("the recipe of a compressed layer has {0} bytes")]
    Length(usize),
}

impl Recipe {
    /// The recipe for a blob with this header, which must be a whole gzip header, or nothing for zstd.
    ///
    /// # Errors
    ///
    /// [`BadRecipe`], where the parameters of the method or the header are not possible.
    pub fn new(method: CompressionMethod, header: Vec<u8>) -> Result<Self, BadRecipe> {
        if !method.is_valid() {
            return Err(BadRecipe::CompressionMethod);
        }
        let is_header = match method.is_gzip() {
            true => gzip::start(&header) == BlobFormat::Header(header.len()),
            false => header.is_empty(),
        };
        if !is_header {
            return Err(BadRecipe::Header);
        }
        Ok(Self { method, header, checkpoints: Vec::new(), corrections: Vec::new() })
    }

    /// The same, for a blob that the encoder makes only with such corrections.
    pub(crate) fn corrected(
        method: CompressionMethod,
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
    pub(crate) fn encoder(&self) -> Option<Box<dyn StreamEncoder>> {
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
    pub fn method(&self) -> CompressionMethod {
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

    /// The version, the method (see [`CompressionMethod`]), the checkpoints or corrections if there are any, and the
    /// header as it is to the end: 17 bytes for most, and four for each checkpoint and two more.
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
        let method = CompressionMethod::from_bytes(*method).ok_or(BadRecipe::CompressionMethod)?;
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
#[path = "recipe_tests.rs"]
mod tests;
