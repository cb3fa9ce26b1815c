//! The two images of the demonstration: an image and its rebuild, made of files that every machine has.

use std::fs;
use std::path::{Path, PathBuf};

use dsync_lab::images::{Attributes, Image, Layer};

use crate::Result;

/// The times of the two builds. A rebuild gives every file a new one.
const FIRST_BUILD: u64 = 1_700_000_000;
const SECOND_BUILD: u64 = 1_702_592_000;

/// Bytes of files in the layers, and of the package that the rebuild adds.
const SYSTEM: u64 = 12_000_000;
const PACKAGES: u64 = 20_000_000;
const ADDED: u64 = 400_000;

/// A path in the image and what is in the file.
type Entry = (PathBuf, Vec<u8>);

/// The old image and the new one, of the same name: a system that stays, packages that are installed
/// again, and an application that changes.
pub(super) fn build(name: &str) -> Result<(Image, Image)> {
    let system = collect(&["/usr/bin", "/bin"], SYSTEM)?;
    let packages = collect(&["/usr/share", "/usr/lib"], PACKAGES + ADDED)?;
    let before = count_within(&packages, PACKAGES);
    let application = |greeting: &str| {
        let page: String = (0..2000).map(|line| format!("<p>line {line} of the shop</p>\n")).collect();
        vec![
            (PathBuf::from("srv/shop/index.html"), page.into_bytes()),
            (PathBuf::from("srv/shop/greeting.txt"), format!("{greeting}\n").into_bytes()),
        ]
    };
    let base = layer(&system, FIRST_BUILD);
    let image = |packages: &[Entry], greeting: &str, time: u64, created: &str| {
        Image::named(name)
            .created(created)
            .layer(&base)
            .layer(&layer(packages, time))
            .layer(&layer(&application(greeting), time))
    };
    let old = image(&packages[..before], "hello", FIRST_BUILD, "2023-11-14T22:13:20Z");
    let new = image(&packages, "hello again", SECOND_BUILD, "2023-12-14T22:13:20Z");
    Ok((old, new))
}

fn layer(entries: &[Entry], mtime: u64) -> Layer {
    let attributes = Attributes { mtime, ..Attributes::default() };
    let builder = Layer::builder().attributes(attributes);
    entries.iter().fold(builder, |builder, (path, content)| builder.file(path, content)).build()
}

/// The number of leading entries that together have at most `limit` bytes.
fn count_within(entries: &[Entry], limit: u64) -> usize {
    let mut sum = 0;
    entries
        .iter()
        .take_while(|(_, content)| {
            sum += content.len() as u64;
            sum <= limit
        })
        .count()
}

/// Files below these directories, in the order of their names, until there are so many bytes of them.
fn collect(dirs: &[&str], limit: u64) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut left = limit;
    for dir in dirs {
        // A link to a directory that was read already.
        if fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
            walk(Path::new(dir), &mut left, &mut entries)?;
        }
    }
    if entries.is_empty() {
        return Err(format!("there are no files below {}", dirs.join(" or ")).into());
    }
    Ok(entries)
}

fn walk(dir: &Path, left: &mut u64, entries: &mut Vec<Entry>) -> Result {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            // A directory that cannot be read is not needed.
            let _ = walk(&path, left, entries);
        } else if meta.is_file()
            && meta.len() <= *left
            && let Ok(content) = fs::read(&path)
        {
            *left -= content.len() as u64;
            entries.push((path.strip_prefix("/").unwrap_or(&path).to_owned(), content));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_collected_in_order_and_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for (name, len) in [("a", 10), ("b/x", 10), ("c", 1000), ("d", 10)] {
            fs::write(dir.path().join(name), vec![b'-'; len]).unwrap();
        }
        let found = collect(&[dir.path().to_str().unwrap(), "/no/such/directory"], 100).unwrap();
        let names: Vec<_> =
            found.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a", "x", "d"]);
        assert_eq!((count_within(&found, 20), count_within(&found, 19)), (2, 1));
        assert!(collect(&["/no/such/directory"], 100).is_err());
    }
}
