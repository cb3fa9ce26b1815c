//! A layout with an image of many gigabytes, written as it is made: nobody has it in memory.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use dsync_core::{Digest, HashingWriter};
use serde_json::{Value, json};

/// The bytes of a file.
const FILE: u64 = 10_000_000;
/// The bytes of a block: the first tenth of it is noise, and the rest repeats that.
const BLOCK: usize = 10_000;
/// Files of which one is another in each version.
const CHANGED: u64 = 100;
/// The media types of OCI begin with this.
const OCI: &str = "application/vnd.oci.image";

/// The sizes of an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Large {
    pub(super) layers: u64,
    /// In each layer.
    pub(super) files: u64,
}

/// A blob of a layout.
struct Blob {
    digest: Digest,
    size: u64,
}

impl Blob {
    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": format!("{OCI}.{media_type}"), "digest": self.digest.to_string(), "size": self.size})
    }
}

impl Large {
    /// Makes it the one image of a layout, with layers that zstd has compressed.
    pub(super) fn write(self, dir: &Path, name: &str, version: u64) -> io::Result<()> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for layer in 0..self.layers {
            let (blob, diff_id) = self.write_layer(&blobs, layer, version)?;
            layers.push(blob.descriptor("layer.v1.tar+zstd"));
            diff_ids.push(diff_id.to_string());
        }
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Env": [format!("VERSION={version}")]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = write_document(&blobs, &config)?.descriptor("config.v1+json");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"), "config": config, "layers": layers,
        });
        let mut manifest = write_document(&blobs, &manifest)?.descriptor("manifest.v1+json");
        manifest["annotations"] = json!({"io.containerd.image.name": format!("docker.io/{name}")});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(dir.join("index.json"), index.to_string())?;
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// Writes a layer; returns its blob, and its diff id.
    fn write_layer(self, blobs: &Path, layer: u64, version: u64) -> io::Result<(Blob, Digest)> {
        let part = blobs.join("part");
        let blob = HashingWriter::new(BufWriter::new(File::create(&part)?));
        let tar = HashingWriter::new(zstd::Encoder::new(blob, 3)?);
        let mut tar = tar::Builder::new(tar);
        for file in 0..self.files {
            let version = if file % CHANGED == version % CHANGED { version } else { 0 };
            let mut header = tar::Header::new_gnu();
            header.set_size(FILE);
            header.set_mode(0o644);
            header.set_mtime(1_700_000_000 + version);
            let path = format!("srv/layer-{layer}/part-{}/file-{file}", file / 50);
            tar.append_data(&mut header, path, Contents::new(layer * self.files + file, version))?;
        }
        let (diff_id, blob) = tar.into_inner()?.digest();
        let blob = blob.finish()?;
        let size = blob.len();
        let (digest, file) = blob.digest();
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(part, blobs.join(digest.hex()))?;
        Ok((Blob { digest, size }, diff_id))
    }
}

fn write_document(blobs: &Path, document: &Value) -> io::Result<Blob> {
    let text = document.to_string();
    let blob = Blob { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
    fs::write(blobs.join(blob.digest.hex()), text)?;
    Ok(blob)
}

/// The contents of a file, which other versions have but for one block in its middle.
struct Contents {
    file: u64,
    version: u64,
    /// The number of the next block.
    next: u64,
    block: io::Cursor<Vec<u8>>,
}

impl Contents {
    fn new(file: u64, version: u64) -> Contents {
        Contents { file, version, next: 0, block: io::Cursor::default() }
    }

    fn block(&self) -> Vec<u8> {
        let middle = FILE / BLOCK as u64 / 2;
        let version = if self.next == middle { self.version } else { 0 };
        let mut state = self.file << 40 | self.next << 16 | version;
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK / 10 {
            // splitmix64, https://prng.di.unimi.it/splitmix64.c
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            block.extend((z ^ z >> 31).to_le_bytes());
        }
        let noise = block.clone();
        noise.iter().cycle().take(BLOCK - noise.len()).for_each(|byte| block.push(*byte));
        block
    }
}

impl io::Read for Contents {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.block.position() == self.block.get_ref().len() as u64 && self.next < FILE / BLOCK as u64 {
            self.block = io::Cursor::new(self.block());
            self.next += 1;
        }
        self.block.read(into)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_version_changes_one_file_in_a_hundred_in_its_middle() {
        let read = |file, version| {
            let mut bytes = Vec::new();
            Contents::new(file, version).read_to_end(&mut bytes).unwrap();
            bytes
        };
        let [old, new] = [0, 1].map(|version| read(7, version));
        assert_eq!(old.len() as u64, FILE);
        let differ = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        assert!((1..=BLOCK).contains(&differ), "{differ}");
        assert_ne!(read(8, 0), old);
    }
}
