//! The blobs of a namespace: the client says which there are, and gives them where their files cannot be read.

use std::collections::{HashMap, HashSet};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use dsync_core::Digest;
use serde_json::Value;

use super::hold;
use crate::blob::BlobRef;
use crate::client::containerd::{BlobFolder, Content, broken};
use crate::command::{Program, Reading};
use crate::layers::Blobs;
use crate::package::LARGEST_DOCUMENT;
use crate::store::StoreError;

/// The bytes of documents that are kept, so that none is asked for twice.
const KEPT: usize = 8 << 20;

/// The calls of the client at a time.
const CALLS: usize = 8;
/// The documents between an image's root and its config: an index, a manifest, the config.
const DEPTH: usize = 3;

/// The blobs of a namespace.
///
/// Files of all namespaces lie in one folder, so what a namespace has is what the client says.
pub(super) struct CtrBlobs {
    ctr: Program,
    folder: Option<BlobFolder>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    there: HashSet<Digest>,
    /// The holds of processes that are gone.
    left: Vec<Digest>,
    documents: HashMap<Digest, Arc<[u8]>>,
    kept: usize,
}

impl CtrBlobs {
    /// The blobs, read as files where this process may do that.
    pub(super) fn open(ctr: &Program) -> Result<Self, StoreError> {
        let folder = root(ctr).and_then(|root| BlobFolder::open(&root)).filter(|_| ctr.is_here());
        let blobs = Self { ctr: ctr.clone(), folder, state: Mutex::default() };
        blobs.refresh()?;
        // The folder of a containerd in a container or a virtual machine may be another one here.
        let is_its = |folder: &BlobFolder| {
            let state = blobs.state();
            let mut first = state.there.iter().take(8).peekable();
            first.peek().is_some() && first.all(|digest| folder.size(digest).is_some())
        };
        let folder = blobs.folder.as_ref().is_some_and(is_its);
        Ok(if folder { blobs } else { Self { folder: None, ..blobs } })
    }

    /// The folder of the files, where they can be read.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(BlobFolder::path)
    }

    /// Asks anew which blobs there are.
    pub(super) fn refresh(&self) -> Result<(), StoreError> {
        let output = self.ctr.run(&["content", "ls"], None)?;
        let table = String::from_utf8_lossy(&output.stdout);
        let mut state = self.state();
        state.there = table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        state.left = hold::left(&table);
        Ok(())
    }

    /// The holds of processes that were gone when blobs were listed last.
    pub(super) fn left_holds(&self) -> Vec<Digest> {
        self.state().left.clone()
    }

    /// True if the namespace has a blob.
    pub(super) fn is_there(&self, digest: &Digest) -> bool {
        self.state().there.contains(digest)
    }

    /// Has the client give the documents of these images side by side, where their files cannot be read: it takes some
    /// 20 ms for each.
    pub(super) fn prefetch(&self, roots: impl Iterator<Item = Digest>) {
        let mut wanted: Vec<Digest> = roots.collect();
        for _ in 0..DEPTH {
            wanted.retain(|digest| self.is_there(digest));
            if self.folder.is_some() || wanted.is_empty() {
                return;
            }
            let calls = wanted.len().div_ceil(CALLS);
            thread::scope(|scope| {
                for part in wanted.chunks(calls) {
                    scope.spawn(|| part.iter().for_each(|digest| drop(self.document(digest))));
                }
            });
            let state = self.state();
            let documents = wanted.iter().filter_map(|digest| state.documents.get(digest));
            let mut next: Vec<Digest> = documents.flat_map(|document| named(document)).collect();
            drop(state);
            next.sort_unstable();
            next.dedup();
            wanted = next;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A document, from the client.
    fn document(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        if let Some(known) = self.state().documents.get(digest) {
            return Some(Arc::clone(known));
        }
        let mut bytes = Vec::new();
        let mut reading = self.ctr.read(&["content", "get", &digest.to_string()]).ok()?;
        (&mut reading).take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > LARGEST_DOCUMENT || Digest::of(&bytes) != *digest {
            return None;
        }
        let bytes: Arc<[u8]> = bytes.into();
        let mut state = self.state();
        if state.kept + bytes.len() <= KEPT {
            state.kept += bytes.len();
            state.documents.insert(*digest, Arc::clone(&bytes));
        }
        Some(bytes)
    }
}

impl Blobs for CtrBlobs {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        if let Some(folder) = &self.folder {
            return Ok(Box::new(folder.file(&blob.digest)?));
        }
        if let Some(known) = self.state().documents.get(&blob.digest) {
            return Ok(Box::new(Cursor::new(Arc::clone(known))));
        }
        let reading = self.ctr.read(&["content", "get", &blob.digest.to_string()])?;
        Ok(Box::new(Whole(Some(reading))))
    }

    fn broken(&self, reason: String) -> StoreError {
        broken(reason)
    }
}

impl Content for CtrBlobs {
    fn size(&self, digest: &Digest) -> Option<u64> {
        if !self.is_there(digest) {
            return None;
        }
        match &self.folder {
            Some(folder) => folder.size(digest),
            None => Some(self.document(digest)?.len() as u64),
        }
    }

    fn has(&self, blob: &BlobRef) -> bool {
        let fits = |folder: &BlobFolder| folder.size(&blob.digest) == Some(blob.size);
        self.is_there(&blob.digest) && self.folder.as_ref().is_none_or(fits)
    }
}

/// The documents that a document names: of an index its manifests, of a manifest its config.
fn named(document: &[u8]) -> Vec<Digest> {
    let json: Value = serde_json::from_slice(document).unwrap_or_default();
    let manifests = json.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let all = manifests.chain(json.get("config"));
    all.filter_map(BlobRef::parse).map(|blob| blob.digest).collect()
}

/// A blob that the client writes; one that it cannot give to the end is an error, and no short blob.
struct Whole(Option<Reading>);

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(reading) = &mut self.0 else { return Ok(0) };
        let count = reading.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(reading) = self.0.take()
        {
            reading.finish(None).map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

/// The root of the content store, as the daemon says it.
fn root(ctr: &Program) -> Option<PathBuf> {
    let output = ctr.run(&["plugins", "ls", "-d", "id==content"], None).ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let root = said.lines().find_map(|line| line.trim().strip_prefix("root "))?;
    Some(PathBuf::from(root.trim())).filter(|root| root.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client with these blobs, which writes down what it is asked for.
    fn client(folder: &Path, blobs: &[&[u8]]) -> Program {
        for blob in blobs {
            std::fs::write(folder.join(Digest::of(blob).to_string()), blob).unwrap();
        }
        let script = format!(
            "cd '{}'; case $2 in ls) for f in sha256:*; do echo \"$f 1B 2 hours -\"; done;; \
             get) echo $3 >>log; cat $3;; *) echo none;; esac",
            folder.display()
        );
        Program::find(&["sh", "-c", &script, "ctr"].map(str::to_owned)).unwrap()
    }

    #[test]
    fn documents_are_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = b"{}";
        let of = |bytes: &[u8]| format!(r#"{{"digest":"{}","size":{}}}"#, Digest::of(bytes), bytes.len());
        let manifest = format!(r#"{{"config":{},"layers":[{}]}}"#, of(config), of(b"layer"));
        let index = format!(r#"{{"manifests":[{},{}]}}"#, of(manifest.as_bytes()), of(b"absent"));
        let ctr = client(folder.path(), &[config, b"layer", manifest.as_bytes(), index.as_bytes()]);
        let blobs = CtrBlobs::open(&ctr).unwrap();
        assert_eq!(blobs.folder(), None, "the client does not say where they are");
        blobs.prefetch([Digest::of(index.as_bytes()), Digest::of(b"absent")].into_iter());
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log().lines().count(), 3, "no layer: {}", log());
        assert_eq!(blobs.size(&Digest::of(config)), Some(2));
        let layer = BlobRef { digest: Digest::of(b"layer"), size: 5 };
        assert!(blobs.has(&layer) && !blobs.is_there(&Digest::of(b"absent")));
        assert_eq!(log().lines().count(), 3);
        let mut bytes = Vec::new();
        blobs.open(&layer).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"layer");
    }

    #[test]
    fn a_blob_that_the_client_cannot_give_is_no_short_blob() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = CtrBlobs::open(&client(folder.path(), &[b"one"])).unwrap();
        let gone = BlobRef { digest: Digest::of(b"gone"), size: 4 };
        let error = blobs.open(&gone).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("content get"), "{error}");
    }
}
