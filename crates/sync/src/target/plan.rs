//! The plan of a target: the layers that it asks for, and those that it builds from. Pure: lists in, decisions out.

use std::collections::HashSet;

use dsync_core::{DiffId, Digest, Image, LayerKey};
use dsync_proto::{LayerState, Want, limits};

use super::job::{PatchContents, Peering, Receiving};
use crate::conversation::want::short_id;
use crate::conversation::{Attempt, Preserved};
use crate::failure::EndpointError;
use crate::inventory::survey;

/// The layers that a target asks for, and those that it builds from.
pub(crate) struct Plan<'a> {
    /// Of each layer of the image.
    pub(crate) states: Vec<LayerState>,
    /// The layers that are asked for, each once.
    pub(crate) missing: Vec<LayerKey>,
    /// The layers that are built from elsewhere in the store.
    pub(crate) local: Vec<LayerKey>,
    /// Of which of the layers that are not asked for the source tells how they are stored.
    pub(crate) described: Vec<LayerKey>,
    pub(crate) basis: Vec<&'a Image>,
    /// The layers of the basis, in the order in which they are named.
    pub(crate) basis_ids: Vec<Digest>,
    /// The number of the last of them that are parts of layers, left by a transfer that broke off.
    pub(crate) partial: usize,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(
        mut states: Vec<LayerState>,
        held: &'a [Image],
        keys: &[LayerKey],
        what: &Receiving,
        keeps_id: bool,
    ) -> Result<Self, EndpointError> {
        if let Peering::Patch(given) = &what.peering {
            return Plan::of_patch(states, held, keys, given, keeps_id);
        }
        if what.attempt == Attempt::FullResend {
            // Layers that this side has in another chain are not looked for either.
            states.iter_mut().filter(|state| **state == LayerState::Local).for_each(|state| {
                *state = LayerState::Missing;
            });
        }
        let of_state = |state| distinct(keys, &states, state);
        let (missing, local) = (of_state(LayerState::Missing), of_state(LayerState::Local));
        let basis = if what.attempt == Attempt::FullResend || missing.is_empty() {
            Vec::new()
        } else {
            choose_basis(held, what)?
        };
        let basis_ids = order(&basis);
        Ok(Plan { states, missing, described: local.clone(), local, basis, basis_ids, partial: 0 })
    }

    /// Adds parts of layers to the basis, unless it has as many layers as it may.
    pub(crate) fn add_partial(&mut self, layer: Digest) {
        if self.basis_ids.len() < limits::LAYERS && !self.basis_ids.contains(&layer) {
            self.basis_ids.push(layer);
            self.partial += 1;
        }
    }

    /// The request for layers, as it crosses.
    pub(crate) fn want(&self, keys: &[LayerKey], what: &Receiving) -> Want {
        let position =
            |key: &LayerKey| keys.iter().position(|other| other == key).and_then(|at| at.try_into().ok());
        Want::Layers {
            layers: self.missing.iter().filter_map(position).collect(),
            without_basis: what.attempt.is_without_basis(),
            basis: self.basis_ids.iter().map(short_id).collect(),
            // There are no more layers than that.
            partial: self.partial as u32,
            described: match what.preserved {
                Preserved::Content => Vec::new(),
                Preserved::Id | Preserved::Manifest(_) => {
                    self.described.iter().filter_map(position).collect()
                }
            },
        }
    }

    /// As a patch has it: all that it was made against must be here, stored in the same way where the ID is made of that.
    fn of_patch(
        mut states: Vec<LayerState>,
        held: &'a [Image],
        keys: &[LayerKey],
        given: &PatchContents,
        keeps_id: bool,
    ) -> Result<Self, EndpointError> {
        let key = |layer: &u32| keys.get(usize::try_from(*layer).ok()?).copied();
        let all = |layers: &[u32]| layers.iter().map(key).collect::<Option<Vec<LayerKey>>>();
        let (missing, described) = all(&given.layers)
            .zip(all(&given.described))
            .ok_or_else(|| EndpointError::Patch("the patch names layers that its image has not".into()))?;
        let mut basis: Vec<&Image> = Vec::new();
        for diff_id in &given.basis {
            if basis.iter().any(|image| image.diff_ids.contains(diff_id)) {
                continue;
            }
            let holder = held.iter().find(|image| image.diff_ids.contains(diff_id)).ok_or_else(|| {
                EndpointError::NoBasis(format!(
                    "this host has no image with layer {diff_id}, which the patch builds on: it was made against {}",
                    given.old
                ))
            })?;
            basis.push(holder);
        }
        for (key, state) in keys.iter().zip(&mut states) {
            match (*state, missing.contains(key)) {
                (LayerState::Local, true) => *state = LayerState::Missing,
                (LayerState::Missing, false) => {
                    return Err(EndpointError::NoBasis(format!(
                        "this host lacks layer {key}, which the patch takes for granted: it was made against {}",
                        given.old
                    )));
                }
                (LayerState::Local, false) if keeps_id && !described.contains(key) => {
                    return Err(EndpointError::NoBasis(format!(
                        "this host keeps layer {key} in another form than the patch was made against: one that \
                         was made with --identity content fits"
                    )));
                }
                _ => {}
            }
        }
        let local = distinct(keys, &states, LayerState::Local);
        Ok(Plan {
            states,
            missing,
            local,
            described,
            basis,
            basis_ids: given.basis.iter().map(DiffId::digest).collect(),
            partial: 0,
        })
    }
}

/// The layers that are in this state, each once.
pub(crate) fn distinct(keys: &[LayerKey], states: &[LayerState], state: LayerState) -> Vec<LayerKey> {
    let mut seen = HashSet::new();
    let of_state = keys.iter().zip(states).filter(|(_, s)| **s == state).map(|(id, _)| *id);
    of_state.filter(|id| seen.insert(*id)).collect()
}

fn choose_basis<'a>(held: &'a [Image], what: &Receiving) -> Result<Vec<&'a Image>, EndpointError> {
    match &what.basis {
        None => Ok(survey::basis(held, &what.image, &what.names)),
        Some(name) => {
            let named = held.iter().find(|image| image.is_named(name));
            let named = named.ok_or_else(|| {
                EndpointError::NoBasis(format!("the target has no image {name} to use as the basis"))
            })?;
            Ok(vec![named])
        }
    }
}

/// The layers of the images of a basis, each once: of an image lowest first, the best image last.
fn order(basis: &[&Image]) -> Vec<Digest> {
    let mut seen = HashSet::new();
    let ids = basis.iter().rev().flat_map(|image| &image.diff_ids).map(DiffId::digest);
    let mut ids: Vec<Digest> = ids.filter(|id| seen.insert(*id)).collect();
    // A source is not asked about more. The last ones are those of the best image.
    ids.drain(..ids.len().saturating_sub(limits::LAYERS));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_core::ImageId;

    fn image(layers: &[&str]) -> Image {
        Image {
            id: ImageId::of(layers.concat().as_bytes()),
            config: None,
            digests: Vec::new(),
            names: Vec::new(),
            diff_ids: ids(layers),
            platform: "linux/amd64".parse().unwrap(),
            size: 0,
            created: String::new(),
        }
    }

    fn keys(layers: &[&str]) -> Vec<LayerKey> {
        ids(layers).into_iter().map(LayerKey::Tar).collect()
    }

    fn ids(layers: &[&str]) -> Vec<DiffId> {
        layers.iter().map(|layer| DiffId::of(layer.as_bytes())).collect()
    }

    /// The plan for a patch with layers 2 and 3 of an image, which says how layer 1 is stored.
    fn given(states: [LayerState; 4], held: &[Image], exact: bool) -> Result<Plan<'_>, EndpointError> {
        let given = PatchContents {
            old: "app:1".into(),
            layers: vec![2, 3],
            described: vec![1],
            basis: ids(&["a", "b"]),
            as_content: |_, _, _| None,
        };
        Plan::of_patch(states.to_vec(), held, &keys(&["a", "b", "c", "d"]), &given, exact)
    }

    #[test]
    fn a_patch_is_taken_as_it_was_made() {
        use LayerState::{Local, Missing, Shared};
        let held = [image(&["x", "a", "b"])];
        let plan = given([Shared, Local, Missing, Local], &held, true).unwrap();
        assert_eq!(plan.states, [Shared, Local, Missing, Missing], "what the patch has is taken out of it");
        assert_eq!((plan.missing, plan.local), (keys(&["c", "d"]), keys(&["b"])));
        assert_eq!(
            (plan.described, plan.basis_ids),
            (keys(&["b"]), ["a", "b"].map(|layer| Digest::of(layer.as_bytes())).to_vec())
        );
        assert_eq!(plan.basis, [&held[0]]);
        // Of what is stored in another way it tells nothing, which matters only to an ID that is made of that.
        let other = [Local, Shared, Missing, Missing];
        assert_eq!(given(other, &held, false).unwrap().local, keys(&["a"]));
        assert!(given(other, &held, true).err().unwrap().to_string().contains("--identity content"));
    }

    #[test]
    fn a_patch_needs_what_it_was_made_against() {
        use LayerState::{Missing, Shared};
        let held = [image(&["a"]), image(&["b"])];
        let said = |states, held: &[Image]| given(states, held, false).err().map(|error| error.to_string());
        assert_eq!(said([Shared, Shared, Missing, Missing], &held), None);
        assert!(said([Shared, Missing, Missing, Missing], &held).unwrap().contains("takes for granted"));
        assert!(said([Shared, Shared, Missing, Missing], &held[..1]).unwrap().contains("builds on"));
        let given = PatchContents {
            old: "app:1".into(),
            layers: vec![4],
            described: Vec::new(),
            basis: Vec::new(),
            as_content: |_, _, _| None,
        };
        let plan = Plan::of_patch(vec![Shared; 4], &held, &keys(&["a", "b", "c", "d"]), &given, false);
        assert!(matches!(plan, Err(EndpointError::Patch(_))));
    }

    #[test]
    fn parts_of_layers_are_added_once_and_counted() {
        use LayerState::{Local, Missing, Shared};
        let held = [image(&["x", "a", "b"])];
        let mut plan = given([Shared, Local, Missing, Local], &held, true).unwrap();
        let named = plan.basis_ids.len();
        let [part, other] = [b"part", b"more"].map(|bytes| Digest::of(bytes));
        for layer in [part, other, part, plan.basis_ids[0]] {
            plan.add_partial(layer);
        }
        assert_eq!((plan.partial, &plan.basis_ids[named..]), (2, &[part, other][..]));
    }
}
