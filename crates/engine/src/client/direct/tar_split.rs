//! Puts a layer's tar together again from Docker's record of it and its files (github.com/vbatts/tar-split).
//!
//! Each line of it is one JSON object (`tar/storage/entry.go` there): bytes of the tar as they are, or the name of a
//! file whose contents come next. The result is the layer to the last bit, or its digest shows that it is not.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::tree::LayerTree;

/// A line holds one header with its extensions, or a piece of padding.
const LONGEST_LINE: u64 = 16 << 20;

/// A tar that is read from the lines and the files that they name.
pub(super) struct TarSplit<R> {
    lines: R,
    line: Vec<u8>,
    tree: LayerTree,
    /// Bytes of the last line that are verbatim in the tar, and how many of them were given.
    verbatim: Vec<u8>,
    given: usize,
    /// The file of the last line, and how many of its bytes are still to come.
    file: Option<(File, u64)>,
}

/// One line.
#[derive(Deserialize)]
struct TarSplitLine<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    /// The name in base64, where it is not UTF-8.
    name_raw: Option<&'a str>,
    #[serde(default)]
    size: u64,
    payload: Option<&'a str>,
}

const FILE: u8 = 1;
const VERBATIM: u8 = 2;

impl<R: BufRead> TarSplit<R> {
    pub(super) fn new(lines: R, tree: LayerTree) -> Self {
        Self { lines, line: Vec::new(), tree, verbatim: Vec::new(), given: 0, file: None }
    }

    /// Goes on to the next line; there may be none.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        let entry: TarSplitLine<'_> = serde_json::from_slice(&self.line)
            .map_err(|error| io::Error::other(format!("tar-split.json.gz: {error}")))?;
        match entry.kind {
            VERBATIM => {
                self.verbatim.clear();
                self.given = 0;
                decode(entry.payload.unwrap_or_default(), &mut self.verbatim)?;
            }
            FILE if entry.size > 0 => {
                let mut name = Vec::new();
                match entry.name_raw {
                    Some(raw) => decode(raw, &mut name)?,
                    None => name.extend_from_slice(entry.name.as_bytes()),
                }
                let about = |error| io::Error::other(format!("{}: {error}", String::from_utf8_lossy(&name)));
                self.file = Some((self.tree.file(&name, entry.size).map_err(about)?, entry.size));
            }
            FILE => {}
            other => return Err(io::Error::other(format!("tar-split.json.gz has an entry of type {other}"))),
        }
        Ok(true)
    }

    /// The bytes of the last line, as many as there are and fit.
    fn piece(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some((file, left)) = &mut self.file {
            let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(into.len());
            let read = file.read(&mut into[..fits])?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file became shorter"));
            }
            *left -= read as u64;
            if *left == 0 {
                self.file = None;
            }
            return Ok(read);
        }
        let rest = &self.verbatim[self.given..];
        let fits = rest.len().min(into.len());
        into[..fits].copy_from_slice(&rest[..fits]);
        self.given += fits;
        Ok(fits)
    }
}

/// Each read fills the buffer: a tar has many small pieces, and whoever reads it wants few large ones.
impl<R: BufRead> Read for TarSplit<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.piece(&mut into[filled..]) {
                Ok(0) if !self.advance()? => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

fn decode(text: &str, into: &mut Vec<u8>) -> io::Result<()> {
    BASE64_STANDARD
        .decode_vec(text, into)
        .map_err(|error| io::Error::other(format!("tar-split.json.gz: not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    fn verbatim(bytes: &[u8]) -> Value {
        json!({"type": 2, "payload": BASE64_STANDARD.encode(bytes)})
    }

    fn lines(lines: &[Value]) -> Vec<u8> {
        lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
    }

    /// The tar of some lines, read in pieces of this size.
    fn read(lines: &[u8], files: &[(&str, &str)], piece: usize) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        let mut tar = TarSplit::new(lines, LayerTree::open(folder.path()).unwrap());
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match tar.read(&mut buffer)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn pieces_of_any_size_make_the_same_tar() {
        let of = lines(&[
            verbatim(b"header of a"),
            json!({"type": 1, "name": "a", "size": 6}),
            verbatim(b""),
            json!({"type": 1, "name": "empty", "size": 0}),
            json!({"type": 1, "name": "a hard link or a folder"}),
            json!({"type": 2}),
            json!({"type": 1, "name": "", "name_raw": BASE64_STANDARD.encode("b"), "size": 1, "crc": "x"}),
            verbatim(&[0; 700]),
        ]);
        let expected = [b"header of aaaaaaab", &[0; 700][..]].concat();
        for piece in [1, 2, 7, 100, 4096] {
            assert_eq!(read(&of, &[("a", "aaaaaa"), ("b", "b")], piece).unwrap(), expected, "{piece}");
        }
        // The last line may lack its end.
        assert_eq!(read(&of[..of.len() - 1], &[("a", "aaaaaa"), ("b", "b")], 64).unwrap(), expected);
        assert_eq!(read(b"", &[], 64).unwrap(), b"");
    }

    #[test]
    fn lines_of_another_form_are_refused_by_name() {
        for (line, reason) in [
            (&b"\n"[..], "tar-split.json.gz: EOF"),
            (b"{}\n", "missing field `type`"),
            (b"{\"type\":2,\"payload\":\"AA\"", "tar-split.json.gz: EOF"),
            (b"{\"type\":0}\n", "an entry of type 0"),
            (b"{\"type\":256}\n", "tar-split.json.gz"),
            (b"{\"type\":2,\"payload\":\"A\"}\n", "not base64"),
            (b"{\"type\":1,\"name_raw\":\"A\",\"size\":1}\n", "not base64"),
            (b"{\"type\":1,\"name\":\"a\",\"size\":2}\n", "a: is no file of 2 bytes"),
            (b"{\"type\":1,\"name\":\"\",\"size\":1}\n", "invalid filename"),
        ] {
            let error = read(line, &[("a", "a")], 64).unwrap_err().to_string();
            assert!(error.contains(reason), "{}: {error}", String::from_utf8_lossy(line));
        }
        let payload = vec![b'A'; LONGEST_LINE as usize];
        let long = [&b"{\"type\":2,\"payload\":\""[..], &payload, b"\"}\n"].concat();
        assert!(read(&long, &[], 64).unwrap_err().to_string().contains("EOF"), "a line is bounded");
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abcdef").unwrap();
        let of = lines(&[json!({"type": 1, "name": "a", "size": 6}), verbatim(b"after")]);
        let mut tar = TarSplit::new(&of[..], LayerTree::open(folder.path()).unwrap());
        tar.read_exact(&mut [0; 3]).unwrap();
        fs::write(&path, "abc").unwrap();
        let error = tar.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
