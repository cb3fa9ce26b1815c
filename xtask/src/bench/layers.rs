//! What moving the missing layers costs at least when each is compressed by itself, as a registry does.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::Result;

/// The size of the layers of one archive that another has not, each through gzip -6.
pub(crate) fn missing(old: &Path, new: &Path) -> Result<u64> {
    let known: BTreeSet<String> = layers(old)?.into_values().collect();
    let mut wanted = layers(new)?;
    wanted.retain(|_, diff_id| !known.contains(diff_id));
    let mut done = BTreeSet::new();
    let mut sum = 0;
    let mut archive = tar::Archive::new(File::open(new)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        // A layer that an image has twice may be a link the second time.
        let Some(diff_id) = wanted.get(&path).filter(|_| entry.header().entry_type().is_file()) else {
            continue;
        };
        if done.insert(diff_id.clone()) {
            let mut gzip = GzEncoder::new(Count(0), Compression::new(6));
            io::copy(&mut entry, &mut gzip)?;
            sum += gzip.finish()?.0;
        }
    }
    Ok(sum)
}

/// The layers of an archive with one image: path in the archive, and diff id.
fn layers(archive: &Path) -> Result<HashMap<String, String>> {
    let manifest: Value = serde_json::from_slice(&member(archive, "manifest.json")?)?;
    let image = &manifest[0];
    let config = image["Config"].as_str().ok_or("the archive names no config")?;
    let config: Value = serde_json::from_slice(&member(archive, config)?)?;
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    Ok(texts(&image["Layers"]).into_iter().zip(texts(&config["rootfs"]["diff_ids"])).collect())
}

fn member(archive: &Path, name: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.path()? == Path::new(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(format!("the archive has no {name}").into())
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

    #[test]
    fn only_missing_layers_count_and_each_once() {
        let layer = |content: &[u8]| Layer::builder().file("f", content).build();
        let (base, zeros) = (layer(b"base"), layer(&vec![0; 1 << 20]));
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, image: &Image| {
            let file = dir.path().join(name);
            std::fs::write(&file, image.archive()).unwrap();
            file
        };
        let old = write("old", &Image::named("x:1").layer(&base));
        let once = write("once", &Image::named("x:2").layer(&base).layer(&zeros));
        let twice = write("twice", &Image::named("x:3").layer(&zeros).layer(&zeros));
        let sum = missing(&old, &once).unwrap();
        assert!((500..5000).contains(&sum), "{sum}");
        assert_eq!(missing(&old, &twice).unwrap(), sum);
        assert_eq!(missing(&once, &old).unwrap(), 0);
    }
}
