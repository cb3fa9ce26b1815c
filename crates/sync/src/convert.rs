//! Converts images between `dsync_core` and `dsync_proto`, checking every name that arrives.

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Platform, Unreadable};
use dsync_proto::{ListedConfig, ListedImage, ListedPlatform, UnreadableImage};

use crate::failure::EndpointError;

pub(crate) fn to_wire(image: &Image) -> ListedImage {
    let Platform { os, architecture, variant } = image.platform.clone();
    ListedImage {
        id: *image.id.as_bytes(),
        config: match image.config {
            None => ListedConfig::Unknown,
            Some(config) if config.as_bytes() == image.id.as_bytes() => ListedConfig::Id,
            Some(config) => ListedConfig::Digest(*config.as_bytes()),
        },
        names: image.names.iter().map(ToString::to_string).collect(),
        digests: image.digests.iter().map(|digest| *digest.as_bytes()).collect(),
        diff_ids: image.diff_ids.iter().map(|id| *id.as_bytes()).collect(),
        platform: ListedPlatform { os, architecture, variant },
        size: image.size,
        created: image.created.clone(),
    }
}

/// Checks an image that came over the wire: every name must be a valid one before it goes anywhere.
pub(crate) fn from_wire(listed: &ListedImage) -> Result<Image, EndpointError> {
    let ListedPlatform { os, architecture, variant } = listed.platform.clone();
    Ok(Image {
        id: ImageId::from_bytes(listed.id),
        config: match listed.config {
            ListedConfig::Unknown => None,
            ListedConfig::Id => Some(Digest::from_bytes(listed.id)),
            ListedConfig::Digest(config) => Some(Digest::from_bytes(config)),
        },
        names: names_from_wire(&listed.names)?,
        digests: listed.digests.iter().copied().map(Digest::from_bytes).collect(),
        diff_ids: listed.diff_ids.iter().copied().map(DiffId::from_bytes).collect(),
        platform: Platform { os, architecture, variant },
        size: listed.size,
        created: listed.created.clone(),
    })
}

/// The names that an end sent.
pub(crate) fn names_from_wire(names: &[String]) -> Result<Vec<ImageRef>, EndpointError> {
    let names: Result<Vec<ImageRef>, _> = names.iter().map(|name| name.parse()).collect();
    names.map_err(|error| EndpointError::Protocol(format!("the other end sent a bad image name: {error}")))
}

pub(crate) fn unreadable_to_wire(image: &Unreadable) -> UnreadableImage {
    UnreadableImage {
        id: image.id.map(|id| *id.as_bytes()),
        names: image.names.iter().map(ToString::to_string).collect(),
        reason: image.reason.clone(),
    }
}

pub(crate) fn unreadable_from_wire(image: &UnreadableImage) -> Result<Unreadable, EndpointError> {
    let UnreadableImage { id, names, reason } = image;
    Ok(Unreadable { id: id.map(ImageId::from_bytes), names: names_from_wire(names)?, reason: reason.clone() })
}
