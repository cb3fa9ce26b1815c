//! The conversation of a source and a target about one image: each step with both of its halves.
//!
//! | step | from | form | takes place |
//! |---|---|---|---|
//! | [`IdProof`](Step::IdProof) | source | stream | where the ID is asked for and the target will not show it |
//! | [`Documents`](Step::Documents) | source | stream | where the ID is kept |
//! | [`Want`](Step::Want) | target | message | always; it ends the transfer where nothing is wanted |
//! | [`Possession`](Step::Possession) | target | message | where there is a basis; never in a patch |
//! | [`Offer`](Step::Offer) | source | message | where there is a basis, or the ID is kept |
//! | [`Reconcile`](Step::Reconcile) | source asks | messages | where the source does not know all of the basis |
//! | [`Headers`](Step::Headers) | source | stream | where there is a basis |
//! | [`Parts`](Step::Parts) | target names, source asks | messages | where the source cannot read all of the basis |
//! | [`Contents`](Step::Contents) | source | stream | where there is a basis |
//! | [`Cold`](Step::Cold) | source | stream | where there is none, in place of the three before |
//!
//! The artifacts beside an image cross in a conversation of their own ([`referrers`]). `docs/protocol.md` has the bytes.

pub(crate) mod cold;
pub(crate) mod contents;
pub(crate) mod documents;
pub(crate) mod headers;
pub(crate) mod id_proof;
pub(crate) mod layer_keys;
pub(crate) mod offer;
pub(crate) mod parts;
pub(crate) mod possession;
mod question;
pub(crate) mod reconcile;
pub(crate) mod referrers;
pub(crate) mod want;

use dsync_core::{DiffId, Platform};
use dsync_proto::Event;

use crate::failure::EndpointError;
use crate::layers::workspace::Workspace;
use crate::link::{Link, Outbox};

/// A step of a transfer; they come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The documents that lead from the ID to the config.
    IdProof,
    /// All documents of the image.
    Documents,
    /// The layers that are to cross, and the basis.
    Want,
    /// The proofs that the target has its basis.
    Possession,
    /// The layers of the basis that the source knows, and how layers are stored.
    Offer,
    /// The entries and contents that both have.
    Reconcile,
    /// The config and the header deltas.
    Headers,
    /// The parts of literals that the target has.
    Parts,
    /// The literals, in batches.
    Contents,
    /// Layer by layer, header deltas and literals.
    Cold,
}

impl Step {
    /// The steps that a source sends to a patch against these layers.
    pub(crate) fn of_patch(preserved: &Preserved, basis: &[DiffId]) -> &'static [Step] {
        match (preserved, basis.is_empty()) {
            (Preserved::Content, false) => &[Step::Offer, Step::Headers, Step::Contents],
            (Preserved::Content, true) => &[Step::Cold],
            (_, false) => &[Step::Documents, Step::Offer, Step::Headers, Step::Contents],
            (_, true) => &[Step::Documents, Step::Offer, Step::Cold],
        }
    }

    /// The reason of an end that stops while it waits for this step.
    pub(crate) const fn awaited(self) -> &'static str {
        match self {
            Step::IdProof => "cannot receive the proof of the image's ID from the source",
            Step::Documents => "cannot receive the documents of the image from the source",
            Step::Want => "cannot receive from the target which layers it wants",
            Step::Possession => "cannot receive from the target the proof that it has its basis",
            Step::Offer => "cannot receive the source's offer",
            Step::Reconcile => "cannot reconcile with the other side what both have",
            Step::Headers => "cannot receive the headers of the layers from the source",
            Step::Parts => "cannot agree with the other side on the parts of files that both have",
            Step::Contents => "cannot receive the contents of the layers from the source",
            Step::Cold => "cannot receive the layers from the source",
        }
    }

    /// The reason of an end that stops while it sends this step.
    pub(crate) const fn sent(self) -> &'static str {
        match self {
            Step::IdProof => "cannot send the proof of the image's ID to the target",
            Step::Documents => "cannot send the documents of the image to the target",
            Step::Want => "cannot tell the source which layers are wanted",
            Step::Possession => "cannot send the source the proof that the basis is here",
            Step::Offer => "cannot send the offer to the target",
            Step::Headers => "cannot send the headers of the layers to the target",
            Step::Contents => "cannot send the contents of the layers to the target",
            Step::Cold => "cannot send the layers to the target",
            Step::Reconcile | Step::Parts => self.awaited(),
        }
    }

    /// The error of an end that got another message than that of this step.
    pub(crate) fn unexpected(self) -> EndpointError {
        EndpointError::Protocol(format!("{}: it sent another message", self.awaited()))
    }

    /// True if it is a stream of data frames, which ends with an empty one.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Step::IdProof | Step::Documents | Step::Headers | Step::Contents | Step::Cold)
    }
}

/// The part of an image's identity that a transfer preserves, beyond its config and its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Preserved {
    /// Nothing.
    Content,
    /// All that its ID is made of.
    Id,
    /// Of an index, the manifest for this platform.
    Manifest(Platform),
}

impl Preserved {
    /// By the flag of a request, and the platform that a user named.
    pub(crate) fn new(exact: bool, platform: Option<&Platform>) -> Self {
        match (exact, platform) {
            (false, _) => Self::Content,
            (true, None) => Self::Id,
            (true, Some(platform)) => Self::Manifest(platform.clone()),
        }
    }
}

/// The attempt at a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Against a basis, by the index cache and with recipes.
    Delta,
    /// Everything that is missing, and relying on nothing: the way out when something was mistaken.
    FullResend,
}

impl Attempt {
    /// By the flag of a message.
    pub(crate) fn new(without_basis: bool) -> Self {
        if without_basis { Self::FullResend } else { Self::Delta }
    }

    /// Begins it at one end.
    pub(crate) fn begin(self, workspace: &Workspace) {
        match self {
            Self::Delta => workspace.begin_delta(),
            Self::FullResend => workspace.begin_full_resend(),
        }
    }

    /// The flag of a message.
    pub(crate) fn is_without_basis(self) -> bool {
        self == Self::FullResend
    }
}

/// A conversation, at one of its steps.
///
/// An end gets the link by naming a step. Steps come in order, each once.
pub(crate) struct Talk<'l> {
    link: &'l mut Link,
    last: Option<Step>,
}

impl<'l> Talk<'l> {
    /// Before the first step.
    pub(crate) fn over(link: &'l mut Link) -> Self {
        Talk { link, last: None }
    }

    /// Goes on to a step, which must come after the one before.
    pub(crate) fn step(&mut self, step: Step) -> Result<&mut Link, EndpointError> {
        match self.last {
            Some(last) if last >= step => {
                Err(EndpointError::Protocol(format!("the step {step:?} does not come after {last:?}")))
            }
            _ => {
                self.last = Some(step);
                Ok(self.link)
            }
        }
    }

    /// The link, for what is said of the step that it is at.
    pub(crate) fn link(&self) -> &Link {
        self.link
    }

    /// The sending half, for what another thread says.
    pub(crate) fn outbox(&self) -> Outbox {
        self.link.outbox.clone()
    }

    /// Tells the client.
    pub(crate) fn event(&self, event: &Event) {
        self.link.outbox.event(event);
    }

    /// Tells the client remarks of a store.
    pub(crate) fn notes(&self, notes: Vec<String>) {
        notes.into_iter().for_each(|note| self.event(&Event::Note(note)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn no_step_comes_before_one_that_is_over_nor_twice() {
        let (mut link, _other) = Link::pair(&Interrupt::default());
        let mut talk = Talk::over(&mut link);
        let mut step = |step| talk.step(step).map(drop);
        assert!(step(Step::IdProof).is_ok() && step(Step::Offer).is_ok());
        for wrong in [Step::Want, Step::Offer, Step::IdProof] {
            let error = step(wrong).unwrap_err();
            assert!(matches!(error, EndpointError::Protocol(_)), "{error}");
            assert!(error.to_string().ends_with("does not come after Offer"), "{error}");
        }
        assert!(step(Step::Cold).is_ok(), "a step that was refused leaves the conversation where it was");
    }

    #[test]
    fn a_patch_has_the_steps_of_a_source_in_their_order() {
        for (preserved, documents) in [(Preserved::Content, 0), (Preserved::Id, 1)] {
            for (basis, streams) in [(&[DiffId::of(b"layer")][..], 2), (&[], 1)] {
                let steps = Step::of_patch(&preserved, basis);
                assert!(steps.is_sorted());
                assert_eq!(steps.iter().filter(|step| step.is_stream()).count(), streams + documents);
            }
        }
    }
}
