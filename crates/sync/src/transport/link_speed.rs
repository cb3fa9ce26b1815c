//! The speed of the link to each remote, as of last time: `auto` begins with it.
//!
//! A text file beside the index cache has a line for each remote and direction, the latest first: bytes a second, and
//! the remote as it was named, with `<` before it for a pull and `>` for a push. Like the cache it is never a reason
//! to fail, and of two runs that write at once one may lose what it learnt.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::cache::Cache;
use crate::link::MEASURABLE;
use crate::options::Direction;
use crate::transport::destination::Remote;

/// The number of links that are remembered.
const MOST: usize = 100;
/// One link, and where it is remembered.
#[derive(Clone)]
pub(crate) struct RememberedSpeed {
    cache: Cache,
    name: String,
}

impl RememberedSpeed {
    /// The link to a remote; `None` where nothing can be remembered.
    pub(crate) fn of(remote: &Remote, direction: Direction) -> Option<RememberedSpeed> {
        let cache = Cache::locate().ok()?;
        let sign = match direction {
            Direction::Pull => '<',
            Direction::Push => '>',
        };
        Some(RememberedSpeed { cache, name: format!("{sign}{remote}") })
    }

    /// Bytes a second, if that is known.
    pub(crate) fn speed(&self) -> Option<u64> {
        let text = fs::read_to_string(self.file()).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(_, name)| *name == self.name)?.0.parse().ok()
    }

    /// Remembers it.
    pub(crate) fn remember(&self, speed: u64) {
        self.write(speed).ok();
    }

    fn write(&self, speed: u64) -> io::Result<()> {
        let before = fs::read_to_string(self.file()).unwrap_or_default();
        let others =
            before.lines().filter(|line| line.split_once(' ').is_some_and(|(_, name)| name != self.name));
        let own = format!("{speed} {}", self.name);
        let lines = [own.as_str()].into_iter().chain(others.take(MOST - 1));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        self.cache.replace_beside(&self.file(), text.as_bytes())
    }

    fn file(&self) -> PathBuf {
        self.cache.beside("links")
    }
}

/// The speed of a link, as measured by batches.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    len: u64,
    time: Duration,
}

impl Speed {
    /// A batch was so long under way.
    pub(crate) fn took(&mut self, len: u64, time: Duration) {
        if len >= MEASURABLE {
            // The target says both, and may say anything.
            self.len = self.len.saturating_add(len);
            self.time = self.time.saturating_add(time);
        }
    }

    /// Bytes a second, if anything was told.
    pub(crate) fn get(&self) -> Option<u64> {
        // In range: no link has 2^64 bytes a second, and a cast of more saturates.
        (self.len > 0).then(|| (self.len as f64 / self.time.as_secs_f64().max(1e-6)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_remembered_for_each_link_and_no_more_than_enough() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::locate_below(Some(folder.path())).unwrap();
        let known = |name: &str| RememberedSpeed { cache: cache.clone(), name: name.into() };
        assert_eq!(known("<alpha").speed(), None);
        known("<alpha").remember(2_500_000);
        known(">alpha").remember(7);
        known("<alpha").remember(125_000);
        assert_eq!((known("<alpha").speed(), known(">alpha").speed()), (Some(125_000), Some(7)));
        (0..MOST as u64).for_each(|number| known(&format!("<{number}")).remember(number));
        assert_eq!((known("<alpha").speed(), known("<0").speed()), (None, Some(0)));
        fs::write(cache.beside("links"), b"\xff\xfe no text").unwrap();
        assert_eq!(known("<0").speed(), None);
        known("<0").remember(9);
        assert_eq!(known("<0").speed(), Some(9));
        assert_eq!(fs::read_dir(cache.directory()).unwrap().count(), 0, "no draft is left");
    }

    #[test]
    fn what_buffers_take_tells_nothing() {
        let mut speed = Speed::default();
        speed.took(MEASURABLE - 1, Duration::from_micros(1));
        assert_eq!(speed.get(), None);
        speed.took(1_000_000, Duration::from_secs(8));
        speed.took(1_000_000, Duration::from_secs(8));
        assert_eq!(speed.get(), Some(125_000));
        speed.took(1_000_000, Duration::ZERO);
        assert_eq!(speed.get(), Some(187_500));
    }

    #[test]
    fn numbers_of_a_target_are_only_numbers() {
        let mut speed = Speed::default();
        for time in [Duration::from_micros(u64::MAX), Duration::MAX, Duration::ZERO] {
            speed.took(u64::MAX, time);
            assert!(speed.get().is_some());
        }
    }
}
