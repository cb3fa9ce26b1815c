//! The cost of headers, in bytes: `headers OLD.tar NEW.tar`, both as `docker save` writes them.
//!
//! For each layer that the old image lacks: the bytes of its headers, the bytes of its columns against the layers of
//! the old image, and these after zstd at its level 19. The last line is all layers in one zstd frame.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use dsync_core::Digest;
use dsync_delta::header_delta::{Encoder, Mode};
use dsync_delta::{LayerIndex, Scanner};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new] = &arguments[..] else { return Err("headers OLD.tar NEW.tar".into()) };
    let old = indexes(old, &HashSet::new())?;
    let known = old.iter().map(|index| index.digest).collect();
    let new = indexes(new, &known)?;
    let basis: Vec<&LayerIndex> = old.iter().map(|index| &**index).collect();

    let begun = Instant::now();
    let mut encoder = Encoder::new(&basis, Mode::References);
    println!("{:>10.1?} to look at the basis", begun.elapsed());
    println!("{:>10} {:>10} {:>10} {:>10}", "raw", "columns", "zstd -19", "time");
    let (mut raw, mut all) = (0, Vec::new());
    for index in &new {
        let (mut columns, begun) = (Vec::new(), Instant::now());
        encoder.layer(index, &mut columns)?;
        let taken = begun.elapsed();
        let headers = index.len - index.chunks().bytes(0..usize::MAX);
        let packed = zstd::bulk::compress(&columns, 19)?.len();
        println!("{headers:>10} {:>10} {packed:>10} {taken:>10.1?} {:?}", columns.len(), index.digest);
        raw += headers;
        all.append(&mut columns);
    }
    println!("{raw:>10} {:>10} {:>10}", all.len(), zstd::bulk::compress(&all, 19)?.len());
    Ok(())
}

/// Indexes of the layers of an image archive, without those that are known.
fn indexes(path: &str, known: &HashSet<Digest>) -> Result<Vec<Arc<LayerIndex>>> {
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    let manifest = files.remove("manifest.json").ok_or("no manifest.json")?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    let names = manifest[0]["Layers"].as_array().ok_or("no layers")?;
    let mut indexes = Vec::new();
    for name in names.iter().filter_map(serde_json::Value::as_str) {
        let Some(tar) = files.remove(name) else { continue };
        let mut scanner = Scanner::new();
        scanner.push(&tar);
        let index = Arc::new(scanner.finish());
        if !known.contains(&index.digest) {
            indexes.push(index);
        }
    }
    Ok(indexes)
}
