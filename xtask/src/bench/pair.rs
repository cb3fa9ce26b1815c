//! The pairs of images that are measured: what the target has, and what it is to get.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use dsync_lab::{Engine, images};

use crate::Result;

/// Two images that a person would have one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// The image that the target has.
    pub(crate) old: &'static str,
    /// The image that the source has and the target is to get.
    pub(crate) new: &'static str,
    /// The change between the two.
    pub(crate) change: &'static str,
    /// The most bytes that docker-sync may put on the wire with `--compression max`. With it go the promises of time.
    pub(crate) bar: Option<u64>,
}

/// All pairs, from the least change to the largest.
pub(crate) const PAIRS: &[&Pair] = &[
    &Pair {
        name: "appcode",
        old: "appcode:1",
        new: "appcode:2",
        change: "one of sixty source files edited",
        bar: Some(16_000),
    },
    &Pair {
        name: "django-small",
        old: "django:1",
        new: "django:3",
        change: "one small Debian package more, below the app",
        bar: Some(650_000),
    },
    &Pair {
        name: "node",
        old: "node:1",
        new: "node:2",
        change: "two packages of npm newer, one more",
        bar: Some(1_500_000),
    },
    &Pair {
        name: "pyml",
        old: "pyml:1",
        new: "pyml:2",
        change: "a patch release of one large wheel",
        bar: Some(4_900_000),
    },
    &Pair {
        name: "rustapp",
        old: "rustapp:1",
        new: "rustapp:2",
        change: "the next release of one unstripped program",
        bar: Some(7_400_000),
    },
    &Pair {
        name: "django",
        old: "django:1",
        new: "django:2",
        change: "one large Debian package more, below the app",
        bar: Some(13_600_000),
    },
    &Pair {
        name: "newbase",
        old: "django:1",
        new: "newbase:1",
        change: "another image, with only its base in common",
        bar: Some(22_000_000),
    },
    &Pair {
        name: TINY,
        old: "tiny:1",
        new: "tiny:2",
        change: "a few kilobytes; built in seconds, to try the benchmark itself",
        bar: None,
    },
];

const TINY: &str = "tiny";

/// Those measured when nobody says which.
pub(crate) fn usual() -> impl Iterator<Item = &'static Pair> {
    PAIRS.iter().copied().filter(|pair| pair.name != TINY)
}

impl ValueEnum for &'static Pair {
    fn value_variants<'a>() -> &'a [Self] {
        PAIRS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(format!("{} to {}: {}", self.old, self.new, self.change)))
    }
}

/// The place of a pair among all, by its name.
pub(crate) fn place(name: &str) -> Option<usize> {
    PAIRS.iter().position(|pair| pair.name == name)
}

impl Pair {
    /// True if a dump of the old image has the same file name as one of the new, so that rsync finds it.
    pub(crate) fn same_repository(&self) -> bool {
        let repository = |image: &'static str| image.split(':').next();
        repository(self.old) == repository(self.new)
    }
}

/// The source of images: archives that are there already, or an engine that builds them.
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
        assert_eq!(usual().count(), PAIRS.len() - 1);
    }

    #[test]
    fn only_images_of_one_repository_have_one_dump() {
        let pair = |name| <&Pair>::from_str(name, false).unwrap();
        assert!(pair("django-small").same_repository());
        assert!(!pair("newbase").same_repository());
    }
}
