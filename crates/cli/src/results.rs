//! The results of a run as text: the line after each image, the plan of a dry run, the totals.
//!
//! "sent A instead of B": A is what crossed the ssh connection, in both directions; B is the size of the
//! image, which is what `docker save | ssh … docker load` would have moved.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use dsync_core::ImageId;
use dsync_sync::{Entry, LayerOutcome, LayerState, Outcome, Status, Traffic};

use crate::error::{Diagnosis, INTERRUPTED};
use crate::escape::visible;
use crate::quantity::{age, bytes, counted, duration, older, percent};
use crate::style::{self, paint};

/// Bytes of a layer that are compressed to the byte as they were, each second and on one core: docs/recompress.md.
const PACKING: u64 = 35_000_000;

/// An image that was asked for, and its result.
pub(crate) struct Done<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) took: Duration,
    pub(crate) what: What,
    /// The signatures and the like that came beside it.
    pub(crate) referrers: u32,
    /// The bytes that were read again on the target, where it was asked to prove what it has.
    pub(crate) verified: Option<u64>,
}

/// The result for an image.
pub(crate) enum What {
    /// Nothing was to be done.
    Current,
    /// It is older than the target's, and was not to replace that.
    LeftAlone,
    /// It is there now, or would be.
    Synced(Outcome),
    /// It is not.
    Failed(Diagnosis),
    /// It was not tried, because an earlier failure ended the session.
    Skipped,
}

impl What {
    /// The same of a further name of an image, which got all its names at once.
    pub(crate) fn by_another_name(&self) -> What {
        match self {
            What::Current => What::Current,
            What::LeftAlone => What::LeftAlone,
            What::Synced(outcome) => What::Synced(Outcome {
                id: outcome.id,
                was_there: true,
                layers: Vec::new(),
                packed_again: 0,
                raw: 0,
                packed: 0,
                metadata: 0,
                costs: Vec::new(),
                traffic: Traffic::default(),
            }),
            What::Failed(diagnosis) => What::Failed(diagnosis.clone()),
            What::Skipped => What::Skipped,
        }
    }
}

/// All images together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) synced: usize,
    /// The number of images, each under one name or several.
    pub(crate) images: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Of the images that were synchronised.
    pub(crate) size: u64,
    /// Over the whole session: listing the images and sending the agent included.
    pub(crate) traffic: Traffic,
    pub(crate) took: Duration,
}

impl Done<'_> {
    /// `updated`, `added`, or `tagged` when only the name was missing; `none` where nothing was done.
    pub(crate) fn action(&self) -> &'static str {
        match (&self.what, self.entry.status) {
            (What::Synced(outcome), _) if outcome.was_there => "tagged",
            (What::Synced(_), Status::New) => "added",
            (What::Synced(_), _) => "updated",
            _ => "none",
        }
    }

    fn label(&self) -> String {
        paint(style::NAME, visible(&self.entry.label()))
    }
}

/// Adds up.
pub(crate) fn sums(done: &[Done<'_>], traffic: Traffic, took: Duration) -> Sums {
    let count = |is: fn(&What) -> bool| done.iter().filter(|d| is(&d.what)).count();
    let synced = done.iter().filter(|d| matches!(d.what, What::Synced(_)));
    // An image counts once, whatever number of names it got.
    let sizes: BTreeMap<ImageId, u64> =
        synced.clone().map(|d| (d.entry.image.id, d.entry.image.size)).collect();
    Sums {
        synced: synced.clone().count(),
        images: sizes.len(),
        failed: count(|what| matches!(what, What::Failed(_))),
        skipped: count(|what| matches!(what, What::Skipped)),
        size: sizes.values().copied().fold(0, u64::saturating_add),
        traffic,
        took,
    }
}

/// The line after an image.
pub(crate) fn line(done: &Done<'_>, now: i64) -> String {
    let label = done.label();
    match &done.what {
        What::Current => format!("{label}  current{}{}", referrers(done), verified(done)),
        What::LeftAlone => {
            let times = done.entry.replaces_newer();
            let ages = times.map_or_else(String::new, |times| format!(": {}", older(times, now)));
            format!("{label}  left alone, older than the target's{ages}")
        }
        What::Synced(outcome) => {
            let sent = instead(outcome.traffic, done.entry.image.size);
            let action = paint(style::GOOD, done.action());
            let more = referrers(done) + &verified(done);
            format!("{label}  {action}  sent {sent}, {}{more}", duration(done.took))
        }
        What::Failed(diagnosis) => {
            let mut named = diagnosis.clone();
            named.message = format!("{label}: {}", named.message);
            named.render().trim_end().into()
        }
        What::Skipped => format!("{label}  not tried"),
    }
}

/// The line about the image of the target that an image took a name from, and about the way back.
pub(crate) fn replaced(done: &Done<'_>, target: Target<'_>, now: i64) -> Option<String> {
    let (What::Synced(_), Some(held)) = (&done.what, done.entry.replaced()) else { return None };
    let age = age(&held.created, now).map_or_else(String::new, |age| format!(", built {age}"));
    let hex = held.id.digest().hex();
    let id = &hex[..12];
    let place = target.host.map_or_else(String::new, |host| format!(" on {}", visible(host)));
    let back = match (target.store.split(' ').next(), &done.entry.name) {
        (Some(engine @ ("docker" | "podman")), Some(name)) => {
            format!("; `{engine} tag {id} {name}`{place} goes back")
        }
        // By another name of its own, or by one that docker-sync gave it.
        (Some("containerd"), _) => {
            let namespace = target.store.split(", namespace ").nth(1).and_then(|rest| rest.split(',').next());
            format!("; kept in `ctr -n {} images ls`{place}", namespace.unwrap_or("default"))
        }
        _ => String::new(),
    };
    Some(paint(style::DIM, format!("  replaced {id}{age}{back}")))
}

/// The place that images arrive at.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The other host; `None` for this one.
    pub(crate) host: Option<&'a str>,
    /// Its store in words, of which the first is the engine.
    pub(crate) store: &'a str,
}

fn referrers(done: &Done<'_>) -> String {
    match done.referrers {
        0 => String::new(),
        count => format!(", with {}", counted(count.into(), "referrer")),
    }
}

fn verified(done: &Done<'_>) -> String {
    done.verified.map_or_else(String::new, |read| format!(", verified ({} read)", bytes(read)))
}

/// The plan of a dry run for an image.
pub(crate) fn plan(done: &Done<'_>, now: i64) -> String {
    let What::Synced(outcome) = &done.what else { return line(done, now) + "\n" };
    let label = done.label();
    if outcome.was_there {
        return format!("{label}  would be tagged: the target has this image under another name or none\n");
    }
    let action = done.action();
    let count = |state| outcome.layers.iter().filter(|layer| layer.state == state).count();
    let (shared, local, sent) =
        (count(LayerState::Shared), count(LayerState::Local), count(LayerState::Missing));
    let mut text = format!("{label}  would be {action}\n");
    let mut row = |what: &str, value: String| {
        writeln!(text, "  {what:<9} {value}").expect("a String takes everything");
    };
    row("layers", format!("{shared} shared, {local} built from what the target has, {sent} sent"));
    let Built { bytes: built, reused } = self::built(outcome);
    if built > 0 {
        row(
            "contents",
            format!("{} in these layers, {} of it on the target already", bytes(built), bytes(reused)),
        );
    }
    if outcome.packed_again > 0 {
        let again = outcome.packed_again;
        let time = Duration::from_secs(again / PACKING);
        row(
            "compress",
            format!("{} on the target, to the same bytes: about {}", bytes(again), duration(time)),
        );
    }
    if let [first, ..] = &done.entry.basis[..] {
        row("basis", visible(first).into_owned());
    }
    // The messages of a dry run would cross again; the contents come on top.
    let Traffic { sent, received } = outcome.traffic;
    let estimate = Traffic { sent: sent.saturating_add(outcome.packed), received };
    row("transfer", format!("would send {}", instead(estimate, done.entry.image.size)));
    text
}

/// The files that the transferred bytes of an image belong to: a tree of its layers and their files.
pub(crate) fn explanation(outcome: &Outcome) -> String {
    let mut text = paint(style::DIM, format_args!("  {:>8}  content, and its size", "sent")) + "\n";
    let mut row = |packed: u64, what: &str| {
        writeln!(text, "  {:>8}  {what}", bytes(packed)).expect("a String takes everything");
    };
    row(outcome.metadata, "names, modes, times, config and recipes");
    let mut layers: Vec<u32> = outcome.costs.iter().map(|cost| cost.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    for layer in layers {
        let costs = || outcome.costs.iter().filter(|cost| cost.layer == layer);
        let of = outcome.layers.len();
        let len = usize::try_from(layer)
            .ok()
            .and_then(|layer| outcome.layers.get(layer))
            .map_or(0, |layer| layer.len);
        let heading = format!("layer {} of {of}, {}", u64::from(layer) + 1, bytes(len));
        let packed = costs().map(|cost| cost.packed).fold(0, u64::saturating_add);
        row(packed, &paint(style::HEADING, heading));
        // The row without a name comes last, whatever its size.
        let (named, rest): (Vec<_>, Vec<_>) = costs().partition(|cost| !cost.path.is_empty());
        for cost in named.into_iter().chain(rest) {
            let name = match &cost.path[..] {
                "" => "everything else".into(),
                path => visible(path),
            };
            let many = if cost.files > 1 { format!(" ({} files)", cost.files) } else { String::new() };
            let how = if cost.changed { "changed" } else { "new" };
            row(cost.packed, &format!("  {how:<7}  {name}{many}, {}", bytes(cost.raw)));
        }
    }
    text
}

/// Layers that were built on the target.
pub(crate) struct Built {
    pub(crate) bytes: u64,
    /// The bytes of them that it had.
    pub(crate) reused: u64,
}

/// The layers of an image that were built.
pub(crate) fn built(outcome: &Outcome) -> Built {
    let sum = |bytes: fn(&LayerOutcome) -> u64| outcome.layers.iter().map(bytes).fold(0, u64::saturating_add);
    Built { bytes: sum(|layer| layer.len), reused: sum(|layer| layer.reused) }
}

/// The last lines: totals where there are several images, and which of them failed.
pub(crate) fn summary(done: &[Done<'_>], sums: Sums, dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if sums.synced > 1 && !dry_run {
        let images = counted(sums.images as u64, "image");
        let images = match sums.images == sums.synced {
            true => images,
            false => format!("{images} under {} names", sums.synced),
        };
        let sent = instead(sums.traffic, sums.size);
        lines.push(format!("total  {images}  sent {sent}, {}", duration(sums.took)));
    }
    let is_interrupted =
        |done: &Done<'_>| matches!(&done.what, What::Failed(diagnosis) if diagnosis.exit == INTERRUPTED);
    if done.len() > 1 && sums.failed > 0 && !done.iter().any(is_interrupted) {
        let names = |is: fn(&What) -> bool| {
            let labels = done.iter().filter(|d| is(&d.what)).map(|d| visible(&d.entry.label()).into_owned());
            labels.collect::<Vec<_>>().join(", ")
        };
        let error = paint(style::ERROR, "error:");
        let failed = names(|what| matches!(what, What::Failed(_)));
        lines.push(format!("{error} {} of {} images failed: {failed}", sums.failed, done.len()));
        if sums.skipped > 0 {
            lines.push(format!("  not tried: {}", names(|what| matches!(what, What::Skipped))));
        }
    }
    lines
}

/// The bytes that crossed, and those of the image where they are more.
fn instead(traffic: Traffic, size: u64) -> String {
    let moved = traffic.sent.saturating_add(traffic.received);
    match percent(moved, size).filter(|_| moved < size) {
        Some(share) => format!("{} instead of {} ({share})", bytes(moved), bytes(size)),
        None => bytes(moved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_sync::Cost;

    /// The outcome of an image of which nothing crossed.
    fn nothing() -> Outcome {
        Outcome {
            id: dsync_core::ImageId::of(b""),
            was_there: false,
            layers: Vec::new(),
            packed_again: 0,
            raw: 0,
            packed: 0,
            metadata: 0,
            costs: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    #[test]
    fn an_image_that_is_smaller_than_what_crossed_is_not_compared() {
        let traffic = |sent| Traffic { sent, received: 0 };
        assert_eq!(instead(traffic(340), 500), "340 B instead of 500 B (68 %)");
        assert_eq!(instead(traffic(340), 182), "340 B");
        assert_eq!(instead(traffic(340), 340), "340 B");
        assert_eq!(instead(traffic(340), 0), "340 B");
        assert_eq!(instead(Traffic { sent: u64::MAX, received: 9 }, 1), "18.4 EB");
    }

    #[test]
    fn an_image_that_was_replaced_is_named_with_the_way_back() {
        let report = crate::testing::report();
        let line = |label: &str, what: What, host, store| {
            let entry = report.entries.iter().find(|entry| entry.label() == label).unwrap();
            let done = Done { entry, took: Duration::ZERO, what, referrers: 0, verified: None };
            replaced(&done, Target { host, store }, crate::testing::NOW)
                .map(|line| crate::testing::plain(&line))
        };
        let synced = || What::Synced(nothing());
        let id = &dsync_core::ImageId::of(b"older").digest().hex()[..12];
        assert_eq!(
            line("redis:latest", synced(), Some("prod"), "docker 28.2.2, overlay2").unwrap(),
            format!("  replaced {id}, built 28 hours ago; `docker tag {id} redis:latest` on prod goes back")
        );
        assert_eq!(
            line("redis:latest", synced(), None, "podman 4.3.1").unwrap(),
            format!("  replaced {id}, built 28 hours ago; `podman tag {id} redis:latest` goes back")
        );
        assert_eq!(
            line(
                "redis:latest",
                synced(),
                Some("prod"),
                "containerd 1.7.24, namespace k8s.io, storage readable"
            )
            .unwrap(),
            format!("  replaced {id}, built 28 hours ago; kept in `ctr -n k8s.io images ls` on prod")
        );
        assert_eq!(
            line("redis:latest", synced(), None, "oci:/srv/images").unwrap(),
            format!("  replaced {id}, built 28 hours ago")
        );
        assert_eq!(line("redis:latest", What::Skipped, None, "podman 4.3.1"), None);
        assert_eq!(line("mongo:7", synced(), None, "podman 4.3.1"), None, "it is new");
    }

    #[test]
    fn an_explanation_takes_any_numbers() {
        let path = String::new();
        let cost =
            Cost { layer: u32::MAX, path, files: u64::MAX, changed: true, raw: u64::MAX, packed: u64::MAX };
        let outcome = Outcome {
            raw: u64::MAX,
            packed: u64::MAX,
            metadata: u64::MAX,
            packed_again: u64::MAX,
            costs: vec![cost.clone(), cost],
            ..nothing()
        };
        assert!(explanation(&outcome).contains("layer 4294967296 of 0"));
    }

    #[test]
    fn an_explanation_is_a_tree_of_layers() {
        let cost = |layer, path: &str, files, changed, packed| Cost {
            layer,
            path: path.into(),
            files,
            changed,
            raw: 3 * packed,
            packed,
        };
        let layer = |len| LayerOutcome { state: LayerState::Missing, len, reused: 0 };
        let outcome = Outcome {
            layers: vec![layer(0), layer(151_000_000), layer(7_000)],
            metadata: 17_400,
            costs: vec![
                cost(1, "usr/lib/libssl.so.3", 1, true, 480_000),
                cost(1, "usr/lib/python3/", 312, true, 90_000),
                cost(2, "app/new\u{1b}.js", 1, false, 1_200),
                cost(1, "", 20, false, 70),
            ],
            ..nothing()
        };
        let text = anstream::adapter::strip_str(&explanation(&outcome)).to_string();
        insta::assert_snapshot!(text, @r"
            sent  content, and its size
         17.4 kB  names, modes, times, config and recipes
          570 kB  layer 2 of 3, 151 MB
          480 kB    changed  usr/lib/libssl.so.3, 1.4 MB
         90.0 kB    changed  usr/lib/python3/ (312 files), 270 kB
            70 B    new      everything else (20 files), 210 B
          1.2 kB  layer 3 of 3, 7.0 kB
          1.2 kB    new      app/new\u{1b}.js, 3.6 kB
        ");
    }
}
