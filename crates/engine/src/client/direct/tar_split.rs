//! Puts a layer's tar together again from what Docker keeps of it (github.com/vbatts/tar-split).
//!
//! That is one JSON object a line: bytes of the tar as they are, or the name of a file whose contents come
//! next. What comes out is the layer to the last bit, or its digest shows that it is not.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::tree::Tree;

/// A line holds one header with its extensions, or a piece of padding.
const LONGEST_LINE: u64 = 16 << 20;

/// A tar that is read from the lines and the files that they name.
pub(super) struct TarSplit<R> {
    lines: R,
    line: Vec<u8>,
    tree: Tree,
    /// Bytes of the last line that are verbatim in the tar, and how many of them were given.
    verbatim: Vec<u8>,
    given: usize,
    /// The file of the last line, and how many of its bytes are still to come.
    file: Option<(File, u64)>,
}

/// One line.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    /// In base64, in place of a name that is not UTF-8.
    name_raw: Option<&'a str>,
    #[serde(default)]
    size: u64,
    payload: Option<&'a str>,
}

const FILE: u8 = 1;
const VERBATIM: u8 = 2;

impl<R: BufRead> TarSplit<R> {
    pub(super) fn new(lines: R, tree: Tree) -> Self {
        Self { lines, line: Vec::new(), tree, verbatim: Vec::new(), given: 0, file: None }
    }

    /// Goes on to the next line; there may be none.
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        let entry: Entry<'_> = serde_json::from_slice(&self.line)
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
