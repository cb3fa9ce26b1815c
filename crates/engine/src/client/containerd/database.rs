//! The names of images in containerd's metadata database, in the namespace that Docker uses.
//!
//! The database is a bolt file: buckets `v1`, NAMESPACE, `images`, then one for each name (containerd's
//! `core/metadata/buckets.go`). It is read without its lock, and only where it is certain to be this engine's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dsync_core::{ImageId, ImageRef};

use super::bolt::{Bolt, Value};
use crate::client::identify::Engine;
use crate::command::Program;

/// The database, below the root of a containerd.
const METADATA: &str = "io.containerd.metadata.v1.bolt/meta.db";
/// The address of a containerd that Docker did not start itself.
const SYSTEM_SOCKET: &str = "/run/containerd/containerd.sock";
/// Attempts to read the database while it changes.
const ATTEMPTS: usize = 4;
/// The namespace of Docker's images, unless the engine names another.
const NAMESPACE: &str = "moby";

/// The names of each image.
pub(super) type Names = BTreeMap<ImageId, Vec<ImageRef>>;

/// The database of the engine's containerd.
#[derive(Debug)]
pub(super) struct Database {
    file: PathBuf,
    namespace: String,
    /// The number of names that it must have to be the engine's, where the engine does not name its containerd.
    names: Option<u64>,
}

impl Database {
    /// The database of the containerd with this root, if there is no doubt that this engine uses it: a client may talk
    /// to an engine elsewhere, whose folders have the same names as those here.
    pub(super) fn of(engine: &Engine, root: &Path, is_system: bool) -> Option<Self> {
        let id = fs::read_to_string(engine.root.as_ref()?.join("engine-id")).ok()?;
        let (is_its, namespace, names) = match &engine.containerd {
            Some(named) => ((named.address == SYSTEM_SOCKET) == is_system, named.namespace.as_str(), None),
            None => (true, NAMESPACE, Some(engine.images)),
        };
        let database = Self { file: root.join(METADATA), namespace: namespace.to_owned(), names };
        (is_its && id.trim() == engine.id).then_some(database)
    }

    /// The IDs of all images with their names; `None` when it changes all the time, or is not the engine's.
    pub(super) fn names(&self, program: &Program) -> io::Result<Option<Names>> {
        for _ in 0..ATTEMPTS {
            let database = Bolt::open(&self.file)?;
            // A database that changes reads as anything, a failure too.
            let read = read_names(&database, &self.namespace);
            if database.is_unchanged()? {
                let (names, count) = read?;
                return Ok(self.agrees(program, &names, count).then_some(names));
            }
        }
        Ok(None)
    }

    /// True if these are the engine's names, as far as one question to the engine shows.
    fn agrees(&self, program: &Program, names: &Names, count: u64) -> bool {
        let Some(shown) = self.names else { return true };
        let one = names.iter().find_map(|(id, names)| Some((id.to_string(), names.first()?.to_string())));
        let is_there = |(id, name): (String, String)| {
            let output = program.run(&["image", "inspect", "--format", "{{.Id}}", &name], None);
            output.is_ok_and(|output| output.stdout.trim_ascii() == id.as_bytes())
        };
        shown == count && one.is_some_and(is_there)
    }
}

/// The names, and how many there are with those that are none for us.
fn read_names(database: &Bolt, namespace: &str) -> io::Result<(Names, u64)> {
    let (mut names, mut count) = (Names::new(), 0);
    let Some(images) = database.bucket(&["v1", namespace, "images"])? else { return Ok((names, 0)) };
    database.each(&images, &mut |name, image| {
        let Value::Bucket(image) = image else { return Ok(()) };
        let Some(target) = database.inner(&image, "target")? else { return Ok(()) };
        let digest = database.bytes(&target, "digest")?.and_then(|bytes| String::from_utf8(bytes).ok());
        let id = digest.and_then(|digest| digest.parse::<ImageId>().ok());
        let id = id.ok_or_else(|| io::Error::other("an image has no digest of a kind that is known"))?;
        // An image that nobody names has a name there all the same, which is none for us.
        let name = str::from_utf8(name).ok().and_then(|name| name.parse::<ImageRef>().ok());
        names.entry(id).or_default().extend(name);
        count += 1;
        Ok(())
    })?;
    names.values_mut().for_each(|names| names.sort_unstable());
    Ok((names, count))
}
