//! Header deltas: layers told by other layers.

use dsync_delta::header_delta::Mode;

use super::layer::{Layer, tell};
use crate::pieces::{joined, parts};
use crate::tars::{pairs, sealed};
use crate::{Memory, Target};

/// Layers told to somebody who has others come out as they were. The first byte says how many of the parts are the basis.
pub(in crate::targets) const HEADERS: Target =
    Target { name: "headers", run, memory: Memory { least: 8 << 20, factor: 128 }, seeds };

fn run(input: &[u8]) {
    let Some((how, rest)) = input.split_first() else { return };
    let mut layers: Vec<Layer> = parts(rest, 6).into_iter().map(|part| Layer::new(sealed(part))).collect();
    let new = layers.split_off((usize::from(*how) % 4).min(layers.len()));
    for mode in [Mode::Literals, Mode::References, Mode::WithIds] {
        tell(&layers, &new, mode);
    }
    // Who has a layer is told little of it.
    let told = tell(&new, &new, Mode::References);
    assert!(new.is_empty() || told.len() < new.iter().map(|layer| layer.bytes.len() + 4096).sum());
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        pairs(11 << 10).iter().take(14).map(|(old, new)| [&[1][..], &joined(&[old, new])].concat()).collect();
    let layers: Vec<Vec<u8>> = pairs(5 << 10).into_iter().map(|(_, new)| new).take(5).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    seeds.push([&[2][..], &joined(&layers)].concat());
    seeds
}
