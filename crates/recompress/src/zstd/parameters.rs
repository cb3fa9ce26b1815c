//! The releases of klauspost's encoder that differ in their output, and its levels.

use std::fmt;

/// Releases that differ in their output, each named by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// klauspost/compress 1.15.12 to 1.16.3.
    V1_15,
    /// klauspost/compress 1.16.4 to 1.17.7; to 1.17.2 for levels above the default.
    V1_16,
    /// klauspost/compress from 1.17.8 on.
    V1_18,
}

impl Generation {
    /// The most probable first.
    pub(crate) const ALL: [Self; 3] = [Self::V1_18, Self::V1_16, Self::V1_15];
}

/// The levels of klauspost's encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZstdLevel {
    /// zstd's levels 1 and 2 for the programs that take these.
    Fastest,
    /// Levels 3 to 5.
    Default,
    /// Levels 6 to 9.
    Better,
    /// Levels from 10 on; only known of the last generation.
    Best,
}

impl ZstdLevel {
    /// Plain bytes in a block.
    pub(crate) fn block(self) -> usize {
        match self {
            Self::Fastest => 64 << 10,
            Self::Default | Self::Better | Self::Best => 128 << 10,
        }
    }

    /// True if the level is known of a generation.
    pub(crate) fn is_of(self, generation: Generation) -> bool {
        self != Self::Best || generation == Generation::V1_18
    }

    /// True if two generations find the same matches.
    pub(crate) fn is_alike(self, one: Generation, other: Generation) -> bool {
        let is_last = |generation| generation == Generation::V1_18;
        matches!(self, Self::Fastest | Self::Default) || is_last(one) == is_last(other)
    }

    /// No match is as far as this.
    pub(super) fn window(self, generation: Generation) -> u32 {
        match (self, generation) {
            (Self::Fastest, _) => 4 << 20,
            (Self::Default | Self::Best, _) | (Self::Better, Generation::V1_18) => 8 << 20,
            (Self::Better, _) => 16 << 20,
        }
    }
}

impl fmt::Display for ZstdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fastest => "fastest",
            Self::Default => "default",
            Self::Better => "better",
            Self::Best => "best",
        })
    }
}
