//! The header of a blob, which says whether it is gzip or zstd.

use std::io::{self, Read};

use super::outcome::Reason;
use crate::gzip::{self, LONGEST_HEADER, Start};
use crate::recreate::read_some;
use crate::zstd;

/// The header of a blob.
pub(crate) enum Header {
    Gzip(Vec<u8>),
    /// All that was read.
    Zstd(Vec<u8>),
    None(Reason),
}

/// The header of a blob. What was read after one of gzip is left in `start`.
pub(crate) fn read_header(blob: &mut impl Read, start: &mut Vec<u8>) -> io::Result<Header> {
    let mut head = Vec::new();
    loop {
        match gzip::start(&head) {
            Start::Header(len) => {
                *start = head.split_off(len);
                return Ok(Header::Gzip(head));
            }
            Start::Other if head.starts_with(&zstd::MAGIC) => return Ok(Header::Zstd(head)),
            Start::Other if head.len() < zstd::MAGIC.len() && zstd::MAGIC.starts_with(&head) => {}
            Start::Other => return Ok(Header::None(Reason::OtherKind)),
            Start::Short => {}
        }
        let mut piece = [0; LONGEST_HEADER];
        let read = read_some(blob, &mut piece)?;
        if read == 0 {
            return Ok(Header::None(Reason::Damaged));
        }
        head.extend_from_slice(&piece[..read]);
    }
}
