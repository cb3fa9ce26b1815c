//! The homes of both ends as they were at one moment, so that every run of docker-sync begins with the same
//! caches.

use std::fs;
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

    /// From now on homes have this file as it is, if it is there.
    pub(crate) fn adopt(&self, name: &str) -> Result {
        let mut there = self.pairs().filter(|(home, _)| home.join(name).is_file());
        Ok(there.try_for_each(|(home, copy)| fs::copy(home.join(name), copy.join(name)).map(drop))?)
    }

    fn pairs(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let copy = |at: usize| self.copies.path().join(at.to_string());
        self.homes.iter().enumerate().map(move |(at, home)| (home.as_path(), copy(at)))
    }
}

/// Makes one directory the same as another.
fn mirror(from: &Path, to: &Path) -> Result {
    let mut rsync = Command::new("rsync");
    // By contents: a run can be over within the second in which a file was kept.
    rsync.args(["-a", "--checksum", "--delete"]).arg(from.join("")).arg(to.join(""));
    shell::run(&mut rsync)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        fs::write(file("new"), "3").unwrap();
        fs::write(file("kept"), "4").unwrap();
        homes.adopt("new").unwrap();
        homes.restore().unwrap();
        assert_eq!(["kept", "new"].map(|name| fs::read_to_string(file(name)).unwrap()), ["1", "3"]);
    }
}
