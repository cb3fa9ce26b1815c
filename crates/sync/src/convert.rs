//! Between the vocabulary and the wire.

use dsync_core::{DiffId, Image, ImageId};
use dsync_proto::ListedImage;

use crate::failure::EndpointError;

pub(crate) fn to_wire(image: &Image) -> ListedImage {
    ListedImage {
        id: *image.id.as_bytes(),
        names: image.names.iter().map(ToString::to_string).collect(),
        diff_ids: image.diff_ids.iter().map(|id| *id.as_bytes()).collect(),
        platform: image.platform.to_string(),
        size: image.size,
        created: image.created.clone(),
    }
}

/// Checks what came over the wire: every name must be a valid one before it goes anywhere.
pub(crate) fn from_wire(listed: &ListedImage) -> Result<Image, EndpointError> {
    let names: Result<Vec<_>, _> = listed.names.iter().map(|name| name.parse()).collect();
    Ok(Image {
        id: ImageId::from_bytes(listed.id),
        names: names
            .map_err(|error| EndpointError::Usage(format!("the other end sent a bad image name: {error}")))?,
        diff_ids: listed.diff_ids.iter().copied().map(DiffId::from_bytes).collect(),
        platform: listed.platform.parse().map_err(EndpointError::Usage)?,
        size: listed.size,
        created: listed.created.clone(),
    })
}
