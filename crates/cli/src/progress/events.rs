//! Events as lines of JSON, for programs: docs/json.md has their shapes.

use dsync_sync::{Event, Phase};
use serde::Serialize;

use super::line::Numbers;
use crate::escape;

/// The shape of what is printed: keys and events are only ever added to it.
const SCHEMA: u32 = 1;

/// A line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Object<'a> {
    Begin { schema: u32, version: &'a str },
    Connecting { host: &'a str },
    Uploading { bytes: u64 },
    Opening { host: &'a str },
    Listing { store: &'a str, host: &'a str },
    Image { name: &'a str, id: String, size: u64 },
    Phase { phase: &'a str, host: &'a str },
    Total { bytes: u64 },
    Partial { bytes: u64 },
    Progress { done: u64, total: u64, wire: u64, rate: Option<u64>, seconds_left: Option<u64> },
    Waiting { program: &'a str, host: &'a str, seconds: u32 },
    Note { text: &'a str },
    Warning { text: &'a str },
    Message { text: &'a str },
}

impl Object<'_> {
    fn line(&self) -> String {
        let text = serde_json::to_string(self).expect("its keys are texts");
        format!("{}\n", escape::json(&text))
    }
}

/// The first line.
pub(super) fn begin() -> String {
    Object::Begin { schema: SCHEMA, version: env!("CARGO_PKG_VERSION") }.line()
}

/// A text that a person would read in its place.
pub(super) fn message(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    Object::Message { text: text.trim_end() }.line()
}

/// The numbers of a transfer.
pub(super) fn progress(numbers: &Numbers) -> String {
    let Numbers { done, total, wire, rate, left } = *numbers;
    Object::Progress { done, total, wire, rate, seconds_left: left.map(|left| left.as_secs()) }.line()
}

/// An event; none for those that [`progress`] sums up.
pub(super) fn of(event: Event<'_>) -> Option<String> {
    let object = match event {
        Event::Connecting { remote } => Object::Connecting { host: remote },
        Event::Uploading { bytes } => Object::Uploading { bytes },
        Event::Opening { remote, .. } => Object::Opening { host: remote },
        Event::Listing { store, host } => Object::Listing { store, host },
        Event::Image { name, image } => Object::Image { name, id: image.id.to_string(), size: image.size },
        Event::Phase { phase, host } => Object::Phase { phase: name(phase), host },
        Event::Total(bytes) => Object::Total { bytes },
        Event::Partial(bytes) => Object::Partial { bytes },
        Event::Waiting { program, host, seconds } => Object::Waiting { program, host, seconds },
        Event::Note(text) => Object::Note { text },
        Event::Warning(text) => Object::Warning { text },
        _ => return None,
    };
    Some(object.line())
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scan",
        Phase::Basis => "basis",
        Phase::Transfer => "transfer",
        Phase::Load => "load",
        Phase::Verify => "verify",
    }
}
