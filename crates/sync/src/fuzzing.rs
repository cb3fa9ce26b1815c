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
use crate::partial::{self, BasisKind, Owner, PartialBasis, PartialEntry, PartialLayer, Partials};
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
        _ => Ok(Program { packed: program.to_vec().into(), hash: [7; 32] }),
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
pub struct IndexCache(Cache);

impl IndexCache {
    /// Opens it.
    ///
    /// # Panics
    ///
    /// Where the folder cannot have one.
    pub fn below(folder: &Path) -> IndexCache {
        IndexCache(Cache::locate_below(Some(folder)).expect("the folder can have a cache"))
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

/// The partial transfers below a folder.
pub struct PartialTransfer(Partials);

/// A piece of the file of a partial transfer.
pub struct Piece<'a> {
    /// The number of its layer in the image.
    pub layer: u32,
    /// The number of its entry in the layer.
    pub entry: u32,
    /// 0 for all of the entry, or one more than the number of a chunk; with the highest bit, a range of one.
    pub chunk: u32,
    /// The bytes themselves.
    pub bytes: &'a [u8],
}

impl PartialTransfer {
    /// Opens them.
    ///
    /// # Panics
    ///
    /// Where the folder cannot have any.
    pub fn below(folder: &Path) -> PartialTransfer {
        PartialTransfer(Partials::locate_below(Some(folder)).expect("the folder can have partial transfers"))
    }

    /// Those that are listed.
    pub fn entries(&self) -> Vec<PartialEntry> {
        self.0.entries().unwrap_or_default()
    }

    /// The file of one, with these pieces; `None` where the names are too many.
    pub fn file(config: &Digest, names: &[String], pieces: &[Piece<'_>]) -> Option<Vec<u8>> {
        let mut file = partial::head(&Owner::of_file(config, names.to_vec())).ok()?;
        for Piece { layer, entry, chunk, bytes } in pieces {
            file.extend(partial::piece(*layer, *entry, *chunk, u32::try_from(bytes.len()).ok()?));
            file.extend_from_slice(bytes);
        }
        Some(file)
    }

    /// Begins a run that takes this image.
    pub fn begin(&self, config: &Digest, names: &[String], memory: u64) -> Option<Begun> {
        let owner = Owner::of_file(config, names.to_vec());
        let basis = self.0.begin(&owner, memory).ok()?;
        Some(Begun { owner, basis })
    }
}

/// A run that builds on partial transfers.
pub struct Begun {
    owner: Owner,
    basis: PartialBasis,
}

impl Begun {
    /// The layers that there are parts of.
    pub fn take_layers(&mut self) -> Vec<PartialLayers> {
        self.basis.take_layers().into_iter().map(PartialLayers).collect()
    }

    /// Keeps all chunks of a layer, which has this number. False where nothing can be kept.
    pub fn keep(&mut self, number: usize, index: &Arc<LayerIndex>, chunks: &[u8]) -> bool {
        let Some(mut writer) = self.basis.writer(&self.owner) else { return false };
        writer.add_layer(number, index, BasisKind::None);
        writer.write(0, 0..index.chunks().len(), chunks).is_ok() && writer.flush().is_ok()
    }

    /// Forgets the parts: a layer came out wrong.
    pub fn discard(mut self) {
        self.basis.discard();
    }

    /// Removes them: the image is there.
    pub fn complete(self) {
        self.basis.complete();
    }
}

/// Parts of layers, one after the other.
pub struct PartialLayers(PartialLayer);

impl PartialLayers {
    /// All bytes.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Some of them.
    ///
    /// # Errors
    ///
    /// Fails if there are not so many.
    pub fn copy(&self, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.copy(at, len, &mut bytes)?;
        Ok(bytes)
    }

    /// The memory that their table takes.
    pub fn memory(&self) -> u64 {
        self.0.memory()
    }
}
