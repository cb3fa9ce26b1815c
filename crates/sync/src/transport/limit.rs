//! A limit on the bytes that cross a connection in a second, in each direction.

use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes go in steps of so many parts of a second, so that a slow link is not still for long.
const STEPS: u64 = 20;
/// The bytes of a step: fewer would cost more in headers, more than a pipe takes at once are of no use.
const STEP: std::ops::RangeInclusive<u64> = 512..=65_536;

/// A stream in one direction that is no faster than its limit.
pub(crate) struct Limited<T> {
    stream: T,
    /// Bytes a second.
    rate: Option<u64>,
    /// The time at which the bytes that crossed are due.
    due: Instant,
}

impl<T> Limited<T> {
    /// A stream of so many bytes a second, or of any number.
    pub(crate) fn new(stream: T, rate: Option<u64>) -> Limited<T> {
        Limited { stream, rate: rate.map(|rate| rate.max(1)), due: Instant::now() }
    }

    /// The most bytes that are passed on at once.
    fn step(&self, len: usize) -> usize {
        let most = self.rate.map(|rate| (rate / STEPS).clamp(*STEP.start(), *STEP.end()));
        most.map_or(len, |most| len.min(usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// Waits until so many bytes may have crossed. What was not used while the stream stood still is not made up for.
    fn wait(&mut self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let now = Instant::now();
        self.due = self.due.max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        thread::sleep(self.due - now);
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.step(into.len());
        let read = self.stream.read(&mut into[..most])?;
        self.wait(read);
        Ok(read)
    }
}

impl<W: Write> Write for Limited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.step(bytes.len());
        let written = self.stream.write(&bytes[..most])?;
        self.wait(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_no_faster_than_its_limit() {
        let bytes = [7; 100_000];
        let begun = Instant::now();
        let mut limited = Limited::new(Vec::new(), Some(1_000_000));
        limited.write_all(&bytes).unwrap();
        assert_eq!(limited.stream, bytes);
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
        let begun = Instant::now();
        let mut read = Vec::new();
        Limited::new(&bytes[..], Some(1_000_000)).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut limited = Limited::new(Vec::new(), Some(1_000_000));
        thread::sleep(Duration::from_millis(150));
        let begun = Instant::now();
        limited.write_all(&[7; 100_000]).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    }

    #[test]
    fn steps_are_short_and_without_a_limit_whole() {
        let step = |rate| Limited::new((), rate).step(1 << 30);
        assert_eq!((step(Some(1)), step(Some(100_000)), step(Some(u64::MAX))), (512, 5_000, 65_536));
        assert_eq!(step(None), 1 << 30);
        assert_eq!(Limited::new((), Some(1)).step(7), 7);
    }
}
