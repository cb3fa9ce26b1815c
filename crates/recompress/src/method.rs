//! The encoders that can be run again, and their parameters.

use std::fmt;

use crate::deflate::Encoder;
use crate::golang;
use crate::gzip::Hints;
use crate::klauspost::{self, Release};

/// An encoder of deflate with its parameters.
///
/// Kept as six bytes: the encoder's number, the level (from -2), and the size of independent blocks (four bytes, the
/// lowest first; 0 where there are none). Numbers are never given anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `compress/flate` of Go up to 1.26: `docker push`, the containerd store, BuildKit, ko, crane.
    Go {
        /// From -2 (no matches) to 9. The default is 6.
        level: i8,
    },
    /// klauspost's encoder, and that of Go from 1.27 on.
    Klauspost {
        /// Which of its outputs.
        release: Release,
        /// From 1 to 6. The default is 5 by klauspost, and 6 by Go.
        level: i8,
    },
    /// The same in independent blocks, by klauspost's pgzip: podman, skopeo, buildah.
    Pgzip {
        /// Which of its outputs.
        release: Release,
        /// From 1 to 6. The default is 5.
        level: i8,
        /// Plain bytes in a block, 1 MiB by default.
        block: u32,
    },
}

/// The plain bytes in a block of pgzip, unless the program chose otherwise.
const PGZIP_BLOCK: u32 = 1 << 20;

impl Release {
    /// What is added to the number of an encoder.
    fn number(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Exact => 1,
        }
    }
}

impl Method {
    /// The bytes that [`Method::from_bytes`] reads.
    pub(crate) fn to_bytes(self) -> [u8; 6] {
        let (number, level, block) = match self {
            Self::Go { level } => (1, level, 0u32),
            Self::Klauspost { release, level } => (2 + release.number(), level, 0),
            Self::Pgzip { release, level, block } => (4 + release.number(), level, block),
        };
        let [a, b, c, d] = block.to_le_bytes();
        [number, level as u8, a, b, c, d]
    }

    /// Reads a method, if all of it is known here.
    pub(crate) fn from_bytes(bytes: [u8; 6]) -> Option<Self> {
        let [number, level, a, b, c, d] = bytes;
        let (level, block) = (level as i8, u32::from_le_bytes([a, b, c, d]));
        let method = match number {
            1 => Self::Go { level },
            2 => Self::Klauspost { release: Release::Full, level },
            3 => Self::Klauspost { release: Release::Exact, level },
            4 => Self::Pgzip { release: Release::Full, level, block },
            5 => Self::Pgzip { release: Release::Exact, level, block },
            _ => return None,
        };
        (method.is_valid() && method.to_bytes() == bytes).then_some(method)
    }

    /// Whether the parameters are among those that are known.
    fn is_valid(self) -> bool {
        match self {
            Self::Go { level } => (-2..=9).contains(&level),
            Self::Klauspost { level, .. } => (1..=6).contains(&level),
            Self::Pgzip { level, block, .. } => {
                (1..=6).contains(&level) && klauspost::is_block(block as usize)
            }
        }
    }

    /// An encoder at the start of a stream.
    pub(crate) fn encoder(self) -> Box<dyn Encoder> {
        match self {
            Self::Go { level: ..-1 } => Box::new(golang::Plain::huffman()),
            Self::Go { level: -1 } => Box::new(golang::Chained::new(6)),
            Self::Go { level: 0 } => Box::new(golang::Plain::stored()),
            Self::Go { level: 1 } => Box::new(golang::Fast::new()),
            Self::Go { level } => Box::new(golang::Chained::new(level.unsigned_abs())),
            Self::Klauspost { release, level } => {
                Box::new(klauspost::Fast::new(release, level.unsigned_abs()))
            }
            Self::Pgzip { release, level, block } => {
                Box::new(klauspost::Pgzip::new(release, level.unsigned_abs(), block as usize))
            }
        }
    }

    /// What may have written a blob with such a header, the most probable first.
    pub(crate) fn candidates(hints: Hints) -> Vec<Self> {
        let _ = hints;
        let mut methods = vec![Self::Go { level: 6 }, Self::Go { level: 1 }];
        let releases = [Release::Exact, Release::Full];
        methods.extend(releases.map(|release| Self::Pgzip { release, level: 5, block: PGZIP_BLOCK }));
        methods.extend(
            releases
                .iter()
                .flat_map(|release| [6, 5, 1].map(|level| Self::Klauspost { release: *release, level })),
        );
        methods.extend(releases.iter().flat_map(|release| {
            [1, 6].map(|level| Self::Pgzip { release: *release, level, block: PGZIP_BLOCK })
        }));
        methods.extend([9, 2, 3, 4, 5, 7, 8, 0, -2].map(|level| Self::Go { level }));
        methods
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |release: &Release| match release {
            Release::Full => "full",
            Release::Exact => "exact",
        };
        match self {
            Self::Go { level } => write!(f, "go{level}"),
            Self::Klauspost { release, level } => write!(f, "klauspost-{}{level}", name(release)),
            Self::Pgzip { release, level, block } => write!(f, "pgzip-{}{level}/{block}", name(release)),
        }
    }
}
