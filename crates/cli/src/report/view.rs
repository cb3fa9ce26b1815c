//! A report with the task and the remote that it was made for, and the words that all its forms share.

use dsync_core::Unreadable;
use dsync_sync::{Direction, Report, Status};

use crate::task::Task;

/// The words of the original, the same in every form.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::NeedUpdate => "need update",
        Status::New => "new",
    }
}

/// The names of an image that cannot be read, or its ID where it has none.
pub(crate) fn label(image: &Unreadable) -> String {
    match (&image.names[..], &image.id) {
        ([], None) => "an image without a name".into(),
        ([], Some(id)) => id.to_string(),
        (names, _) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// A report and where it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) report: &'a Report,
    pub(crate) task: Task,
    pub(crate) direction: Direction,
    /// REMOTE, as the user wrote it.
    pub(crate) remote: &'a str,
}

impl View<'_> {
    /// The remote's name where the source is the remote, and where the target is.
    pub(crate) fn hosts(&self) -> (Option<&str>, Option<&str>) {
        match self.direction {
            Direction::Pull => (Some(self.remote), None),
            Direction::Push => (None, Some(self.remote)),
        }
    }
}
