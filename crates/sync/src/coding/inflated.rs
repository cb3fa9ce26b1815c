//! Batches with files that are inflated: method 2 of `docs/batch.md`.
//!
//! A new file with deflate streams in it (a wheel, a jar, a compressed changelog) is coded with plain bytes in place of
//! the streams, against its old version with plain bytes, too. Such files are a batch of their own within the batch, so that
//! coding takes no more memory; the other items follow as ever.

use std::collections::HashSet;
use std::io;

use dsync_delta::batch::{self, BatchError, Effort, Items};
use dsync_proto::{
    InflatedItem, InflatedItems, InflatedStream, decode as from_wire, encode as to_wire, limits,
};
use dsync_recompress::{CompressionMethod, Inflated, Stream, inflated};

use super::batch::{Coded, Uncoded};
use super::branch::{self, BatchCode};
use super::{batch as wire, section};

/// The method, as the first byte of a batch.
const INFLATED: u8 = batch::BatchMethod::Inflated as u8;

/// The most bytes that a stream and an item take in the section.
const STREAM: u64 = 16;
const ITEM: u64 = 20;

/// An item as it crosses, of its inflated file.
fn inflated_item(item: usize, file: &Inflated) -> io::Result<InflatedItem> {
    let stream = |stream: &Stream| InflatedStream {
        gap: stream.gap,
        plain: stream.plain,
        method: stream.method.to_bytes(),
    };
    Ok(InflatedItem {
        item: u32::try_from(item).map_err(io::Error::other)?,
        len: file.bytes.len() as u64,
        streams: file.streams.iter().map(stream).collect(),
    })
}

/// The file as it was, from its inflated bytes.
fn deflated(item: &InflatedItem, bytes: &[u8]) -> Option<Vec<u8>> {
    let stream = |stream: &InflatedStream| {
        let method = CompressionMethod::from_bytes(stream.method)?;
        Some(Stream { gap: stream.gap, plain: stream.plain, method })
    };
    let streams = item.streams.iter().map(stream).collect::<Option<_>>()?;
    Inflated { bytes: bytes.to_vec(), streams }.close()
}

/// Codes a batch, with its files inflated that have streams. Looking for those takes time: [`branch::encode`] does without.
pub(crate) fn encode(batch: Uncoded<'_>, mut code: BatchCode, effort: Effort) -> io::Result<Vec<u8>> {
    let Uncoded { mut bytes, begin, old_lens, new_lens: lens, pairs } = batch;
    let (mut inflated_items, mut plain, mut says) = (Vec::new(), Owned::default(), 0);
    let (old, new) = bytes.split_at(begin);
    let mut versions = OldVersions::of(Items { bytes: old, lens: old_lens });
    let items = Items { bytes: new, lens };
    for (item, (file, pair)) in split(items).zip(pairs).enumerate() {
        let room = limits::INFLATED.saturating_sub(plain.bytes.len() + versions.owned.bytes.len());
        let Some(file) = Inflated::of(file, room) else { continue };
        says += ITEM + file.streams.len() as u64 * STREAM;
        if says > limits::STREAMS {
            break;
        }
        if versions.add(*pair, room - file.bytes.len()) {
            inflated_items.push(inflated_item(item, &file)?);
            plain.push(&file.bytes);
        }
    }
    if inflated_items.is_empty() {
        let batch = Uncoded { bytes, begin, old_lens, new_lens: lens, pairs };
        return branch::encode(batch, &code, effort);
    }
    let mut packed = vec![INFLATED];
    let InflatedItems(inflated_items) = {
        let all = InflatedItems(inflated_items);
        section::write(&to_wire(&all).map_err(io::Error::other)?, effort, &mut packed)?;
        all
    };
    let coded = batch::encode(versions.owned.items(), plain.items(), effort)?;
    wire::write(&coded, &mut packed)?;
    // Coding the others takes the most memory: nothing else is kept meanwhile.
    drop((coded, plain, versions));
    let is_other =
        |item: &usize| inflated_items.binary_search_by_key(item, |inflated| inflated.item as usize).is_err();
    let others: Vec<usize> = (0..lens.len()).filter(is_other).collect();
    keep(&mut bytes, begin, lens, &others);
    let (lens, pairs) = of(&others, lens, pairs);
    code.new.retain_mut(|range| match others.binary_search(&range.item) {
        Ok(number) => {
            range.item = number;
            true
        }
        Err(_) => false,
    });
    let batch = Uncoded { bytes, begin, old_lens, new_lens: &lens, pairs: &pairs };
    packed.append(&mut branch::encode(batch, &code, effort)?);
    Ok(packed)
}

/// Decodes a batch into all new items, one after the other.
pub(crate) fn decode(batch: Coded<'_>, packed: &[u8]) -> io::Result<Vec<u8>> {
    let Some(mut packed) = packed.strip_prefix(&[INFLATED]) else {
        return branch::decode(batch, packed);
    };
    let Coded { old, old_lens, new_lens, pairs } = batch;
    let head = InflatedHead::read(&mut packed, Items { bytes: &old, lens: old_lens }, new_lens, pairs)?;
    let coded = wire::read(&mut packed, limits::INFLATED as u64)?;
    let inflated = head.versions.decode(&head.lens, &coded)?;
    let InflatedHead { items, lens: inflated_lens, places, versions } = head;
    drop(versions);
    let others: Vec<usize> = (0..new_lens.len()).filter(|item| places[*item].is_none()).collect();
    let (lens, pairs) = of(&others, new_lens, pairs);
    let rest = branch::decode(Coded { old, old_lens, new_lens: &lens, pairs: &pairs }, packed)?;

    let inflated: Vec<&[u8]> = split(Items { bytes: &inflated, lens: &inflated_lens }).collect();
    let mut rest = split(Items { bytes: &rest, lens: &lens });
    let mut all = Vec::new();
    for (place, len) in places.iter().zip(new_lens) {
        let before = all.len();
        match place {
            Some(number) => {
                all.append(&mut deflated(&items[*number], inflated[*number]).ok_or_else(malformed)?)
            }
            None => all.extend_from_slice(rest.next().unwrap_or_default()),
        }
        if (all.len() - before) as u64 != *len {
            return Err(malformed());
        }
    }
    Ok(all)
}

/// Decodes of each item the bytes that the first part of a batch gives: the first ones, of an inflated item all or none.
pub(crate) fn decode_prefix(batch: Coded<'_>, packed: &[u8]) -> Vec<Vec<u8>> {
    let mut given = vec![Vec::new(); batch.new_lens.len()];
    let Some(mut packed) = packed.strip_prefix(&[INFLATED]) else {
        let lens = batch.new_lens;
        give(&mut given, 0..lens.len(), lens, &branch::decode_prefix(batch, packed));
        return given;
    };
    let Coded { old, old_lens, new_lens, pairs } = batch;
    let Ok(head) = InflatedHead::read(&mut packed, Items { bytes: &old, lens: old_lens }, new_lens, pairs)
    else {
        return given;
    };
    let Ok(coded) = wire::read_len(&mut packed, limits::INFLATED as u64) else { return given };
    let coded = usize::try_from(coded).unwrap_or(usize::MAX).min(packed.len());
    let (coded, packed) = packed.split_at(coded);
    let inflated = batch::decode_prefix(head.versions.owned.items(), &head.lens, coded);
    let mut all = vec![Vec::new(); head.lens.len()];
    give(&mut all, 0..head.lens.len(), &head.lens, &inflated);
    for (item, bytes) in head.items.iter().zip(&all) {
        if bytes.len() as u64 == item.len {
            given[item.item as usize] = deflated(item, bytes).unwrap_or_default();
        }
    }
    let others: Vec<usize> = (0..new_lens.len()).filter(|item| head.places[*item].is_none()).collect();
    drop((inflated, all, head));
    let (lens, pairs) = of(&others, new_lens, pairs);
    let rest = branch::decode_prefix(Coded { old, old_lens, new_lens: &lens, pairs: &pairs }, packed);
    give(&mut given, others.iter().copied(), &lens, &rest);
    given
}

/// Gives these items the bytes that there are, in order.
fn give(given: &mut [Vec<u8>], items: impl Iterator<Item = usize>, lens: &[u64], bytes: &[u8]) {
    for (item, bytes) in items.zip(split(Items { bytes, lens })) {
        given[item] = bytes.to_vec();
    }
}

/// The head of a batch: which of its items are inflated, and their old versions.
struct InflatedHead<'a> {
    items: Vec<InflatedItem>,
    /// Their lengths.
    lens: Vec<u64>,
    /// Of each item of the batch its number among these.
    places: Vec<Option<usize>>,
    versions: OldVersions<'a>,
}

impl<'a> InflatedHead<'a> {
    /// Reads which they are, and inflates their old versions.
    fn read(
        packed: &mut &[u8],
        old: Items<'a>,
        new_lens: &[u64],
        pairs: &[Option<usize>],
    ) -> io::Result<InflatedHead<'a>> {
        let said = section::read(packed, limits::STREAMS).map_err(io::Error::other)?;
        let InflatedItems(items) = from_wire(&said).map_err(io::Error::other)?;
        drop(said);
        let mut versions = OldVersions::of(old);
        let mut lens = Vec::with_capacity(items.len());
        let mut places = vec![None; new_lens.len()];
        let mut room = limits::INFLATED;
        for (number, inflated) in items.iter().enumerate() {
            let item = inflated.item as usize;
            let place = places.get_mut(item).filter(|place| place.is_none()).ok_or_else(malformed)?;
            *place = Some(number);
            let len = usize::try_from(inflated.len).ok();
            room = len.and_then(|len| room.checked_sub(len)).ok_or_else(malformed)?;
            let before = versions.owned.bytes.len();
            if !versions.add(pairs[item], room) {
                return Err(malformed());
            }
            room -= versions.owned.bytes.len() - before;
            lens.push(inflated.len);
        }
        Ok(InflatedHead { items, lens, places, versions })
    }
}

fn malformed() -> io::Error {
    io::Error::other(BatchError::Malformed("files that were inflated do not fit"))
}

/// The items by themselves.
fn split<'a>(items: Items<'a>) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = items.bytes;
    items.lens.iter().map(move |len| {
        let (item, left) = rest.split_at(usize::try_from(*len).unwrap_or(usize::MAX).min(rest.len()));
        rest = left;
        item
    })
}

/// Lengths and pairs of some items.
fn of(items: &[usize], lens: &[u64], pairs: &[Option<usize>]) -> (Vec<u64>, Vec<Option<usize>>) {
    items.iter().map(|item| (lens[*item], pairs[*item])).unzip()
}

/// Of the items that begin there, drops the bytes of all but some, which are in their order.
fn keep(bytes: &mut Vec<u8>, begin: usize, lens: &[u64], items: &[usize]) {
    let (mut from, mut to, mut items) = (begin, begin, items.iter().peekable());
    for (item, len) in lens.iter().enumerate() {
        let end = bytes.len().min(from + usize::try_from(*len).unwrap_or(usize::MAX - from));
        if items.next_if_eq(&&item).is_some() {
            bytes.copy_within(from..end, to);
            to += end - from;
        }
        from = end;
    }
    bytes.truncate(to);
}

/// Items with bytes of their own.
#[derive(Debug, Default)]
struct Owned {
    bytes: Vec<u8>,
    lens: Vec<u64>,
}

impl Owned {
    fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.lens.push(item.len() as u64);
    }

    fn items(&self) -> Items<'_> {
        Items { bytes: &self.bytes, lens: &self.lens }
    }
}

/// The old versions of items that are inflated, with plain bytes where they have streams.
struct OldVersions<'a> {
    all: Vec<&'a [u8]>,
    owned: Owned,
    /// The versions that were added, by their index in `all`.
    added: HashSet<usize>,
}

impl<'a> OldVersions<'a> {
    fn of(old: Items<'a>) -> Self {
        OldVersions { all: split(old).collect(), owned: Owned::default(), added: HashSet::new() }
    }

    /// Decodes the items.
    fn decode(&self, lens: &[u64], coded: &[u8]) -> io::Result<Vec<u8>> {
        batch::decode(self.owned.items(), lens, coded).map_err(io::Error::other)
    }

    /// Adds the old version of the next item, unless it has more than `room` bytes; says whether it did.
    fn add(&mut self, pair: Option<usize>, room: usize) -> bool {
        if let Some(pair) = pair.filter(|pair| !self.added.contains(pair)) {
            let deflated = self.all[pair];
            let plain = inflated(deflated, limits::INFLATED);
            let bytes = plain.as_deref().unwrap_or(deflated);
            if bytes.len() > room {
                return false;
            }
            self.owned.push(bytes);
            self.added.insert(pair);
        }
        true
    }
}

#[cfg(test)]
mod tests;
