//! What became of each image, in words: the line after it, the plan of a dry run, the totals.
//!
//! "sent A instead of B": A is what crossed the ssh connection, in both directions; B is the size of the
//! image, which is what `docker save | ssh … docker load` would have moved.

use std::fmt::Write;
use std::time::Duration;

use dsync_sync::{Entry, LayerState, Outcome, Status, Traffic};

use crate::error::Diagnosis;
use crate::escape::visible;
use crate::quantity::{bytes, counted, duration, percent};
use crate::style::{self, paint};

/// An image that was asked for, and what became of it.
pub(crate) struct Done<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) took: Duration,
    pub(crate) what: What,
}

/// What became of an image.
pub(crate) enum What {
    /// Nothing was to be done.
    Current,
    /// It is there now, or would be.
    Synced(Outcome),
    /// It is not.
    Failed(Diagnosis),
    /// It was not tried, because an earlier failure ended the session.
    Skipped,
}

/// All images together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) synced: usize,
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
    Sums {
        synced: synced.clone().count(),
        failed: count(|what| matches!(what, What::Failed(_))),
        skipped: count(|what| matches!(what, What::Skipped)),
        size: synced.map(|d| d.entry.image.size).fold(0, u64::saturating_add),
        traffic,
        took,
    }
}

/// The line after an image.
pub(crate) fn line(done: &Done<'_>) -> String {
    let label = done.label();
    match &done.what {
        What::Current => format!("{label}  current"),
        What::Synced(outcome) => {
            let sent = instead(outcome.traffic, done.entry.image.size);
            let action = paint(style::GOOD, done.action());
            format!("{label}  {action}  sent {sent}, {}", duration(done.took))
        }
        What::Failed(diagnosis) => {
            let mut named = diagnosis.clone();
            named.message = format!("{label}: {}", named.message);
            named.render().trim_end().into()
        }
        What::Skipped => format!("{label}  not tried"),
    }
}

/// What a dry run found out about an image.
pub(crate) fn plan(done: &Done<'_>) -> String {
    let What::Synced(outcome) = &done.what else { return line(done) + "\n" };
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
    let (built, reused) = self::built(outcome);
    if built > 0 {
        row(
            "contents",
            format!("{} in these layers, {} of it on the target already", bytes(built), bytes(reused)),
        );
    }
    if let [first, ..] = &done.entry.basis[..] {
        row("basis", visible(first).into_owned());
    }
    // What a dry run says to the other side would be said again; the contents come on top.
    let Traffic { sent, received } = outcome.traffic;
    let estimate = Traffic { sent: sent.saturating_add(outcome.packed), received };
    row("transfer", format!("would send {}", instead(estimate, done.entry.image.size)));
    text
}

/// The bytes of the layers that were built on the target, and how many of them it had.
pub(crate) fn built(outcome: &Outcome) -> (u64, u64) {
    outcome.layers.iter().fold((0, 0), |(built, reused), layer| {
        (u64::saturating_add(built, layer.len), u64::saturating_add(reused, layer.reused))
    })
}

/// The last lines: totals where there are several images, and which of them failed.
pub(crate) fn summary(done: &[Done<'_>], sums: Sums, dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if sums.synced > 1 && !dry_run {
        let images = counted(sums.synced as u64, "image");
        let sent = instead(sums.traffic, sums.size);
        lines.push(format!("total  {images}  sent {sent}, {}", duration(sums.took)));
    }
    if done.len() > 1 && sums.failed > 0 {
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

fn instead(traffic: Traffic, size: u64) -> String {
    let moved = traffic.sent.saturating_add(traffic.received);
    match percent(moved, size) {
        Some(share) => format!("{} instead of {} ({share})", bytes(moved), bytes(size)),
        None => bytes(moved),
    }
}
