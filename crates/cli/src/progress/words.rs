//! The words for events: what a run waits for, and what `-v` prints.

use dsync_sync::{Event, HERE, Phase};

use crate::{escape, quantity};

/// The step that the run waits for from this event on.
pub(super) fn doing(event: Event<'_>) -> Option<String> {
    Some(match event {
        Event::Connecting { remote } => format!("connecting to {}", escape::visible(remote)),
        Event::Asking { host } => format!("asking for the password of sudo on {}", escape::visible(host)),
        Event::Uploading { bytes } => format!("sending the agent ({})", quantity::bytes(bytes)),
        Event::Opening { remote, .. } => {
            format!("waiting for the agent of {} to find its images", escape::visible(remote))
        }
        Event::Listing { host, .. } => format!("listing the images of {}", escape::visible(host)),
        Event::Image { name, .. } => format!("synchronising {}", escape::visible(name)),
        Event::Waiting { program, host, seconds } => {
            let (program, host) = (escape::visible(program), escape::visible(host));
            match seconds {
                0 => format!("waiting for {program} on {host}"),
                _ => format!("waiting for {program} on {host}, {seconds} s"),
            }
        }
        _ => return None,
    })
}

/// The line that `-v` prints for an event.
pub(super) fn remark(event: Event<'_>) -> Option<String> {
    Some(match event {
        Event::Connecting { .. } | Event::Asking { .. } => return doing(event),
        Event::Listing { store, host } => {
            format!("listing the images of {}: {}", escape::visible(host), escape::visible(store))
        }
        Event::Uploading { bytes } => {
            format!("the remote has no agent of this build yet: sending it {}", quantity::bytes(bytes))
        }
        Event::Image { name, image } => format!(
            "{}: {}, {}, {}",
            escape::visible(name),
            image.id,
            quantity::counted(image.diff_ids.len() as u64, "layer"),
            quantity::bytes(image.size)
        ),
        Event::Total(bytes) => format!("{} of contents have to cross, uncompressed", quantity::bytes(bytes)),
        Event::Partial(bytes) => {
            format!("{} of it arrived before, and need not cross again", quantity::bytes(bytes))
        }
        Event::Note(text) => escape::visible(text).into_owned(),
        _ => return None,
    })
}

/// The work of a host, as the line shows it; this host goes without saying.
pub(super) fn work(phase: Phase, host: &str) -> String {
    let there = match host {
        HERE => String::new(),
        host => format!(" on {}", escape::visible(host)),
    };
    match phase {
        Phase::Scan => format!("reading layers{there}"),
        Phase::Basis => "comparing with the target".into(),
        Phase::Transfer => "transferring".into(),
        Phase::Load => format!("loading{there}"),
        Phase::Verify => format!("verifying{there}"),
    }
}
