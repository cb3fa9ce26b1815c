//! The one JSON document that `--json` prints. docs/json.md describes it, and a test holds the two together.
//!
//! Within schema 1 keys are only added; a change of meaning is another number.

use dsync_core::{Image, Unreadable};
use dsync_sync::{Cost, Direction, Entry, LayerState};
use serde::Serialize;

use super::view::{View, word};
use crate::error::Diagnosis;
use crate::escape;
use crate::results::{self, Done, Sums, What};

const SCHEMA: u32 = 1;

/// The document of a report or a synchronisation.
#[derive(Serialize)]
struct Document {
    schema: u32,
    direction: &'static str,
    source: Place,
    target: Place,
    images: Vec<Listed>,
    unreadable: Vec<Unread>,
    #[serde(flatten)]
    sync: Option<Synced>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Failed<'a> {
    schema: u32,
    error: &'a Diagnosis,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Place {
    host: Option<String>,
    store: String,
}

#[derive(Serialize)]
struct Listed {
    name: Option<String>,
    id: String,
    status: &'static str,
    size: u64,
    created: Option<String>,
    target_created: Option<String>,
    target_id: Option<String>,
    platform: String,
    layers: Layers,
    basis: Vec<String>,
}

#[derive(Serialize)]
struct Unread {
    names: Vec<String>,
    id: Option<String>,
    reason: String,
}

#[derive(Serialize)]
struct Layers {
    total: usize,
    shared: usize,
    local: usize,
    missing: usize,
}

#[derive(Serialize)]
struct Synced {
    dry_run: bool,
    results: Vec<Result>,
    totals: Totals,
}

#[derive(Serialize)]
struct Result {
    name: Option<String>,
    status: &'static str,
    action: &'static str,
    id: Option<String>,
    size: u64,
    sent: u64,
    received: u64,
    raw: u64,
    packed: u64,
    built: u64,
    reused: u64,
    packed_again: u64,
    seconds: f64,
    referrers: u32,
    verified: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explained>,
    error: Option<Diagnosis>,
}

#[derive(Serialize)]
struct Explained {
    told: u64,
    files: Vec<Share>,
}

#[derive(Serialize)]
struct Share {
    layer: u32,
    path: String,
    files: u64,
    changed: bool,
    raw: u64,
    packed: u64,
}

#[derive(Serialize)]
struct Totals {
    images: usize,
    failed: usize,
    skipped: usize,
    size: u64,
    sent: u64,
    received: u64,
    seconds: f64,
}

/// The document of a report, and with `done` of a synchronisation.
pub(crate) fn document(
    view: View<'_>,
    done: Option<(bool, &[Done<'_>], Sums)>,
    warnings: Vec<String>,
) -> String {
    let (source, target) = view.hosts();
    let place = |host: Option<&str>, store: &str| Place { host: host.map(Into::into), store: store.into() };
    let document = Document {
        schema: SCHEMA,
        direction: match view.direction {
            Direction::Pull => "pull",
            Direction::Push => "push",
        },
        source: place(source, &view.report.source),
        target: place(target, &view.report.target),
        images: view.report.entries.iter().map(listed).collect(),
        unreadable: view.report.unreadable.iter().map(unread).collect(),
        sync: done.map(|(dry_run, done, sums)| Synced {
            dry_run,
            results: done.iter().map(result).collect(),
            totals: Totals {
                images: done.len(),
                failed: sums.failed,
                skipped: sums.skipped,
                size: sums.size,
                sent: sums.traffic.sent,
                received: sums.traffic.received,
                seconds: seconds(sums.took),
            },
        }),
        warnings,
    };
    text(&document)
}

/// The document of a run that failed as a whole, after these warnings.
pub(crate) fn failure(error: &Diagnosis, warnings: Vec<String>) -> String {
    text(&Failed { schema: SCHEMA, error, warnings })
}

fn unread(image: &Unreadable) -> Unread {
    Unread {
        names: image.names.iter().map(ToString::to_string).collect(),
        id: image.id.map(|id| id.to_string()),
        reason: image.reason.clone(),
    }
}

fn listed(entry: &Entry) -> Listed {
    let Image { id, size, created, platform, .. } = &entry.image;
    let held = entry.held.as_ref();
    Listed {
        name: entry.name.as_ref().map(ToString::to_string),
        id: id.to_string(),
        status: word(entry.status),
        size: *size,
        created: Some(created.clone()).filter(|created| !created.is_empty()),
        target_created: held.map(|held| held.created.clone()).filter(|created| !created.is_empty()),
        target_id: held.map(|held| held.id.to_string()),
        platform: platform.to_string(),
        layers: Layers {
            total: entry.layers.len(),
            shared: entry.count(LayerState::Shared),
            local: entry.count(LayerState::Local),
            missing: entry.count(LayerState::Missing),
        },
        basis: entry.basis.clone(),
    }
}

fn result(done: &Done<'_>) -> Result {
    let mut result = Result {
        name: done.entry.name.as_ref().map(ToString::to_string),
        status: "ok",
        action: "none",
        id: None,
        size: done.entry.image.size,
        sent: 0,
        received: 0,
        raw: 0,
        packed: 0,
        built: 0,
        reused: 0,
        packed_again: 0,
        seconds: seconds(done.took),
        referrers: done.referrers,
        verified: done.verified,
        explain: None,
        error: None,
    };
    match &done.what {
        What::Current => {}
        What::LeftAlone => result.action = "left alone",
        What::Synced(outcome) => {
            result.action = done.action();
            result.id = Some(outcome.id.to_string());
            result.sent = outcome.traffic.sent;
            result.received = outcome.traffic.received;
            result.raw = outcome.raw;
            result.packed = outcome.packed;
            result.packed_again = outcome.packed_again;
            let built = results::built(outcome);
            (result.built, result.reused) = (built.bytes, built.reused);
            result.explain = (!outcome.costs.is_empty()).then(|| Explained {
                told: outcome.metadata,
                files: outcome.costs.iter().map(share).collect(),
            });
        }
        What::Failed(diagnosis) => {
            result.status = "error";
            result.error = Some(diagnosis.clone());
        }
        What::Skipped => result.status = "skipped",
    }
    result
}

fn share(cost: &Cost) -> Share {
    let Cost { layer, path, files, changed, raw, packed } = cost.clone();
    Share { layer, path, files, changed, raw, packed }
}

/// Milliseconds are all that is meant.
fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("strings and numbers are always JSON");
    text.push('\n');
    escape::json(&text).into_owned()
}
