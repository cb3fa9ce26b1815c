//! The parts of sessions that read the bytes of others, one at a time, for fuzzers.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use dsync_core::Digest;
use dsync_delta::LayerIndex;
use dsync_delta::batch::{Effort, Items};

use crate::cache::Cache;
use crate::coding::batch::{Coded, Uncoded};
use crate::coding::branch::BatchCode;
use crate::coding::{inflated, section};
use crate::link;
use crate::transport::agent_binary::Program;
use crate::transport::bootstrap;

/// Talks with what may be the bootstrap, and gives it a program of these bytes if it asks for one. Returns what came before
/// the agent's preamble, and after it.
pub fn greet(
    input: &mut dyn Read,
    output: &mut dyn Write,
    program: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut program = |_: &str, machine: &str| match machine {
        "pdp11" => Err("there is none".to_owned()),
        _ => Ok(Program { packed: program.to_vec(), hash: [7; 32] }),
    };
    let greeting = bootstrap::greet(input, output, &mut program).map_err(|error| error.to_string())?;
    Ok((greeting.noise, greeting.rest))
}

/// Reads frames to the first error: of each the number of its channel, and its payload.
pub fn frames(mut input: impl Read) -> (Vec<(u8, Vec<u8>)>, io::Error) {
    let mut frames = Vec::new();
    loop {
        match link::read_frame(&mut input) {
            Ok(frame) => frames.push((frame.channel as u8, frame.payload)),
            Err(error) => return (frames, error),
        }
    }
}

/// A section with these bytes, as it crosses.
pub fn tell(bytes: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    section::write(bytes, Effort::Level(1), &mut said).expect("memory does not fail");
    said
}

/// Reads that, of which there may be `most` bytes. Returns what follows, too.
pub fn hear(mut said: &[u8], most: u64) -> Option<(Vec<u8>, &[u8])> {
    let bytes = section::read(&mut said, most).ok()?;
    Some((bytes, said))
}

/// Codes new items in the way that a source does where it has time.
///
/// # Errors
///
/// Fails if they are too many.
pub fn encode_batch(
    old: Items<'_>,
    new: Items<'_>,
    pairs: &[Option<usize>],
    effort: Effort,
) -> io::Result<Vec<u8>> {
    let (bytes, begin) = ([old.bytes, new.bytes].concat(), old.bytes.len());
    let batch = Uncoded { bytes, begin, old_lens: old.lens, new_lens: new.lens, pairs };
    inflated::encode(batch, BatchCode::default(), effort)
}

/// Decodes them.
///
/// # Errors
///
/// Fails if it is no batch of so many bytes.
pub fn decode_batch(
    old: Items<'_>,
    new_lens: &[u64],
    pairs: &[Option<usize>],
    packed: &[u8],
) -> io::Result<Vec<u8>> {
    inflated::decode(Coded { old: old.bytes.to_vec(), old_lens: old.lens, new_lens, pairs }, packed)
}

/// The index cache below a folder.
pub struct Kept(Cache);

impl Kept {
    /// Opens it.
    ///
    /// # Panics
    ///
    /// Where the folder cannot have one.
    pub fn below(folder: &Path) -> Kept {
        Kept(Cache::locate_below(Some(folder)).expect("the folder can have a cache"))
    }

    /// Keeps an index.
    pub fn put(&self, index: &Arc<LayerIndex>) {
        self.0.put(index);
    }

    /// The index of a layer.
    pub fn index(&self, digest: &Digest, memory: usize) -> Option<LayerIndex> {
        self.0.index(digest, memory)
    }

    /// Keeps a recipe.
    pub fn put_recipe(&self, blob: &Digest, recipe: &[u8]) {
        self.0.put_recipe(blob, recipe);
    }

    /// The recipe of a blob.
    pub fn recipe(&self, blob: &Digest) -> Option<Vec<u8>> {
        self.0.recipe(blob)
    }
}
