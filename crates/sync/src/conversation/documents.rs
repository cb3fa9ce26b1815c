//! The documents of an image: of one whose ID is to stay, all that the ID is made of.
//!
//! One stream: their number (4 bytes, little-endian), and of each its length (4 bytes) and its bytes, as a section.

use dsync_core::{Digest, Image, ImageId};
use dsync_delta::batch::Effort;
use dsync_engine::Package;
use dsync_proto::limits;

use crate::coding::section;
use crate::failure::EndpointError;
use crate::link::Link;

const LOST: &str = "cannot send to the target";
const SILENT: &str = "the source did not say what the image is made of";

/// Sends all documents that an image is made of. Returns how many bytes they took.
pub(crate) fn send(link: &Link, package: &Package, effort: Effort) -> Result<u64, EndpointError> {
    let documents: Vec<&[u8]> = package.documents().map(|(_, document)| document).collect();
    send_documents(link, &documents, effort)
}

/// Sends documents: their number (4 bytes, little-endian), of each the length (4 bytes) and the bytes, all packed.
pub(crate) fn send_documents(link: &Link, documents: &[&[u8]], effort: Effort) -> Result<u64, EndpointError> {
    let mut told = Vec::new();
    let number = |len: usize| u32::try_from(len).map_err(|error| EndpointError::Broken(error.to_string()));
    told.extend(number(documents.len())?.to_le_bytes());
    for document in documents {
        told.extend(number(document.len())?.to_le_bytes());
        told.extend_from_slice(document);
    }
    let mut out = link.data_writer();
    let packed = section::write(&told, effort, &mut out).and_then(|packed| out.finish().map(|()| packed));
    packed.map_err(EndpointError::io(LOST))
}

/// Receives documents.
pub(crate) fn receive_documents(link: &mut Link) -> Result<Vec<Vec<u8>>, EndpointError> {
    let mut stream = link.data_reader();
    // Each is told with its length.
    let told = section::read(&mut stream, limits::DOCUMENTS + (1 << 20))?;
    stream.finish().map_err(EndpointError::io(SILENT))?;
    take_documents(&told).ok_or_else(|| EndpointError::Protocol(SILENT.into()))
}

/// Receives what an image is made of, which must have the config that was asked for. Where `whole`, the ID that was
/// asked for is that of all of it; else it may be that of an index, of which one platform crosses.
pub(crate) fn receive(
    link: &mut Link,
    listed: &Image,
    config: &Digest,
    whole: bool,
) -> Result<Package, EndpointError> {
    let documents = receive_documents(link)?;
    let package = Package::assemble(documents).map_err(|reason| {
        EndpointError::Protocol(format!("what the source says of the image is broken: {reason}"))
    })?;
    if whole && id(&package) != listed.id {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent image {} in place of {}",
            id(&package),
            listed.id
        )));
    }
    match package.config(config) {
        Some(config) if config.diff_ids == listed.diff_ids => Ok(package),
        _ => {
            Err(EndpointError::AnotherImage(format!("the source sent an image without the config {config}")))
        }
    }
}

fn take_documents(mut told: &[u8]) -> Option<Vec<Vec<u8>>> {
    let number = |told: &mut &[u8]| {
        let (number, rest) = told.split_first_chunk()?;
        *told = rest;
        usize::try_from(u32::from_le_bytes(*number)).ok()
    };
    let mut documents = Vec::new();
    for _ in 0..number(&mut told).filter(|count| *count <= limits::DOCUMENT_COUNT)? {
        let len = number(&mut told).filter(|len| *len as u64 <= limits::DOCUMENT)?;
        let (document, rest) = told.split_at_checked(len)?;
        documents.push(document.to_vec());
        told = rest;
    }
    told.is_empty().then_some(documents)
}

/// The ID that an image has by its package.
pub(crate) fn id(package: &Package) -> ImageId {
    ImageId::from(package.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_to_the_byte() {
        let told = [&[2, 0, 0, 0, 1, 0, 0, 0][..], b"a", &[0, 0, 0, 0]].concat();
        assert_eq!(take_documents(&told), Some(vec![b"a".to_vec(), Vec::new()]));
        assert_eq!(take_documents(&told[..told.len() - 1]), None);
        assert_eq!(take_documents(&[&told[..], b"x"].concat()), None);
        assert_eq!(take_documents(&[255; 8]), None);
    }
}
