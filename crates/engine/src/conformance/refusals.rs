//! Refusals: calls that must fail do so with their reason, and leave the store as it was.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use dsync_core::{DiffId, Digest, ImageId, LayerKey};

use super::images;
use super::sample::{Sample, layer, name, unique};
use crate::store::{ImportIdentity, LayerSink, Store, StoreError};

pub(super) fn what_is_given_up_leaves_nothing(store: &dyn Store) {
    let before = images(store);
    let given = layer("given up", unique().as_bytes());
    let key = LayerKey::Tar(DiffId::of(&given));
    let sample = Sample::new(vec![given.clone()]);
    drop(store.import(sample.identity()).expect("an import can begin"));
    assert_eq!(images(store), before);

    let mut import = store.import(sample.identity()).expect("an import can begin");
    import.layer(&key, given.len() as u64, &mut |out| out.write_all(&given)).expect("a layer is taken");
    drop(import);
    assert_eq!(images(store), before);

    let mut import = store.import(sample.identity()).expect("an import can begin");
    let failed = import.layer(&key, 2048, &mut |out| {
        out.write_all(&[1; 100])?;
        Err(io::Error::other("the other side is gone"))
    });
    assert!(failed.is_err(), "a layer that does not come whole is an error");
    assert!(import.commit(&sample.config, &[]).is_err(), "nothing can become of it");
    assert_eq!(images(store), before);
}

pub(super) fn what_is_not_whole_is_refused(store: &dyn Store) {
    let before = images(store);
    let refused = |what: &str, sample: &Sample, given: &[(DiffId, &[u8])]| {
        let mut import = store.import(sample.identity()).expect("an import can begin");
        let taken = given.iter().try_for_each(|(id, bytes)| {
            import.layer(&(*id).into(), bytes.len() as u64, &mut |out: &mut dyn Write| out.write_all(bytes))
        });
        let error = taken.and_then(|()| import.commit(&sample.config, &[])).expect_err(what);
        assert!(!matches!(error, StoreError::NoSuchImage { .. }), "{what}: {error}");
        assert_eq!(images(store), before, "{what}");
    };
    let (low, top) = (layer("low", unique().as_bytes()), layer("top", unique().as_bytes()));
    let sample = Sample::new(vec![low.clone(), top.clone()]);
    let [low_id, top_id] = [&low, &top].map(|layer| DiffId::of(layer));
    refused("a layer that nobody has", &sample, &[(top_id, &top)]);
    refused("the top layer is missing", &sample, &[(low_id, &low)]);
    let wrong = layer("top", b"something else");
    refused("a layer has other contents", &sample, &[(low_id, &low), (top_id, &wrong)]);
    refused("a layer is given twice", &sample, &[(low_id, &low), (low_id, &low), (top_id, &top)]);
    let no_config = Sample { config: b"{}".to_vec(), layers: Vec::new() };
    refused("the config is none", &no_config, &[]);

    let other = ImportIdentity::Content(Digest::of(b"{}"));
    let mut import = store.import(other).expect("an import can begin");
    for layer in &sample.layers {
        let key = DiffId::of(layer).into();
        import.layer(&key, layer.len() as u64, &mut |out| out.write_all(layer)).expect("a layer is taken");
    }
    import.commit(&sample.config, &[]).expect_err("the config is not the one that was announced");
    assert_eq!(images(store), before);
}

pub(super) fn what_is_not_there_is_said(store: &dyn Store) {
    struct Nothing;
    impl LayerSink for Nothing {
        fn layer(&mut self, _: Option<LayerKey>, _: &mut dyn Read) -> io::Result<()> {
            Err(io::Error::other("there is nothing to take"))
        }
    }
    let unknown = ImageId::of(unique().as_bytes());
    let said = |what: &str, result: Result<(), StoreError>| {
        let error = result.expect_err(what);
        assert!(
            matches!(&error, StoreError::NoSuchImage { image } if *image == unknown.to_string()),
            "{what}: {error:?}"
        );
    };
    said("export", store.export(&unknown, &HashSet::new(), &mut Nothing).map(drop));
    said("tag", store.tag(&unknown, &[name("unknown")]));
    let mut image = Sample::new(Vec::new()).image();
    image.id = unknown;
    said("layer_sizes", store.layer_sizes(&image).map(drop));

    let sample = Sample::new(vec![layer("only", unique().as_bytes())]);
    let id = sample.imported(store);
    let other = HashSet::from([DiffId::of(unique().as_bytes()).into()]);
    let mut sink = Discard;
    let error = store.export(&id, &other, &mut sink).expect_err("a layer of another image");
    assert!(matches!(error, StoreError::Broken { .. }), "{error:?}");
}

struct Discard;

impl LayerSink for Discard {
    fn layer(&mut self, _: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        io::copy(tar, &mut io::sink()).map(drop)
    }
}

pub(super) fn a_reader_may_give_up(store: &dyn Store) {
    struct Full;
    impl LayerSink for Full {
        fn layer(&mut self, _: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
            tar.read_exact(&mut [0; 10])?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no room here"))
        }
    }
    let sample = Sample::new(vec![layer("large", &unique().repeat(300_000).into_bytes())]);
    let id = sample.imported(store);
    let wanted = sample.keys();
    let error = store.export(&id, &wanted, &mut Full).expect_err("the sink failed");
    let StoreError::Io { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull, "the reason is the sink's");
    // The store is none the worse for it.
    sample.check(store, &id, &wanted);
}
