//! The account of the bytes that cross, by file and folder (`--explain`).

use std::collections::BTreeMap;
use std::io;

use dsync_delta::LayerIndex;
use dsync_delta::batch::Effort;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_proto::{Cost, limits};

use super::batch_encoder::{self, Sources};

/// A file that costs less than one in so many of all bytes is counted with others.
const SMALL: u64 = 500;
/// The most files and folders in an account; the rest is counted by layer.
const MOST: usize = limits::COSTS - 2 * limits::LAYERS;

/// A layer of the new image.
pub(crate) struct Layer<'a> {
    pub(crate) index: &'a LayerIndex,
    /// The number of the layer in the image.
    pub(crate) position: u32,
}

/// Shares out the packed bytes of the batches among their files.
///
/// Within a batch the files are coded together. Each gets the part that it would have, coded alone and fast, of
/// the sum of all that are (prepared as for `effort`); so the costs add up to what was sent.
pub(crate) fn costs(
    batches: &[Batch],
    sizes: &[u64],
    layers: &[Layer<'_>],
    sources: Sources<'_>,
    effort: Effort,
) -> io::Result<Vec<Cost>> {
    let small = sizes.iter().sum::<u64>() / SMALL;
    let mut files = Files::new();
    for (batch, size) in batches.iter().zip(sizes) {
        let weights = weights(batch, sources, effort)?;
        for ((run, pair), packed) in batch.new.iter().zip(batch.pairs()).zip(share(*size, &weights)) {
            let layer = &layers[run.layer()];
            let file = layer.index.file_of(run.chunks().start);
            let path = file.map(|file| String::from_utf8_lossy(&file.path).into_owned()).unwrap_or_default();
            let entry = files.entry((layer.position, path, pair.is_some())).or_insert((1, 0, 0));
            entry.1 += run.len();
            entry.2 += packed;
            if files.len() > REMEMBERED {
                files = fewer(files, small);
            }
        }
    }
    Ok(gather(costs_of(files), small))
}

/// By layer, path and whether there is an old version: how many files, their bytes, and those after coding.
type Files = BTreeMap<(u32, String, bool), (u64, u64, u64)>;

/// The most files that are counted one by one until all are known.
const REMEMBERED: usize = 1 << 16;

/// Tells small files by their folders, or where that is not enough by their layers.
fn fewer(files: Files, small: u64) -> Files {
    let keyed = |costs: Vec<Cost>| -> Files {
        let entry = |cost: Cost| ((cost.layer, cost.path, cost.changed), (cost.files, cost.raw, cost.packed));
        costs.into_iter().map(entry).collect()
    };
    let folders = keyed(together(costs_of(files), small, folder));
    match folders.len() > REMEMBERED / 2 {
        true => keyed(together(costs_of(folders), small, |_| String::new())),
        false => folders,
    }
}

fn costs_of(files: Files) -> Vec<Cost> {
    let cost =
        |((layer, path, changed), (files, raw, packed))| Cost { layer, path, files, changed, raw, packed };
    files.into_iter().map(cost).collect()
}

fn weights(batch: &Batch, sources: Sources<'_>, effort: Effort) -> io::Result<Vec<u64>> {
    let weigh = |(run, pair): (&ChunkRange, Option<usize>)| {
        let alone = Batch::alone(*run, pair.map(|pair| batch.old[pair]));
        Ok(batch_encoder::encode_batch(&alone, sources, effort, Effort::Level(1))?.len() as u64)
    };
    batch.new.iter().zip(batch.pairs()).map(weigh).collect()
}

/// Divides a number by weights; what rounding leaves goes to the heaviest.
fn share(size: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>().max(1);
    // A part is never more than the whole.
    let part = |weight: &u64| u64::try_from(u128::from(size) * u128::from(*weight) / sum).unwrap_or(size);
    let mut shares: Vec<u64> = weights.iter().map(part).collect();
    let rest = size - shares.iter().sum::<u64>();
    if let Some(heaviest) = (0..weights.len()).max_by_key(|at| weights[*at]) {
        shares[heaviest] += rest;
    }
    shares
}

/// The folder of a file, or of what a folder has.
fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"))
}

/// Puts small files together by folder, and small folders by layer.
fn gather(costs: Vec<Cost>, small: u64) -> Vec<Cost> {
    let mut costs = together(costs, small, folder);
    costs = together(costs, small, |_| String::new());
    costs.sort_by(|a, b| b.packed.cmp(&a.packed).then_with(|| (a.layer, &a.path).cmp(&(b.layer, &b.path))));
    let rest = costs.split_off(costs.len().min(MOST));
    costs.extend(together(rest, u64::MAX, |_| String::new()));
    costs
}

fn together(costs: Vec<Cost>, small: u64, name: impl Fn(&str) -> String) -> Vec<Cost> {
    let (mut large, few): (Vec<Cost>, Vec<Cost>) = costs.into_iter().partition(|cost| cost.packed >= small);
    let mut groups: BTreeMap<(u32, String, bool), Cost> = BTreeMap::new();
    for cost in few {
        let path = name(&cost.path);
        let empty = Cost {
            layer: cost.layer,
            path: path.clone(),
            files: 0,
            changed: cost.changed,
            raw: 0,
            packed: 0,
        };
        let group = groups.entry((cost.layer, path, cost.changed)).or_insert(empty);
        group.files += cost.files;
        group.raw += cost.raw;
        group.packed += cost.packed;
    }
    large.extend(groups.into_values());
    large
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(path: &str, packed: u64) -> Cost {
        Cost { layer: 1, path: path.into(), files: 1, changed: true, raw: 2 * packed, packed }
    }

    #[test]
    fn shares_add_up() {
        assert_eq!(share(100, &[1, 1, 1]), [33, 33, 34]);
        assert_eq!(share(7, &[0, 10]), [0, 7]);
        assert_eq!(share(u64::MAX, &[u64::MAX, 1]).iter().sum::<u64>(), u64::MAX);
        assert!(share(0, &[]).is_empty());
    }

    #[test]
    fn of_too_many_files_the_small_ones_are_told_by_folder_or_layer() {
        let files = |folders: usize| -> Files {
            let path = |at: usize| format!("{}/{at}", at % folders);
            let small = (0..REMEMBERED).map(|at| ((0, path(at), true), (1, 2, 1)));
            small.chain([((0, "big".into(), true), (1, 2, 100))]).collect()
        };
        for (folders, kept) in [(10, 11), (REMEMBERED, 2)] {
            let fewer = fewer(files(folders), 10);
            assert_eq!(fewer.len(), kept);
            assert_eq!(fewer[&(0, "big".into(), true)], (1, 2, 100));
            let (files, packed) = fewer.values().fold((0, 0), |all, of| (all.0 + of.0, all.1 + of.2));
            assert_eq!((files, packed), (REMEMBERED as u64 + 1, REMEMBERED as u64 + 100));
        }
    }

    #[test]
    fn small_files_are_told_by_their_folder() {
        let costs = vec![cost("a/big", 900), cost("a/x", 5), cost("a/y", 6), cost("b/z", 1), cost("top", 2)];
        let shown: Vec<(String, u64, u64)> =
            gather(costs, 10).into_iter().map(|cost| (cost.path, cost.files, cost.packed)).collect();
        assert_eq!(shown, [("a/big".into(), 1, 900), ("a/".into(), 2, 11), (String::new(), 2, 3)]);
    }
}
