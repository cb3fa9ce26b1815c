//! What a target has already: the layers of its basis, and those it needs from elsewhere in its store.
//!
//! Layers that the new image replaces are kept in the spool, since most of their contents will be used.
//! Layers that both images share are only scanned: hardly anything of them is used, and what is, is read
//! once more from the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_core::{DiffId, Image};
use dsync_delta::{Content, Index};
use dsync_engine::{LayerSink, Store};

use crate::failure::EndpointError;
use crate::spool::{Place, Spool, Spooled, blocks, copy_at};

/// Layers and contents of a target.
pub(crate) struct Own {
    spool: Spool,
    index: Index<Place>,
    /// Contents that were read once more, and where in the file each lies.
    fetched: HashMap<(u64, u64), u64>,
    file: File,
}

impl Own {
    /// Reads the basis, and the layers that are needed from elsewhere in the store.
    pub(crate) fn read(
        store: &dyn Store,
        folder: &Path,
        held: &[Image],
        basis: &[&Image],
        image: &Image,
        local: &[DiffId],
    ) -> Result<Own, EndpointError> {
        let temporary = || EndpointError::io("cannot make a temporary file");
        let mut spool = Spool::new(folder).map_err(temporary())?;
        let shared: HashSet<DiffId> =
            image.diff_ids.iter().copied().filter(|diff_id| !local.contains(diff_id)).collect();
        for basis in basis {
            let wanted = spool.want_passing(basis.diff_ids.iter().copied(), &shared).clone();
            store.export(&basis.id, &wanted, &mut spool)?;
        }
        for diff_id in local {
            if spool.get(diff_id).is_none() {
                let image = holder(held, diff_id)?;
                let wanted = local.iter().copied().filter(|id| image.diff_ids.contains(id));
                let wanted = spool.want(wanted).clone();
                store.export(&image.id, &wanted, &mut spool)?;
            }
        }
        let index = spool.index();
        let file = tempfile::tempfile_in(folder).map_err(temporary())?;
        Ok(Own { spool, index, fetched: HashMap::new(), file })
    }

    /// What the store remarked.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        self.spool.take_notes()
    }

    /// Whether the content is here.
    pub(crate) fn has(&self, content: Content) -> bool {
        self.index.lookup_short(content.short, content.len).is_some()
    }

    /// Reads once more those of these contents that lie in layers which were only scanned.
    pub(crate) fn fetch(
        &mut self,
        store: &dyn Store,
        basis: &[&Image],
        contents: impl Iterator<Item = Content>,
    ) -> Result<(), EndpointError> {
        let mut places: BTreeMap<usize, Vec<(u64, Content)>> = BTreeMap::new();
        for content in contents {
            if let Some(Place::Layer(layer, at)) = self.index.lookup_short(content.short, content.len) {
                places.entry(layer).or_default().push((at, content));
            }
        }
        let scanned = self.spool.scanned();
        let mut picks: HashMap<DiffId, Vec<(u64, Content)>> = HashMap::new();
        for (layer, mut picked) in places {
            picked.sort_unstable_by_key(|(at, _)| *at);
            picks.insert(scanned[layer], picked);
        }
        let mut pick = Pick { file: &self.file, next: 0, picks, fetched: &mut self.fetched };
        while let Some(diff_id) = pick.picks.keys().next().copied() {
            // The image through which the layer was scanned: there it has its name in the archive.
            let image = holder(basis.iter().copied(), &diff_id)?;
            let wanted: HashSet<DiffId> =
                pick.picks.keys().copied().filter(|id| image.diff_ids.contains(id)).collect();
            store.export(&image.id, &wanted, &mut pick)?;
            if pick.picks.contains_key(&diff_id) {
                return Err(EndpointError::Broken(format!("layer {diff_id} was not given again")));
            }
        }
        Ok(())
    }

    /// Copies a content.
    pub(crate) fn copy(&self, short: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        match (self.index.lookup_short(short, len), self.fetched.get(&(short, len))) {
            (_, Some(&at)) => copy_at(&self.file, at, len, out),
            (Some(Place::Spool(at)), None) => self.spool.copy(at, len, out),
            _ => Err(io::Error::other("a content is neither here nor on its way")),
        }
    }

    /// A whole layer that is here.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Option<&Spooled> {
        self.spool.get(diff_id)
    }

    /// Copies a whole layer.
    pub(crate) fn copy_layer(&self, layer: &Spooled, out: &mut dyn Write) -> io::Result<()> {
        self.spool.copy(layer.at, layer.layout.len, out)
    }
}

fn holder<'a>(
    images: impl IntoIterator<Item = &'a Image>,
    diff_id: &DiffId,
) -> Result<&'a Image, EndpointError> {
    let image = images.into_iter().find(|image| image.diff_ids.contains(diff_id));
    image.ok_or_else(|| EndpointError::Broken(format!("layer {diff_id} is gone")))
}

/// Copies pieces of layers that come by into a file.
struct Pick<'a> {
    file: &'a File,
    next: u64,
    /// Of each layer the pieces, by where they begin.
    picks: HashMap<DiffId, Vec<(u64, Content)>>,
    fetched: &'a mut HashMap<(u64, u64), u64>,
}

impl LayerSink for Pick<'_> {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        let Some(diff_id) = diff_id.filter(|id| self.picks.contains_key(id)) else {
            return io::copy(tar, &mut io::sink()).map(drop);
        };
        let pieces = self.picks[&diff_id].clone();
        self.take(&pieces, tar)?;
        self.picks.remove(&diff_id);
        Ok(())
    }
}

impl Pick<'_> {
    fn take(&mut self, pieces: &[(u64, Content)], tar: &mut dyn Read) -> io::Result<()> {
        let mut at: u64 = 0;
        let mut left = pieces;
        let mut taken: u64 = 0;
        blocks(tar, &mut |block| {
            let end = at + block.len() as u64;
            while let Some((start, content)) = left.first() {
                let begin = start + taken;
                if begin >= end {
                    break;
                }
                let from = usize::try_from(begin - at).map_err(io::Error::other)?;
                let rest = usize::try_from(content.len - taken).unwrap_or(usize::MAX);
                let piece = &block[from..block.len().min(from.saturating_add(rest))];
                self.file.write_all_at(piece, self.next + taken)?;
                taken += piece.len() as u64;
                if taken < content.len {
                    break;
                }
                self.fetched.insert((content.short, content.len), self.next);
                self.next += content.len;
                (left, taken) = (&left[1..], 0);
            }
            at = end;
            Ok(())
        })?;
        if left.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
