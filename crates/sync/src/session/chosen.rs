//! From the images that a source lists to those that are meant, and to the entries of a report.

use std::collections::{BTreeMap, HashSet};

use dsync_core::{Image, ImageId, ImageRef, Unreadable};
use dsync_proto::{Failure, FailureKind, Holder, Survey};

use crate::error::{Error, Host};
use crate::inventory::select::{self, Pin, Selector};
use crate::session::report::{Entry, Held};

/// An image of the source that is meant.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) image: Image,
    /// The names by which it is meant.
    pub(crate) names: Vec<Option<ImageRef>>,
    /// By which digest it is meant.
    pub(crate) pin: Pin,
}

/// The images that are meant; all that are listed where nothing was selected. `names` are those that the source has, where
/// something was selected that it has not; `keeps_manifests` is said of its store.
pub(crate) fn choose(
    selectors: &[Selector],
    images: Vec<Image>,
    unreadable: &[Unreadable],
    names: &[String],
    keeps_manifests: bool,
) -> Result<Vec<Chosen>, Error> {
    for selector in selectors {
        if let Some(error) = contradiction(selector, &images, keeps_manifests) {
            return Err(error);
        }
        if !images.iter().any(|image| selector.selects(image))
            && !unreadable.iter().any(|image| selector.selects_unreadable(image))
        {
            let pattern = selector.as_str().to_owned();
            return Err(Error::NoSuchImage {
                close: select::close(&pattern, names),
                pattern,
                keeps_manifests,
            });
        }
    }
    let chosen: Vec<Chosen> = images
        .into_iter()
        .map(|mut image| {
            let pin = selectors.iter().map(|selector| selector.pin(&image)).max();
            let names = select::names(selectors, &image);
            // A source may have any number of others.
            image.names = names.iter().flatten().cloned().collect();
            Chosen { names, image, pin: pin.unwrap_or(Pin::None) }
        })
        .filter(|chosen| !chosen.names.is_empty())
        .collect();
    match ambiguous(selectors, &chosen) {
        None => Ok(chosen),
        Some(name) => {
            let causes = vec![format!("{name} is to be two images: name one of them")];
            Err(Error::Endpoint { host: Host::Here, failure: Failure { kind: FailureKind::Usage, causes } })
        }
    }
}

/// The contradiction of a name beside a digest, which is another image's.
fn contradiction(selector: &Selector, images: &[Image], keeps_manifests: bool) -> Option<Error> {
    let image = images.iter().find(|image| selector.is_contradicted_by(image))?;
    Some(Error::OtherDigest {
        name: selector.exact()?.clone(),
        wanted: *selector.digest()?,
        id: image.id,
        is_there: images.iter().any(|image| selector.selects(image)),
        keeps_manifests,
    })
}

/// A name that was given to several images.
fn ambiguous<'a>(selectors: &[Selector], chosen: &'a [Chosen]) -> Option<&'a ImageRef> {
    let mut seen = HashSet::new();
    let given = |name: &ImageRef| selectors.iter().any(|selector| selector.given_name() == Some(name));
    let mut names = chosen.iter().flat_map(|chosen| chosen.names.iter().flatten());
    names.find(|name| !seen.insert(*name) && given(name))
}

/// The entries of a report, sorted by name; `None` when the survey does not fit.
pub(crate) fn entries(chosen: Vec<Chosen>, surveys: Vec<Survey>) -> Option<Vec<Entry>> {
    if chosen.len() != surveys.len() {
        return None;
    }
    let mut sorted: BTreeMap<(Option<ImageRef>, ImageId), Entry> = BTreeMap::new();
    for (Chosen { image, names, pin }, survey) in chosen.into_iter().zip(surveys) {
        let told = [survey.status.len(), survey.holders.len()];
        if told != [names.len(); 2] || image.diff_ids.len() != survey.layers.len() {
            return None;
        }
        for ((name, status), holder) in names.into_iter().zip(survey.status).zip(survey.holders) {
            let entry = Entry {
                name: name.clone(),
                image: image.clone(),
                pin,
                status,
                held: holder.map(|Holder { id, created }| Held { id: ImageId::from_bytes(id), created }),
                layers: survey.layers.clone(),
                basis: survey.basis.clone(),
                foreign_to: survey.foreign_to.clone(),
            };
            sorted.insert((name, image.id), entry);
        }
    }
    Some(sorted.into_values().collect())
}

/// Of images that are meant by a digest which only a registry knows them by: that nothing proves it. The manifest with
/// that digest is not kept by all engines, and not sent by any.
pub(crate) fn unproven(selectors: &[Selector], chosen: &[Chosen]) -> Vec<String> {
    let mut unproven = Vec::new();
    for Chosen { image, .. } in chosen {
        let by_registry = selectors.iter().filter(|selector| selector.pin(image) == Pin::Registry);
        unproven.extend(by_registry.filter_map(Selector::digest).map(|digest| {
            format!("that {} is {digest} is what the source's engine says, and proven by nothing", image.id)
        }));
    }
    unproven
}

/// An image that is asked for by its ID, of a store whose IDs are those of configs, has that config.
pub(crate) fn check_pins(chosen: &[Chosen], source: &Host, id_is_config: bool) -> Result<(), Error> {
    let fits = |image: &Image| image.config.is_some_and(|config| config.as_bytes() == image.id.as_bytes());
    match chosen.iter().find(|chosen| chosen.pin != Pin::None && id_is_config && !fits(&chosen.image)) {
        None => Ok(()),
        Some(Chosen { image, .. }) => {
            let causes = vec![format!("the source gives another config than {} for that ID", image.id)];
            let failure = Failure { kind: FailureKind::AnotherImage, causes };
            Err(Error::Endpoint { host: source.clone(), failure })
        }
    }
}
