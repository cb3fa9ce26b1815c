//! The header of a blob, which says whether it is gzip or zstd.

use std::io::{self, Read};

use super::outcome::Reason;
use crate::gzip::{self, BlobFormat, LONGEST_HEADER};
use crate::recreate::read_some;
use crate::zstd;

/// The header of a blob.
pub(crate) enum BlobHeader {
    Gzip(Vec<u8>),
    /// All that was read.
    Zstd(Vec<u8>),
    None(Reason),
}

/// The header of a blob. What was read after one of gzip is left in `start`.
pub(crate) fn read_header(blob: &mut impl Read, start: &mut Vec<u8>) -> io::Result<BlobHeader> {
    let mut head = Vec::new();
    loop {
        match gzip::start(&head) {
            BlobFormat::Header(len) => {
                *start = head.split_off(len);
                return Ok(BlobHeader::Gzip(head));
            }
            BlobFormat::Other if head.starts_with(&zstd::MAGIC) => return Ok(BlobHeader::Zstd(head)),
            BlobFormat::Other if head.len() < zstd::MAGIC.len() && zstd::MAGIC.starts_with(&head) => {}
            BlobFormat::Other => return Ok(BlobHeader::None(Reason::OtherKind)),
            BlobFormat::Short => {}
        }
        let mut piece = [0; LONGEST_HEADER];
        let read = read_some(blob, &mut piece)?;
        if read == 0 {
            return Ok(BlobHeader::None(Reason::Damaged));
        }
        head.extend_from_slice(&piece[..read]);
    }
}
