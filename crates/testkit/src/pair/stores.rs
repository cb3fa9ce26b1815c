//! The stores of a pair as files.

use std::fs;
use std::io;
use std::path::Path;

use super::{DamageKind, Pair, Target};
use crate::Junk;
use crate::digest::hex;
use crate::image::{Built, Item};
use crate::layout::{Files, Wrap};

impl Pair {
    /// Writes the store of the source, and returns its name.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write_source(&self, source: &[Built], path: &Path) -> io::Result<String> {
        let spec = self.files.write(self.wrap, source, path)?;
        if self.files != Files::Layout {
            return Ok(spec);
        }
        add_junk(&self.junk[0], path)?;
        if let (Some(damage), Some(first)) = (self.damage, source.first())
            && let Some(digest) = first.blobs.keys().nth(usize::from(damage.blob) % first.blobs.len())
        {
            let file = path.join("blobs/sha256").join(hex(digest));
            let mut bytes = fs::read(&file)?;
            match damage.kind {
                DamageKind::Missing => fs::remove_file(&file)?,
                DamageKind::Short => fs::write(&file, &bytes[..bytes.len() / 2])?,
                DamageKind::Flipped(at) => {
                    let at = bytes.len() * usize::from(at) / 65536;
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 4);
                    fs::write(&file, bytes)?;
                }
            }
        }
        Ok(spec)
    }

    /// Writes the layout of the target, if there is to be one.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write_target(&self, path: &Path) -> io::Result<()> {
        let held: Vec<Built> = self.held().iter().map(Item::build).collect();
        match &self.target {
            Target::Absent => Ok(()),
            Target::Bare => fs::create_dir(path),
            Target::Null => {
                Files::Layout.write(Wrap::None, &held, path)?;
                fs::write(path.join("index.json"), r#"{"schemaVersion":2,"manifests":null}"#)
            }
            Target::Layout(_) => {
                Files::Layout.write(Wrap::None, &held, path)?;
                add_junk(&self.junk[1], path)
            }
        }
    }
}

/// Every other one is before the images, every third has a name.
fn add_junk(junk: &[Junk], path: &Path) -> io::Result<()> {
    for (at, junk) in junk.iter().enumerate() {
        let name = (at % 3 == 0).then(|| format!("junk/{at}:1"));
        junk.add(path, name.as_deref(), at % 2 == 0)?;
    }
    Ok(())
}
