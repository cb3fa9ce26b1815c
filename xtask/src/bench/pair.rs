//! The pairs of images that are measured: what the target has, and what it is to get.

use std::path::{Path, PathBuf};

use dsync_lab::{Engine, images};

use crate::Result;

/// Two images that a person would have one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// What the target has.
    pub(crate) old: &'static str,
    /// What the source has and the target is to get.
    pub(crate) new: &'static str,
    /// How many bytes docker-sync may at most put on the wire for it. With it goes the promise to be no
    /// slower than a compressed `docker save`.
    pub(crate) bar: Option<u64>,
}

const fn pair(name: &'static str, old: &'static str, new: &'static str, bar: Option<u64>) -> Pair {
    Pair { name, old, new, bar }
}

/// All pairs.
pub(crate) const PAIRS: &[Pair] = &[
    pair("appcode", "appcode:1", "appcode:2", Some(60_000)),
    pair("django", "django:1", "django:2", Some(20_000_000)),
    pair("node", "node:1", "node:2", Some(3_000_000)),
    pair("django-small", "django:1", "django:3", None),
    pair("pyml", "pyml:1", "pyml:2", None),
    pair("rustapp", "rustapp:1", "rustapp:2", None),
    pair("newbase", "django:1", "newbase:1", None),
    // Seconds to build: to try the benchmark itself.
    pair("tiny", "tiny:1", "tiny:2", None),
];

/// Those measured when nobody says which.
pub(crate) const USUAL: &[&str] = &["appcode", "django", "node"];

impl Pair {
    /// The pair of this name, for the command line.
    pub(crate) fn parse(name: &str) -> std::result::Result<&'static Pair, String> {
        PAIRS.iter().find(|pair| pair.name == name).ok_or_else(|| {
            let names: Vec<&str> = PAIRS.iter().map(|pair| pair.name).collect();
            format!("there are {}", names.join(", "))
        })
    }

    /// Whether a dump of the old image has the same file name as one of the new, so that rsync finds it.
    pub(crate) fn same_repository(&self) -> bool {
        let repository = |image: &'static str| image.split(':').next();
        repository(self.old) == repository(self.new)
    }
}

/// Where images come from: archives that are there already, or an engine that builds them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Supply<'a> {
    Archives(&'a Path),
    Builder(&'a Engine),
}

impl Supply<'_> {
    /// The archive of an image, as `docker save` writes it.
    pub(crate) fn archive(self, image: &str) -> Result<PathBuf> {
        match self {
            Supply::Builder(engine) => Ok(images::archive(engine, image)?),
            Supply::Archives(dir) => {
                let file = dir.join(image.replace([':', '/'], "-") + ".tar");
                if !file.is_file() {
                    return Err(format!("there is no {}", file.display()).into());
                }
                Ok(file)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_of_images_that_can_be_built() {
        for pair in PAIRS {
            for image in [pair.old, pair.new] {
                assert!(images::recipes().iter().any(|recipe| recipe.image == image), "{image}");
            }
        }
        assert!(USUAL.iter().all(|name| Pair::parse(name).is_ok()));
        assert_eq!(Pair::parse("x").unwrap_err().split(',').count(), PAIRS.len());
    }

    #[test]
    fn only_images_of_one_repository_have_one_dump() {
        assert!(Pair::parse("django-small").unwrap().same_repository());
        assert!(!Pair::parse("newbase").unwrap().same_repository());
    }
}
