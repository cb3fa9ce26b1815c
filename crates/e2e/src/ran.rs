//! The result of a run of the program.

use std::fmt;
use std::time::Duration;

use dsync_lab::wire::Total;
use serde_json::Value;

/// The result of a run. The methods that assert return it, so that they can be chained.
#[derive(Debug)]
pub struct Ran {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; without, a signal ended it.
    pub exit: Option<i32>,
    /// Its duration.
    pub took: Duration,
    /// The bytes on the wire, ssh's own included.
    pub wire: Total,
}

impl Ran {
    /// It must have gone well.
    #[track_caller]
    pub fn ok(self) -> Ran {
        self.exits(0)
    }

    /// It must have ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.exit, Some(code), "{self}");
        self
    }

    /// No more than so many bytes may have crossed the wire, over one connection.
    #[track_caller]
    pub fn wire_at_most(self, bytes: u64) -> Ran {
        assert_eq!(self.wire.connections, 1, "{self}");
        assert!(
            self.wire.bytes() <= bytes,
            "{} bytes crossed the wire, not {bytes}: {self}",
            self.wire.bytes()
        );
        self
    }

    /// At least this number of bytes must have crossed: the contents of the test were not there by chance.
    #[track_caller]
    pub fn wire_at_least(self, bytes: u64) -> Ran {
        assert!(
            self.wire.bytes() >= bytes,
            "{} bytes crossed the wire, not {bytes}: {self}",
            self.wire.bytes()
        );
        self
    }

    /// Standard output and standard error must have this text between them.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.out.contains(text) || self.err.contains(text), "no '{text}' in {self}");
        self
    }

    /// The JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { out, err, exit, wire, took } = self;
        write!(f, "{wire:?}, {took:?}, exit {exit:?}\n--- stdout\n{out}--- stderr\n{err}---")
    }
}
