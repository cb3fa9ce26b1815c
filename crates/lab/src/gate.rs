//! Gates: places where a process of a test waits until the test has done something and lets it go on. So a test acts at an
//! event, and not at a time.
//!
//! A gate is a directory: whoever arrives makes the file `arrived` in it and reads a line from the pipe `line`, in which
//! there is none before the gate is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::LabError;

/// The lines that an open gate has: more than processes come to it.
const LINES: usize = 64;

/// A gate that is shut.
#[derive(Debug)]
pub struct Gate {
    dir: PathBuf,
    /// Open in both directions, so that nobody waits for its other end.
    line: File,
}

impl Gate {
    /// Makes it in this directory, which must not be there.
    pub fn new(dir: &Path) -> Result<Gate, LabError> {
        let cannot = || LabError::io(format_args!("make a gate in {}", dir.display()));
        fs::create_dir(dir).map_err(cannot())?;
        let line = dir.join("line");
        mknodat(CWD, &line, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(io::Error::from)
            .map_err(cannot())?;
        let line = OpenOptions::new().read(true).write(true).open(line).map_err(cannot())?;
        Ok(Gate { dir: dir.to_owned(), line })
    }

    /// The directory, for whoever is to wait there.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// True once somebody has arrived.
    pub fn is_reached(&self) -> bool {
        self.dir.join("arrived").exists()
    }

    /// Lets everybody pass.
    pub fn open(&self) -> Result<(), LabError> {
        (&self.line)
            .write_all("\n".repeat(LINES).as_bytes())
            .map_err(LabError::io(format_args!("open the gate {}", self.dir.display())))
    }
}

/// Arrives at the gate in this directory, and waits there.
pub(crate) fn wait(dir: &Path) -> io::Result<()> {
    File::create(dir.join("arrived"))?;
    File::open(dir.join("line"))?.read_exact(&mut [0])
}

/// The same, for a shell that has the directory in a variable of this name.
pub fn wait_in_shell(variable: &str) -> String {
    format!(": >\"${variable}/arrived\"\nread -r line <\"${variable}/line\"\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_passes_before_the_gate_is_open() {
        let place = tempfile::tempdir().unwrap();
        let gate = Gate::new(&place.path().join("gate")).unwrap();
        assert!(!gate.is_reached());
        let dir = gate.dir().to_owned();
        let here = thread::spawn(move || wait(&dir));
        let script = format!("g={}\n{}", gate.dir().display(), wait_in_shell("g"));
        let mut shell = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        while !gate.is_reached() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!here.is_finished() && shell.try_wait().unwrap().is_none());
        gate.open().unwrap();
        here.join().unwrap().unwrap();
        assert!(shell.wait().unwrap().success());
        // Nor is anybody held who comes later.
        wait(gate.dir()).unwrap();
    }
}
