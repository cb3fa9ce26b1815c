//! Which old file a new one is a version of, by their names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::Listing;

/// A file of the basis.
#[derive(Debug, Clone)]
pub(super) struct OldFile {
    pub(super) layer: usize,
    pub(super) contents: Range<usize>,
    pub(super) len: u64,
}

/// The files of the basis by their names, from the strictest to the loosest sense of a name.
pub(super) struct Old<'a> {
    basis: &'a [Option<&'a Listing>],
    paths: HashMap<Cow<'a, [u8]>, OldFile>,
    blurred_paths: HashMap<Vec<u8>, Vec<OldFile>>,
    names: HashMap<Vec<u8>, Vec<OldFile>>,
    blurred_names: HashMap<Vec<u8>, Vec<OldFile>>,
    /// Only of files that the new layers have not.
    beginnings: HashMap<Vec<u8>, Vec<OldFile>>,
}

/// Of a name that more files have than this, none is taken for a version of another.
const CROWD: usize = 64;
/// A word at the beginning of a name says something if it has so many letters.
const WORD: usize = 4;

impl<'a> Old<'a> {
    pub(super) fn of(basis: &'a [Option<&'a Listing>], new: &[&Listing]) -> Self {
        let there: HashSet<Cow<'_, [u8]>> =
            new.iter().flat_map(|listing| listing.files()).map(|file| file.path).collect();
        let mut old = Old {
            basis,
            paths: HashMap::new(),
            blurred_paths: HashMap::new(),
            names: HashMap::new(),
            blurred_names: HashMap::new(),
            beginnings: HashMap::new(),
        };
        for (layer, listing) in basis.iter().enumerate() {
            for file in listing.iter().flat_map(|listing| listing.files()) {
                let version = OldFile { layer, contents: file.contents, len: file.len };
                old.blurred_paths.entry(blur(&file.path)).or_default().push(version.clone());
                old.names.entry(name(&file.path).to_vec()).or_default().push(version.clone());
                old.blurred_names.entry(blur(name(&file.path))).or_default().push(version.clone());
                if let Some(beginning) = beginning(&file.path).filter(|_| !there.contains(&file.path)) {
                    old.beginnings.entry(beginning).or_default().push(version.clone());
                }
                // The layers of an image come lowest first: what lies above is nearer to the new one.
                old.paths.insert(file.path, version);
            }
        }
        old
    }

    /// The old version of the file with this path and length, and the listing it is in.
    pub(super) fn version(&self, path: &[u8], len: u64) -> Option<(&OldFile, &'a Listing)> {
        let (_, file) = self.nearest(path, len)?;
        Some((file, self.basis[file.layer]?))
    }

    /// In which sense of its name there is an old version of this file.
    pub(super) fn sense(&self, path: &[u8], len: u64) -> Option<Sense> {
        self.nearest(path, len).map(|(sense, _)| sense)
    }

    fn nearest(&self, path: &[u8], len: u64) -> Option<(Sense, &OldFile)> {
        let path_is = || Some((Sense::Path, self.paths.get(path)?));
        let blurred_path = || Some((Sense::BlurredPath, closest(self.blurred_paths.get(&blur(path))?, len)?));
        let name_is = || Some((Sense::Name, closest(self.names.get(name(path))?, len)?));
        let blurred_name =
            || Some((Sense::BlurredName, closest(self.blurred_names.get(&blur(name(path)))?, len)?));
        let begins = || Some((Sense::Beginning, closest(self.beginnings.get(&beginning(path)?)?, len)?));
        path_is().or_else(blurred_path).or_else(name_is).or_else(blurred_name).or_else(begins)
    }
}

/// In which sense two files have the same name, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sense {
    Path,
    BlurredPath,
    Name,
    BlurredName,
    Beginning,
}

/// The file whose length is nearest; of equal ones the first.
fn closest(files: &[OldFile], len: u64) -> Option<&OldFile> {
    if files.len() > CROWD {
        return None;
    }
    files.iter().min_by_key(|file| file.len.abs_diff(len))
}

/// The last component of a path.
fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// What kind of file a name says it is: its extension, and `so` for any shared library.
pub(super) fn kind(path: &[u8]) -> &[u8] {
    let name = name(path);
    if name.windows(4).any(|window| window == b".so.") {
        return b"so";
    }
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => b"",
    }
}

/// The path with each word that has a digit in it taken for the same: versions, hashes, dates.
fn blur(path: &[u8]) -> Vec<u8> {
    let mut blurred = Vec::with_capacity(path.len());
    for word in path.split_inclusive(|byte| !byte.is_ascii_alphanumeric()) {
        let (letters, end) = match word.split_last() {
            Some((last, letters)) if !last.is_ascii_alphanumeric() => (letters, Some(*last)),
            _ => (word, None),
        };
        if letters.iter().any(u8::is_ascii_digit) {
            blurred.push(b'#');
        } else {
            blurred.extend_from_slice(letters);
        }
        blurred.extend(end);
    }
    blurred
}

/// The folder, the first word of the name, and the kind: what stays when a release is named in another way.
fn beginning(path: &[u8]) -> Option<Vec<u8>> {
    let name = name(path);
    let word = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let folder = blur(&path[..path.len() - name.len()]);
    (word >= WORD && word < name.len()).then(|| [&folder[..], &name[..word], b".", kind(path)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_hashes_are_blurred() {
        assert_eq!(blur(b"usr/lib/libssl.so.1.1"), blur(b"usr/lib/libssl.so.3.0"));
        assert_eq!(blur(b"lib/libopenblas64-a1b2c3d4.so"), blur(b"lib/libopenblas32-99ffee00.so"));
        assert_eq!(blur(b"app/main-5f3.js"), b"app/main-#.js");
        assert_ne!(blur(b"app/main.js"), blur(b"app/mail.js"));
    }

    #[test]
    fn a_beginning_says_which_file_it_was() {
        let is_same = |one: &str, other: &str| beginning(one.as_bytes()) == beginning(other.as_bytes());
        assert!(is_same("x.libs/libblasp-r0-24bff013.3.26.dev.so", "x.libs/libblasp-r0-01191904.3.27.so"));
        assert!(is_same("lib/app-1.0/tool_rc1.jar", "lib/app-1.1/tool.final.jar"));
        assert!(!is_same("a/tool_x.jar", "b/tool_y.jar") && !is_same("a/tool_x.jar", "a/tool_x.so"));
        // Too short, or the whole name, which other senses have.
        assert_eq!((beginning(b"a/is_x.js"), beginning(b"a/README")), (None, None));
    }

    #[test]
    fn kinds_of_files() {
        assert_eq!(kind(b"usr/lib/libz.so.1.2.13"), b"so");
        assert_eq!(kind(b"usr/lib/x.cpython-311.pyc"), b"pyc");
        assert_eq!(kind(b"etc/.bashrc"), b"");
        assert_eq!(kind(b"usr/bin/env"), b"");
    }
}
