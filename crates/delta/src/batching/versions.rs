//! Finds the old version of a new file by their names.

use std::ops::Range;

use crate::path_hash::path_hash;
use crate::{ChunkRef, LayerIndex};

/// A file of the basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OldFile {
    pub(super) layer: u32,
    start: u32,
    end: u32,
    pub(super) len: u64,
}

impl OldFile {
    pub(super) fn chunks(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An old version of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct OldVersion {
    pub(super) rule: Rule,
    pub(super) file: OldFile,
}

/// A file of which something is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewFile {
    layer: u32,
    /// The first of its chunks, and the one after the last.
    pub(super) start: u32,
    end: u32,
    pub(super) len: u64,
    /// The end of its path in [`NewFiles::paths`].
    path: usize,
}

impl NewFile {
    pub(super) fn has(&self, chunk_ref: &ChunkRef) -> bool {
        self.layer == chunk_ref.layer && (self.start..self.end).contains(&chunk_ref.chunk)
    }
}

/// Files off the beginning of what is sent, and their chunks.
#[derive(Debug)]
pub(super) struct Taken<'s> {
    pub(super) files: NewFiles,
    pub(super) sent: &'s [ChunkRef],
}

/// The files of which something is sent, in the order of the layers.
#[derive(Debug, Default)]
pub(super) struct NewFiles {
    files: Vec<NewFile>,
    paths: Vec<u8>,
}

/// Limit on the files that are sorted together: each takes some 250 bytes of memory.
#[cfg(not(test))]
const TOGETHER: usize = 1 << 18;
#[cfg(test)]
const TOGETHER: usize = 40;

impl NewFiles {
    /// Takes the next files off the beginning of the chunks that are sent.
    pub(super) fn take<'s>(new: &[&LayerIndex], sent: &mut &'s [ChunkRef]) -> Option<Taken<'s>> {
        let first = *sent.first()?;
        let mut files = NewFiles::default();
        let mut end = 0;
        for (layer, index) in (0..).zip(new).skip(first.layer as usize) {
            for file in index.files() {
                let chunks = file.chunks.start as u32..file.chunks.end as u32;
                let after = ChunkRef { layer, chunk: chunks.end };
                let own = sent[end..].partition_point(|chunk_ref| *chunk_ref < after);
                if own == 0 {
                    continue;
                }
                if files.files.len() == TOGETHER {
                    let (taken, rest) = sent.split_at(end);
                    *sent = rest;
                    return Some(Taken { files, sent: taken });
                }
                end += own;
                files.paths.extend_from_slice(&file.path);
                let (Range { start, end }, path) = (chunks, files.paths.len());
                files.files.push(NewFile { layer, start, end, len: file.len, path });
            }
        }
        Some(Taken { files, sent: std::mem::take(sent) })
    }

    /// The file with this number.
    pub(super) fn get(&self, number: usize) -> Option<&NewFile> {
        self.files.get(number)
    }

    /// The path of a file; empty where there is none.
    pub(super) fn path(&self, number: usize) -> &[u8] {
        let Some(file) = self.files.get(number) else { return b"" };
        let start = number.checked_sub(1).map_or(0, |before| self.files[before].path);
        &self.paths[start..file.path]
    }
}

/// Files with one name in whatever folders beyond which none of them is taken for a version of another.
const CROWD: usize = 64;
/// The fewest letters and digits of a word that is taken for a hash.
const HASH: usize = 6;
/// The fewest letters of a word at the beginning of a name by which [`Rule::Beginning`] compares.
const WORD: usize = 4;

/// The rule by which two files are versions of each other, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Path,
    /// But for hashes: `static/4630.64ab23d1.js`.
    HashlessPath,
    /// But for hashes and versions.
    BlurredPath,
    Name,
    HashlessName,
    BlurredName,
    /// Applies to files that the new layers do not have any more.
    Beginning,
}

impl Rule {
    const ALL: [Rule; 7] = [
        Rule::Path,
        Rule::HashlessPath,
        Rule::BlurredPath,
        Rule::Name,
        Rule::HashlessName,
        Rule::BlurredName,
        Rule::Beginning,
    ];

    /// The hash of what two versions have in common by this rule; `None` where it does not apply.
    fn key(self, path: &[u8]) -> Option<u64> {
        Some(match self {
            Rule::Path => path_hash(path),
            Rule::HashlessPath => path_hash(&hashless(path)),
            Rule::BlurredPath => path_hash(&blur(path, has_digit)),
            Rule::Name => path_hash(name(path)),
            Rule::HashlessName => {
                path_hash(&Some(hashless(name(path))).filter(|hashless| hashless != name(path))?)
            }
            Rule::BlurredName => path_hash(&blur(name(path), has_digit)),
            Rule::Beginning => path_hash(&beginning(path)?),
        })
    }
}

/// The old version of each new file, if it has one. The layers of an image come lowest first.
///
/// Names are compared by their hashes: rule by rule, the millions of them are searched for those that are wanted.
pub(super) fn versions(
    files: &NewFiles,
    basis: &[Option<&LayerIndex>],
    new: &[&LayerIndex],
) -> Vec<Option<OldVersion>> {
    let mut versions: Vec<Option<OldVersion>> = vec![None; files.files.len()];
    for rule in Rule::ALL {
        let mut wanted: Vec<Keyed<u32>> = Vec::new();
        for number in (0..versions.len()).filter(|number| versions[*number].is_none()) {
            let key = rule.key(files.path(number));
            wanted.extend(key.map(|key| Keyed { key, file: number as u32 }));
        }
        if wanted.is_empty() {
            continue;
        }
        wanted.sort_unstable();
        let found = find(rule, &wanted, basis, new);
        for group in wanted.chunk_by(|one, other| one.key == other.key) {
            let key = group[0].key;
            let first = found.partition_point(|other| other.key < key);
            let count = found[first..].partition_point(|other| other.key == key);
            let same = &found[first..first + count];
            let mut assign = |number: u32, file: Option<OldFile>| {
                versions[number as usize] = file.map(|file| OldVersion { rule, file });
            };
            let len = |number: u32| files.files[number as usize].len;
            let numbers = group.iter().map(|wanted| wanted.file);
            match rule {
                // The directory above is nearer to the new one.
                Rule::Path => numbers.for_each(|number| assign(number, same.last().map(|found| found.file))),
                Rule::Name | Rule::BlurredName | Rule::Beginning => {
                    numbers.for_each(|number| assign(number, closest(same, len(number))));
                }
                Rule::HashlessPath | Rule::BlurredPath | Rule::HashlessName => {
                    let mut numbers: Vec<u32> = numbers.collect();
                    numbers.sort_by_key(|number| (len(*number), *number));
                    let mut crowd = Crowd::new(same);
                    numbers.into_iter().for_each(|number| assign(number, crowd.take(len(number))));
                }
            }
        }
    }
    versions
}

/// A file by the key of a rule; sorted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Keyed<F> {
    key: u64,
    file: F,
}

/// The files of the basis with a name that is wanted, in the order of their hashes and of the layers.
fn find(
    rule: Rule,
    wanted: &[Keyed<u32>],
    basis: &[Option<&LayerIndex>],
    new: &[&LayerIndex],
) -> Vec<Keyed<OldFile>> {
    let mut there: Vec<u64> = Vec::new();
    if rule == Rule::Beginning {
        there.extend(new.iter().flat_map(|index| index.files()).map(|file| path_hash(&file.path)));
        there.sort_unstable();
    }
    let mut found = Vec::new();
    for (layer, index) in (0..).zip(basis) {
        for file in index.iter().flat_map(|index| index.files()) {
            let key = rule.key(&file.path).filter(|key| {
                wanted.binary_search_by_key(key, |wanted| wanted.key).is_ok()
                    && (there.is_empty() || there.binary_search(&path_hash(&file.path)).is_err())
            });
            let (start, end) = (file.chunks.start as u32, file.chunks.end as u32);
            found.extend(key.map(|key| Keyed { key, file: OldFile { layer, start, end, len: file.len } }));
        }
    }
    found.sort_unstable();
    found
}

/// The file whose length is nearest; of equal ones the first.
fn closest(files: &[Keyed<OldFile>], len: u64) -> Option<OldFile> {
    if files.len() > CROWD {
        return None;
    }
    files.iter().map(|found| found.file).min_by_key(|file| file.len.abs_diff(len))
}

/// Files with one key, of which each is taken once before any is taken again. Together they are what the new ones are
/// coded against, so that it matters less which is the version of which.
struct Crowd {
    /// By their lengths.
    files: Vec<OldFile>,
    /// The number of those that are left.
    left: usize,
    /// By the place of a file, counted from one: a place below it nearer to one that is left, itself where it is.
    down: Vec<u32>,
    /// The same for places above it.
    up: Vec<u32>,
}

impl Crowd {
    fn new(all: &[Keyed<OldFile>]) -> Crowd {
        let mut files: Vec<OldFile> = all.iter().map(|found| found.file).collect();
        files.sort_unstable_by_key(|file| (file.len, *file));
        Crowd { files, left: 0, down: Vec::new(), up: Vec::new() }
    }

    /// Takes the file whose length is nearest, the shorter one of two.
    fn take(&mut self, len: u64) -> Option<OldFile> {
        if self.left == 0 {
            self.left = self.files.len();
            self.down = (0..self.left as u32 + 2).collect();
            self.up = self.down.clone();
        }
        let shorter = self.files.partition_point(|file| file.len < len) as u32;
        // Places zero and beyond the last have no file.
        let places = [nearest_left(&mut self.down, shorter), nearest_left(&mut self.up, shorter + 1)];
        let file = |place: u32| self.files.get((place as usize).checked_sub(1)?);
        let found = places.into_iter().filter_map(|place| Some((place, *file(place)?)));
        let (place, file) = found.min_by_key(|(_, file)| file.len.abs_diff(len))?;
        (self.down[place as usize], self.up[place as usize]) = (place - 1, place + 1);
        self.left -= 1;
        Some(file)
    }
}

/// The place at the end of the way from this one; the way is made shorter (path halving: Tarjan, van Leeuwen,
/// "Worst-case analysis of set union algorithms", 1984).
fn nearest_left(next: &mut [u32], mut place: u32) -> u32 {
    while next[place as usize] != place {
        next[place as usize] = next[next[place as usize] as usize];
        place = next[place as usize];
    }
    place
}

/// The last component of a path.
fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The extension of a name; `so` for any shared library.
pub(super) fn extension(path: &[u8]) -> &[u8] {
    let name = name(path);
    if name.windows(4).any(|window| window == b".so.") {
        return b"so";
    }
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => b"",
    }
}

/// True for versions, hashes and dates.
fn has_digit(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
}

/// True for hashes: letters and digits mixed, or eight and more hexadecimal digits. Versions and numbers are none.
fn is_hash(word: &[u8]) -> bool {
    let is_mixed = word.len() >= HASH && has_digit(word) && word.iter().any(u8::is_ascii_alphabetic);
    is_mixed || word.len() >= 8 && word.iter().all(u8::is_ascii_hexdigit)
}

/// The path with each hash replaced by `#`, also the one that Rollup and Vite put behind the last hyphen of a stem: eight
/// letters, digits, `-` and `_`.
fn hashless(path: &[u8]) -> Vec<u8> {
    let at = path.len() - name(path).len();
    let stem = name(path).split(|byte| *byte == b'.').next().unwrap_or_default().len();
    let (stem, rest) = path.split_at(at + stem);
    if let Some((before, hash)) = stem[at..].split_last_chunk::<9>() {
        let has = |is: fn(&u8) -> bool| hash.iter().any(is);
        let is_hash = hash[0] == b'-'
            && hash.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
            && has(u8::is_ascii_uppercase)
            && (has(u8::is_ascii_lowercase) || has(u8::is_ascii_digit));
        if is_hash && !before.is_empty() {
            return [&blur(&stem[..at + before.len()], self::is_hash)[..], b"-#", &blur(rest, self::is_hash)]
                .concat();
        }
    }
    blur(path, self::is_hash)
}

/// The path with each word of a kind replaced by `#`.
fn blur(path: &[u8], is_of_kind: fn(&[u8]) -> bool) -> Vec<u8> {
    let mut blurred = Vec::with_capacity(path.len());
    for word in path.split_inclusive(|byte| !byte.is_ascii_alphanumeric()) {
        let (letters, end) = match word.split_last() {
            Some((last, letters)) if !last.is_ascii_alphanumeric() => (letters, Some(*last)),
            _ => (word, None),
        };
        if is_of_kind(letters) {
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
    let folder = blur(&path[..path.len() - name.len()], has_digit);
    (word >= WORD && word < name.len()).then(|| [&folder[..], &name[..word], b".", extension(path)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_hashes_are_blurred() {
        let blur = |path: &str| String::from_utf8(blur(path.as_bytes(), has_digit)).unwrap();
        assert_eq!(blur("usr/lib/libssl.so.1.1"), blur("usr/lib/libssl.so.3.0"));
        assert_eq!(blur("lib/libopenblas64-a1b2c3d4.so"), blur("lib/libopenblas32-99ffee00.so"));
        assert_eq!(blur("app/main-5f3.js"), "app/main-#.js");
        assert_ne!(blur("app/main.js"), blur("app/mail.js"));
    }

    #[test]
    fn numbers_and_versions_stay_where_hashes_go() {
        let hashless = |path: &str| String::from_utf8(hashless(path.as_bytes())).unwrap();
        assert_eq!(hashless("assets/Index-A4-C6YLr.js.map"), "assets/Index-#.js.map");
        assert_eq!(hashless("assets/index-DiwrgTda.js"), "assets/index-#.js");
        assert_eq!(hashless("4f12ab99-a/lib-platform.so"), "#-a/lib-platform.so", "a word of eight letters");
        assert_eq!(hashless("static/4630.64ab23d1.chunk.js"), "static/4630.#.chunk.js");
        assert_eq!(hashless("_next/static/chunks/1dd3208c-abcdefab.js"), "_next/static/chunks/#-#.js");
        for path in
            ["lib/libssl.so.1.1", "x.cpython-311.pyc", "lib64/libm.so.6", "a/20261201.log.gz", "b/facade.rb"]
        {
            let kept = path.replace("20261201", "#");
            assert_eq!(hashless(path), kept);
        }
    }

    #[test]
    fn a_crowd_is_taken_once_before_any_of_it_is_taken_again() {
        let file = |at: u32, len| Keyed { key: 1, file: OldFile { layer: 0, start: at, end: at + 1, len } };
        let files = [file(0, 100), file(1, 100), file(2, 300)];
        let mut crowd = Crowd::new(&files);
        let taken: Vec<u32> = [100, 290, 190, 310, 100].map(|len| crowd.take(len).unwrap().start).to_vec();
        assert_eq!(taken, [0, 2, 1, 2, 0]);
        assert_eq!(Crowd::new(&[]).take(1), None);
    }

    #[test]
    fn a_beginning_identifies_a_renamed_file() {
        let is_same = |one: &str, other: &str| beginning(one.as_bytes()) == beginning(other.as_bytes());
        assert!(is_same("x.libs/libblasp-r0-24bff013.3.26.dev.so", "x.libs/libblasp-r0-01191904.3.27.so"));
        assert!(is_same("lib/app-1.0/tool_rc1.jar", "lib/app-1.1/tool.final.jar"));
        assert!(!is_same("a/tool_x.jar", "b/tool_y.jar") && !is_same("a/tool_x.jar", "a/tool_x.so"));
        // Too short, or the whole name, which other senses have.
        assert_eq!((beginning(b"a/is_x.js"), beginning(b"a/README")), (None, None));
    }

    #[test]
    fn kinds_of_files() {
        assert_eq!(extension(b"usr/lib/libz.so.1.2.13"), b"so");
        assert_eq!(extension(b"usr/lib/x.cpython-311.pyc"), b"pyc");
        assert_eq!(extension(b"etc/.bashrc"), b"");
        assert_eq!(extension(b"usr/bin/env"), b"");
    }
}
