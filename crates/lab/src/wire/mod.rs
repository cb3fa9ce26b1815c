//! The bytes on the wire: the log that `lab-wire` writes, added up.
//!
//! Each connection has two lines in the log, one when it begins and one when it ends. The end comes a
//! moment after ssh itself has ended, so a sum waits until every connection that began has its end.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::LabError;

pub mod proxy;

/// The bytes of some connections, as ssh put them on the wire: key exchange, padding and MACs are in
/// them, the headers of TCP and IP are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// The number of connections.
    pub connections: u64,
    /// From ssh to sshd.
    pub up: u64,
    /// From sshd to ssh.
    pub down: u64,
}

impl Total {
    /// Both directions.
    pub fn bytes(&self) -> u64 {
        self.up + self.down
    }
}

/// A line of the log.
#[derive(Debug, Deserialize)]
struct Line {
    event: Event,
    id: String,
    label: String,
    #[serde(default)]
    up: u64,
    #[serde(default)]
    down: u64,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Event {
    Open,
    Close,
}

/// The bytes of all connections with this label; waits for those that are just ending.
pub fn total(log: &Path, label: &str) -> Result<Total, LabError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = match fs::read_to_string(log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            result => result.map_err(LabError::io(format_args!("read {}", log.display())))?,
        };
        let (total, open) = sum(&text, label)?;
        if open.is_empty() {
            return Ok(total);
        }
        if Instant::now() > deadline {
            let which = open.join(", ");
            return Err(LabError::Usage(format!("connections of '{label}' are still open: {which}")));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The sum over a log, and which connections have not ended.
fn sum(log: &str, label: &str) -> Result<(Total, Vec<String>), LabError> {
    let mut total = Total::default();
    let mut open = Vec::new();
    // A last line without its end is just being written.
    for text in log.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Line = serde_json::from_str(text)
            .map_err(|error| LabError::Usage(format!("the wire log has a bad line: {error}: {text}")))?;
        if line.label != label {
            continue;
        }
        if line.event == Event::Open {
            open.push(line.id);
        } else {
            open.retain(|id| *id != line.id);
            total.connections += 1;
            total.up += line.up;
            total.down += line.down;
        }
    }
    Ok((total, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"event":"open","id":"1","label":"a"}
{"event":"open","id":"2","label":"a"}
{"event":"open","id":"3","label":"b"}
{"event":"close","id":"1","label":"a","up":10,"down":200}
{"event":"close","id":"3","label":"b","up":1,"down":2}
"#;

    #[test]
    fn labels_are_added_up_apart() {
        let (total, open) = sum(LOG, "b").unwrap();
        assert_eq!(total, Total { connections: 1, up: 1, down: 2 });
        assert!(open.is_empty());
        assert_eq!(total.bytes(), 3);
    }

    #[test]
    fn what_has_not_ended_is_told() {
        let (total, open) = sum(LOG, "a").unwrap();
        assert_eq!((total.connections, open), (1, vec!["2".to_owned()]));
        let ended = format!("{LOG}{{\"event\":\"close\",\"id\":\"2\",\"label\":\"a\",\"up\":0,\"down\":0}}");
        assert_eq!(sum(&ended, "a").unwrap().1, ["2"], "a line without its newline does not count yet");
        assert!(sum(&(ended + "\n"), "a").unwrap().1.is_empty());
    }

    #[test]
    fn no_log_is_no_connection() {
        assert_eq!(total(Path::new("/no/such/log"), "x").unwrap(), Total::default());
    }
}
