//! Archives that are the same bytes whoever makes them: sorted, of root, of one moment.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::{Result, shell};

/// The moment that files of a release are of, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    /// `$SOURCE_DATE_EPOCH`, or that of the last commit.
    pub(super) fn of(root: &Path) -> Result<Moment> {
        let said = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(said) => said,
            Err(_) => {
                shell::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root))?
            }
        };
        let said = said.trim();
        Ok(Moment(said.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is no number of seconds: {said:?}"))?))
    }
}

/// An entry of an archive.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) content: Content,
}

/// The content of an entry.
pub(super) enum Content {
    File { bytes: Vec<u8>, mode: u32 },
    Link { to: String },
}

impl Entry {
    pub(super) fn file(path: &str, bytes: Vec<u8>) -> Entry {
        Entry { path: path.to_owned(), content: Content::File { bytes, mode: 0o644 } }
    }

    pub(super) fn program(path: &str, bytes: Vec<u8>) -> Entry {
        Entry { path: path.to_owned(), content: Content::File { bytes, mode: 0o755 } }
    }

    pub(super) fn link(path: &str, to: &str) -> Entry {
        Entry { path: path.to_owned(), content: Content::Link { to: to.to_owned() } }
    }

    /// The bytes of a file; none of a link.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::File { bytes, .. } => bytes,
            Content::Link { .. } => &[],
        }
    }
}

/// A tar in gzip, of these entries and the folders that they are in below `prefix`.
pub(super) fn tar_gz(entries: &[Entry], prefix: &str, Moment(moment): Moment) -> Result<Vec<u8>> {
    let mut paths: Vec<(String, Option<&Entry>)> = Vec::new();
    for entry in entries {
        let path = format!("{prefix}{}", entry.path);
        let folders = path.match_indices('/').map(|(end, _)| (path[..=end].to_owned(), None));
        paths.extend(folders.collect::<Vec<_>>());
        paths.push((path, Some(entry)));
    }
    paths.sort_by(|(one, _), (other, _)| one.cmp(other));
    paths.dedup_by(|(one, _), (other, _)| one == other);
    let packed = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut tar = Builder::new(packed);
    for (path, entry) in &paths {
        let mut header = Header::new_ustar();
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(moment);
        match entry.map(|entry| &entry.content) {
            None => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, path, [].as_slice())?;
            }
            Some(Content::File { bytes, mode }) => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Some(Content::Link { to }) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, to)?;
            }
        }
    }
    let mut packed = tar.into_inner()?;
    packed.flush()?;
    Ok(packed.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_sorted_of_root_and_of_one_moment() {
        let entries = [
            Entry::program("bin/run", b"#!".to_vec()),
            Entry::link("bin/also", "run"),
            Entry::file("a", b"1".to_vec()),
        ];
        let packed = tar_gz(&entries, "of-1/", Moment(7)).unwrap();
        assert_eq!(packed, tar_gz(&entries, "of-1/", Moment(7)).unwrap());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
        let seen: Vec<String> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let (header, path) = (entry.header(), entry.path().unwrap());
                assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 7));
                format!("{} {:o}", path.display(), header.mode().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            ["of-1/ 755", "of-1/a 644", "of-1/bin/ 755", "of-1/bin/also 777", "of-1/bin/run 755"]
        );
    }
}
