//! Feeds an archive to `load`: as it is, or through gzip, which every engine takes.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::command::Feeding;

/// The compression of an archive on its way to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchiveCompression {
    /// The engine is on this host.
    Plain,
    /// The engine is on another host.
    Gzip,
}

/// An archive on its way.
pub(crate) enum CompressedArchive {
    Plain(io::BufWriter<Gate>),
    Gzip(GzEncoder<io::BufWriter<Gate>>),
}

impl CompressedArchive {
    pub(crate) fn new(load: Feeding, compression: ArchiveCompression) -> Self {
        let buffer = io::BufWriter::with_capacity(128 << 10, Gate { load, failed: false });
        match compression {
            ArchiveCompression::Plain => CompressedArchive::Plain(buffer),
            ArchiveCompression::Gzip => {
                CompressedArchive::Gzip(GzEncoder::new(buffer, Compression::default()))
            }
        }
    }

    /// Writes what is still held back.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self {
            CompressedArchive::Plain(buffer) => buffer.flush(),
            CompressedArchive::Gzip(encoder) => {
                encoder.try_finish()?;
                encoder.get_mut().flush()
            }
        }
    }

    /// The program, to hear how it ends.
    pub(crate) fn into_inner(self) -> Option<Feeding> {
        match self {
            CompressedArchive::Plain(buffer) => Some(buffer.into_parts().0.load),
            CompressedArchive::Gzip(encoder) => Some(encoder.finish().ok()?.into_parts().0.load),
        }
    }
}

impl Write for CompressedArchive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            CompressedArchive::Plain(buffer) => buffer.write(bytes),
            CompressedArchive::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Buffers are written by `end`; a flush in between would only spoil the compression.
        Ok(())
    }
}

/// A program that takes no more once it failed: then everything is swallowed, so that the compressor in
/// front of it can be taken apart.
pub(crate) struct Gate {
    load: Feeding,
    failed: bool,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed {
            return Ok(bytes.len());
        }
        let written = self.load.write(bytes);
        self.failed = written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
