//! The stored forms of layers that a source announces, against the documents of the image.

use dsync_core::DiffId;
use dsync_engine::{Export, LayerSink};
use dsync_proto::FailureKind;
use dsync_recompress::CompressionMethod;

use super::*;
use crate::transfer_tests::{Layout, tar};

fn recipe() -> wire::Stored {
    let recipe =
        Recipe::new(CompressionMethod::Go { level: 6 }, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]).unwrap();
    wire::Stored::Compressed(recipe.to_bytes())
}

/// An image of three uncompressed layers, of which the target shares the first, lacks the second, and has the third
/// elsewhere.
struct Case {
    package: Package,
    keys: Vec<LayerKey>,
    states: Vec<LayerState>,
    missing: Vec<LayerKey>,
}

impl Case {
    fn new() -> Case {
        let layout = Layout::new();
        let layers = ["a", "b", "c"].map(tar);
        let image = layout.image("a", &layers.each_ref().map(|layer| &layer[..]), "a:1");
        let package = layout.store.package(&image.id, None).unwrap().unwrap();
        let keys = package.layer_keys();
        let states = vec![LayerState::Shared, LayerState::Missing, LayerState::Local];
        let missing = vec![keys[1]];
        Case { package, keys, states, missing }
    }

    fn take(&mut self, stored: &[wire::Stored]) -> Result<Form, EndpointError> {
        let local = vec![self.keys[2]];
        let mut plan = Plan {
            states: self.states.clone(),
            missing: self.missing.clone(),
            described: local.clone(),
            local,
            basis: Vec::new(),
            basis_ids: Vec::new(),
            partial: 0,
        };
        let documents = Some(Documents::Exact(self.package.clone()));
        let form = Form::new(documents, stored, &mut self.keys, &mut plan);
        (self.states, self.missing) = (plan.states, plan.missing);
        form
    }
}

#[test]
fn plain_layers_stay_as_they_were_planned() {
    let mut case = Case::new();
    let before = (case.keys.clone(), case.states.clone(), case.missing.clone());
    let form = case.take(&[wire::Stored::Plain, wire::Stored::Plain]).unwrap();
    assert_eq!((case.keys.clone(), case.states, case.missing), before);
    assert!(!form.has_own_config());
    assert_eq!(form.config(b"own"), b"");
    let layers = [10, 20, 30].map(|len| LayerOutcome { state: LayerState::Missing, len, reused: 0 });
    assert_eq!(form.packed_again(&case.keys, &layers), 0);
}

#[test]
fn layers_that_are_compressed_again_are_counted() {
    let mut case = Case::new();
    let form = case.take(&[recipe(), wire::Stored::Plain]).unwrap();
    let layers = [10, 20, 30].map(|len| LayerOutcome { state: LayerState::Missing, len, reused: 0 });
    assert_eq!(form.packed_again(&case.keys, &layers), 20);
    assert_eq!(Form::Content.packed_again(&case.keys, &layers), 0);
}

#[test]
fn an_opaque_layer_is_missing_though_it_could_be_built() {
    let mut case = Case::new();
    let blob = LayerKey::Blob(case.package.layers()[2].blob.digest);
    case.take(&[wire::Stored::Plain, wire::Stored::Opaque]).unwrap();
    assert_eq!(case.missing, [case.keys[1], blob]);
    assert_eq!(case.keys[2], blob);
    assert_eq!(case.states, [LayerState::Shared, LayerState::Missing, LayerState::Missing]);
}

#[test]
fn a_source_says_of_each_layer_how_it_is_stored_and_no_more() {
    let plain = || wire::Stored::Plain;
    for stored in [vec![], vec![plain()], vec![plain(), plain(), plain()]] {
        let error = Case::new().take(&stored).err().unwrap();
        assert_eq!(error.kind(), FailureKind::Protocol, "{stored:?}");
    }
    let recipes = [vec![], vec![0xff; 17], vec![1]];
    for recipe in recipes {
        let error = Case::new().take(&[wire::Stored::Compressed(recipe.clone()), plain()]).err().unwrap();
        assert_eq!(error.kind(), FailureKind::Protocol, "{recipe:?}");
    }
}

#[test]
fn a_layer_that_the_documents_have_compressed_is_not_plain() {
    let mut case = Case::new();
    // The key is that of the image, and its blob another one.
    let other = LayerKey::Tar(DiffId::of(b"of another image"));
    case.missing = vec![other];
    let error = case.take(&[wire::Stored::Plain, wire::Stored::Plain]).err().unwrap();
    assert_eq!(error.kind(), FailureKind::Broken);
    assert!(error.to_string().contains("not stored as the source says"), "{error}");
}

#[test]
fn blobs_that_the_store_has_are_shared_and_layers_of_other_images_are_local() {
    let (layout, other) = (Layout::new(), Layout::new());
    let [here, elsewhere, nowhere] = ["here", "elsewhere", "nowhere"].map(tar);
    layout.image("old", &[&here], "old:1");
    let image = other.image("new", &[&here, &elsewhere, &nowhere], "new:1");
    let package = other.store.package(&image.id, None).unwrap().unwrap();
    let mut held = layout.store.list().unwrap().images;
    // An image of which the store keeps the layer in another form.
    held.push(Image { diff_ids: vec![DiffId::of(&elsewhere)], ..held[0].clone() });
    let states = states(&*layout.store, &held, &package).unwrap();
    assert_eq!(states, [LayerState::Shared, LayerState::Local, LayerState::Missing]);
}

#[test]
fn an_image_by_its_content_begins_with_the_config_that_was_asked_for() {
    struct Nothing;
    impl LayerSink for Nothing {
        fn layer(&mut self, _: Option<LayerKey>, _: &mut dyn std::io::Read) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (source, target) = (Layout::new(), Layout::new());
    let layer = tar("text");
    let image = source.image("a", &[&layer], "a:1");
    let Export { config } =
        source.store.export(&image.id, &std::collections::HashSet::new(), &mut Nothing).unwrap();
    for (asked, is_right) in [(Digest::of(&config), true), (Digest::of(b"another"), false)] {
        let mut import = Form::Content.begin(&*target.store, asked).unwrap();
        import
            .layer(&DiffId::of(&layer).into(), layer.len() as u64, &mut |out| out.write_all(&layer))
            .unwrap();
        assert_eq!(import.commit(Form::Content.config(&config), &[]).is_ok(), is_right);
    }
}
