//! The conformance suite of image stores: run against each kind.
//!
//! The suite makes small images of its own, with names that no other run has, and leaves them in the store. Nobody
//! else may change the store meanwhile: that a refused image leaves nothing is seen by comparing lists.

mod names;
mod refusals;
mod sample;
mod transfer;

use dsync_core::{Image, ImageId};

use crate::store::Store;

/// Runs the whole suite; returns the images that it made, for whoever wants to remove them.
///
/// # Panics
/// The store breaks the contract of [`Store`].
pub fn conformance(store: &dyn Store) -> Vec<ImageId> {
    let before = images(store);
    transfer::a_whole_image_goes_in_and_comes_out(store);
    transfer::only_what_is_missing_goes_in(store);
    transfer::an_image_may_go_in_again(store);
    transfer::two_images_go_in_at_once(store);
    names::names_move_and_images_stay(store);
    refusals::what_is_given_up_leaves_nothing(store);
    refusals::what_is_not_whole_is_refused(store);
    refusals::what_is_not_there_is_said(store);
    refusals::a_reader_may_give_up(store);
    let new = images(store).into_iter().filter(|image| before.iter().all(|old| old.id != image.id));
    new.map(|image| image.id).collect()
}

/// All images, in an order of our own.
fn images(store: &dyn Store) -> Vec<Image> {
    let mut images = store.list().expect("images can be listed").images;
    images.sort_by_key(|image| image.id);
    images
}
