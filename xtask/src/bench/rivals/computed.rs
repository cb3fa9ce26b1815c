//! Figures that need no run: what a method would have to move, worked out from two archives.

use std::collections::HashSet;
use std::io::{self, Read, Seek as _, Write};
use std::process::{Command, Stdio};

use dsync_core::Digest;
use fastcdc::v2020::StreamCDC;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::archive::Archive;
use crate::Result;

/// Least, average and largest chunk in bytes.
const CHUNK: (usize, usize, usize) = (4 << 10, 16 << 10, 64 << 10);
/// The bytes of each chunk in an index of casync: an offset of 8 bytes and a digest of 32.
const INDEX_ENTRY: u64 = 40;

/// The layers that the target lacks, each through gzip -6, as a registry serves them.
pub(crate) fn gzip(old: &Archive, new: &Archive) -> Result<u64> {
    let mut sum = 0;
    new.each_missing_in(old, |tar| {
        let mut gzip = GzEncoder::new(Count(0), Compression::new(6));
        io::copy(tar, &mut gzip)?;
        sum += gzip.finish()?.0;
        Ok(())
    })?;
    Ok(sum)
}

/// The chunks of those layers that are in no layer of the target, each through zstd -3, and an index of all,
/// as casync and desync do it.
pub(crate) fn chunks(old: &Archive, new: &Archive) -> Result<u64> {
    let mut known: HashSet<Digest> = HashSet::new();
    old.each_layer(|tar| {
        for_each_chunk(tar, |chunk| {
            known.insert(Digest::of(chunk));
            Ok(())
        })
    })?;
    let mut sum = 0;
    new.each_missing_in(old, |tar| {
        for_each_chunk(tar, |chunk| {
            sum += INDEX_ENTRY;
            if known.insert(Digest::of(chunk)) {
                sum += zstd::bulk::compress(chunk, 3)?.len() as u64;
            }
            Ok(())
        })
    })?;
    Ok(sum)
}

fn for_each_chunk(tar: &mut dyn Read, mut each: impl FnMut(&[u8]) -> Result) -> Result {
    let (least, average, most) = CHUNK;
    for chunk in StreamCDC::new(tar, least, average, most) {
        each(&chunk?.data)?;
    }
    Ok(())
}

/// A patch from the old archive to the new one, as zstd makes it.
pub(crate) fn patch(old: &Archive, new: &Archive) -> Result<u64> {
    zstd_patch(&["-19"], old, new)
}

/// The same at the highest level.
pub(crate) fn patch_ultra(old: &Archive, new: &Archive) -> Result<u64> {
    zstd_patch(&["--ultra", "-22"], old, new)
}

fn zstd_patch(level: &[&str], old: &Archive, new: &Archive) -> Result<u64> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-c", "--single-thread", "--long=31"]).args(level);
    zstd.arg(format!("--patch-from={}", old.file.display())).arg(&new.file);
    // It has advice to give, at any level of quiet that still has errors.
    let mut log = tempfile::tempfile()?;
    let mut child = zstd.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn()?;
    let mut patch = child.stdout.take().ok_or("zstd has no output")?;
    let size = io::copy(&mut patch, &mut io::sink())?;
    if child.wait()?.success() {
        return Ok(size);
    }
    let mut said = String::new();
    log.rewind()?;
    log.read_to_string(&mut said)?;
    Err(format!("zstd --patch-from failed: {said}").into())
}

/// Forgets what is written to it, and counts it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_lab::images::{Image, Layer};

    /// A megabyte that does not compress, and the same with a few bytes in front and one changed.
    fn two_archives(dir: &std::path::Path) -> [Archive; 2] {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(1 << 20)
        .collect();
        let mut edited = [b"in front", &noise[..]].concat();
        edited[700_000] ^= 1;
        [noise, edited].map(|content| {
            let image = Image::named("x:1").layer(&Layer::builder().file("f", &content).build());
            let file = dir.join(image.id().hex());
            std::fs::write(&file, image.archive()).unwrap();
            Archive::open(file).unwrap()
        })
    }

    #[test]
    fn each_way_finds_what_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = two_archives(dir.path());
        let whole = gzip(&old, &new).unwrap();
        assert!(whole > 1 << 20, "{whole}");
        // The chunks around two edits, and an entry for each chunk.
        let chunked = chunks(&old, &new).unwrap();
        assert!((20_000..150_000).contains(&chunked), "{chunked}");
        assert_eq!(chunks(&old, &old).unwrap() + gzip(&old, &old).unwrap(), 0);
    }
}
