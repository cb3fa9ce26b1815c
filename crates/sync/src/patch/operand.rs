//! Images as `diff` takes them: of the engine, or of files.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};
use dsync_engine::{
    BlobRef, Description, Export, Holdings, Import, ImportIdentity, LayerSink, Nested, Package, Store,
    StoreError,
};

use crate::endpoint::open_here;
use crate::failure::EndpointError;
use crate::inventory::nested::{Pinned, with_nested};
use crate::inventory::select::{self, Selector};
use crate::transport::destination::is_file;

/// An image that is meant: `NAME`, `oci:DIR[:NAME]`, `docker-archive:FILE[:NAME]`, `oci-archive:FILE[:NAME]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand<'a> {
    /// As `--docker` takes it; empty for the store that all others are of.
    store: &'a str,
    /// Empty for the only image of the store.
    name: &'a str,
}

impl<'a> Operand<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let Some(at) = is_file(text).then(|| text.find(':')).flatten() else {
            return Operand { store: "", name: text };
        };
        // A path may have colons in it, a name has one: what is there decides.
        let ends = std::iter::once(text.len()).chain(text.match_indices(':').map(|(end, _)| end));
        let end = ends.filter(|end| *end > at).find(|end| Path::new(&text[at + 1..*end]).exists());
        let end = end.unwrap_or(text.len());
        Operand { store: &text[..end], name: text[end..].trim_start_matches(':') }
    }

    /// True if it is of the store that all others are of.
    pub(super) fn is_of_engine(self) -> bool {
        self.store.is_empty()
    }

    /// The store that it is of.
    pub(super) fn store(self, stores: &Stores) -> &dyn Store {
        stores.of(self.store)
    }

    /// The one image that is meant, and the names of it that are.
    pub(super) fn find(self, stores: &Stores) -> Result<(Image, Vec<ImageRef>), EndpointError> {
        let store = stores.of(self.store);
        store.must_exist()?;
        let Inventory { images: held, unreadable } = store.list()?;
        let place = if self.store.is_empty() { "this host" } else { self.store };
        if self.name.is_empty() {
            return match &held[..] {
                [only] => Ok((only.clone(), only.names.clone())),
                [] => Err(EndpointError::NoImage(format!("{place} has no image"))),
                _ => Err(EndpointError::Usage(format!(
                    "{place} has {} images: say which, as {place}:NAME",
                    held.len()
                ))),
            };
        }
        let selector = Selector::parse(self.name).map_err(EndpointError::Usage)?;
        let inventory = Inventory { images: held, unreadable };
        let pinned = Pinned::find(store, &selector, &inventory, None)?;
        let Inventory { images: held, unreadable } = inventory;
        let mut found = held.iter().filter(|image| selector.selects(image));
        let missing = || match unreadable.iter().find(|image| selector.selects_unreadable(image)) {
            Some(image) => EndpointError::Broken(format!("{} cannot be read: {}", self.name, image.reason)),
            None => EndpointError::NoImage(format!("{place} has no image {}", self.name)),
        };
        let is_around = |image: &Image| pinned.as_ref().is_some_and(|pinned| pinned.is_within(image));
        let contradicts = |image: &&Image| selector.is_contradicted_by(image) && !is_around(image);
        if let Some(other) = held.iter().find(contradicts) {
            let reason = format!("{place} has another image under the name in {}: {}", self.name, other.id);
            return Err(EndpointError::NoImage(reason));
        }
        let nested = pinned.as_ref().map(|pinned| &pinned.image);
        let image = found.next().or(nested).ok_or_else(missing)?;
        if found.next().is_some() {
            return Err(EndpointError::Usage(format!("more than one image is meant by {}", self.name)));
        }
        let names = select::names(std::slice::from_ref(&selector), image);
        Ok((image.clone(), names.into_iter().flatten().collect()))
    }
}

/// The stores of some operands, as one that is read.
pub(super) struct Stores(Vec<(String, Box<dyn Store>)>);

impl Stores {
    /// Opens each once; `engine` is the store of images that do not say.
    pub(super) fn open(
        operands: &[Operand<'_>],
        engine: &str,
        folder: &Path,
    ) -> Result<Stores, EndpointError> {
        let mut stores: Vec<(String, Box<dyn Store>)> = Vec::new();
        for operand in operands {
            if !stores.iter().any(|(store, _)| store == operand.store) {
                let store = if operand.store.is_empty() { engine } else { operand.store };
                stores.push((operand.store.to_owned(), open_here(store, folder)?));
            }
        }
        Ok(Stores(stores))
    }

    /// The store that names an image by its manifest.
    fn holder(&self, id: &ImageId) -> Result<Option<&dyn Store>, StoreError> {
        for (_, store) in self.0.iter().filter(|(_, store)| store.has_packages()) {
            if with_nested(&**store, [id])?.iter().any(|image| image.id == *id) {
                return Ok(Some(&**store));
            }
        }
        Ok(None)
    }

    fn of(&self, spec: &str) -> &dyn Store {
        let (_, store) = self.0.iter().find(|(store, _)| store == spec).unwrap_or(&self.0[0]);
        &**store
    }
}

impl Store for Stores {
    fn describe(&self) -> Description {
        self.0[0].1.describe()
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let mut all = Inventory::default();
        for (_, store) in &self.0 {
            let Inventory { images, unreadable } = store.list()?;
            all.images.extend(images);
            all.unreadable.extend(unreadable);
        }
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        let mut configs = vec![None; ids.len()];
        for (_, store) in &self.0 {
            for (known, found) in configs.iter_mut().zip(store.configs(ids)?) {
                *known = known.or(found);
            }
        }
        Ok(configs)
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        for (_, store) in &self.0 {
            if let Some(nested) = store.nested(digest)? {
                return Ok(Some(nested));
            }
        }
        Ok(None)
    }

    fn holdings(&self, _: &[Image]) -> Holdings {
        Holdings::Nothing
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        for (_, store) in &self.0 {
            // By a package also layers of other platforms are read, and blobs.
            let has = |image: &Image| wanted.iter().all(|key| image.has_tar(key));
            let held = with_nested(&**store, [id])?;
            if held.iter().any(|image| image.id == *id && (store.has_packages() || has(image))) {
                return store.export(id, wanted, sink);
            }
        }
        Err(StoreError::NoSuchImage { image: id.to_string() })
    }

    fn has_packages(&self) -> bool {
        self.0.iter().any(|(_, store)| store.has_packages())
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        match self.holder(id)? {
            Some(store) => store.package(id, platform),
            None => Ok(None),
        }
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        let mut stores =
            self.0.iter().filter(|(_, store)| store.has_packages()).map(|(_, store)| store.blob(blob));
        let absent = |reason| StoreError::Broken { what: format!("the blob {}", blob.digest), reason };
        let first = stores.next().unwrap_or_else(|| Err(absent("no store has blobs".into())));
        first.or_else(|error| stores.find_map(Result::ok).ok_or(error))
    }

    fn layer_sizes(&self, _: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        Ok(None)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        self.0[0].1.import(identity)
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.0[0].1.tag(id, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_where_something_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a:b.tar");
        std::fs::write(&file, "").unwrap();
        let store = format!("docker-archive:{}", file.display());
        let parsed = |text: &str| {
            let Operand { store, name } = Operand::parse(text);
            (store.to_owned(), name.to_owned())
        };
        assert_eq!(parsed(&store), (store.clone(), String::new()));
        assert_eq!(parsed(&format!("{store}:shop/web:1")), (store, "shop/web:1".into()));
        assert_eq!(parsed("shop/web:1"), (String::new(), "shop/web:1".into()));
        assert_eq!(parsed("oci:/not/there:x"), ("oci:/not/there:x".into(), String::new()));
    }

    use crate::transfer_tests::{Layout, tar};

    fn spec(layout: &Layout) -> String {
        format!("oci:{}", layout.folder.path().display())
    }

    #[test]
    fn the_only_image_needs_no_name_and_of_several_one_is_meant() {
        let (one, two, none) = (Layout::new(), Layout::new(), Layout::new());
        let only = one.image("a", &[&tar("a")], "a:1");
        two.image("b", &[&tar("b")], "shop/b:1");
        let c = two.image("c", &[&tar("c")], "shop/c:1");
        let folder = tempfile::tempdir().unwrap();
        let find = |text: &str| {
            let operand = Operand::parse(text);
            let stores = Stores::open(&[operand], "auto", folder.path()).unwrap();
            operand.find(&stores)
        };
        let names = |text: &str| {
            let (image, names) = find(text).unwrap();
            (image.id, names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(&spec(&one)), (only.id, vec!["a:1".into()]));
        let two = spec(&two);
        assert_eq!(names(&format!("{two}:shop/c:1")), (c.id, vec!["shop/c:1".into()]));
        // By its ID it is meant under no name; a digest that is another image's contradicts the name.
        assert_eq!(names(&format!("{two}:{}", &c.id.hex()[..12])), (c.id, vec![]));
        assert_eq!(names(&format!("{two}:shop/c:1@{}", c.id)).1, ["shop/c:1"]);
        // The image inside an index by its own digest, under the name of the index or another one.
        let (inside, _, hidden) = Layout::indexed("app:1");
        let inside = spec(&inside);
        for image in &hidden {
            assert_eq!(names(&format!("{inside}:app:1@{}", image.id)), (image.id, vec!["app:1".into()]));
            assert_eq!(names(&format!("{inside}:new:1@{}", image.id)), (image.id, vec!["new:1".into()]));
        }
        let stores = Stores::open(&[Operand::parse(&inside)], "auto", folder.path()).unwrap();
        let package = stores.package(&hidden[1].id, None).unwrap().unwrap();
        assert_eq!(package.root(), hidden[1].id.digest());
        let usage = |text: &str| matches!(find(text), Err(EndpointError::Usage(_)));
        let missing = |text: &str| matches!(find(text), Err(EndpointError::NoImage(_)));
        assert!(usage(&two) && usage(&format!("{two}:shop/*:*")) && usage(&format!("{two}:No Name")));
        assert!(missing(&spec(&none)) && missing(&format!("{two}:other:1")));
        assert!(missing(&format!("{two}:shop/b:1@{}", c.id)));
    }

    #[test]
    fn several_stores_are_read_as_one_and_each_is_opened_once() {
        let (old, new) = (Layout::new(), Layout::new());
        let layers = [tar("base"), tar("new")];
        let first = old.image("a", &[&layers[0]], "a:1");
        let second = new.image("b", &[&layers[0], &layers[1]], "a:2");
        let texts = [format!("{}:a:1", spec(&old)), format!("{}:a:2", spec(&new)), spec(&old)];
        let operands = texts.each_ref().map(|text| Operand::parse(text));
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(&operands, "auto", folder.path()).unwrap();
        assert_eq!(stores.0.len(), 2);
        let mut listed: Vec<ImageId> = stores.list().unwrap().images.iter().map(|image| image.id).collect();
        listed.sort();
        let mut expected = [first.id, second.id];
        expected.sort();
        assert_eq!(listed, expected);
        let package = |id: &ImageId| stores.package(id, None).unwrap().map(|package| package.root());
        assert_eq!(
            (package(&first.id), package(&second.id)),
            (Some(first.id.digest()), Some(second.id.digest()))
        );
        assert_eq!(package(&ImageId::of(b"none")), None);

        // A layer comes out of the store whose image it is of, and a blob out of the one that has it.
        struct Read(Vec<(Option<LayerKey>, u64)>);
        impl LayerSink for Read {
            fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn std::io::Read) -> std::io::Result<()> {
                self.0.push((key, std::io::copy(bytes, &mut std::io::sink())?));
                Ok(())
            }
        }
        let key = LayerKey::Tar(dsync_core::DiffId::of(&layers[1]));
        let mut read = Read(Vec::new());
        stores.export(&second.id, &HashSet::from([key]), &mut read).unwrap();
        assert_eq!(read.0, [(Some(key), layers[1].len() as u64)]);
        let gone = stores.export(&ImageId::of(b"none"), &HashSet::new(), &mut read).unwrap_err();
        assert!(matches!(gone, StoreError::NoSuchImage { .. }), "{gone}");
        let blob = |layer: &[u8]| BlobRef { digest: Digest::of(layer), size: layer.len() as u64 };
        let mut bytes = Vec::new();
        stores.blob(&blob(&layers[1])).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, layers[1]);
        assert!(stores.blob(&blob(b"nowhere")).is_err());
    }
}
