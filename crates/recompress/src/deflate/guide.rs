//! Makes an encoder write what a blob has, where that is not what it would write itself.
//!
//! A guide is asked at each decision. With a blob at hand it answers what is there, and notes where that is another
//! answer; with these notes it answers the same again.

use std::collections::VecDeque;

use super::bits::Sink;
use super::reader::{BitReader, BlockHead, BlockShape, DeflateBlock};
use super::token::Token;
use crate::corrections::{Corrections, Of};

/// Values of the column of shapes.
const AS_IT_WOULD: u8 = 0;
const STORED: u8 = 1;
const FIXED: u8 = 2;
const OWN: u8 = 3;
/// The codes of the next head in the column of heads.
const GIVEN: u8 = 4;

/// The coding that an encoder would choose for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Stored,
    Fixed,
    Own,
}

/// The coding that the blob has.
pub(crate) enum BlockForm {
    Of(BlockKind),
    Given(Box<BlockHead>),
}

/// Asked by an encoder at each decision.
pub(crate) struct Guide {
    notes: Corrections,
    /// The blob, as far as it was read, where there is one.
    blob: Option<Blob>,
    tokens: RightAnswers,
    ends: RightAnswers,
    /// The notes cannot be those of these plain bytes.
    is_broken: bool,
}

/// Right answers in a row.
#[derive(Default)]
struct RightAnswers {
    /// The right answers so far.
    past: u64,
    /// The right answers until the next wrong one; none if there is no more.
    left: Option<u64>,
}

impl RightAnswers {
    /// True if the next answer is wrong by the notes.
    fn is_wrong(&mut self, of: Of, notes: &mut Corrections) -> bool {
        match &mut self.left {
            Some(0) => {
                self.left = notes.take_number(of);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Notes whether an answer was wrong.
    fn note(&mut self, is_wrong: bool, of: Of, notes: &mut Corrections) {
        match is_wrong {
            true => notes.put_number(of, std::mem::take(&mut self.past)),
            false => self.past += 1,
        }
    }
}

/// Blocks that were read and not yet written.
#[derive(Default)]
struct Blob {
    /// Each with the empty blocks that follow, as the column says them.
    blocks: VecDeque<(DeflateBlock, u8)>,
    /// The next token of the first, and how many of its plain bytes are left.
    token: usize,
    left: usize,
}

impl Guide {
    /// Guides by a blob, and notes what is needed to do so without it.
    pub(crate) fn watching(forgets: bool) -> Self {
        let notes = Corrections::new(forgets);
        let (tokens, ends) = (RightAnswers::default(), RightAnswers::default());
        Self { notes, blob: Some(Blob::default()), tokens, ends, is_broken: false }
    }

    /// Guides by what was noted.
    pub(crate) fn leading(mut notes: Corrections) -> Self {
        let tokens = RightAnswers { past: 0, left: notes.take_number(Of::Tokens) };
        let ends = RightAnswers { past: 0, left: notes.take_number(Of::Ends) };
        Self { notes, blob: None, tokens, ends, is_broken: false }
    }

    /// Takes the next block of the blob, before its plain bytes are encoded, and the empty blocks that follow.
    pub(crate) fn block(&mut self, block: DeflateBlock, empties: u8) {
        if let Some(blob) = &mut self.blob {
            if blob.blocks.is_empty() {
                blob.left = block.len;
            }
            blob.blocks.push_back((block, empties));
        }
    }

    pub(crate) fn notes(&mut self) -> &mut Corrections {
        &mut self.notes
    }

    /// True if all notes, or all of the blob, were used.
    pub(crate) fn is_spent(&self) -> bool {
        self.blob.as_ref().map_or_else(|| self.notes.is_spent(), |blob| blob.blocks.is_empty())
    }

    /// The notes cannot be those of these plain bytes; or the blob has what cannot be noted.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The token that is to be taken where the encoder would take this one, and so many bytes are known.
    pub(crate) fn token(&mut self, would: Token, byte: u8, ahead: usize) -> Token {
        let notes = &mut self.notes;
        let Some(blob) = &mut self.blob else {
            if !self.tokens.is_wrong(Of::Tokens, notes) {
                return would;
            }
            let token = wrong_token(notes, byte).filter(|token| token.len() <= ahead);
            self.is_broken |= token.is_none();
            return token.unwrap_or(would);
        };
        let Some((block, _)) = blob.blocks.front() else {
            self.is_broken = true;
            return would;
        };
        let token = match block.shape {
            // The tokens of a stored block are unknown.
            BlockShape::Stored if would.len() <= blob.left => would,
            BlockShape::Stored => Token::literal(byte),
            _ => block.tokens.get(blob.token).copied().unwrap_or(would),
        };
        let is_wrong = token != would;
        self.tokens.note(is_wrong, Of::Tokens, notes);
        if is_wrong {
            let distance = if token.byte().is_some() { 0 } else { token.distance() + 1 };
            let [near, far] = distance.to_le_bytes();
            notes.put(Of::Near, near);
            notes.put(Of::Far, far);
            if distance > 0 {
                notes.put(Of::Lengths, token.length());
            }
        }
        blob.token += 1;
        blob.left = blob.left.saturating_sub(token.len());
        token
    }

    /// True if the block ends after this token.
    pub(crate) fn ends(&mut self, would: bool) -> bool {
        let Some(blob) = &mut self.blob else {
            return would != self.ends.is_wrong(Of::Ends, &mut self.notes);
        };
        let ends = blob.left == 0 && blob.blocks.front().is_some_and(|(block, _)| !block.is_last);
        self.ends.note(ends != would, Of::Ends, &mut self.notes);
        ends
    }

    /// The form of a block, and how many empty ones follow it: stored, and then of the fixed code. `head` writes that
    /// of the encoder's own codes.
    pub(crate) fn form(
        &mut self,
        would: BlockKind,
        is_last: bool,
        head: impl FnOnce() -> Sink,
    ) -> (BlockForm, [u8; 2]) {
        let (form, empties) = match self.blob.is_some() {
            true => self.form_in_blob(would, head),
            false => self.form_in_notes(would, is_last),
        };
        (form, [empties >> 4, empties & 15])
    }

    fn form_in_notes(&mut self, would: BlockKind, is_last: bool) -> (BlockForm, u8) {
        let notes = &mut self.notes;
        let form = match notes.take(Of::Shapes) {
            Some(AS_IT_WOULD) => Some(BlockForm::Of(would)),
            Some(STORED) => Some(BlockForm::Of(BlockKind::Stored)),
            Some(FIXED) => Some(BlockForm::Of(BlockKind::Fixed)),
            Some(OWN) => Some(BlockForm::Of(BlockKind::Own)),
            Some(GIVEN) => {
                let head = BitReader::new(notes.rest(Of::Heads)).head().ok();
                head.map(|head| {
                    notes.skip(Of::Heads, head.bytes.len());
                    BlockForm::Given(Box::new(head))
                })
            }
            _ => None,
        };
        let empties = if is_last { Some(0) } else { notes.take(Of::Empties) };
        self.is_broken |= form.is_none() || empties.is_none();
        (form.unwrap_or(BlockForm::Of(would)), empties.unwrap_or_default())
    }

    fn form_in_blob(&mut self, would: BlockKind, head: impl FnOnce() -> Sink) -> (BlockForm, u8) {
        let Some((block, empties)) = self.blob.as_mut().and_then(Blob::next) else {
            self.is_broken = true;
            return (BlockForm::Of(would), 0);
        };
        let (shape, form) = match block.shape {
            BlockShape::Stored => (STORED, BlockForm::Of(BlockKind::Stored)),
            BlockShape::Fixed => (FIXED, BlockForm::Of(BlockKind::Fixed)),
            BlockShape::Own(given) => {
                let mut own = head();
                let is_same = own.bits() == given.bits && {
                    own.align();
                    own.bytes == given.bytes
                };
                match is_same {
                    true => (OWN, BlockForm::Of(BlockKind::Own)),
                    false => {
                        self.notes.put_all(Of::Heads, &given.bytes);
                        (GIVEN, BlockForm::Given(given))
                    }
                }
            }
        };
        let is_right = matches!(form, BlockForm::Of(kind) if kind == would);
        self.notes.put(Of::Shapes, if is_right { AS_IT_WOULD } else { shape });
        if !block.is_last {
            self.notes.put(Of::Empties, empties);
        }
        (form, empties)
    }

    /// The guide asks for the impossible.
    pub(crate) fn give_up(&mut self) {
        self.is_broken = true;
    }
}

impl Blob {
    /// Goes on to the next block.
    fn next(&mut self) -> Option<(DeflateBlock, u8)> {
        let block = self.blocks.pop_front();
        self.token = 0;
        self.left = self.blocks.front().map_or(0, |(block, _)| block.len);
        block
    }
}

fn wrong_token(notes: &mut Corrections, byte: u8) -> Option<Token> {
    let distance = u16::from_le_bytes([notes.take(Of::Near)?, notes.take(Of::Far)?]);
    match distance {
        0 => Some(Token::literal(byte)),
        1..=0x8000 => {
            let length = usize::from(notes.take(Of::Lengths)?) + 3;
            Some(Token::matched(length, distance.into()))
        }
        _ => None,
    }
}
