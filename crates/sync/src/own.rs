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
use dsync_engine::{LayerSink, Store, StoreError};

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
            match store.export(&basis.id, &wanted, &mut spool) {
                Err(error) if is_the_images_own(&error) => {
                    // Half of it may be there, but nothing could be read once more.
                    spool.forget_scanned(&wanted);
                    spool.note(&format!("{} is no basis: {error}", basis.id));
                }
                result => result.map(drop)?,
            }
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

/// Whether it is this image that cannot be had, gone or damaged. A basis only spares bytes, so that is no
/// reason to fail.
fn is_the_images_own(error: &StoreError) -> bool {
    match error {
        StoreError::NoSuchImage { .. } | StoreError::Broken { .. } | StoreError::Failed { .. } => true,
        StoreError::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_core::{ImageId, ImageRef};
    use dsync_delta::{ContentId, Scanner};
    use dsync_engine::{Description, Export, Import, StoreKind};
    use std::sync::Mutex;

    /// A store that only gives layers, and notes which it was asked for.
    struct Layers {
        tars: Vec<Vec<u8>>,
        damaged: Option<ImageId>,
        asked: Mutex<Vec<usize>>,
    }

    impl Store for Layers {
        fn describe(&self) -> Description {
            Description { kind: StoreKind::DockerClassic, name: "layers".into() }
        }

        fn list(&self) -> Result<Vec<Image>, StoreError> {
            Ok(Vec::new())
        }

        fn holds(&self, _: &[Image], _: &Image) -> Vec<bool> {
            Vec::new()
        }

        fn export(
            &self,
            id: &ImageId,
            wanted: &HashSet<DiffId>,
            sink: &mut dyn LayerSink,
        ) -> Result<Export, StoreError> {
            for (number, tar) in self.tars.iter().enumerate() {
                if wanted.contains(&DiffId::of(tar)) {
                    self.asked.lock().unwrap().push(number);
                    sink.layer(Some(DiffId::of(tar)), &mut &tar[..])
                        .map_err(|source| StoreError::Io { what: "sink".into(), source })?;
                }
            }
            if self.damaged == Some(*id) {
                return Err(StoreError::Broken { what: id.to_string(), reason: "damaged".into() });
            }
            Ok(Export { config: Vec::new() })
        }

        fn layer_sizes(&self, _: &Image) -> Result<Option<Vec<u64>>, StoreError> {
            Ok(None)
        }

        fn import(&self) -> Result<Box<dyn Import + '_>, StoreError> {
            Err(StoreError::NotFound { program: "none".into() })
        }

        fn tag(&self, _: &ImageId, _: &[ImageRef]) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// Some pseudo-random bytes, longer than a block for the larger seeds.
    fn bytes(seed: u32) -> Vec<u8> {
        let mut state = seed | 1;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(seed as usize * 70_001).collect()
    }

    fn tar(seeds: &[u32]) -> Vec<u8> {
        let mut tar = Vec::new();
        for seed in seeds {
            let content = bytes(*seed);
            let mut header = [0; 512];
            header[..5].copy_from_slice(format!("f{seed:04}").as_bytes());
            header[100..108].copy_from_slice(b"0000644\0");
            header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
            header[148..156].fill(b' ');
            header[156] = b'0';
            header[257..265].copy_from_slice(b"ustar\x0000");
            let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            tar.extend(header);
            tar.extend(&content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    fn content(seed: u32) -> Content {
        let bytes = bytes(seed);
        Content { short: ContentId::of(&bytes).short(), len: bytes.len() as u64, uses: 1 }
    }

    fn image(tars: &[&Vec<u8>]) -> Image {
        Image {
            id: ImageId::of(&tars.iter().flat_map(|tar| tar.iter().copied()).collect::<Vec<u8>>()),
            names: Vec::new(),
            diff_ids: tars.iter().map(|tar| DiffId::of(tar)).collect(),
            platform: "linux/amd64".parse().unwrap(),
            size: 0,
            created: String::new(),
        }
    }

    fn copied(own: &Own, seed: u32) -> io::Result<bool> {
        let mut out = Vec::new();
        let Content { short, len, .. } = content(seed);
        own.copy(short, len, &mut out).map(|()| out == bytes(seed))
    }

    #[test]
    fn shared_layers_are_read_again_only_for_what_is_used() {
        let (base, old, new) = (tar(&[1, 17, 40, 3]), tar(&[4, 5]), tar(&[6]));
        let store = Layers { tars: vec![base.clone(), old.clone()], damaged: None, asked: Mutex::default() };
        let held = [image(&[&base, &old])];
        let wanted = image(&[&base, &new]);
        let folder = tempfile::tempdir().unwrap();
        let basis = [&held[0]];
        let mut own = Own::read(&store, folder.path(), &held, &basis, &wanted, &[]).unwrap();
        assert!([1, 17, 40, 3, 4, 5].into_iter().all(|seed| own.has(content(seed))));
        assert!(!own.has(content(6)));
        // What was replaced is at hand; what is shared is not, until it is asked for.
        assert!(copied(&own, 5).unwrap());
        assert!(copied(&own, 40).is_err());
        own.fetch(&store, &basis, [4, 40, 3].into_iter().map(content)).unwrap();
        assert_eq!(*store.asked.lock().unwrap(), [0, 1, 0]);
        assert!(copied(&own, 40).unwrap() && copied(&own, 3).unwrap() && copied(&own, 4).unwrap());
        assert!(copied(&own, 17).is_err());
        // Nothing more is asked for when all that is used is at hand.
        own.fetch(&store, &basis, [4, 5].into_iter().map(content)).unwrap();
        assert_eq!(store.asked.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_layer_from_elsewhere_is_kept_whole_even_if_the_basis_has_it() {
        let (base, moved) = (tar(&[1]), tar(&[2, 3]));
        let store =
            Layers { tars: vec![base.clone(), moved.clone()], damaged: None, asked: Mutex::default() };
        let held = [image(&[&base, &moved])];
        let wanted = image(&[&moved, &base]);
        let folder = tempfile::tempdir().unwrap();
        let local = wanted.diff_ids.clone();
        let own = Own::read(&store, folder.path(), &held, &[&held[0]], &wanted, &local).unwrap();
        for (diff_id, tar) in wanted.diff_ids.iter().zip([&moved, &base]) {
            let mut out = Vec::new();
            own.copy_layer(own.layer(diff_id).unwrap(), &mut out).unwrap();
            assert_eq!(&out, tar);
        }
    }

    #[test]
    fn a_damaged_basis_is_done_without() {
        let (base, old, new) = (tar(&[1, 17]), tar(&[4, 5]), tar(&[6]));
        let held = [image(&[&base, &old]), image(&[&old])];
        let (damaged, sound) = (&held[0], &held[1]);
        let wanted = image(&[&base, &new]);
        let tars = vec![base, old];
        let store = Layers { tars, damaged: Some(damaged.id), asked: Mutex::default() };
        let folder = tempfile::tempdir().unwrap();
        let mut own = Own::read(&store, folder.path(), &held, &[damaged, sound], &wanted, &[]).unwrap();
        assert!(own.has(content(4)) && !own.has(content(17)));
        let notes = own.take_notes();
        assert!(matches!(&notes[..], [note] if note.contains("is no basis")), "{notes:?}");
        // What has to come from such an image does not come.
        let local = [wanted.diff_ids[0]];
        assert!(Own::read(&store, folder.path(), &held, &[], &wanted, &local).is_err());
    }

    #[test]
    fn the_tars_of_these_tests_are_tars() {
        let mut scanner = Scanner::new();
        scanner.push(&tar(&[1, 2]));
        assert_eq!(scanner.finish().contents().count(), 2);
    }
}
