//! Inputs that consist of parts, and files that name each other by their digests.
//!
//! A fuzzer that changes bytes never finds a digest or a length. So inputs are cut at a mark, which survives most
//! mutations, and a part can say `@2` where the digest of the third part has to stand.

use std::io::Write as _;

use dsync_core::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Between two parts.
const MARK: &[u8] = b"\xffCUT";

/// The parts of an input, at most `most`; the last one has all the rest.
pub(crate) fn parts(input: &[u8], most: usize) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while parts.len() + 1 < most {
        let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) else { break };
        parts.push(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    parts.push(rest);
    parts
}

/// The parts of an input, so many; what is missing is empty.
pub(crate) fn exactly<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut all = [&[][..]; N];
    for (place, part) in all.iter_mut().zip(parts(input, N)) {
        *place = part;
    }
    all
}

/// The input with these parts.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(MARK)
}

/// A file of an archive or of a layout.
pub(crate) struct Piece {
    /// Chooses what is done with it; the two lowest bits are taken.
    pub(crate) flags: u8,
    pub(crate) name: Vec<u8>,
    /// Its bytes as they are stored.
    pub(crate) stored: Vec<u8>,
    plain: Digest,
}

impl Piece {
    /// The digest of the stored bytes.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.stored)
    }
}

/// Each part is a byte of flags, a name, a line feed and contents. The lowest bits say how these are stored: 0 as they
/// are, 1 in gzip, 2 in zstd, 3 in gzip that is cut.
///
/// In names and contents `@N` is the digest of the stored bytes of piece N, `~N` that of its plain bytes, and `%N` the
/// length of the stored bytes, all of pieces before this one.
pub(crate) fn pieces(input: &[u8], most: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts(input, most) {
        let Some((flags, rest)) = part.split_first() else { continue };
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (name, contents) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        let plain = filled(contents, &pieces);
        let name = filled(name, &pieces);
        pieces.push(Piece { flags: *flags, name, plain: Digest::of(&plain), stored: stored(*flags, plain) });
    }
    pieces
}

/// The part that is read as this piece.
pub(crate) fn piece(flags: u8, name: &str, contents: &[u8]) -> Vec<u8> {
    [&[flags], name.as_bytes(), b"\n", contents].concat()
}

fn stored(flags: u8, plain: Vec<u8>) -> Vec<u8> {
    match flags & 3 {
        0 => plain,
        2 => zstd::bulk::compress(&plain, 1).unwrap_or_default(),
        how => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            let written = gzip.write_all(&plain);
            let mut packed = written.and_then(|()| gzip.finish()).unwrap_or_default();
            packed.truncate(if how == 3 { packed.len() / 2 } else { packed.len() });
            packed
        }
    }
}

/// Digests and lengths in place of what stands for them.
fn filled(text: &[u8], before: &[Piece]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'@' | b'~' | b'%')) {
        filled.extend_from_slice(&rest[..at]);
        let number = rest.get(at + 1).and_then(|digit| char::from(*digit).to_digit(36));
        let named = number.and_then(|number| before.get(number as usize));
        rest = match named {
            Some(piece) => {
                let text = match rest[at] {
                    b'@' => piece.digest().hex(),
                    b'~' => piece.plain.hex(),
                    _ => piece.stored.len().to_string(),
                };
                filled.extend_from_slice(text.as_bytes());
                &rest[at + 2..]
            }
            None => {
                filled.push(rest[at]);
                &rest[at + 1..]
            }
        };
    }
    filled.extend_from_slice(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_they_were_joined() {
        let input = joined(&[b"a", b"", b"bc"]);
        assert_eq!(parts(&input, 9), [&b"a"[..], b"", b"bc"]);
        assert_eq!(parts(&input, 2), [&b"a"[..], &joined(&[b"", b"bc"])]);
        assert_eq!(exactly(b"a"), [&b"a"[..], b""]);
    }

    #[test]
    fn pieces_name_those_before() {
        let input = joined(&[&piece(0, "a", b"text"), &piece(1, "@0", b"~0 %0 @1 @ 100%")]);
        let pieces = pieces(&input, 9);
        let hex = Digest::of(b"text").hex();
        assert_eq!(pieces[1].name, hex.as_bytes());
        let mut plain = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&pieces[1].stored[..]), &mut plain)
            .unwrap();
        assert_eq!(plain, format!("{hex} 4 @1 @ 100%"));
    }
}
