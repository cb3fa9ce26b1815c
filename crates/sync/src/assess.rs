//! What it would take a target to have an image. Pure: lists in, decisions out.

use std::cmp::Reverse;
use std::collections::HashSet;

use dsync_core::{DiffId, Image, ImageRef, shared_prefix};
use dsync_engine::{Holdings, Store};
use dsync_proto::{LayerState, Status};

/// Which list of the report a name is on. Where it is `exact`, only the same ID is the same image.
pub(crate) fn status(held: &[Image], image: &Image, name: Option<&ImageRef>, exact: bool) -> Status {
    let same = |other: &Image| if exact { other.id == image.id } else { other.same_content(image) };
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

/// What a target has, to see where the layers of images would come from.
pub(crate) struct Held {
    holdings: Holdings,
    layers: HashSet<DiffId>,
}

impl Held {
    pub(crate) fn of(store: &dyn Store, held: &[Image]) -> Held {
        let layers = held.iter().flat_map(|other| &other.diff_ids).copied().collect();
        Held { holdings: store.holdings(held), layers }
    }

    /// Where each layer of the image would come from.
    pub(crate) fn states(&self, image: &Image) -> Vec<LayerState> {
        let states = image.diff_ids.iter().zip(self.holdings.has(image));
        states.map(|(diff_id, shared)| self.state(shared, diff_id)).collect()
    }

    /// The same for a list with these layers and others, which do not belong to the image and are not taken unless they
    /// come by themselves.
    pub(crate) fn states_in(&self, image: &Image, all: &[DiffId]) -> Vec<LayerState> {
        let states = self.states(image);
        let state = |id| image.diff_ids.iter().position(|other| other == id).map(|at| states[at]);
        all.iter().map(|id| state(id).unwrap_or(LayerState::Shared)).collect()
    }

    /// Where a layer would come from which the store has in its own sense, or has not.
    pub(crate) fn state(&self, shared: bool, diff_id: &DiffId) -> LayerState {
        match (shared, self.layers.contains(diff_id)) {
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
    let order = |image: &&Image| (Reverse(rank(image)), Reverse(image.created.clone()), image.id);
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
    use dsync_core::ImageId;

    fn image(name: &str, layers: &[&str], size: u64) -> Image {
        Image {
            id: ImageId::of(format!("{name}{layers:?}").as_bytes()),
            names: vec![name.parse().unwrap()],
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
    fn the_three_lists() {
        let wanted = image("shop:1", &["base", "x"], 1);
        let name = wanted.names[0].clone();
        assert_eq!(status(&[], &wanted, Some(&name), false), Status::New);
        assert_eq!(status(std::slice::from_ref(&wanted), &wanted, Some(&name), false), Status::Current);
        let old = image("shop:1", &["base"], 1);
        assert_eq!(status(std::slice::from_ref(&old), &wanted, Some(&name), false), Status::NeedUpdate);
        assert_eq!(status(&[old], &wanted, None, false), Status::New);
        // Another kind of store shows another ID for the same content.
        let elsewhere = Image { id: ImageId::of(b"manifest"), ..wanted.clone() };
        let elsewhere = [elsewhere];
        assert_eq!(status(&elsewhere, &wanted, Some(&name), false), Status::Current);
        assert_eq!(status(&elsewhere, &wanted, Some(&name), true), Status::NeedUpdate);
    }
}
