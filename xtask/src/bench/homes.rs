//! The homes of both ends as they were at one moment, so that every run of docker-sync begins with the same
//! caches.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Result, shell};

/// Copies of directories.
pub(crate) struct Homes {
    copies: TempDir,
    homes: Vec<PathBuf>,
}

impl Homes {
    /// Copies what is there now.
    pub(crate) fn keep(homes: &[PathBuf]) -> Result<Homes> {
        let kept = Homes { copies: tempfile::tempdir()?, homes: homes.to_vec() };
        kept.pairs().try_for_each(|(home, copy)| mirror(home, &copy))?;
        Ok(kept)
    }

    /// Makes the homes what they were.
    pub(crate) fn restore(&self) -> Result {
        self.pairs().try_for_each(|(home, copy)| mirror(&copy, home))
    }

    fn pairs(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let copy = |at: usize| self.copies.path().join(at.to_string());
        self.homes.iter().enumerate().map(move |(at, home)| (home.as_path(), copy(at)))
    }
}

/// Makes one directory the same as another.
fn mirror(from: &Path, to: &Path) -> Result {
    let mut rsync = Command::new("rsync");
    rsync.args(["-a", "--delete"]).arg(from.join("")).arg(to.join(""));
    shell::run(&mut rsync)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_home_is_what_it_was() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| home.path().join(name);
        fs::write(file("kept"), "1").unwrap();
        let homes = Homes::keep(&[home.path().to_owned()]).unwrap();
        fs::remove_file(file("kept")).unwrap();
        fs::write(file("new"), "2").unwrap();
        homes.restore().unwrap();
        assert_eq!(fs::read_to_string(file("kept")).unwrap(), "1");
        assert!(!file("new").exists());
    }
}
