//! The artifacts beside an image, at both ends: which of them cross.

use dsync_core::{ImageId, ImageRef, Platform};
use dsync_delta::batch::Effort;
use dsync_engine::{Package, Referrer, Store, WholeReferrer};
use dsync_proto::{Event, Reply, limits};

use crate::conversation::referrers::{self, Offered};
use crate::failure::EndpointError;
use crate::link::Link;

/// Sends the referrers of an image that the target lacks.
pub(super) fn send(
    store: &dyn Store,
    link: &mut Link,
    image: &ImageId,
    platform: Option<&Platform>,
) -> Result<Reply, EndpointError> {
    let all = store.referrers(&package(store, image, platform)?)?;
    let (chosen, left) = choose(all);
    for referrer in &left {
        let root = referrer.root.digest;
        link.outbox
            .event(&Event::Note(format!("the referrer {root} stays behind: there are more than cross")));
    }
    referrers::send(link, store, &chosen, Effort::Level(9))?;
    Ok(Reply::Referrers { count: u32::try_from(chosen.len()).unwrap_or(u32::MAX) })
}

/// Takes the referrers of an image that this store lacks, and gives them their tags beside these names.
pub(super) fn receive(
    store: &dyn Store,
    link: &mut Link,
    image: &ImageId,
    names: &[ImageRef],
    platform: Option<&Platform>,
) -> Result<Reply, EndpointError> {
    let package = package(store, image, platform)?;
    let there = store.referrers(&package)?;
    let offered = referrers::receive_list(link)?;
    let is_there = |one: &Offered| {
        let is_it =
            |other: &Referrer| other.root.digest == one.root && (one.tag.is_none() || other.tag == one.tag);
        there.iter().any(is_it)
    };
    let lacking: Vec<usize> = (0..offered.len()).filter(|at| !is_there(&offered[*at])).collect();
    let given = referrers::receive(link, &offered, &lacking)?;
    let tags = lacking.iter().map(|at| offered[*at].tag.clone());
    let whole = WholeReferrer::assemble(&package, &there, tags.zip(given).collect())
        .map_err(|reason| EndpointError::AnotherImage(format!("the source sent for {image}: {reason}")))?;
    let are_those =
        whole.iter().zip(&lacking).all(|(one, at)| one.referrer().root.digest == offered[*at].root);
    if !are_those {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent other referrers of {image} than it lists"
        )));
    }
    if !whole.is_empty() {
        store.add_referrers(names, &whole)?;
    }
    Ok(Reply::Referrers { count: u32::try_from(whole.len()).unwrap_or(u32::MAX) })
}

fn package(
    store: &dyn Store,
    image: &ImageId,
    platform: Option<&Platform>,
) -> Result<Package, EndpointError> {
    let none = || EndpointError::Unsupported("the store keeps no referrers".into());
    store.package(image, platform)?.filter(|_| store.keeps_referrers()).ok_or_else(none)
}

/// Those that cross within the limits, and those that do not.
fn choose(all: Vec<Referrer>) -> (Vec<Referrer>, Vec<Referrer>) {
    let (mut count, mut left) = (0, limits::REFERRER_BYTES);
    all.into_iter().partition(|referrer| {
        let fits = count < limits::REFERRERS && referrer.size() <= left;
        if fits {
            count += 1;
            left -= referrer.size();
        }
        fits
    })
}
