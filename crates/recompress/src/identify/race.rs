//! Runs several encoders over the same bytes; one that differs from the blob is out.

use std::collections::VecDeque;

use crate::checkpoint::{Checkpoint, Chooser};
use crate::deflate::StreamEncoder;
use crate::method::CompressionMethod;

/// An encoder that keeps back more than this is out, in bytes of the blob. The right one keeps back a block, of which
/// the largest in use are a few MiB of plain bytes.
const MOST_BEHIND: usize = 8 << 20;

/// One encoder.
struct Runner {
    method: CompressionMethod,
    encoder: Box<dyn StreamEncoder>,
    /// The compared output, in bytes from the start of the stream.
    compared: u64,
    checkpoints: Chooser,
}

/// All encoders that agree with the blob so far, the most probable first.
pub(super) struct Race {
    runners: Vec<Runner>,
    /// The blob's bytes from `start` on, as far as not every runner has got there.
    blob: VecDeque<u8>,
    start: u64,
    /// Plain bytes that were encoded.
    plain: u64,
}

impl Race {
    pub(super) fn new(methods: &[CompressionMethod]) -> Self {
        let runner = |method: &CompressionMethod| Runner {
            method: *method,
            encoder: method.encoder(),
            compared: 0,
            checkpoints: Chooser::new(),
        };
        Self { runners: methods.iter().map(runner).collect(), blob: VecDeque::new(), start: 0, plain: 0 }
    }

    /// Takes bytes of the blob's deflate stream. What follows the stream may be among them.
    pub(super) fn blob(&mut self, piece: &[u8]) {
        self.blob.extend(piece);
    }

    /// Encodes the next plain bytes, which are those of the blob given so far, and compares.
    pub(super) fn plain(&mut self, plain: &[u8]) {
        self.plain += plain.len() as u64;
        for runner in &mut self.runners {
            runner.encoder.write(plain);
            let marks = runner.encoder.marks();
            marks.into_iter().for_each(|mark| runner.checkpoints.see(mark));
        }
        self.compare();
    }

    /// Drops the runners that differ, and the bytes that all others passed.
    fn compare(&mut self) {
        let end = self.start + self.blob.len() as u64;
        let (blob, start) = (&self.blob, self.start);
        self.runners
            .retain_mut(|runner| runner.agrees(blob, start) && end - runner.compared <= MOST_BEHIND as u64);
        let passed = self.runners.iter().map(|runner| runner.compared).min().unwrap_or(end);
        self.blob.drain(..(passed - self.start) as usize);
        self.start = passed;
    }

    /// Nobody is left.
    pub(super) fn is_lost(&self) -> bool {
        self.runners.is_empty()
    }

    /// The plain bytes until the last runner differed.
    pub(super) fn agreed(&self) -> u64 {
        self.plain
    }

    /// The most probable of those that end just before the last `rest` bytes of the blob, and where it can be resumed.
    pub(super) fn winner(mut self, rest: usize) -> Option<(CompressionMethod, Vec<Checkpoint>)> {
        self.blob.truncate(self.blob.len().saturating_sub(rest));
        for runner in &mut self.runners {
            runner.encoder.finish();
        }
        let end = self.start + self.blob.len() as u64;
        let (blob, start) = (&self.blob, self.start);
        let is_whole = |runner: &mut Runner| {
            end >= runner.compared && runner.agrees(blob, start) && runner.compared == end
        };
        let mut whole =
            self.runners.into_iter().filter_map(|mut runner| is_whole(&mut runner).then_some(runner));
        whole.next().map(|runner| (runner.method, runner.checkpoints.finish(self.plain)))
    }
}

impl Runner {
    /// Compares what was encoded with the blob's bytes, which begin at `start`. The right encoder has never more to
    /// say than the blob: what it wrote stands before a byte that was inflated from it.
    fn agrees(&mut self, blob: &VecDeque<u8>, start: u64) -> bool {
        let from = (self.compared - start) as usize;
        let output = self.encoder.output();
        let to = from + output.len();
        if to > blob.len() {
            return false;
        }
        let (front, back) = blob.as_slices();
        let split = front.len().clamp(from, to);
        let (in_front, in_back) = output.split_at(split - from);
        let same = front.get(from..split).is_none_or(|bytes| bytes == in_front)
            && back
                .get(split.saturating_sub(front.len())..to.saturating_sub(front.len()))
                .is_none_or(|bytes| bytes == in_back);
        self.compared += output.len() as u64;
        output.clear();
        same
    }
}

#[cfg(test)]
#[path = "race_tests.rs"]
mod tests;
