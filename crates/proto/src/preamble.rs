//! The preamble that each end sends first: magic number, protocol version, build.
//!
//! ```text
//!  0  16  magic  00 "docker-sync" 00 d5 0d 0a
//! 16   2  protocol number, little-endian
//! 18  32  build id: SHA-256 over the sources of an endpoint
//! ```
//!
//! A login shell may print before the agent runs, so the reader looks for the magic and hands back
//! whatever came before it.

/// The protocol number of this build. It changes whenever an older build could misread a newer one.
pub const PROTOCOL: u16 = 18;

/// Begins with a NUL, which no banner has; ends with a byte above ASCII and both line ends, so that a
/// channel that is not clean is noticed at once (as in the PNG signature, W3C PNG section 5.2).
pub const MAGIC: [u8; 16] = *b"\0docker-sync\0\xd5\x0d\x0a";

/// The length of a preamble in bytes.
pub const PREAMBLE_LEN: usize = 50;

/// The first bytes of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// The protocol number of the endpoint.
    pub protocol: u16,
    /// The build ID, from the sources of the endpoint: what both ends compute alike must be the same.
    pub build: [u8; 32],
}

/// The reason why two endpoints cannot talk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// The other end is of another version.
    #[error(
        "the other end speaks protocol {theirs}, this one speaks {PROTOCOL}; use the same version of docker-sync on both"
    )]
    Protocol {
        /// The number it sent.
        theirs: u16,
    },
    /// The other end speaks the same protocol, and what it means by it may be something else.
    #[error("the other end is another build of docker-sync; use the same build on both")]
    Build,
}

impl Preamble {
    /// The bytes to send.
    pub fn encode(&self) -> [u8; PREAMBLE_LEN] {
        let mut bytes = [0; PREAMBLE_LEN];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..18].copy_from_slice(&self.protocol.to_le_bytes());
        bytes[18..].copy_from_slice(&self.build);
        bytes
    }

    /// Reads what follows the magic. The other end must be of this protocol, and of this build.
    pub fn decode(after_magic: &[u8; PREAMBLE_LEN - 16], build: &[u8; 32]) -> Result<Self, PreambleError> {
        let [low, high, theirs @ ..] = after_magic;
        let protocol = u16::from_le_bytes([*low, *high]);
        if protocol != PROTOCOL {
            return Err(PreambleError::Protocol { theirs: protocol });
        }
        if theirs != build {
            return Err(PreambleError::Build);
        }
        Ok(Preamble { protocol, build: *theirs })
    }
}

/// The offset of the magic in the bytes read so far, noise before it included.
pub fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_the_protocol_has_its_number() {
        let page = include_str!("../../../docs/protocol.md");
        assert!(page.contains(&format!("Protocol number **{PROTOCOL}**.")), "raise it there, too");
    }

    #[test]
    fn the_bytes_are_pinned() {
        let bytes = Preamble { protocol: PROTOCOL, build: [0xab; 32] }.encode();
        assert_eq!(bytes[..16], *b"\x00docker-sync\x00\xd5\x0d\x0a");
        assert_eq!(bytes[16..18], [18, 0]);
        assert_eq!(bytes[18..], [0xab; 32]);
    }

    #[test]
    fn noise_before_the_magic_is_skipped() {
        let mut bytes = b"Welcome to docker-sync land!\n\0docker-sync\0".to_vec();
        assert_eq!(find(&bytes), None);
        let noise = bytes.len();
        bytes.extend(Preamble { protocol: PROTOCOL, build: [7; 32] }.encode());
        assert_eq!(find(&bytes), Some(noise));
        let rest: [u8; PREAMBLE_LEN - 16] = bytes[noise + 16..].try_into().unwrap();
        assert_eq!(Preamble::decode(&rest, &[7; 32]).unwrap().build, [7; 32]);
    }

    #[test]
    fn another_protocol_is_refused_with_both_numbers() {
        let mut rest = [0; PREAMBLE_LEN - 16];
        rest[0] = 9;
        let error = Preamble::decode(&rest, &[0; 32]).unwrap_err();
        assert!(error.to_string().contains("protocol 9, this one speaks 18"), "{error}");
    }

    #[test]
    fn another_build_is_refused_though_it_speaks_the_same_protocol() {
        let bytes = Preamble { protocol: PROTOCOL, build: [7; 32] }.encode();
        let rest: [u8; PREAMBLE_LEN - 16] = bytes[16..].try_into().unwrap();
        let mut other = [7; 32];
        other[31] = 8;
        assert_eq!(Preamble::decode(&rest, &other), Err(PreambleError::Build));
    }

    #[test]
    fn the_first_whole_magic_is_found_wherever_it_begins() {
        // A beginning of the magic before it, and another one after it.
        for noise in [&b""[..], b"\0", b"\0docker-sync\0\xd5\r", b"\0docker-\0docker-sync"] {
            let bytes = [noise, &MAGIC, b"\0docker-sync", &MAGIC].concat();
            assert_eq!(find(&bytes), Some(noise.len()), "{noise:?}");
            assert_eq!(find(&bytes[..noise.len() + MAGIC.len() - 1]), None, "{noise:?}");
        }
        // A channel that changes line ends, or cuts the high bit, does not let it through.
        for (from, to) in [(0xd5, 0x55), (0x0d, 0x0a), (0, b' ')] {
            let changed = MAGIC.map(|byte| if byte == from { to } else { byte });
            assert_eq!(find(&changed), None);
        }
    }

    #[test]
    fn of_another_protocol_the_build_does_not_matter() {
        let mut rest = [0xab; PREAMBLE_LEN - 16];
        rest[..2].copy_from_slice(&(PROTOCOL + 0x100).to_le_bytes());
        let theirs = PROTOCOL + 0x100;
        for build in [[0xab; 32], [0; 32]] {
            assert_eq!(Preamble::decode(&rest, &build), Err(PreambleError::Protocol { theirs }));
        }
    }
}
