//! Reads the config and the layers of an image out of the engine's `save`.

use std::collections::HashSet;
use std::io;
use std::slice::from_ref;

use dsync_core::{DiffId, ImageId};

use super::identify::{Engine, Syntax};
use super::list::inspect;
use crate::archive::{self, ArchiveRequest, ReadError};
use crate::command::Program;
use crate::store::{Export, IdOf, LayerSink, StoreError, StoreKind};

/// One image a call, by its ID: several at once share layers in the archive, and Docker from 25 on leaks
/// those that it meets twice.
pub(super) fn export(
    program: &Program,
    engine: &Engine,
    id: &ImageId,
    wanted: &HashSet<DiffId>,
    sink: &mut dyn LayerSink,
) -> Result<Export, StoreError> {
    let text = id.to_string();
    let diff_ids = if engine.v1_names { diff_ids(program, &text)? } else { Vec::new() };
    let request = ArchiveRequest {
        config: (engine.kind.id_of() == IdOf::Config).then(|| id.digest()),
        diff_ids: &diff_ids,
        wanted,
    };
    let save: &[&str] = match engine.syntax {
        Syntax::Docker => &["save"],
        // The other formats compress anew and can change the config.
        Syntax::Podman => &["save", "--quiet", "--format", "docker-archive"],
    };
    let mut saving = program.read(&[save, &[&text]].concat())?;
    let error = match archive::read(&mut saving, &request, sink) {
        Ok(export) => return saving.finish(Some(&text)).map(|()| export),
        Err(error) => error,
    };
    if engine.kind == StoreKind::Podman {
        // podman keeps a whole layer in a temporary file while it saves, and removes it at the end only:
        // neither a signal nor a closed pipe makes it clean up. So it gets to its end.
        // Success or failure of that changes nothing about the error.
        let _ = io::copy(&mut saving, &mut io::sink());
    }
    match error {
        ReadError::Sink(source) => Err(not_taken(&text, source)),
        // An archive that is not whole has its reason on the engine's side, where there is one.
        ReadError::Source(source) => saving
            .finish(Some(&text))
            .and(Err(StoreError::Io { what: format!("the archive of {text} cannot be read"), source })),
        ReadError::Broken(reason) => saving
            .finish(Some(&text))
            .and(Err(StoreError::Broken { what: format!("the archive of {text}"), reason })),
    }
}

/// The sink did not take a layer of the image.
pub(super) fn not_taken(image: &str, source: io::Error) -> StoreError {
    StoreError::Io { what: format!("a layer of {image} cannot be passed on"), source }
}

/// The layers of an image, the lowest first: the names in the archive are derived from them.
fn diff_ids(program: &Program, id: &str) -> Result<Vec<DiffId>, StoreError> {
    match inspect(program, from_ref(&id))?.images.pop() {
        Some(image) => Ok(image.diff_ids),
        None => Err(StoreError::NoSuchImage { image: id.into() }),
    }
}
