//! The survey of a target: the status of images, and where each layer would come from. Pure: lists in, decisions out.

use std::cmp::Reverse;
use std::collections::HashSet;

use dsync_core::{DiffId, Image, ImageId, ImageRef, Instant, LayerKey, shared_prefix};
use dsync_engine::{Holdings, Store, StoreError};
use dsync_proto::{LayerState, Status};

/// Asks a store for the configs of those of its images that may be a wanted one: their layers agree, and the list of
/// the store does not tell their configs.
pub(crate) fn learn_configs(
    store: &dyn Store,
    held: &mut [Image],
    wanted: &[Image],
) -> Result<(), StoreError> {
    let layers: HashSet<&[DiffId]> = wanted.iter().map(|image| &image.diff_ids[..]).collect();
    let mut open: Vec<&mut Image> = held
        .iter_mut()
        .filter(|image| image.config.is_none() && layers.contains(&image.diff_ids[..]))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let ids: Vec<ImageId> = open.iter().map(|image| image.id).collect();
    for (image, config) in open.iter_mut().zip(store.configs(&ids)?) {
        image.config = config;
    }
    Ok(())
}

/// True if some of these may be the image, and only its config, which is not known, can decide.
pub(crate) fn is_open(held: &[Image], image: &Image) -> bool {
    image.config.is_none() && held.iter().any(|other| other.same_content(image).is_none())
}

/// The facts by which two images are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameBy {
    /// Their IDs.
    Id,
    /// Their configs and layers.
    Content,
}

/// The list of the report that a name is on.
pub(crate) fn status(held: &[Image], image: &Image, name: Option<&ImageRef>, same_by: SameBy) -> Status {
    let same = |other: &Image| match same_by {
        SameBy::Id => other.id == image.id,
        SameBy::Content => other.same_content(image) == Some(true),
    };
    let there = match name {
        Some(name) => held.iter().find(|other| other.is_named(name)),
        None => held.iter().find(|other| same(other)),
    };
    match there {
        Some(other) if same(other) => Status::Current,
        Some(_) => Status::NeedUpdate,
        None => Status::New,
    }
}

/// The layers of a target, to see where those of images would come from.
pub(crate) struct Held {
    holdings: Holdings,
    layers: HashSet<DiffId>,
}

impl Held {
    pub(crate) fn of(store: &dyn Store, held: &[Image]) -> Held {
        let layers = held.iter().flat_map(|other| &other.diff_ids).copied().collect();
        Held { holdings: store.holdings(held), layers }
    }

    /// The origin that each layer of the image would have.
    pub(crate) fn states(&self, image: &Image) -> Vec<LayerState> {
        let states = image.diff_ids.iter().zip(self.holdings.has(image));
        states.map(|(diff_id, shared)| self.state(shared, &LayerKey::Tar(*diff_id))).collect()
    }

    /// The same for a list with these layers and others, which do not belong to the image and are not taken unless they
    /// come by themselves.
    ///
    /// A layer that occurs several times in the image is given to the store if one of its places needs it: Docker's
    /// classic store has a layer on those below it, so the same layer can be there in one place and not in another.
    pub(crate) fn states_in(&self, image: &Image, all: &[LayerKey]) -> Vec<LayerState> {
        let states = self.states(image);
        let state = |key: &LayerKey| {
            let places = image.tars().zip(&states).filter(|(tar, _)| tar == key);
            let is_given = |state: &&LayerState| **state != LayerState::Shared;
            places.map(|(_, state)| state).find(is_given).copied().unwrap_or(LayerState::Shared)
        };
        all.iter().map(state).collect()
    }

    /// The origin that a layer would have; `shared` if the store has it in its own sense.
    pub(crate) fn state(&self, shared: bool, key: &LayerKey) -> LayerState {
        let is_here = matches!(key, LayerKey::Tar(diff_id) if self.layers.contains(diff_id));
        match (shared, is_here) {
            (true, _) => LayerState::Shared,
            (false, true) => LayerState::Local,
            (false, false) => LayerState::Missing,
        }
    }
}

/// The images of the target whose contents are worth looking into, the best first.
///
/// Same name and tag, then same repository: one of these is enough, since a rebuilt image is most like
/// its last build. Else the longest common prefix of diff ids, which stands for the common ancestor,
/// then whatever is there; of those as many as have, together, no more than twice the size of the image.
pub(crate) fn basis<'a>(held: &'a [Image], image: &Image, names: &[ImageRef]) -> Vec<&'a Image> {
    let rank = |other: &Image| {
        let same_name = names.iter().any(|name| other.is_named(name));
        let same_repository =
            other.names.iter().any(|theirs| names.iter().any(|name| name.name() == theirs.name()));
        (same_name, same_repository, shared_prefix(&other.diff_ids, &image.diff_ids))
    };
    let mut candidates: Vec<&Image> = held.iter().filter(|other| !other.diff_ids.is_empty()).collect();
    let order = |image: &&Image| (Reverse(rank(image)), Reverse(Instant::parse(&image.created)), image.id);
    let Some(best) = candidates.iter().copied().min_by_key(order) else { return Vec::new() };
    let (same_name, same_repository, _) = rank(best);
    if same_name || same_repository {
        return vec![best];
    }
    candidates.sort_by_cached_key(order);
    let budget = image.size.saturating_mul(2);
    let mut covered: HashSet<DiffId> = HashSet::new();
    let mut spent: u64 = 0;
    let mut chosen = Vec::new();
    for candidate in candidates {
        let adds = candidate.diff_ids.iter().any(|id| !covered.contains(id));
        let cost = spent.saturating_add(candidate.size);
        if adds && (chosen.is_empty() || cost <= budget) {
            covered.extend(&candidate.diff_ids);
            spent = cost;
            chosen.push(candidate);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_core::Digest;

    fn image(name: &str, layers: &[&str], size: u64) -> Image {
        Image {
            id: ImageId::of(format!("{name}{layers:?}").as_bytes()),
            config: Some(Digest::of(name.as_bytes())),
            names: vec![name.parse().unwrap()],
            digests: Vec::new(),
            diff_ids: layers.iter().map(|l| DiffId::of(l.as_bytes())).collect(),
            platform: "linux/amd64".parse().unwrap(),
            size,
            created: "2026-01-01T00:00:00Z".into(),
        }
    }

    fn basis_names(held: &[Image], wanted: &Image) -> Vec<String> {
        basis(held, wanted, &wanted.names).iter().map(|i| i.names[0].to_string()).collect()
    }

    #[test]
    fn the_last_build_is_the_basis() {
        let wanted = image("shop:2", &["base", "x2"], 100);
        let held = [image("web:1", &["base", "y"], 90), image("shop:1", &["old"], 100)];
        assert_eq!(basis_names(&held, &wanted), ["shop:1"]);
    }

    #[test]
    fn a_new_image_takes_the_longest_prefix_and_what_the_budget_allows() {
        let wanted = image("new:1", &["base", "python", "x"], 100);
        let held = [
            image("far:1", &["other"], 150),
            image("near:1", &["base", "python", "y"], 40),
            image("base:1", &["base"], 10),
            image("mid:1", &["base", "z"], 60),
            image("huge:1", &["w"], 9000),
        ];
        // base:1 adds nothing, far:1 is over what mid:1 left, huge:1 is over the budget.
        assert_eq!(basis_names(&held, &wanted), ["near:1", "mid:1"]);
        // When nothing is shared, the first is taken whatever it costs.
        assert_eq!(basis_names(&held[4..], &wanted), ["huge:1"]);
        assert!(basis_names(&[], &wanted).is_empty());
    }

    #[test]
    fn a_layer_that_occurs_twice_is_given_where_one_place_needs_it() {
        let old = image("twice:1", &["empty", "app 1", "empty"], 1);
        let new = image("twice:2", &["empty", "app 2", "empty"], 1);
        let held = Held {
            holdings: Holdings::chains(std::slice::from_ref(&old)),
            layers: old.diff_ids.iter().copied().collect(),
        };
        use LayerState::{Local, Missing, Shared};
        assert_eq!(held.states(&new), [Shared, Missing, Local]);
        assert_eq!(held.states_in(&new, &new.tars().collect::<Vec<_>>()), [Local, Missing, Local]);
    }

    #[test]
    fn the_three_lists() {
        let wanted = image("shop:1", &["base", "x"], 1);
        let name = wanted.names[0].clone();
        assert_eq!(status(&[], &wanted, Some(&name), SameBy::Content), Status::New);
        assert_eq!(
            status(std::slice::from_ref(&wanted), &wanted, Some(&name), SameBy::Content),
            Status::Current
        );
        let old = image("shop:1", &["base"], 1);
        assert_eq!(
            status(std::slice::from_ref(&old), &wanted, Some(&name), SameBy::Content),
            Status::NeedUpdate
        );
        assert_eq!(status(&[old], &wanted, None, SameBy::Content), Status::New);
        // Another kind of store shows another ID for the same content.
        let elsewhere = Image { id: ImageId::of(b"manifest"), ..wanted.clone() };
        let elsewhere = [elsewhere];
        assert_eq!(status(&elsewhere, &wanted, Some(&name), SameBy::Content), Status::Current);
        assert_eq!(status(&elsewhere, &wanted, Some(&name), SameBy::Id), Status::NeedUpdate);
        // Another config over the same layers, made at the same time, is another image.
        let other = Image { config: Some(Digest::of(b"other")), ..elsewhere[0].clone() };
        assert_eq!(
            status(std::slice::from_ref(&other), &wanted, Some(&name), SameBy::Content),
            Status::NeedUpdate
        );
        assert!(!is_open(std::slice::from_ref(&other), &wanted));
        let untold = Image { config: None, ..wanted.clone() };
        assert!(is_open(&[other], &untold) && !is_open(&[wanted], &untold));
    }

    #[test]
    fn the_latest_build_is_the_basis_where_names_and_layers_are_as_near() {
        let at = |name: &str, created: &str| Image { created: created.into(), ..image(name, &[name], 10) };
        let wanted = image("shop:9", &["x"], 100);
        let held = [
            at("shop:1", "2026-01-01T00:00:00+02:00"),
            at("shop:2", "2026-01-01T00:00:00Z"),
            at("shop:3", "no time"),
            at("shop:4", "2025-12-31T23:59:59Z"),
        ];
        assert_eq!(basis_names(&held, &wanted), ["shop:2"]);
        assert_eq!(basis_names(&held[2..], &wanted), ["shop:4"]);
        // The same name goes before all that is later, and an image without layers is nothing to build on.
        let named = [at("shop:9", "2020-01-01T00:00:00Z"), held[1].clone()];
        assert_eq!(basis_names(&named, &wanted), ["shop:9"]);
        let empty = [Image { diff_ids: Vec::new(), ..named[0].clone() }, held[3].clone()];
        assert_eq!(basis_names(&empty, &wanted), ["shop:4"]);
    }

    #[test]
    fn images_of_other_repositories_count_by_the_layers_that_they_add() {
        let wanted = image("new:1", &["base", "x"], 100);
        let held = [
            Image { created: "2026-02-01T00:00:00Z".into(), ..image("one:1", &["base", "a", "b"], 120) },
            image("part:1", &["base", "a"], 10),
            image("two:1", &["c"], 80),
            image("three:1", &["d"], u64::MAX),
        ];
        // The layers of one:1 add nothing once more, and twice the size of the image is the most.
        assert_eq!(basis_names(&held, &wanted), ["one:1", "two:1"]);
        let all: Vec<_> = held.iter().rev().cloned().collect();
        assert_eq!(basis_names(&all, &wanted), ["one:1", "two:1"], "whatever their order");
    }

    /// A store that knows configs and nothing else, and notes for which images it was asked.
    struct Configs<'a>(&'a [Image], std::sync::Mutex<Vec<ImageId>>);

    impl Store for Configs<'_> {
        fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
            self.1.lock().unwrap().extend(ids);
            let config =
                |id: &ImageId| self.0.iter().find(|image| image.id == *id).and_then(|image| image.config);
            Ok(ids.iter().map(config).collect())
        }

        fn describe(&self) -> dsync_engine::Description {
            unreachable!("only configs are asked for")
        }

        fn list(&self) -> Result<dsync_core::Inventory, StoreError> {
            unreachable!("only configs are asked for")
        }

        fn holdings(&self, _: &[Image]) -> Holdings {
            unreachable!("only configs are asked for")
        }

        fn export(
            &self,
            _: &ImageId,
            _: &HashSet<LayerKey>,
            _: &mut dyn dsync_engine::LayerSink,
        ) -> Result<dsync_engine::Export, StoreError> {
            unreachable!("only configs are asked for")
        }

        fn layer_sizes(&self, _: &Image) -> Result<Option<Vec<u64>>, StoreError> {
            unreachable!("only configs are asked for")
        }

        fn import<'a>(
            &'a self,
            _: dsync_engine::ImportIdentity<'a>,
        ) -> Result<Box<dyn dsync_engine::Import + 'a>, StoreError> {
            unreachable!("only configs are asked for")
        }

        fn tag(&self, _: &ImageId, _: &[ImageRef]) -> Result<(), StoreError> {
            unreachable!("only configs are asked for")
        }
    }

    #[test]
    fn configs_are_asked_for_only_of_images_that_may_be_the_wanted_one() {
        let all = [
            image("a:1", &["x"], 1),
            image("b:1", &["y"], 1),
            image("c:1", &["y"], 1),
            image("d:1", &["y"], 1),
        ];
        let untold = |image: &Image| Image { config: None, ..image.clone() };
        let held = [untold(&all[0]), untold(&all[1]), all[2].clone(), untold(&all[3])];
        // The store has lost one of them meanwhile.
        let store = Configs(&all[..3], std::sync::Mutex::default());
        let learnt = |wanted: &[Image]| {
            let mut held = held.clone();
            learn_configs(&store, &mut held, wanted).unwrap();
            (held.map(|image| image.config), std::mem::take(&mut *store.1.lock().unwrap()))
        };
        assert_eq!(learnt(&[]), (held.each_ref().map(|image| image.config), vec![]));
        let wanted = image("b:1", &["y"], 1);
        let expected = [None, all[1].config, all[2].config, None];
        assert_eq!(learnt(&[wanted]), (expected, vec![all[1].id, all[3].id]));
        assert_eq!(learnt(&[image("new:1", &["y", "z"], 1)]).1, []);
    }
}
