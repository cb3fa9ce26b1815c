//! The fixtures of the tests: a report, a session that follows a script, a standard error that can be read.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Unreadable};
use dsync_sync::{
    Direction, Entry, Error, Failure, FailureKind, Held, Host, LayerOutcome, LayerState, Outcome, Report,
    Status, Traffic,
};

use crate::backend::Backend;
use crate::report::View;

/// 2024-02-29T12:30:15Z.
pub(crate) const NOW: i64 = 1_709_209_815;

/// A writer that is read while others still write.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn plain(&self) -> String {
        plain(std::str::from_utf8(&self.0.lock().unwrap()).unwrap())
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text without colours.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn entry(name: &str, size: u64, created: &str, status: Status, layers: &[LayerState]) -> Entry {
    let name: ImageRef = name.parse().unwrap();
    let image = Image {
        id: ImageId::of(name.to_string().as_bytes()),
        config: Some(Digest::of(name.to_string().as_bytes())),
        names: vec![name.clone()],
        digests: Vec::new(),
        diff_ids: (0..layers.len()).map(|n| DiffId::of(format!("{name} {n}").as_bytes())).collect(),
        platform: "linux/amd64".parse().unwrap(),
        size,
        created: created.into(),
    };
    let basis = match status {
        Status::NeedUpdate => vec![name.to_string(), "debian:12".into()],
        _ => Vec::new(),
    };
    let held = match status {
        Status::Current => Some(Held { id: image.id, created: created.into() }),
        Status::NeedUpdate => {
            Some(Held { id: ImageId::of(b"older"), created: "2024-02-28T08:00:00Z".into() })
        }
        Status::New => None,
    };
    Entry {
        name: Some(name),
        held,
        foreign_to: String::new(),
        image,
        pin: dsync_sync::Pin::None,
        status,
        layers: layers.into(),
        basis,
    }
}

/// Two images on each list, of all ages and with all states of layers.
pub(crate) fn report() -> Report {
    use LayerState::{Local, Missing, Shared};
    use Status::{Current, NeedUpdate, New};
    let entries = vec![
        entry("debian:12", 116_500_000, "2024-02-13T00:00:00Z", Current, &[Shared]),
        entry("ghcr.io/team/tools/linter:v1.64", 8_300_000, "", Current, &[Shared, Shared]),
        entry("mongo:7", 701_000_000, "2023-11-29T08:00:00.5Z", New, &[Missing; 9]),
        entry("redis:latest", 113_000_000, "2024-02-29T09:00:00Z", NeedUpdate, &[Shared, Local, Missing]),
        entry(
            "registry.example.com:5000/shop/web:2024.02.29-abcdef",
            412_000_000,
            "2024-02-29T12:29:15Z",
            NeedUpdate,
            &[Shared, Shared, Shared, Missing, Missing],
        ),
        entry("scratchy:latest", 0, "0001-01-01T00:00:00Z", New, &[]),
    ];
    Report {
        source: "docker 28.2.2, overlay2".into(),
        target: "podman 4.3.1".into(),
        entries,
        unreadable: Vec::new(),
    }
}

/// An image that cannot be read.
pub(crate) fn unreadable() -> Unreadable {
    Unreadable {
        id: Some(ImageId::of(b"abc")),
        names: vec!["old/image:1".parse().unwrap()],
        reason: "its config cannot be used: the image config is not JSON".into(),
    }
}

/// The same, where the target's redis is newer, and who built it lived further east.
pub(crate) fn report_of_older() -> Report {
    let mut report = report();
    report.entries.retain(|entry| entry.label() == "redis:latest");
    let held = report.entries[0].held.as_mut().expect("it is an update");
    held.created = "2024-02-29T11:00:00+01:00".into();
    report
}

/// The report as one who pulls sees it.
pub(crate) fn view(report: &Report) -> View<'_> {
    let task = crate::task::Task::everything();
    View { report, task, direction: Direction::Pull, remote: "alice@build" }
}

/// A session over [`report`], in which some images fail.
#[derive(Default)]
pub(crate) struct Fake {
    failures: HashMap<&'static str, FailureKind>,
    lost: Option<&'static str>,
    older: bool,
    foreign_to: &'static str,
    traffic: Cell<Traffic>,
    /// The artifacts that come beside each image.
    pub(crate) referrers: u32,
}

impl Fake {
    /// This image fails so.
    pub(crate) fn failing(mut self, name: &'static str, kind: FailureKind) -> Self {
        self.failures.insert(name, kind);
        self
    }

    /// The target's host is of this platform, and runs no others.
    pub(crate) fn foreign(host: &'static str) -> Self {
        Fake { foreign_to: host, ..Fake::default() }
    }

    /// The session is over [`report_of_older`].
    pub(crate) fn older() -> Self {
        Fake { older: true, ..Fake::default() }
    }

    /// The connection is lost at this image.
    pub(crate) fn lost_at(mut self, name: &'static str) -> Self {
        self.lost = Some(name);
        self
    }
}

impl Backend for Fake {
    fn report(&mut self, patterns: &[String]) -> Result<Report, Error> {
        let mut report = if self.older { report_of_older() } else { report() };
        for entry in &mut report.entries {
            entry.foreign_to = self.foreign_to.into();
        }
        for pattern in patterns {
            if !report.entries.iter().any(|entry| &entry.label() == pattern) {
                return Err(Error::NoSuchImage {
                    pattern: pattern.clone(),
                    close: vec!["redis:latest".into()],
                    keeps_manifests: false,
                });
            }
        }
        report.entries.retain(|entry| patterns.is_empty() || patterns.contains(&entry.label()));
        Ok(report)
    }

    fn sync(&mut self, entry: &Entry, _: &[ImageRef], _: bool) -> Result<Outcome, Error> {
        let label = entry.label();
        if self.lost == Some(&label) {
            return Err(Error::Lost { host: "alice@build".into(), message: "Killed\n".into() });
        }
        if let Some(&kind) = self.failures.get(&label[..]) {
            let causes =
                vec!["no space left for the container engine".into(), "write /x: disk full\x1b[2J".into()];
            return Err(Error::Endpoint { host: Host::Here, failure: Failure { kind, causes } });
        }
        let traffic = Traffic { sent: 20_000, received: entry.image.size / 100 };
        let before = self.traffic.get();
        self.traffic
            .set(Traffic { sent: before.sent + traffic.sent, received: before.received + traffic.received });
        let layer = |&state: &LayerState| match state {
            LayerState::Shared => LayerOutcome { state, len: 0, reused: 0 },
            LayerState::Local => LayerOutcome { state, len: 20_000_000, reused: 20_000_000 },
            LayerState::Missing => LayerOutcome { state, len: 30_000_000, reused: 29_000_000 },
        };
        Ok(Outcome {
            id: entry.image.id,
            was_there: entry.layers.is_empty(),
            layers: entry.layers.iter().map(layer).collect(),
            raw: 1_000_000,
            packed: 400_000,
            metadata: 3_000,
            costs: Vec::new(),
            packed_again: 0,
            traffic,
        })
    }

    fn verify(&mut self, entry: &Entry, _: &[ImageRef]) -> Result<u64, Error> {
        Ok(entry.image.size)
    }

    fn sync_referrers(&mut self, _: &Entry, _: &[ImageRef]) -> Result<u32, Error> {
        Ok(self.referrers)
    }

    fn traffic(&self) -> Traffic {
        let Traffic { sent, received } = self.traffic.get();
        Traffic { sent: sent + 1_000, received: received + 10_000 }
    }
}

/// A clock on which 4.1 seconds pass whenever it is looked at.
pub(crate) fn clock() -> impl Fn() -> Duration {
    let now = Cell::new(Duration::ZERO);
    move || now.replace(now.get() + Duration::from_millis(4100))
}
