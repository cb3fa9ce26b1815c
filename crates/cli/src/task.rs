//! The task that the arguments select, by the rules of the original docker-sync for its flags.

use dsync_sync::Status;

use crate::args::SyncArgs;

/// The statuses of the report that are selected, among the images that were named or all.
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

    /// True if images on this list of the report are selected.
    pub(crate) fn wants(self, status: Status) -> bool {
        match status {
            Status::Current => self.current,
            Status::NeedUpdate => self.update,
            Status::New => self.new,
        }
    }

    /// The sentence for a run that has nothing to do.
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
