//! Questions of a source about a list, and the answers of a target: rounds of a hash tree (`dsync_delta::reconcile`).

use std::ops::Range;

use dsync_delta::reconcile::{ITEMS_MAX, Requester, Responder};
use dsync_proto::{Peer, limits};

use super::Step;
use crate::failure::EndpointError;
use crate::link::Link;

const _: () = assert!(limits::ITEMS == ITEMS_MAX);

/// Asks about a list. Returns what the target has of it.
pub(super) fn ask(
    link: &mut Link,
    step: Step,
    mut requester: Requester<'_>,
) -> Result<Vec<Range<usize>>, EndpointError> {
    let mut next = requester.question();
    if next.is_none() {
        link.send_peer(&Peer::Question { question: Vec::new() })
            .map_err(EndpointError::io(step.awaited()))?;
    }
    while let Some(question) = next {
        link.send_peer(&Peer::Question { question }).map_err(EndpointError::io(step.awaited()))?;
        match link.expect_peer().map_err(EndpointError::io(step.awaited()))? {
            Peer::Answer { answer } => requester.answer(&answer)?,
            _ => return Err(step.unexpected()),
        }
        next = requester.question();
    }
    Ok(requester.finish())
}

/// Answers all questions about a list.
pub(super) fn answer(link: &mut Link, step: Step, responder: &mut Responder) -> Result<(), EndpointError> {
    while !responder.is_done() {
        let question = await_question(link, step)?;
        if question.is_empty() {
            break;
        }
        let answer = responder.answer(&question)?;
        link.send_peer(&Peer::Answer { answer }).map_err(EndpointError::io(step.awaited()))?;
    }
    Ok(())
}

pub(super) fn await_question(link: &mut Link, step: Step) -> Result<Vec<u8>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(step.awaited()))? {
        Peer::Question { question } => Ok(question),
        _ => Err(step.unexpected()),
    }
}
