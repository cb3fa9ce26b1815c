//! The artifacts beside an image: a conversation of its own, after the one about the image.
//!
//! The source lists them ([`Peer::Referrers`]), the target says which of these it lacks ([`Peer::Lacking`]), and the
//! source sends their blobs in one stream: of each its length (4 bytes, little-endian) and its bytes, as a section.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};

use dsync_core::Digest;
use dsync_delta::batch::Effort;
use dsync_engine::{Referrer, ReferrerTag, Store};
use dsync_proto::{ListedReferrer, Peer, limits};

use crate::coding::section::{SectionReader, SectionWriter};
use crate::failure::{Breach, EndpointError};
use crate::link::Link;

#[cfg(test)]
mod tests;

const AWAITED: &str = "cannot receive the referrers of the image from the other side";
const SENT: &str = "cannot send the referrers of the image to the other side";

/// The source's half: lists these, and sends those that are asked for.
pub(crate) fn send(
    link: &mut Link,
    store: &dyn Store,
    referrers: &[Referrer],
    effort: Effort,
) -> Result<(), EndpointError> {
    let listed = |referrer: &Referrer| ListedReferrer {
        root: *referrer.root.digest.as_bytes(),
        tag: referrer.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
        blobs: u32::try_from(referrer.blobs.len()).unwrap_or(u32::MAX),
    };
    let listed = Peer::Referrers(referrers.iter().map(listed).collect());
    link.send_peer(&listed).map_err(EndpointError::io(SENT))?;
    let lacking = match link.expect_peer().map_err(EndpointError::io(AWAITED))? {
        Peer::Lacking(lacking) => lacking,
        _ => return Err(unexpected()),
    };
    let mut seen = HashSet::new();
    let wanted = |at: u32| {
        let at = usize::try_from(at).ok().filter(|at| seen.insert(*at))?;
        referrers.get(at)
    };
    let wanted: Option<Vec<&Referrer>> = lacking.into_iter().map(wanted).collect();
    let wanted = wanted.ok_or_else(|| Breach("the target asks for a referrer that is none".into()))?;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut out = link.data_writer();
    let mut section = SectionWriter::new(&mut out, effort);
    for blob in wanted.iter().flat_map(|referrer| &referrer.blobs) {
        let mut bytes = Vec::new();
        let read = store.blob(blob)?.take(blob.size.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(EndpointError::io("a referrer of the image cannot be read"))?;
        if Digest::of(&bytes) != blob.digest {
            return Err(EndpointError::Broken(format!("the blob {} has another digest", blob.digest)));
        }
        let len = u32::try_from(bytes.len()).map_err(|error| EndpointError::Broken(error.to_string()))?;
        let written = section.write_all(&len.to_le_bytes()).and_then(|()| section.write_all(&bytes));
        written.map_err(EndpointError::io(SENT))?;
    }
    let finished = section.finish().and_then(|_| out.finish());
    finished.map_err(EndpointError::io(SENT))
}

/// A referrer as the source lists it.
pub(crate) struct Offered {
    pub(crate) root: Digest,
    pub(crate) tag: Option<ReferrerTag>,
    blobs: usize,
}

/// Receives the list of the source.
pub(crate) fn receive_list(link: &mut Link) -> Result<Vec<Offered>, EndpointError> {
    let Peer::Referrers(listed) = link.expect_peer().map_err(EndpointError::io(AWAITED))? else {
        return Err(unexpected());
    };
    if listed.len() > limits::REFERRERS {
        let (count, most) = (listed.len(), limits::REFERRERS);
        return Err(Breach(format!("the image has {count} referrers; {most} are the most")).into());
    }
    let offered = |listed: ListedReferrer| {
        let tag = match &listed.tag[..] {
            "" => None,
            tag => Some(tag.parse().map_err(|error| EndpointError::Protocol(format!("{tag:?} is {error}")))?),
        };
        let blobs = usize::try_from(listed.blobs).ok().filter(|blobs| *blobs <= limits::REFERRER_BLOBS);
        let blobs = blobs.ok_or_else(|| Breach("a referrer has too many blobs".into()))?;
        Ok(Offered { root: Digest::from_bytes(listed.root), tag, blobs })
    };
    listed.into_iter().map(offered).collect()
}

/// Asks for those of a list at these places, which is the end where there are none. Returns the blobs of each.
pub(crate) fn receive(
    link: &mut Link,
    offered: &[Offered],
    lacking: &[usize],
) -> Result<Vec<Vec<Vec<u8>>>, EndpointError> {
    let places = lacking.iter().filter_map(|at| u32::try_from(*at).ok()).collect();
    link.send_peer(&Peer::Lacking(places)).map_err(EndpointError::io(SENT))?;
    if lacking.is_empty() {
        return Ok(Vec::new());
    }
    let mut stream = link.data_reader();
    let mut section = SectionReader::new(&mut stream);
    let mut left = limits::REFERRER_BYTES;
    let mut blob = || -> std::io::Result<Vec<u8>> {
        let mut len = [0; 4];
        section.read_exact(&mut len)?;
        let len = u64::from(u32::from_le_bytes(len));
        left = left.checked_sub(len).ok_or_else(|| Breach("the referrers are too large".into()))?;
        let mut bytes = Vec::new();
        (&mut section).take(len).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    };
    let wanted = lacking.iter().filter_map(|at| offered.get(*at));
    let given: std::io::Result<Vec<Vec<Vec<u8>>>> =
        wanted.map(|offered| (0..offered.blobs).map(|_| blob()).collect()).collect();
    let given = given.map_err(EndpointError::io(AWAITED))?;
    section.finish().map_err(EndpointError::io(AWAITED))?;
    stream.finish().map_err(EndpointError::io(AWAITED))?;
    Ok(given)
}

fn unexpected() -> EndpointError {
    EndpointError::Protocol(format!("{AWAITED}: it sent another message"))
}
