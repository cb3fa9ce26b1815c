//! Compressed layers, and what makes them again.

pub(super) mod embedded;
pub(super) mod encoders;
pub(super) mod identify;
pub(super) mod recipe;
pub(super) mod streams;

use dsync_recompress::{CompressionMethod, Flavour, Generation, Release, ZstdLevel};

/// One of the encoders with parameters that it has, by two bytes.
fn method(number: u8, level: u8) -> CompressionMethod {
    let up_to = |most: u8| (level % most + 1) as i8;
    let release = if level & 0x80 == 0 { Release::Full } else { Release::Exact };
    match number % 10 {
        0 => CompressionMethod::Go { level: (level % 11) as i8 - 1 },
        1 => CompressionMethod::Klauspost { release, level: up_to(6) },
        2 => CompressionMethod::Pgzip { release, level: up_to(6), block: 64 << 10 },
        3 => CompressionMethod::Zlib { flavour: Flavour::Zlib, level: up_to(9) },
        4 => CompressionMethod::Zlib { flavour: Flavour::ZlibLarge, level: up_to(9) },
        5 => CompressionMethod::Zlib { flavour: Flavour::Gnu, level: up_to(9) },
        6 => CompressionMethod::Pigz { level: up_to(9), block: 32 << 10 },
        7 => CompressionMethod::PigzChained { level: up_to(9), block: 32 << 10 },
        8 => CompressionMethod::Zstd { generation: Generation::V1_18, level: zstd_level(level), flushed: 0 },
        _ => CompressionMethod::Zstd {
            generation: Generation::V1_16,
            level: zstd_level(level),
            flushed: u32::from(level),
        },
    }
}

fn zstd_level(level: u8) -> ZstdLevel {
    [ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better][usize::from(level) % 3]
}

/// The header of a gzip blob as encoders write it, or nothing for zstd.
fn header(method: CompressionMethod) -> Vec<u8> {
    match method {
        CompressionMethod::Zstd { .. } => Vec::new(),
        CompressionMethod::Zlib { .. } | CompressionMethod::Pigz { .. } => {
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
        }
        _ => vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
    }
}

/// Bytes with repetitions near and far, of a short text: a number of times the whole, changed at one place.
fn stretched(text: &[u8], times: u8) -> Vec<u8> {
    let mut plain = Vec::new();
    for turn in 0..u32::from(times) + 1 {
        let start = plain.len();
        plain.extend_from_slice(text);
        if let Some(byte) =
            plain.get_mut(start..).and_then(|copy| copy.get_mut(turn as usize * 7 % text.len().max(1)))
        {
            *byte = byte.wrapping_add(turn as u8);
        }
    }
    plain
}

/// Some kilobytes of text as it is in images.
fn text() -> &'static [u8] {
    include_bytes!("mod.rs")
}
