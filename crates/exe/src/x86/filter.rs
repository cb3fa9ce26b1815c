//! The branch filter of x86-64: `call`, and operands relative to `rip`.

use super::instruction::complete;

/// Replaces each distance that is not a jump's by `convert(distance, base)`, where the base is the address behind the
/// instruction. No byte that changes decides the length of an instruction, so the inverse finds the same ones.
pub(crate) fn convert(code: &mut [u8], addr: u32, convert: fn([u8; 4], u32) -> [u8; 4]) {
    let mut at = 0;
    // A last instruction that is cut off is left alone: it could be another one after its bytes changed.
    while let Some(found) = complete(&code[at..]) {
        let end = addr.wrapping_add((at + found.len) as u32);
        if let Some(part) = found.relative.filter(|_| !found.is_jump)
            && let Some(bytes) = code[at + part..].first_chunk_mut()
        {
            *bytes = convert(*bytes, end);
        }
        at += found.len;
    }
}
