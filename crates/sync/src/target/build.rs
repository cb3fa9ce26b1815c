//! Builds layers into an import, and checks the config that they are for.

use std::io;

use dsync_core::{Config, Digest, Image, LayerKey};
use dsync_delta::header_delta::Assembly;
use dsync_delta::{ChunkSource, JoinError, join};
use dsync_engine::Import;

use crate::failure::EndpointError;
use crate::layers::Layers;

/// The config must be the very one that was asked for, and of the layers that the image was listed with: they are what
/// gets built.
pub(crate) fn check_config(bytes: &[u8], image: &Image, asked: &Digest) -> Result<(), EndpointError> {
    if Digest::of(bytes) != *asked {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent the config {}, not {asked}",
            Digest::of(bytes)
        )));
    }
    let config = Config::parse(bytes)
        .map_err(|error| EndpointError::Broken(format!("the source sent a bad config: {error}")))?;
    if config.diff_ids != image.diff_ids {
        return Err(EndpointError::Broken("the source sent the config of another image".into()));
    }
    Ok(())
}

/// Gives the import a layer that is here.
pub(crate) fn copy_own(
    own: &Layers<'_>,
    key: &LayerKey,
    import: &mut dyn Import,
) -> Result<(), EndpointError> {
    let digest = key.digest();
    let len = own.spooled(&digest).ok_or_else(|| EndpointError::Broken(format!("layer {key} is gone")))?;
    Ok(import.layer(key, len, &mut |out| own.copy_layer(&digest, out))?)
}

/// Gives the import a layer that is put together of chunks.
pub(crate) fn build(
    key: &LayerKey,
    assembly: &Assembly,
    chunks: &mut dyn ChunkSource,
    import: &mut dyn Import,
) -> Result<(), EndpointError> {
    // The store only sees that its writer failed; why is kept here.
    let mut failed: Option<JoinError> = None;
    let result = import.layer(key, assembly.index.len, &mut |out| {
        join(assembly, chunks, out).map_err(|error| {
            failed = Some(error);
            io::Error::other("the layer could not be built")
        })
    });
    match (result, failed) {
        // The engine going away shows as a broken pipe; its own words say more.
        (Err(error), Some(JoinError::Write(pipe) | JoinError::Chunk { source: pipe, .. }))
            if pipe.kind() == io::ErrorKind::BrokenPipe =>
        {
            Err(error.into())
        }
        (_, Some(error)) => Err(EndpointError::Join(error)),
        (result, None) => Ok(result?),
    }
}
