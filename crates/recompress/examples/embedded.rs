//! Which files have deflate streams in them, and who made these: `embedded FILE…`.
//!
//! For each file that has any: its bytes, its plain bytes, and the encoders, or that it is not opened.

use std::collections::BTreeMap;
use std::error::Error;

use dsync_recompress::{Inflated, inflated};

/// Files that would have more bytes are left alone.
const MOST: usize = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut files, mut opened_files) = ((0, 0), (0, 0));
    for name in std::env::args().skip(1) {
        let file = std::fs::read(&name)?;
        let Some(plain) = inflated(&file, MOST) else { continue };
        files = (files.0 + 1, files.1 + file.len());
        let mut methods: BTreeMap<String, usize> = BTreeMap::new();
        if let Some(opened) = Inflated::of(&file, MOST) {
            opened_files = (opened_files.0 + 1, opened_files.1 + file.len());
            opened
                .streams
                .iter()
                .for_each(|stream| *methods.entry(stream.method.to_string()).or_default() += 1);
        }
        println!("{name}: {} bytes, {} plain, {methods:?}", file.len(), plain.len());
    }
    println!("opened: {} of {} files, {} of {} bytes", opened_files.0, files.0, opened_files.1, files.1);
    Ok(())
}
