//! Files, documents and databases of images, as other programs and people wrote them.

pub(super) mod archive;
pub(super) mod bolt;
pub(super) mod documents;
pub(super) mod inspect;
pub(super) mod layout;
pub(super) mod tar_split;

mod image;
mod store;
