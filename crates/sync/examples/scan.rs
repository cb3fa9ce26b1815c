//! The time to read and scan an image: `scan STORE IMAGE`, the store as `--docker` has it.
//!
//! Prints what the store is, the bytes of the layers, and the seconds, separated by tabs.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Read};
use std::time::Instant;

use dsync_core::{ImageRef, LayerKey};
use dsync_delta::Scanner;
use dsync_engine::{LayerSink, StoreSpec};

/// Bytes that are scanned at once.
const PIECE: usize = 1 << 16;

/// Scans each layer, as a sync does, and keeps nothing.
#[derive(Default)]
struct Scan {
    layers: usize,
    bytes: u64,
}

impl LayerSink for Scan {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut scanner = Scanner::new();
        let mut piece = vec![0; PIECE];
        loop {
            match tar.read(&mut piece)? {
                0 => break,
                read => scanner.push(&piece[..read]),
            }
        }
        let index = scanner.finish();
        if key.is_some_and(|expected| expected.digest() != index.digest) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another layer"));
        }
        self.layers += 1;
        self.bytes += index.len;
        Ok(())
    }

    fn note(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, name] = &arguments[..] else { return Err("scan STORE IMAGE".into()) };
    let name: ImageRef = name.parse()?;
    let store = dsync_engine::open(&spec.parse::<StoreSpec>()?, &std::env::temp_dir())?;
    let image = store.list()?.images.into_iter().find(|image| image.names.contains(&name));
    let image = image.ok_or_else(|| format!("there is no {name}"))?;
    let wanted: HashSet<LayerKey> = image.tars().collect();
    let mut scan = Scan::default();
    let begun = Instant::now();
    store.export(&image.id, &wanted, &mut scan)?;
    let seconds = begun.elapsed().as_secs_f64();
    if scan.layers != wanted.len() {
        return Err(format!("{} layers came, not {}", scan.layers, wanted.len()).into());
    }
    println!("{}\t{}\t{seconds}", store.describe().name, scan.bytes);
    Ok(())
}
