//! Drives an encoder by corrections to a blob that it would only nearly make.

use crate::corrections::{Corrections, Of};
use crate::deflate::StreamEncoder;
use crate::deflate::guide::Guide;
use crate::deflate::reader::DeflateBlock;
use crate::method::CompressionMethod;
use crate::zlib::Deflate;

/// Encodes with a guide, from flush to flush.
pub(crate) struct Follower {
    encoder: Deflate,
    forgets: bool,
    /// Plain bytes until the next flush, where one is known.
    flush: Option<u64>,
    /// Plain bytes since the last flush that was noted.
    since: u64,
    is_wrong: bool,
}

impl Follower {
    /// Makes a blob by what was noted. None where this encoder cannot be guided.
    pub(crate) fn leading(method: CompressionMethod, mut corrections: Corrections) -> Option<Self> {
        let (forgets, flush) = (corrections.forgets, corrections.take_number(Of::Flushes));
        Some(Self { flush, ..Self::new(method, forgets, Guide::leading(corrections))? })
    }

    /// Takes notes of a blob, in which flushes do not matter, or end what an encoder sees.
    pub(crate) fn watching(method: CompressionMethod, forgets: bool) -> Option<Self> {
        Self::new(method, forgets, Guide::watching(forgets))
    }

    fn new(method: CompressionMethod, forgets: bool, guide: Guide) -> Option<Self> {
        let CompressionMethod::Zlib { flavour, level } = method else { return None };
        let encoder = Deflate::guided(flavour, level.unsigned_abs(), guide);
        Some(Self { encoder, forgets, flush: None, since: 0, is_wrong: false })
    }

    /// Takes a block of the blob, and the empty ones and the flush after it.
    pub(crate) fn watch(&mut self, block: DeflateBlock, plain: &[u8], empties: u8, is_flush: bool) {
        self.since += plain.len() as u64;
        if let Some(guide) = self.encoder.guide() {
            guide.block(block, empties);
            if is_flush {
                guide.notes().put_number(Of::Flushes, std::mem::take(&mut self.since));
            }
        }
        self.encoder.write(plain);
        if is_flush {
            self.flush();
        }
    }

    /// The notes.
    pub(crate) fn notes(&mut self) -> Option<&mut Corrections> {
        self.encoder.guide().map(Guide::notes)
    }

    fn flush(&mut self) {
        self.encoder.flush_as_guided();
        if self.forgets {
            self.encoder.begin_after(&[]);
        }
    }
}

impl StreamEncoder for Follower {
    fn write(&mut self, mut plain: &[u8]) {
        while let Some(flush) = self.flush
            && flush <= plain.len() as u64
        {
            let (head, rest) = plain.split_at(flush as usize);
            self.encoder.write(head);
            self.flush();
            self.flush = self.notes().and_then(|notes| notes.take_number(Of::Flushes));
            plain = rest;
        }
        self.flush = self.flush.map(|flush| flush - plain.len() as u64);
        self.encoder.write(plain);
    }

    fn finish(&mut self) {
        self.encoder.finish();
        self.flush = None;
        self.is_wrong |= self.encoder.guide().is_some_and(|guide| !guide.is_spent());
    }

    fn output(&mut self) -> &mut Vec<u8> {
        self.encoder.output()
    }

    fn is_wrong(&mut self) -> bool {
        self.is_wrong || self.encoder.guide().is_some_and(|guide| guide.is_broken())
    }
}
