//! The recipes of the real images: directories below `images/` of this crate, to be read by people.
//!
//! A recipe's directory is its build context. A script `prepare` in it is run first, in a copy of the
//! directory, with `$TAG`, the tag to build, and `$WORK`, a directory for what need not be in the context.

use std::fs;
use std::path::{Path, PathBuf};

use dsync_core::Digest;

use crate::LabError;

/// The recipe of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Its name, `name:tag`.
    pub image: &'static str,
    /// Its directory below `images/`.
    dir: &'static str,
    /// The image it is built from.
    pub(crate) base: Option<&'static str>,
    /// Arguments for the build.
    pub(crate) args: &'static [(&'static str, &'static str)],
    /// The programs that `prepare` needs, as pairs of program and Debian package.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

const DEBIAN: Recipe = Recipe {
    image: "lab/debian:new",
    dir: "debian",
    base: None,
    args: &[],
    programs: &[("debootstrap", "debootstrap")],
};
const PYTHON: Recipe =
    Recipe { image: "lab/python:3", dir: "python", base: Some("lab/debian:new"), args: &[], programs: &[] };
const NODE: Recipe = Recipe {
    image: "lab/node:20",
    dir: "node-base",
    base: Some("lab/debian:new"),
    args: &[],
    programs: &[("node", "nodejs"), ("npm", "npm")],
};
const DJANGO: Recipe = Recipe {
    image: "django:1",
    dir: "django",
    base: Some("lab/python:3"),
    args: &[("EXTRA", "")],
    programs: &[],
};
const NODE_APP: Recipe =
    Recipe { image: "node:1", dir: "node", base: Some("lab/node:20"), args: &[], programs: &[] };
const PYML: Recipe = Recipe {
    image: "pyml:1",
    dir: "pyml",
    base: Some("lab/python:3"),
    args: &[("PANDAS", "2.3.2")],
    programs: &[],
};
const RUSTAPP: Recipe = Recipe {
    image: "rustapp:1",
    dir: "rustapp",
    base: Some("lab/debian:new"),
    args: &[],
    programs: &[("cargo", "cargo")],
};
const APPCODE_ENV: Recipe = Recipe {
    image: "appcode-env:1",
    dir: "appcode-env",
    base: Some("lab/python:3"),
    args: &[],
    programs: &[],
};
const APPCODE: Recipe = Recipe {
    image: "appcode:1",
    dir: "appcode",
    base: Some("appcode-env:1"),
    args: &[],
    programs: &[("python3", "python3")],
};
const NEWBASE: Recipe =
    Recipe { image: "newbase:1", dir: "newbase", base: Some("lab/python:3"), args: &[], programs: &[] };
const TINY_BASE: Recipe = Recipe {
    image: "lab/busybox:1",
    dir: "busybox",
    base: None,
    args: &[],
    programs: &[("busybox", "busybox-static")],
};
const TINY: Recipe =
    Recipe { image: "tiny:1", dir: "tiny", base: Some("lab/busybox:1"), args: &[], programs: &[] };

const RECIPES: &[Recipe] = &[
    // Pairs that tests use: no registry, a few seconds.
    TINY_BASE,
    TINY,
    Recipe { image: "tiny:2", ..TINY },
    // Bases, as released and with all updates.
    Recipe { image: "lab/debian:old", ..DEBIAN },
    DEBIAN,
    PYTHON,
    NODE,
    // gcc, database clients and pip; :2 has a large package more, :3 a small one.
    DJANGO,
    Recipe { image: "django:2", args: &[("EXTRA", "gettext")], ..DJANGO },
    Recipe { image: "django:3", args: &[("EXTRA", "tree")], ..DJANGO },
    // An app of npm; :2 has two packages newer and one more.
    NODE_APP,
    Recipe { image: "node:2", ..NODE_APP },
    // Large wheels; :2 has a patch release of one.
    PYML,
    Recipe { image: "pyml:2", args: &[("PANDAS", "2.3.3")], ..PYML },
    // One program with its debug information; :2 is the next release.
    RUSTAPP,
    Recipe { image: "rustapp:2", ..RUSTAPP },
    // Only the last, small layer differs.
    APPCODE_ENV,
    APPCODE,
    Recipe { image: "appcode:2", ..APPCODE },
    // Has only its base in common with the others.
    NEWBASE,
];

/// All recipes.
pub fn recipes() -> &'static [Recipe] {
    RECIPES
}

impl Recipe {
    /// The recipe of this image.
    pub(crate) fn of(image: &str) -> Result<&'static Recipe, LabError> {
        RECIPES.iter().find(|recipe| recipe.image == image).ok_or_else(|| {
            let known: Vec<&str> = RECIPES.iter().map(|recipe| recipe.image).collect();
            LabError::Usage(format!("there is no recipe for '{image}'; there are {}", known.join(", ")))
        })
    }

    /// The tag it builds.
    pub(crate) fn tag(&self) -> &'static str {
        self.image.rsplit_once(':').map_or("latest", |(_, tag)| tag)
    }

    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("images").join(self.dir)
    }

    /// Its name and a digest of all that it says, so that an archive of an older recipe is not taken for
    /// one of this.
    pub(crate) fn key(&self) -> Result<String, LabError> {
        let mut text = Vec::new();
        if let Some(base) = self.base {
            text.extend(Recipe::of(base)?.key()?.into_bytes());
        }
        text.extend(format!("{:?}{}", self.args, self.image).into_bytes());
        for file in self.files()? {
            text.extend(fs::read(&file).map_err(LabError::io(format_args!("read {}", file.display())))?);
        }
        Ok(format!("{}-{}", self.image.replace(['/', ':'], "-"), Digest::of(&text).short()))
    }

    /// Its files, in order. A recipe is flat.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, LabError> {
        let path = self.path();
        let entries = fs::read_dir(&path).map_err(LabError::io(format_args!("read {}", path.display())))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_recipe_has_its_files_and_its_base() {
        for recipe in RECIPES {
            assert!(recipe.path().join("Dockerfile").is_file(), "{}", recipe.image);
            let dockerfile = fs::read_to_string(recipe.path().join("Dockerfile")).unwrap();
            let from = format!("FROM {}\n", recipe.base.unwrap_or("scratch"));
            assert!(dockerfile.starts_with(&from), "{}", recipe.image);
        }
    }

    #[test]
    fn every_directory_is_used() {
        let used: BTreeSet<PathBuf> = RECIPES.iter().map(Recipe::path).collect();
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
        let there: BTreeSet<PathBuf> = fs::read_dir(images).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(used, there);
    }

    #[test]
    fn keys_are_all_different_and_stay() {
        let keys: BTreeSet<String> = RECIPES.iter().map(|recipe| recipe.key().unwrap()).collect();
        assert_eq!(keys.len(), RECIPES.len());
        assert!(keys.iter().any(|key| key.starts_with("lab-debian-old-")), "{keys:?}");
    }
}
