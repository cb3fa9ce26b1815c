//! The encoder that made each compressed layer.

use std::io;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dsync_engine::{PackedLayer, Store, StoreError};
use dsync_proto::{Stored, limits};
use dsync_recompress::{Identification, Reason, Recipe, identify, identify_near};

use crate::cache::Cache;
use crate::failure::EndpointError;

/// A blob of fewer bytes crosses as it is: there is nothing to gain.
const SMALLEST: u64 = 256;
/// The cache entry of a blob that no encoder makes; it is no recipe. Raise the second byte with every new encoder, or hosts
/// go on believing it.
const NO_RECIPE: [u8; 2] = [0, 2];

/// A layer of which the target must hear how it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) layer: PackedLayer,
    /// It is to cross as it is stored: no encoder is looked for.
    pub(crate) as_is: bool,
}

/// Finds out how layers are stored, and remembers the encoder of each.
pub(crate) fn find(
    store: &dyn Store,
    layers: &[Asked],
    cache: Option<&Cache>,
) -> Result<Vec<Stored>, EndpointError> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<Option<Result<Stored, StoreError>>>> =
        Mutex::new(layers.iter().map(|_| None).collect());
    let worker = || {
        while let Some((at, layer)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, layers.get(at)?)))
        {
            let stored = find_one(store, layer, cache);
            if let Ok(mut found) = found.lock() {
                found[at] = Some(stored);
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(layers.len());
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
    let found =
        found.into_inner().map_err(|_| EndpointError::Broken("an encoder was not found out".into()))?;
    let ended = || EndpointError::Broken("a search for an encoder ended early".into());
    // A layer whose recipe has no room crosses as it is.
    let mut room = limits::RECIPES;
    let within = |stored: Stored| match &stored {
        Stored::Compressed(recipe) if recipe.len() > room => Stored::Opaque,
        Stored::Compressed(recipe) => {
            room -= recipe.len();
            stored
        }
        _ => stored,
    };
    let found = found.into_iter().map(|stored| Ok(stored.ok_or_else(ended)??));
    let found: Result<Vec<Stored>, EndpointError> = found.collect();
    Ok(found?.into_iter().map(within).collect())
}

fn find_one(
    store: &dyn Store,
    Asked { layer, as_is }: &Asked,
    cache: Option<&Cache>,
) -> Result<Stored, StoreError> {
    if layer.is_plain() {
        return Ok(Stored::Plain);
    }
    if *as_is || layer.diff_id.is_none() || layer.blob.size < SMALLEST {
        return Ok(Stored::Opaque);
    }
    let digest = &layer.blob.digest;
    let stored = |recipe: Vec<u8>| match recipe == NO_RECIPE {
        true => Stored::Opaque,
        false => Stored::Compressed(recipe),
    };
    // One that another version kept may be in another format.
    let known = |recipe: &Vec<u8>| *recipe == NO_RECIPE || Recipe::from_bytes(recipe).is_ok();
    if let Some(recipe) = cache.and_then(|cache| cache.recipe(digest)).filter(known) {
        return Ok(stored(recipe));
    }
    let unread = |source| StoreError::Io { what: format!("the blob {digest} cannot be read"), source };
    let outcome = match identify(store.blob(&layer.blob)?, io::sink()).map_err(unread)? {
        Identification::Unknown(Reason::NoEncoder(_)) => {
            identify_near(|| store.blob(&layer.blob).map_err(io::Error::other)).map_err(unread)?
        }
        outcome => outcome,
    };
    let recipe = match outcome {
        Identification::Identified(identified) => identified.recipe.to_bytes(),
        Identification::Unknown(_) => NO_RECIPE.to_vec(),
    };
    if let Some(cache) = cache {
        cache.put_recipe(digest, &recipe);
    }
    Ok(stored(recipe))
}
