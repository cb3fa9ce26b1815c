//! One zstd frame (RFC 8878) whose window reaches back over the old bytes as its prefix.

use std::io;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, Strategy, compress_bound, find_frame_compressed_size,
    get_error_name,
};

use super::error::{BatchError, room};

/// The windows that are used, as powers of two in bytes.
const WINDOWS: std::ops::RangeInclusive<u32> = 17..=27;
/// The levels of the fast strategy. Its table is as large as a batch is worth, where zstd's own levels have one of 64
/// KiB to 256 KiB, so that it finds what lies megabytes back: at 16 MiB the bytes of zstd's level 3, in less time.
const FAST: std::ops::RangeInclusive<i32> = 1..=4;
const FAST_TABLE: u32 = 18;
const FAST_MATCH: u32 = 6;
/// The levels between zstd's fast and optimal strategies: here all have the strongest of those between, and the
/// others are left out of the program.
const LAZY: std::ops::RangeInclusive<i32> = 5..=15;
/// The first level whose tables are as large as the window asks for.
const THOROUGH: i32 = 19;

/// Packs `new`, given `old`.
pub(super) fn pack(old: &[u8], new: &[u8], level: i32, out: &mut Vec<u8>) -> io::Result<()> {
    let window = window(old.len() + new.len());
    let mut context = CCtx::create();
    let mut set = |parameter| context.set_parameter(parameter).map(drop).map_err(failed);
    set(CParameter::CompressionLevel(level))?;
    set(CParameter::WindowLog(window))?;
    set(CParameter::ContentSizeFlag(false))?;
    if FAST.contains(&level) {
        set(CParameter::Strategy(Strategy::ZSTD_fast))?;
        set(CParameter::HashLog(FAST_TABLE))?;
        set(CParameter::MinMatch(FAST_MATCH))?;
    }
    if LAZY.contains(&level) {
        set(CParameter::Strategy(Strategy::ZSTD_lazy2))?;
    }
    if level >= THOROUGH {
        set(CParameter::ChainLog(window))?;
        set(CParameter::HashLog(window - 2))?;
    } else if !old.is_empty() {
        set(CParameter::EnableLongDistanceMatching(true))?;
    }
    context.ref_prefix(old).map_err(failed)?;
    let mut packed = Vec::with_capacity(compress_bound(new.len()));
    context.compress2(&mut packed, new).map_err(failed)?;
    out.append(&mut packed);
    Ok(())
}

/// Unpacks exactly `len` bytes, at once: so there is no window, whatever size the frame declares.
pub(super) fn unpack(old: &[u8], len: usize, packed: &[u8]) -> Result<Vec<u8>, BatchError> {
    let refused = |code| BatchError::Decompress(failed(code));
    if find_frame_compressed_size(packed).map_err(refused)? != packed.len() {
        return Err(BatchError::Malformed("bytes are left over"));
    }
    let mut context = DCtx::create();
    context.ref_prefix(old).map_err(refused)?;
    let mut new = room(len)?;
    context.decompress(&mut new, packed).map_err(refused)?;
    match new.len() == len {
        true => Ok(new),
        false => Err(BatchError::Malformed("the length differs from the announced one")),
    }
}

/// Unpacks the bytes that the first part of a frame of `len` bytes gives: those of its whole blocks.
pub(super) fn unpack_prefix(old: &[u8], len: usize, packed: &[u8]) -> Vec<u8> {
    let mut context = DCtx::create();
    let (Ok(mut new), Ok(_)) = (room(len), context.ref_prefix(old)) else { return Vec::new() };
    let mut input = InBuffer::around(packed);
    let mut output = OutBuffer::around(&mut new);
    let mut before = (0, 0);
    while let Ok(left) = context.decompress_stream(&mut output, &mut input) {
        let now = (input.pos(), output.pos());
        if left == 0 || now == before {
            break;
        }
        before = now;
    }
    new
}

fn window(len: usize) -> u32 {
    (usize::BITS - len.leading_zeros()).clamp(*WINDOWS.start(), *WINDOWS.end())
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
