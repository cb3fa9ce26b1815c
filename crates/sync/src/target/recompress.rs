//! Layers that are compressed again, as the source has them stored.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use dsync_core::{Digest, ImageId, ImageRef, LayerKey};
use dsync_engine::{Import, PackedLayer, StoreError};
use dsync_recompress::{Recipe, recreate_on};
use sha2::{Digest as _, Sha256};

use crate::failure::NotTheBlob;

/// The bytes of a layer that are handed to the encoder at once, and the number of such blocks that may wait.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 4;

/// A layer that is stored compressed, and what makes its blob.
pub(crate) struct CompressedLayer {
    pub(super) layer: PackedLayer,
    pub(super) recipe: Recipe,
}

/// An import that takes layers as they are read, and gives them to the store as they are stored.
pub(super) struct RecompressingImport<'a> {
    pub(super) import: Box<dyn Import + 'a>,
    pub(super) blobs: &'a HashMap<LayerKey, CompressedLayer>,
}

impl Import for RecompressingImport<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let Some(CompressedLayer { layer, recipe }) = self.blobs.get(key) else {
            // An uncompressed blob is its tar.
            return self.import.layer(&LayerKey::Blob(key.digest()), len, write);
        };
        self.import.layer(&LayerKey::Blob(layer.blob.digest), layer.blob.size, &mut |out| {
            recompress(recipe, &layer.blob.digest, write, out)
        })
    }

    fn commit(self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        self.import.commit(config, names)
    }
}

/// Compresses what `write` writes, while it does.
fn recompress(
    recipe: &Recipe,
    expected: &Digest,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (plain, waiting) = sync_channel::<Vec<u8>>(WAITING);
    let (packed, done) = channel::<Vec<u8>>();
    let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let mut hasher = Sha256::new();
    let encoded = thread::scope(|scope| {
        let blocks = Waiting { blocks: waiting, block: Vec::new(), at: 0 };
        let encoder = scope.spawn(move || recreate_on(recipe, blocks, Done(packed), threads));
        let mut through =
            Through { plain: Some(plain), block: Vec::new(), done: &done, out, hasher: &mut hasher };
        let written = write(&mut through).and_then(|()| through.pass_on());
        through.plain = None;
        let written = written.and_then(|()| done.iter().try_for_each(|bytes| through.put(&bytes)));
        match encoder.join() {
            Err(_) => Err(io::Error::other("the encoder ended early")),
            // The recipe is not of these bytes.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
            Ok(encoded) => written.and_then(|()| encoded.map(|_| true)),
        }
    })?;
    let got = Digest::from_bytes(hasher.finalize().into());
    match encoded && got == *expected {
        true => Ok(()),
        false => Err(io::Error::other(NotTheBlob { expected: *expected, got })),
    }
}

/// Plain bytes go in, and what is compressed by then goes on. So neither waits for the other for ever: what comes out
/// of an encoder may wait without limit, and is not longer than what went in.
struct Through<'a> {
    plain: Option<SyncSender<Vec<u8>>>,
    block: Vec<u8>,
    done: &'a Receiver<Vec<u8>>,
    out: &'a mut dyn Write,
    hasher: &'a mut Sha256,
}

impl Through<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        if let Some(plain) = self.plain.as_ref().filter(|_| !block.is_empty()) {
            plain.send(block).map_err(|_| io::Error::other("the encoder takes no more"))?;
        }
        while let Ok(bytes) = self.done.try_recv() {
            self.put(&bytes)?;
        }
        Ok(())
    }
}

impl Write for Through<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocks that wait for the encoder.
struct Waiting {
    blocks: Receiver<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            (self.block, self.at) = (self.blocks.recv().unwrap_or_default(), 0);
        }
        let len = buffer.len().min(self.block.len() - self.at);
        buffer[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// The output of the encoder.
struct Done(std::sync::mpsc::Sender<Vec<u8>>);

impl Write for Done {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer_tests::RecordedImport;
    use dsync_recompress::{CompressionMethod, Identification, identify};

    fn recipe() -> Recipe {
        Recipe::new(CompressionMethod::Go { level: 6 }, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]).unwrap()
    }

    /// Text that takes many blocks, and what the recipe makes of it.
    fn layer() -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> =
            (0..200_000_u32).flat_map(|n| format!("{}\n", n ^ (n >> 7)).into_bytes()).collect();
        let mut stored = Vec::new();
        dsync_recompress::recreate(&recipe(), &plain[..], &mut stored).unwrap();
        (plain, stored)
    }

    #[test]
    fn a_layer_is_compressed_while_it_is_written() {
        let (plain, stored) = layer();
        let mut out = Vec::new();
        let mut write = |out: &mut dyn Write| plain.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
        recompress(&recipe(), &Digest::of(&stored), &mut write, &mut out).unwrap();
        assert_eq!(out, stored);
    }

    #[test]
    fn other_bytes_are_told_from_a_failure() {
        let (plain, stored) = layer();
        let mut write = |out: &mut dyn Write| out.write_all(&plain[1..]);
        let error = recompress(&recipe(), &Digest::of(&stored), &mut write, &mut Vec::new()).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<NotTheBlob>()), "{error}");

        let mut write = |out: &mut dyn Write| {
            out.write_all(&plain[..100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let error = recompress(&recipe(), &Digest::of(&stored), &mut write, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);

        // An engine that takes no more has the last word, and nobody waits for ever.
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut write = |out: &mut dyn Write| plain.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
        let error = recompress(&recipe(), &Digest::of(&stored), &mut write, &mut Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_recipe_of_another_layer_is_told_from_a_failure() {
        let plain = layer().0.repeat(8);
        let mut stored = Vec::new();
        dsync_recompress::recreate(&recipe(), &plain[..], &mut stored).unwrap();
        let Identification::Identified(found) = identify(&stored[..], io::sink()).unwrap() else { panic!() };
        let write = |bytes: &[u8], recipe: &Recipe| {
            let mut write =
                |out: &mut dyn Write| bytes.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
            recompress(recipe, &Digest::of(&stored), &mut write, &mut Vec::new())
        };
        write(&plain, &found.recipe).unwrap();
        // It has places at which the work is divided, and these are in other bytes.
        assert!(found.recipe.to_bytes().len() > 17);
        let other: Vec<u8> = plain.iter().map(|byte| byte ^ (byte & 1) ^ 4).collect();
        let error = write(&other[..plain.len() - 100], &found.recipe).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<NotTheBlob>()), "{error}");
    }

    #[test]
    fn the_store_is_given_blobs_with_their_own_digests_and_lengths() {
        let (plain, stored) = layer();
        let blob = dsync_engine::BlobRef { digest: Digest::of(&stored), size: stored.len() as u64 };
        let key = LayerKey::Tar(dsync_core::DiffId::of(&plain));
        let packed = PackedLayer { blob, diff_id: Some(dsync_core::DiffId::of(&plain)) };
        let blobs = HashMap::from([(key, CompressedLayer { layer: packed, recipe: recipe() })]);
        let mut given = Vec::new();
        let mut import = RecompressingImport { import: Box::new(RecordedImport(&mut given)), blobs: &blobs };
        import.layer(&key, plain.len() as u64, &mut |out| out.write_all(&plain)).unwrap();
        let uncompressed = LayerKey::Tar(dsync_core::DiffId::of(b"plain"));
        import.layer(&uncompressed, 5, &mut |out| out.write_all(b"plain")).unwrap();
        // Other bytes than the recipe is of are no layer.
        assert!(import.layer(&key, 5, &mut |out| out.write_all(b"other")).is_err());
        assert_eq!(Box::new(import).commit(b"config", &[]).unwrap(), ImageId::of(b"config"));
        assert_eq!(given.len(), 2);
        assert_eq!(given[0], (LayerKey::Blob(blob.digest), blob.size, stored));
        assert_eq!(given[1], (LayerKey::Blob(Digest::of(b"plain")), 5, b"plain".to_vec()));
    }
}
