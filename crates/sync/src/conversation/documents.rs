//! The documents of an image: of one whose ID is to stay, all that the ID is made of.
//!
//! One stream: their number (4 bytes, little-endian), and of each its length (4 bytes) and its bytes, as a section.

use dsync_core::{Digest, Image, ImageId};
use dsync_delta::batch::Effort;
use dsync_engine::Package;
use dsync_proto::limits;

use super::{Preserved, Step};
use crate::coding::section;
use crate::failure::{Breach, EndpointError};
use crate::link::Link;

/// Sends all documents that an image is made of. Returns how many bytes they took.
pub(crate) fn send(link: &Link, package: &Package, effort: Effort) -> Result<u64, EndpointError> {
    let documents: Vec<&[u8]> = package.documents().map(|(_, document)| document).collect();
    send_documents(link, Step::Documents, &documents, effort)
}

/// Sends documents in this step, all packed.
pub(super) fn send_documents(
    link: &Link,
    step: Step,
    documents: &[&[u8]],
    effort: Effort,
) -> Result<u64, EndpointError> {
    let mut bytes = Vec::new();
    let number = |len: usize| u32::try_from(len).map_err(|error| EndpointError::Broken(error.to_string()));
    bytes.extend(number(documents.len())?.to_le_bytes());
    for document in documents {
        bytes.extend(number(document.len())?.to_le_bytes());
        bytes.extend_from_slice(document);
    }
    let mut out = link.data_writer();
    let packed = section::write(&bytes, effort, &mut out).and_then(|packed| out.finish().map(|()| packed));
    packed.map_err(EndpointError::io(step.sent()))
}

/// Receives the documents of this step.
pub(super) fn receive_documents(link: &mut Link, step: Step) -> Result<Vec<Vec<u8>>, EndpointError> {
    let mut stream = link.data_reader();
    // Each has its length in front.
    let most = limits::DOCUMENTS + (1 << 20);
    let bytes = section::read(&mut stream, most).and_then(|bytes| stream.finish().map(|()| bytes));
    let bytes = bytes.map_err(EndpointError::io(step.awaited()))?;
    parse(&bytes).ok_or_else(|| Breach("documents of other lengths than they are sent with".into()).into())
}

/// Receives what an image is made of, which must have the config that was asked for. Where it keeps its ID, that is of
/// all of it; else it may be that of an index, of which one platform crosses.
pub(crate) fn receive(
    link: &mut Link,
    listed: &Image,
    config: &Digest,
    preserved: &Preserved,
) -> Result<Package, EndpointError> {
    let documents = receive_documents(link, Step::Documents)?;
    let package = Package::assemble(documents).map_err(|reason| {
        EndpointError::Protocol(format!("what the source says of the image is broken: {reason}"))
    })?;
    if *preserved == Preserved::Id && id(&package) != listed.id {
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

fn parse(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        usize::try_from(u32::from_le_bytes(*number)).ok()
    };
    let mut documents = Vec::new();
    for _ in 0..number(&mut bytes).filter(|count| *count <= limits::DOCUMENT_COUNT)? {
        let len = number(&mut bytes).filter(|len| *len as u64 <= limits::DOCUMENT)?;
        let (document, rest) = bytes.split_at_checked(len)?;
        documents.push(document.to_vec());
        bytes = rest;
    }
    bytes.is_empty().then_some(documents)
}

/// The ID that an image has by its package.
pub(crate) fn id(package: &Package) -> ImageId {
    ImageId::from(package.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bytes_of_documents_come_over_as_are_allowed() {
        let (source, mut target) = Link::pair(&crate::interrupt::Interrupt::default());
        let document = vec![7; usize::try_from(limits::DOCUMENT).unwrap()];
        let documents = vec![&document[..]; usize::try_from(limits::DOCUMENTS / limits::DOCUMENT).unwrap()];
        send_documents(&source, Step::Documents, &documents, Effort::Level(1)).unwrap();
        assert_eq!(receive_documents(&mut target, Step::Documents).unwrap(), documents);
    }

    #[test]
    fn documents_are_read_to_the_byte() {
        let sent = [&[2, 0, 0, 0, 1, 0, 0, 0][..], b"a", &[0, 0, 0, 0]].concat();
        assert_eq!(parse(&sent), Some(vec![b"a".to_vec(), Vec::new()]));
        assert_eq!(parse(&sent[..sent.len() - 1]), None);
        assert_eq!(parse(&[&sent[..], b"x"].concat()), None);
        assert_eq!(parse(&[255; 8]), None);
    }
}
