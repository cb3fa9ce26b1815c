//! What is to be done: the original's rules of which images a flag means.

use dsync_sync::Status;

use crate::args::SyncArgs;

/// What is to be done with the images that were named (or all of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Only the report.
    pub(crate) report: bool,
    current: bool,
    update: bool,
    new: bool,
}

impl Task {
    /// The report of all images.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Task { report: true, current: true, update: true, new: true }
    }

    /// Whether images on this list of the report are meant.
    pub(crate) fn wants(self, status: Status) -> bool {
        match status {
            Status::Current => self.current,
            Status::NeedUpdate => self.update,
            Status::New => self.new,
        }
    }

    /// What it means when there is nothing to do.
    pub(crate) fn nothing(self) -> &'static str {
        match (self.update, self.new) {
            (true, false) => "nothing to do: no image needs update",
            (false, true) => "nothing to do: no image is new",
            _ => "nothing to do: no image needs update or is new",
        }
    }
}

impl SyncArgs {
    /// The original's rules: no image and no flag is the report; a flag selects among the images named.
    pub(crate) fn task(&self) -> Task {
        let selected = self.all || self.update || self.new;
        Task {
            report: self.report || (self.images.is_empty() && !selected),
            current: !selected,
            update: !selected || self.all || self.update,
            new: !selected || self.all || self.new,
        }
    }
}
