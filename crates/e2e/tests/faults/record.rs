//! The record of all cases of a run, for `cargo xtask faults`: a file for each kind of place, a line for each case.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// The variable that names the directory of the files.
const DIRECTORY: &str = "FAULTS_RECORD";

/// The record of one kind of place.
pub(crate) struct Record {
    place: &'static str,
    /// Absent where nobody asks for a record.
    file: Option<File>,
}

impl Record {
    /// Begins one anew.
    pub(crate) fn new(place: &'static str) -> Record {
        let directory = env::var_os(DIRECTORY);
        let file = directory.map(|directory| {
            fs::create_dir_all(&directory).unwrap();
            File::create(Path::new(&directory).join(place)).unwrap()
        });
        Record { place, file }
    }

    /// Writes a case down.
    pub(crate) fn add(&self, fault: &str, case: &str, is_safe: bool, is_told: bool) {
        let Some(mut file) = self.file.as_ref() else { return };
        // In one write, so that lines of several threads do not mix.
        let line = format!("{}\t{fault}\t{case}\t{is_safe}\t{is_told}\n", self.place);
        file.write_all(line.as_bytes()).unwrap();
    }
}
