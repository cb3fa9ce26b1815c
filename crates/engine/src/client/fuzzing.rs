//! Readers of engines' own files, for fuzzers.

use std::io::{self, BufReader, Read};
use std::path::Path;

use super::containerd::bolt::{Bolt, Bucket, Value};
use super::direct;

/// Takes a key and what it stands for, which is none for a bucket.
pub type Take<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// Gives keys and values of a database, up to so many; the value of a bucket is none, and its keys follow.
///
/// # Errors
///
/// The database is damaged.
pub fn read_bolt(file: &Path, most: usize, take: &mut Take<'_>) -> io::Result<()> {
    let bolt = Bolt::open(file)?;
    assert!(bolt.is_unchanged()?, "nobody has written to it");
    let mut left = most;
    read_bucket(&bolt, &bolt.root(), 3, &mut left, take)
}

fn read_bucket(
    bolt: &Bolt,
    bucket: &Bucket,
    depth: usize,
    left: &mut usize,
    take: &mut Take<'_>,
) -> io::Result<()> {
    let mut names = Vec::new();
    bolt.each(bucket, &mut |key, value| {
        *left = left.checked_sub(1).ok_or(io::ErrorKind::FileTooLarge)?;
        match value {
            Value::Bytes(bytes) => take(key, Some(bytes)),
            Value::Bucket(_) => take(key, None),
        }
        names.extend(str::from_utf8(key).map(str::to_owned));
        Ok(())
    })?;
    for name in names {
        bolt.bytes(bucket, &name)?;
        if let Some(inner) = bolt.inner(bucket, &name)?
            && depth > 0
        {
            read_bucket(bolt, &inner, depth - 1, left, take)?;
        }
    }
    Ok(())
}

/// The tar of a layer, from the lines that an engine keeps of it and the folder with its files.
///
/// # Errors
///
/// The folder is not there.
pub fn tar_split<'a>(lines: impl Read + 'a, folder: &Path) -> io::Result<Box<dyn Read + 'a>> {
    direct::from_lines(BufReader::new(lines), folder)
}
