//! A hold on blobs: containerd's garbage collector leaves them alone as long as it lasts.
//!
//! The client makes leases and cannot put anything under one. So a hold is a blob of a few bytes, labelled as a root of
//! the collector and with references to the others, which may come later (containerd's `docs/garbage-collection.md`). A
//! hold that is left behind by a process that was killed is found by its label.

use std::io::Write as _;

use dsync_core::{Digest, ImageRef};

use crate::client::temporary_names::TemporaryName;
use crate::command::Program;
use crate::store::StoreError;

/// The label of a blob that nothing refers to and that stays all the same.
const ROOT: &str = "containerd.io/gc.root";
/// The beginning of labels that refer to blobs. `content prune references` removes those with its own words or a number
/// behind.
const REFERENCE: &str = "containerd.io/gc.ref.content.docker-sync.";
/// The labels in one command: each has some 130 bytes.
const BATCH: usize = 400;
/// Attempts to label a blob that the collector may take before.
const ATTEMPTS: usize = 4;

/// A hold, which ends when it is dropped.
pub(super) struct Hold<'a> {
    ctr: &'a Program,
    blob: Digest,
}

impl<'a> Hold<'a> {
    /// Holds these blobs, those that are not there yet as well.
    pub(super) fn on(ctr: &'a Program, image: &Digest, blobs: &[Digest]) -> Result<Hold<'a>, StoreError> {
        let name = TemporaryName::of(image).name.to_string();
        let blob = Digest::of(name.as_bytes());
        let (digest, size) = (blob.to_string(), name.len().to_string());
        let root = format!("{ROOT}={name}");
        let mut attempts = 1..=ATTEMPTS;
        loop {
            attempts.next();
            let words = ["content", "ingest", "--expected-digest", &digest, "--expected-size", &size, &name];
            let mut ingest = ctr.feed(&words)?;
            let written = ingest.write_all(name.as_bytes());
            ingest.finish()?;
            written.map_err(|source| StoreError::Io { what: "a hold cannot be written".into(), source })?;
            match ctr.run(&["content", "label", &digest, &root], None) {
                // Nothing kept it until it had its label.
                Err(StoreError::Failed { message, .. })
                    if message.contains("not found") && !attempts.is_empty() => {}
                labelled => break labelled.map(drop)?,
            }
        }
        let hold = Hold { ctr, blob };
        refer(ctr, &blob, blobs)?;
        Ok(hold)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        end(self.ctr, &self.blob);
    }
}

/// Makes a blob keep others.
pub(super) fn refer(ctr: &Program, from: &Digest, to: &[Digest]) -> Result<(), StoreError> {
    let from = from.to_string();
    for (batch, digests) in to.chunks(BATCH).enumerate() {
        let labels: Vec<String> = digests
            .iter()
            .enumerate()
            .map(|(at, digest)| format!("{REFERENCE}{}={digest}", batch * BATCH + at))
            .collect();
        let words = ["content", "label", &from].into_iter().chain(labels.iter().map(String::as_str));
        ctr.run(&words.collect::<Vec<_>>(), None)?;
    }
    Ok(())
}

/// Ends a hold.
pub(super) fn end(ctr: &Program, hold: &Digest) {
    // One that stays is removed by a later run.
    let _ = ctr.output(&["content", "rm", &hold.to_string()]);
}

/// The holds of processes that are gone in a table of `content ls`: `DIGEST SIZE AGE LABELS`.
pub(super) fn left(table: &str) -> Vec<Digest> {
    let root = format!("{ROOT}=");
    let left = |line: &str| {
        let digest: Digest = line.split_whitespace().next()?.parse().ok()?;
        let name: ImageRef = line.split_once(&root)?.1.split([',', ' ', '\t']).next()?.parse().ok()?;
        TemporaryName::parse(&name)?.is_left().then_some(digest)
    };
    table.lines().filter_map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_of_processes_that_are_gone_are_found() {
        let [live, other, gone] = [b"live", b"othr", b"gone"].map(|text| Digest::of(text));
        let name = TemporaryName::of(&live).name.to_string();
        let (process, old) = (format!("-{}-", std::process::id()), "-00000001-");
        let (start, random) = name.split_once(&process).unwrap();
        let random = random.split_once('-').unwrap().1;
        let line = |digest: &Digest, root: &str| {
            format!("{digest}\t72B\t3 seconds\t{REFERENCE}0={digest},{ROOT}={root},a=b\n")
        };
        let table = "DIGEST\tSIZE\tAGE\tLABELS\n".to_owned()
            + &line(&live, &name)
            + &line(&other, "2026-11-30")
            + &line(&gone, &format!("{start}-1{old}{random}"));
        assert_eq!(left(&table), [gone]);
    }
}
