//! Events of an endpoint on their way to the observer, no more of them than a person could read.
//!
//! An endpoint on another host may be anything. A flood of its events must not fill a log, and not go on for ever.

use std::io;
use std::time::{Duration, Instant};

use dsync_proto::limits::{EVENT_BURST, EVENT_RATE, NAME, NOTE, NOTES};
use dsync_proto::{Event as WireEvent, decode};

use super::words;
use crate::event::{Event, Observer};
use crate::failure::Breach;

/// The events that come while one request is answered.
pub(crate) struct Events<'a> {
    observer: &'a dyn Observer,
    /// The host of the endpoint, for people.
    host: &'a str,
    begun: Instant,
    count: u64,
    notes: u32,
}

impl<'a> Events<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, host: &'a str) -> Self {
        Events { observer, host, begun: Instant::now(), count: 0, notes: 0 }
    }

    /// Shows an event, by the payload of its frame.
    pub(crate) fn show(&mut self, payload: &[u8]) -> io::Result<()> {
        self.show_after(payload, self.begun.elapsed())
    }

    fn show_after(&mut self, payload: &[u8], elapsed: Duration) -> io::Result<()> {
        self.count += 1;
        if self.count > EVENT_BURST + EVENT_RATE.saturating_mul(elapsed.as_secs()) {
            return Err(Breach("it sends more events than there are things to tell of".into()).into());
        }
        match decode(payload).map_err(io::Error::other)? {
            WireEvent::Phase(phase) => self.observer.event(Event::Phase { phase, host: self.host }),
            WireEvent::Total(bytes) => self.observer.event(Event::Total(bytes)),
            WireEvent::Advance(bytes) => self.observer.event(Event::Advance(bytes)),
            WireEvent::Batch { raw, packed } => self.observer.event(Event::Batch { raw, packed }),
            WireEvent::Partial(bytes) => self.observer.event(Event::Partial(bytes)),
            WireEvent::Note(note) => self.note(note),
            WireEvent::Waiting { mut program, seconds } => {
                words::cut(&mut program, NAME);
                let host = self.host;
                self.observer.event(Event::Waiting { program: &program, host, seconds });
            }
        }
        Ok(())
    }

    fn note(&mut self, mut note: String) {
        self.notes = self.notes.saturating_add(1);
        if self.notes > NOTES {
            if self.notes == NOTES + 1 {
                self.observer.event(Event::Note("more of these notes are not shown"));
            }
            return;
        }
        words::cut(&mut note, NOTE);
        self.observer.event(Event::Note(&note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_proto::{Phase, encode};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Observer for Seen {
        fn event(&self, event: Event<'_>) {
            self.0.lock().unwrap().push(match event {
                Event::Note(note) => note.into(),
                other => format!("{other:?}"),
            });
        }
    }

    fn note(text: &str) -> Vec<u8> {
        encode(&WireEvent::Note(text.into())).unwrap()
    }

    #[test]
    fn of_many_notes_and_of_long_ones_the_beginning_is_shown() {
        let seen = Seen::default();
        let mut events = Events::new(&seen, "there");
        events.show(&note(&"ä".repeat(5_000))).unwrap();
        for number in 1..2 * NOTES {
            events.show(&note(&format!("note {number}"))).unwrap();
        }
        events.show(&encode(&WireEvent::Phase(Phase::Load)).unwrap()).unwrap();
        let seen = seen.0.into_inner().unwrap();
        assert_eq!(seen.len(), NOTES as usize + 2);
        assert_eq!(seen[0], format!("{}…", "ä".repeat(NOTE)));
        assert_eq!(seen[NOTES as usize - 1], format!("note {}", NOTES - 1));
        assert_eq!(seen[NOTES as usize], "more of these notes are not shown");
        assert_eq!(seen[NOTES as usize + 1], r#"Phase { phase: Load, host: "there" }"#);
    }

    #[test]
    fn a_flood_is_a_breach_and_a_long_transfer_is_none() {
        let advance = encode(&WireEvent::Advance(1)).unwrap();
        let mut events = Events::new(&(), "there");
        let ended = (0..).find(|_| events.show_after(&advance, Duration::from_secs(1)).is_err());
        assert_eq!(ended, Some(EVENT_BURST + EVENT_RATE));
        let mut events = Events::new(&(), "there");
        // A day of ten events a second.
        for tenth in 0..864_000 {
            events.show_after(&advance, Duration::from_millis(tenth * 100)).unwrap();
        }
    }
}
