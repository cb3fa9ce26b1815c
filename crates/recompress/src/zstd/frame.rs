//! The head of a frame, as klauspost's encoder writes it (RFC 8878, 3.1.1.1).

use super::parameters::{Generation, ZstdLevel};

/// The magic number of a frame.
pub(crate) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bytes of [`FrameHead::of`].
pub(crate) const HEAD: usize = 9;
/// The flag of a frame with a checksum.
pub(super) const HAS_CHECKSUM: u8 = 1 << 2;
/// The flag of a frame that has its length in place of a window.
pub(super) const IS_SINGLE: u8 = 1 << 5;
/// The bits for the size of the length, in bytes.
const SIZE: u8 = 3 << 6;
/// The bits of a block's header that are not set in one that is raw or of one repeated byte, and not the last
/// (RFC 8878, 3.1.1.2).
const LAST_OR_CODED: u32 = 0b101;
/// A frame of more bytes than this has its length in place of a window.
const SMALLEST_WINDOW: usize = 1 << 10;

/// Properties of the encoder, from the start of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    /// The byte of the window, unless the length is in its place, or beside it: then there is one block.
    window: Option<u8>,
    /// The size of the first block, if it is neither coded nor the last.
    short: usize,
}

impl FrameHead {
    /// The start of a frame, of [`HEAD`] bytes; none if klauspost's encoder never writes it so.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        let flags = *start.get(4)?;
        if !start.starts_with(&MAGIC) || flags & !(IS_SINGLE | SIZE) != HAS_CHECKSUM {
            return None;
        }
        if flags != HAS_CHECKSUM {
            return Some(Self { window: None, short: 0 });
        }
        let [window, a, b, c] = *start.get(5..)?.first_chunk()?;
        let block = u32::from_le_bytes([a, b, c, 0]);
        Some(Self {
            window: Some(window),
            short: if block & LAST_OR_CODED == 0 { block as usize >> 3 } else { 0 },
        })
    }

    /// True if the encoder may have written it.
    pub(crate) fn may_be_of(self, generation: Generation, level: ZstdLevel) -> bool {
        let of_level = window_byte(level.window(generation));
        // The window of a short frame fits it.
        let may_be = |window| window == of_level || window <= window_byte(2 * SMALLEST_WINDOW as u32);
        level.is_of(generation) && self.window.is_none_or(may_be)
    }

    /// The plain bytes after which the stream was flushed, which are too few to be coded, and 0 if it was not.
    pub(crate) fn flushed(self, level: ZstdLevel) -> usize {
        if self.short < level.block() { self.short } else { 0 }
    }
}

/// The head of a frame of one block, of so many bytes.
pub(super) fn head_alone(len: usize) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    let is_single = len > SMALLEST_WINDOW;
    let size = match len {
        ..256 => 0,
        256..65_792 => 1,
        _ => 2,
    };
    head.push(HAS_CHECKSUM | if is_single { IS_SINGLE } else { 0 } | size << 6);
    if !is_single {
        let window = 1u32 << (usize::BITS - len.leading_zeros());
        head.push(window_byte(window.max(SMALLEST_WINDOW as u32)));
    }
    match size {
        // Without the flag the length is left out.
        0 => {}
        1 => head.extend_from_slice(&(len as u16).wrapping_sub(256).to_le_bytes()),
        _ => head.extend_from_slice(&(len as u32).to_le_bytes()),
    }
    head
}

/// A window of a power of two, as it is in the head.
pub(super) fn window_byte(window: u32) -> u8 {
    ((window - 1).ilog2() as u8 + 1 - 10) << 3
}
