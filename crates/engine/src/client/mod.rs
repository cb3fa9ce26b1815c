//! Docker and podman, driven through their command-line clients.
//!
//! A client honours what its user has set up: contexts, `DOCKER_HOST`, rootless sockets, `sudo`. No socket
//! path has to be known and no API version negotiated.

mod direct;
mod distant;
mod export;
mod history;
mod identify;
mod import;
mod list;
mod packed;

use std::collections::HashSet;

use dsync_core::{ChainId, DiffId, Image, ImageId, ImageRef};

use crate::command::Program;
use crate::store::{Description, Export, Import, LayerSink, Store, StoreError, StoreKind};
use direct::{Stopped, Storage};
use identify::{Engine, Syntax, identify};

pub use distant::DistantStore;
pub use list::parse_inspect;

/// The store of an engine, behind its client.
pub(crate) struct ClientStore {
    program: Program,
    engine: Engine,
    /// The engine's own files, where they can be read.
    storage: Option<Storage>,
}

impl ClientStore {
    /// Finds the program and asks what it is.
    pub(crate) fn open(words: &[String]) -> Result<Self, StoreError> {
        let store = Self::identified(Program::find(words)?)?;
        let storage = store.engine.storage.as_deref().and_then(Storage::open);
        Ok(Self { storage, ..store })
    }

    fn identified(program: Program) -> Result<Self, StoreError> {
        let output = program.run(&["info", "--format", "{{json .}}"], None)?;
        let engine = identify(&output.stdout, &output.stderr)?;
        Ok(Self { program, engine, storage: None })
    }
}

impl Store for ClientStore {
    fn describe(&self) -> Description {
        let name = &self.engine.name;
        let name = if self.storage.is_some() { format!("{name}, storage readable") } else { name.clone() };
        Description { kind: self.engine.kind, name }
    }

    fn list(&self) -> Result<Vec<Image>, StoreError> {
        list::list(&self.program)
    }

    fn holds(&self, held: &[Image], image: &Image) -> Vec<bool> {
        holds(self.engine.kind, held, image)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<DiffId>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let mut missing = wanted.clone();
        if let Some(storage) = &self.storage {
            match storage.export(id, &mut missing, sink) {
                Ok(export) => return Ok(export),
                Err(Stopped::Sink(source)) => return Err(export::not_taken(&id.to_string(), source)),
                Err(Stopped::Storage(reason)) => {
                    sink.note(&format!("the storage of the engine is not read directly: {reason}"));
                }
            }
        }
        export::export(&self.program, &self.engine, id, &missing, sink)
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        history::layer_sizes(&self.program, &self.engine, image)
    }

    fn import(&self) -> Result<Box<dyn Import + '_>, StoreError> {
        Ok(Box::new(import::Load::begin(&self.program, &self.engine, packed::Packing::Plain)?))
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        let id = id.to_string();
        // podman would make `localhost/web` of the short name `web`.
        let full = |name: &ImageRef| match self.engine.syntax {
            Syntax::Podman => name.qualified(),
            Syntax::Docker => name.to_string(),
        };
        names.iter().try_for_each(|name| self.program.run(&["tag", &id, &full(name)], Some(&id)).map(drop))
    }
}

/// Which layers of the image need not be in an archive for it.
fn holds(kind: StoreKind, held: &[Image], image: &Image) -> Vec<bool> {
    match kind {
        StoreKind::DockerClassic => {
            let chains: HashSet<ChainId> =
                held.iter().flat_map(|image| ChainId::chain(&image.diff_ids)).collect();
            ChainId::chain(&image.diff_ids).iter().map(|chain| chains.contains(chain)).collect()
        }
        StoreKind::Podman | StoreKind::OciLayout => {
            let layers: HashSet<&DiffId> = held.iter().flat_map(|image| &image.diff_ids).collect();
            image.diff_ids.iter().map(|id| layers.contains(id)).collect()
        }
        StoreKind::DockerArchive => vec![false; image.diff_ids.len()],
        // It knows layers by their blob as stored, and its client does not say which those are. A layer
        // that is left out wrongly makes a broken image, one that is given in vain costs local work only.
        StoreKind::DockerContainerd => vec![false; image.diff_ids.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layers: &[&str]) -> Image {
        Image {
            id: ImageId::of(layers.concat().as_bytes()),
            names: Vec::new(),
            diff_ids: layers.iter().map(|layer| DiffId::of(layer.as_bytes())).collect(),
            platform: "linux/amd64".parse().unwrap(),
            size: 0,
            created: String::new(),
        }
    }

    #[test]
    fn each_kind_has_its_own_sense_of_having_a_layer() {
        let held = [image(&["a", "b"]), image(&["x", "c"])];
        let new = image(&["a", "b", "c", "a"]);
        assert_eq!(holds(StoreKind::DockerClassic, &held, &new), [true, true, false, false]);
        assert_eq!(holds(StoreKind::Podman, &held, &new), [true; 4]);
        assert_eq!(holds(StoreKind::DockerContainerd, &held, &new), [false; 4]);
        assert_eq!(holds(StoreKind::DockerClassic, &[], &new), [false; 4]);
        assert!(holds(StoreKind::Podman, &held, &image(&[])).is_empty());
    }
}
