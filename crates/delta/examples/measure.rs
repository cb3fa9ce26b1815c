//! The cost of an update: `measure OLD.tar NEW.tar [LEVEL|max [MIB]]`, both as `docker save` writes them.
//!
//! Prints, for the layers that the old image lacks, the bytes of their headers and chunks before and after
//! coding, and checks that they come back.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use dsync_core::Digest;
use dsync_delta::batch::{self, Effort, Items};
use dsync_delta::batching::{self, ChunkRange};
use dsync_delta::header_delta::{Decoder, Encoder, Limits, Literal, Mode, Origin};
use dsync_delta::{ChunkRef, ChunkSource, LayerIndex, Scanner, join};

/// The number of the costliest files that are shown.
const TOP: usize = 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A layer's tar, and what is known of it.
struct Layer {
    tar: Vec<u8>,
    index: Arc<LayerIndex>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, rest @ ..] = &arguments[..] else {
        return Err("measure OLD.tar NEW.tar [LEVEL|max [MIB]]".into());
    };
    let effort = match rest.first().map(String::as_str) {
        Some("max") => Effort::Max,
        Some(level) => Effort::Level(level.parse()?),
        None => Effort::Level(19),
    };
    let mib: u64 = rest.get(1).map_or(Ok(32), |mib| mib.parse())?;
    let old = layers(old, &HashSet::new())?;
    let known = old.iter().map(|layer| layer.index.digest).collect();
    let new = layers(new, &known)?;
    let basis: Vec<&LayerIndex> = old.iter().map(|layer| &*layer.index).collect();
    let indexes: Vec<&LayerIndex> = new.iter().map(|layer| &*layer.index).collect();

    let begun = Instant::now();
    let mut encoder = Encoder::new(&basis, Mode::References);
    let mut columns = Vec::new();
    for layer in &new {
        encoder.layer(&layer.index, &mut columns)?;
    }
    let encoded = begun.elapsed();
    let told = [columns.len() as u64];
    let packed = batch::encode(Items::default(), Items { bytes: &columns, lens: &told }, effort)?;
    let verbatim: u64 = indexes.iter().map(|l| l.len - l.chunks().bytes(0..usize::MAX)).sum();
    println!(
        "headers: {verbatim} raw, {} in columns, {} packed ({encoded:.1?})",
        columns.len(),
        packed.len()
    );

    let sent: Vec<ChunkRef> = encoder.literals().iter().map(Literal::chunk_ref).collect();
    let readable: Vec<Option<&LayerIndex>> = basis.iter().copied().map(Some).collect();
    let batches = batching::form_batches(&indexes, &sent, &readable, mib << 20);
    let begun = Instant::now();
    let (mut raw, mut old_raw, mut total) = (0, 0, 0);
    let mut top = Vec::new();
    let mut literals: HashMap<ChunkRef, Vec<u8>> = HashMap::new();
    for (number, batch) in batches.iter().enumerate() {
        let items = |runs: &[ChunkRange], layers: &[Layer]| {
            let items: Vec<Vec<u8>> =
                runs.iter().map(|run| bytes(&layers[run.layer()], run.chunks())).collect();
            let lens: Vec<u64> = runs.iter().map(ChunkRange::len).collect();
            (items, lens)
        };
        let ((olds, old_lens), (news, new_lens)) = (items(&batch.old, &old), items(&batch.new, &new));
        let (old_bytes, new_bytes) = (olds.concat(), news.concat());
        let old_items = Items { bytes: &old_bytes, lens: &old_lens };
        let new_items = Items { bytes: &new_bytes, lens: &new_lens };
        let pairs: Vec<Option<usize>> = batch.pairs().collect();
        let packed = batch::encode(old_items, new_items, effort)?;
        for (at, run) in batch.new.iter().enumerate() {
            let pair = pairs[at].map(|old| &olds[old][..]);
            let (old_len, new_len) = ([pair.map_or(0, <[u8]>::len) as u64], [news[at].len() as u64]);
            let old = Items { bytes: pair.unwrap_or_default(), lens: &old_len };
            let new = Items { bytes: &news[at], lens: &new_len };
            let alone = batch::encode(old, new, Effort::Level(9))?;
            let path = indexes[run.layer()].file_of(run.chunks().start);
            let path = path.map_or_else(String::new, |file| String::from_utf8_lossy(&file.path).into_owned());
            top.push((alone.len(), news[at].len(), pair.map_or(0, <[u8]>::len), path));
        }
        let back = batch::decode(old_items, &new_lens, &packed)?;
        assert_eq!(back, new_bytes);
        let mut at = 0;
        for run in &batch.new {
            for spot in run.chunk_refs() {
                let len = usize::try_from(indexes[run.layer()].chunks().at(spot.chunk as usize).len)?;
                literals.insert(spot, back[at..at + len].to_vec());
                at += len;
            }
        }
        let old_len: u64 = batch.old.iter().map(ChunkRange::len).sum();
        let paired = pairs.iter().flatten().count();
        let (items, len, method) = (batch.new.len(), batch.len(), packed[0]);
        println!(
            "batch {number}: {items} items ({paired} paired), {len} by {old_len}: {} by method {method}",
            packed.len()
        );
        (raw, old_raw, total) = (raw + len, old_raw + old_len, total + packed.len() as u64);
    }
    println!("chunks: {raw} by {old_raw}: {total} packed ({:.1?})", begun.elapsed());
    top.sort_by(|a, b| b.cmp(a));
    for (alone, len, old, path) in top.iter().take(TOP) {
        println!("{alone:>9} alone, {len:>9} by {old:>9}: {path}");
    }
    println!("all: {}", total + packed.len() as u64);

    let mut decoder = Decoder::new(&basis, Mode::References, Limits::ANY);
    let mut input = &columns[..];
    for layer in &new {
        let assembly = decoder.layer(&mut input)?;
        let mut chunks = Sources { old: &old, sent: &sent, literals: &literals };
        let mut out = Vec::new();
        join(&assembly, &mut chunks, &mut out)?;
        assert_eq!(out, layer.tar);
    }
    Ok(())
}

struct Sources<'a> {
    old: &'a [Layer],
    sent: &'a [ChunkRef],
    literals: &'a HashMap<ChunkRef, Vec<u8>>,
}

impl ChunkSource for Sources<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        match from {
            Origin::Basis { layer, chunk } => {
                let chunk = chunk as usize;
                out.write_all(&bytes(&self.old[usize::from(layer)], chunk..chunk + 1))
            }
            Origin::Literal(ordinal) => out.write_all(&self.literals[&self.sent[ordinal as usize]]),
        }
    }
}

fn bytes(Layer { tar, index }: &Layer, chunks: Range<usize>) -> Vec<u8> {
    let chunks = index.chunks().range(chunks);
    chunks.flat_map(|chunk| &tar[chunk.at as usize..][..chunk.len as usize]).copied().collect()
}

/// The layers of an image archive, without those that are known.
fn layers(path: &str, known: &HashSet<Digest>) -> Result<Vec<Layer>> {
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in tar::Archive::new(File::open(path)?).entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(entry.path()?.to_string_lossy().into_owned(), bytes);
    }
    let manifest = files.remove("manifest.json").ok_or("no manifest.json")?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    let names = manifest[0]["Layers"].as_array().ok_or("no layers")?;
    let mut layers = Vec::new();
    for name in names.iter().filter_map(serde_json::Value::as_str) {
        let Some(tar) = files.remove(name) else { continue };
        let begun = Instant::now();
        let mut scanner = Scanner::new();
        scanner.push(&tar);
        let index = Arc::new(scanner.finish());
        if known.contains(&index.digest) {
            continue;
        }
        eprintln!("{name}: {} bytes, {} chunks, {:.1?}", tar.len(), index.chunks().len(), begun.elapsed());
        layers.push(Layer { tar, index });
    }
    Ok(layers)
}
