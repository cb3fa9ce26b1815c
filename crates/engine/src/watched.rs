//! Readers and writers that keep their own error: a copy between two returns one error, perhaps wrapped, and these show
//! the side that failed.

use std::io::{self, Read, Write};

/// Keeps the error of the reader behind it.
#[derive(Debug)]
pub(crate) struct WatchedReader<R> {
    inner: R,
    failure: Option<io::Error>,
}

impl<R> WatchedReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, failure: None }
    }

    /// The error, if reading failed.
    pub(crate) fn failure(self) -> Option<io::Error> {
        self.failure
    }
}

impl<R: Read> Read for WatchedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        keep(read, &mut self.failure)
    }
}

/// Keeps the error of the writer behind it; one that takes nothing more has failed.
#[derive(Debug)]
pub(crate) struct WatchedWriter<W> {
    inner: W,
    failure: Option<io::Error>,
}

impl<W> WatchedWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, failure: None }
    }

    /// The writer, or its error.
    pub(crate) fn into_inner(self) -> io::Result<W> {
        match self.failure {
            Some(error) => Err(error),
            None => Ok(self.inner),
        }
    }
}

impl<W: Write> Write for WatchedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.inner.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        };
        keep(written, &mut self.failure)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        keep(flushed, &mut self.failure)
    }
}

/// Keeps an error and passes a copy on. An interruption is none: it is tried again.
fn keep<T>(result: io::Result<T>, failure: &mut Option<io::Error>) -> io::Result<T> {
    result.map_err(|error| {
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let copy = io::Error::new(error.kind(), error.to_string());
        *failure = Some(error);
        copy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interrupted once, then fails, or takes nothing.
    struct Full(u32, Option<io::ErrorKind>);

    impl Full {
        fn next(&mut self) -> io::Result<usize> {
            self.0 += 1;
            match (self.0, self.1) {
                (1, _) => Err(io::ErrorKind::Interrupted.into()),
                (_, Some(kind)) => Err(kind.into()),
                (_, None) => Ok(0),
            }
        }
    }

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.next()
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Full {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.next()
        }
    }

    #[test]
    fn a_writer_keeps_its_failure_and_no_interruption() {
        for (kind, expected) in
            [(Some(io::ErrorKind::StorageFull), io::ErrorKind::StorageFull), (None, io::ErrorKind::WriteZero)]
        {
            let mut writer = WatchedWriter::new(Full(0, kind));
            let error = writer.write_all(b"some").unwrap_err();
            assert_eq!(error.kind(), expected);
            assert_eq!(writer.into_inner().err().map(|error| error.kind()), Some(expected));
        }
        let mut writer = WatchedWriter::new(Full(0, None));
        assert_eq!(writer.write(b"some").unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(writer.into_inner().is_ok());
    }

    #[test]
    fn a_reader_keeps_its_failure_and_no_interruption() {
        let mut reader = WatchedReader::new(Full(0, Some(io::ErrorKind::InvalidData)));
        assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(reader.failure().map(|error| error.kind()), Some(io::ErrorKind::InvalidData));
    }
}
