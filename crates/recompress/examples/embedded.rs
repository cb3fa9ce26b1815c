//! The files that have deflate streams in them, and the encoders of these: `embedded FILE…`.
//!
//! For each file that has any: its bytes, its plain bytes, and the encoders, or that it is not inflated.

use std::collections::BTreeMap;
use std::error::Error;

use dsync_recompress::{Inflated, inflated};

/// Files that would have more bytes are left alone.
const MOST: usize = 1 << 30;

/// Files, and their bytes.
#[derive(Default)]
struct Sum {
    files: usize,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, file: &[u8]) {
        self.files += 1;
        self.bytes += file.len();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut with_streams, mut known) = (Sum::default(), Sum::default());
    for name in std::env::args().skip(1) {
        let file = std::fs::read(&name)?;
        let Some(plain) = inflated(&file, MOST) else { continue };
        with_streams.add(&file);
        let mut methods: BTreeMap<String, usize> = BTreeMap::new();
        if let Some(inflated) = Inflated::of(&file, MOST) {
            known.add(&file);
            inflated
                .streams
                .iter()
                .for_each(|stream| *methods.entry(stream.method.to_string()).or_default() += 1);
        }
        println!("{name}: {} bytes, {} plain, {methods:?}", file.len(), plain.len());
    }
    println!(
        "inflated: {} of {} files, {} of {} bytes",
        known.files, with_streams.files, known.bytes, with_streams.bytes
    );
    Ok(())
}
