//! The encoders that can be run again, and their parameters.

use std::fmt;

use crate::checkpoint::Checkpoint;
use crate::deflate::StreamEncoder;
use crate::golang;
use crate::gzip::Hints;
use crate::klauspost::{self, Release};
use crate::zlib::{self, Flavour};
use crate::zstd::{Generation, Zstd, ZstdLevel};

/// An encoder of deflate or zstd, with its parameters.
///
/// Kept as six bytes: the encoder's number, the level (signed), and the size of independent blocks (four bytes, the
/// lowest first; 0 where there are none). Numbers are never given anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressionMethod {
    /// `compress/flate` of Go up to 1.26: `docker push`, the containerd store, BuildKit, ko, crane.
    Go {
        /// The level, from 0 (stored) to 9, or -1, the default, which is 6.
        level: i8,
    },
    /// klauspost's encoder, and that of Go from 1.27 on.
    Klauspost {
        /// The group of releases with the same output.
        release: Release,
        /// The level, from 1 to 6. The default is 5 by klauspost, and 6 by Go.
        level: i8,
    },
    /// klauspost's encoder in independent blocks, by pgzip: podman, skopeo, buildah.
    Pgzip {
        /// The group of releases with the same output.
        release: Release,
        /// The level, from 1 to 6. The default is 5.
        level: i8,
        /// Plain bytes in a block, 1 MiB by default.
        block: u32,
    },
    /// zlib, or GNU gzip.
    Zlib {
        /// The program.
        flavour: Flavour,
        /// The level, from 1 to 9. The default is 6.
        level: i8,
    },
    /// zlib in independent blocks, by pigz.
    Pigz {
        /// The level, from 1 to 9. The default is 6.
        level: i8,
        /// Plain bytes in a block, 128 KiB by default.
        block: u32,
    },
    /// zlib in blocks that go on where the one before ended, by pigz on one thread.
    PigzChained {
        /// The level, from 1 to 9. The default is 6.
        level: i8,
        /// Plain bytes in a block, 128 KiB by default.
        block: u32,
    },
    /// klauspost's encoder of zstd: BuildKit, podman, skopeo, buildah, nerdctl.
    Zstd {
        /// The group of releases with the same output.
        generation: Generation,
        /// The level of the encoder.
        level: ZstdLevel,
        /// Plain bytes after which the stream was flushed for once, fewer than a block holds; 0 where it was not.
        /// skopeo does so after 8.
        flushed: u32,
    },
}

/// The plain bytes in a block of pgzip, unless the program chose otherwise; and as umoci chooses.
const PGZIP_BLOCK: u32 = 1 << 20;
const UMOCI_BLOCK: u32 = 256 << 10;

/// The plain bytes in a block of pigz, unless the user chose otherwise.
const PIGZ_BLOCK: u32 = 128 << 10;

impl Flavour {
    /// The offset from the first number of the family.
    fn number(self) -> u8 {
        match self {
            Self::Zlib => 0,
            Self::ZlibLarge => 1,
            Self::Gnu => 2,
        }
    }
}

impl Release {
    /// The offset from the first number of the family.
    fn number(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Exact => 1,
        }
    }
}

impl Generation {
    /// The offset from the first number of the family.
    fn number(self) -> u8 {
        match self {
            Self::V1_15 => 0,
            Self::V1_16 => 1,
            Self::V1_18 => 2,
        }
    }
}

impl ZstdLevel {
    /// The number in the bytes of a method.
    fn number(self) -> i8 {
        match self {
            Self::Fastest => 1,
            Self::Default => 2,
            Self::Better => 3,
            Self::Best => 4,
        }
    }

    fn from_number(number: i8) -> Option<Self> {
        [Self::Fastest, Self::Default, Self::Better, Self::Best]
            .into_iter()
            .find(|level| level.number() == number)
    }
}

impl CompressionMethod {
    /// The bytes that [`CompressionMethod::from_bytes`] reads.
    pub fn to_bytes(self) -> [u8; 6] {
        let (number, level, block) = match self {
            Self::Go { level } => (1, level, 0u32),
            Self::Klauspost { release, level } => (2 + release.number(), level, 0),
            Self::Pgzip { release, level, block } => (4 + release.number(), level, block),
            Self::Zlib { flavour, level } => (6 + flavour.number(), level, 0),
            Self::Pigz { level, block } => (9, level, block),
            Self::PigzChained { level, block } => (10, level, block),
            Self::Zstd { generation, level, flushed } => (11 + generation.number(), level.number(), flushed),
        };
        let [a, b, c, d] = block.to_le_bytes();
        [number, level as u8, a, b, c, d]
    }

    /// Reads a method, if all of it is known here.
    pub fn from_bytes(bytes: [u8; 6]) -> Option<Self> {
        let [number, level, a, b, c, d] = bytes;
        let (level, block) = (level as i8, u32::from_le_bytes([a, b, c, d]));
        let method = match number {
            1 => Self::Go { level },
            2 => Self::Klauspost { release: Release::Full, level },
            3 => Self::Klauspost { release: Release::Exact, level },
            4 => Self::Pgzip { release: Release::Full, level, block },
            5 => Self::Pgzip { release: Release::Exact, level, block },
            6 => Self::Zlib { flavour: Flavour::Zlib, level },
            7 => Self::Zlib { flavour: Flavour::ZlibLarge, level },
            8 => Self::Zlib { flavour: Flavour::Gnu, level },
            9 => Self::Pigz { level, block },
            10 => Self::PigzChained { level, block },
            11..=13 => Self::Zstd {
                generation: Generation::ALL.into_iter().find(|one| one.number() == number - 11)?,
                level: ZstdLevel::from_number(level)?,
                flushed: block,
            },
            _ => return None,
        };
        (method.is_valid() && method.to_bytes() == bytes).then_some(method)
    }

    /// True if the parameters are known.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Go { level } => (-1..=9).contains(&level),
            Self::Klauspost { level, .. } => (1..=6).contains(&level),
            Self::Pgzip { level, block, .. } => {
                (1..=6).contains(&level) && klauspost::is_block(block as usize)
            }
            Self::Zlib { level, .. } => (1..=9).contains(&level),
            Self::Pigz { level, block } | Self::PigzChained { level, block } => {
                (1..=9).contains(&level) && zlib::is_block(block as usize)
            }
            Self::Zstd { generation, level, flushed } => {
                level.is_of(generation) && (flushed as usize) < level.block()
            }
        }
    }

    /// True if its stream is in a gzip file, with a header before it and a footer after it.
    pub(crate) fn is_gzip(self) -> bool {
        !matches!(self, Self::Zstd { .. })
    }

    /// An encoder at the start of a stream.
    pub(crate) fn encoder(self) -> Box<dyn StreamEncoder> {
        match self {
            Self::Go { level: ..0 } => Box::new(golang::Chained::new(6)),
            Self::Go { level: 0 } => Box::new(golang::Stored::new()),
            Self::Go { level: 1 } => Box::new(golang::GoFast::new()),
            Self::Go { level } => Box::new(golang::Chained::new(level.unsigned_abs())),
            Self::Klauspost { release, level } => {
                Box::new(klauspost::Klauspost::new(release, level.unsigned_abs()))
            }
            Self::Pgzip { release, level, block } => {
                Box::new(klauspost::Pgzip::new(release, level.unsigned_abs(), block as usize))
            }
            Self::Zlib { flavour, level } => Box::new(zlib::Deflate::new(flavour, level.unsigned_abs())),
            Self::Pigz { level, block } => Box::new(zlib::Pigz::new(level.unsigned_abs(), block as usize)),
            Self::PigzChained { level, block } => {
                Box::new(zlib::Pigz::chained(level.unsigned_abs(), block as usize))
            }
            Self::Zstd { generation, level, flushed } => {
                Box::new(Zstd::new(generation, level, flushed as usize))
            }
        }
    }
}

impl CompressionMethod {
    /// True if there can be checkpoints: the level remembers every position.
    pub(crate) fn is_resumable(self) -> bool {
        match self {
            Self::Go { level } => level == -1 || level >= 4,
            Self::Zlib { level, .. } => level >= 4,
            _ => false,
        }
    }

    /// An encoder that goes on at a checkpoint, and was given `plain`, which begins at the start of the history of that
    /// place. None if that is not known of the method.
    pub(crate) fn resume(self, from: Checkpoint, plain: &[u8]) -> Option<Box<dyn StreamEncoder>> {
        match self {
            _ if !self.is_resumable() => None,
            Self::Go { level: -1 } => Some(Box::new(golang::Chained::resume(6, from, plain))),
            Self::Go { level } => Some(Box::new(golang::Chained::resume(level.unsigned_abs(), from, plain))),
            Self::Zlib { flavour, level } => {
                Some(Box::new(zlib::Deflate::resume(flavour, level.unsigned_abs(), from, plain)))
            }
            _ => None,
        }
    }
}

/// The candidates for a blob with such a header: the most probable first, less probable ones apart.
///
/// The header says whether a program was at its fastest (4) or best (2); a few programs always write 0.
pub(crate) fn candidates(hints: Hints) -> [Vec<CompressionMethod>; 3] {
    let (usual, rare): (&[i8], &[i8]) = match hints.extra_flags {
        2 => (&[9], &[6]),
        4 => (&[1], &[6, 0]),
        _ => (&[6, 5], &[4, 3, 2, 7, 8, 1, 9, 0]),
    };
    let at_levels = |levels: &[i8]| {
        let (of_go, of_zlib) = (candidates_of_go(levels), candidates_of_zlib(levels));
        match hints.system {
            // Go writes no system; of the others only Python does so.
            255 => [of_go, of_zlib].concat(),
            _ => [of_zlib, of_go].concat(),
        }
    };
    let other_blocks = usual.iter().chain(rare).flat_map(|level| pgzip(*level, UMOCI_BLOCK)).collect();
    [at_levels(usual), at_levels(rare), other_blocks]
}

/// Both releases of pgzip, if they have the level.
fn pgzip(level: i8, block: u32) -> Vec<CompressionMethod> {
    let methods =
        [Release::Exact, Release::Full].map(|release| CompressionMethod::Pgzip { release, level, block });
    methods.into_iter().filter(|method| method.is_valid()).collect()
}

fn candidates_of_go(levels: &[i8]) -> Vec<CompressionMethod> {
    let mut methods: Vec<CompressionMethod> =
        levels.iter().map(|level| CompressionMethod::Go { level: *level }).collect();
    for level in levels {
        methods.extend(pgzip(*level, PGZIP_BLOCK));
        let releases = [Release::Exact, Release::Full]
            .map(|release| CompressionMethod::Klauspost { release, level: *level });
        methods.extend(releases.into_iter().filter(|method| method.is_valid()));
    }
    methods
}

fn candidates_of_zlib(levels: &[i8]) -> Vec<CompressionMethod> {
    let mut methods = Vec::new();
    for level in levels.iter().copied().filter(|level| (1..=9).contains(level)) {
        methods
            .extend([Flavour::Gnu, Flavour::Zlib].map(|flavour| CompressionMethod::Zlib { flavour, level }));
        methods.push(CompressionMethod::Pigz { level, block: PIGZ_BLOCK });
        methods.push(CompressionMethod::PigzChained { level, block: PIGZ_BLOCK });
        methods.push(CompressionMethod::Zlib { flavour: Flavour::ZlibLarge, level });
    }
    methods
}

impl fmt::Display for CompressionMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |release: &Release| match release {
            Release::Full => "full",
            Release::Exact => "exact",
        };
        match self {
            Self::Go { level } => write!(f, "go{level}"),
            Self::Klauspost { release, level } => write!(f, "klauspost-{}{level}", name(release)),
            Self::Pgzip { release, level, block } => write!(f, "pgzip-{}{level}/{block}", name(release)),
            Self::Zlib { flavour: Flavour::Gnu, level } => write!(f, "gnu{level}"),
            Self::Zlib { flavour: Flavour::Zlib, level } => write!(f, "zlib{level}"),
            Self::Zlib { flavour: Flavour::ZlibLarge, level } => write!(f, "zlib-large{level}"),
            Self::Pigz { level, block } => write!(f, "pigz{level}/{block}"),
            Self::PigzChained { level, block } => write!(f, "pigz-chained{level}/{block}"),
            Self::Zstd { generation, level, flushed } => {
                let name = match generation {
                    Generation::V1_15 => "1.15",
                    Generation::V1_16 => "1.16",
                    Generation::V1_18 => "1.18",
                };
                write!(f, "zstd-{name}-{level}")?;
                if *flushed > 0 { write!(f, "/{flushed}") } else { Ok(()) }
            }
        }
    }
}
