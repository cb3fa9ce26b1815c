//! A report with the task and the remote that it was made for, and the words that all its forms share.

use std::cmp::Ordering;

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

/// The order of two names as a person reads them: `web:v9` before `web:v10`.
pub(crate) fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let [digits, more] = [left, right].map(|text| text.len() - text.trim_start_matches(is_digit).len());
        let order = if digits > 0 && more > 0 {
            let [number, than] = [&left[..digits], &right[..more]].map(|text| text.trim_start_matches('0'));
            (left, right) = (&left[digits..], &right[more..]);
            number.len().cmp(&than.len()).then_with(|| number.cmp(than))
        } else {
            let (letter, than) = (left.chars().next(), right.chars().next());
            (left, right) = (behind(left), behind(right));
            match letter.cmp(&than) {
                // Both have ended, and differ in zeros alone if in anything.
                Ordering::Equal if letter.is_none() => return one.cmp(other),
                order => order,
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A text without its first letter.
fn behind(text: &str) -> &str {
    let mut letters = text.chars();
    letters.next();
    letters.as_str()
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_in_their_order() {
        let mut names = [
            "web:v10",
            "web:v9",
            "web",
            "api:2",
            "web:v9.10",
            "web:v9.2",
            "web:v09",
            "web10:1",
            "web9:1",
            "é:1",
        ];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(
            names,
            [
                "api:2",
                "web",
                "web9:1",
                "web10:1",
                "web:v09",
                "web:v9",
                "web:v9.2",
                "web:v9.10",
                "web:v10",
                "é:1"
            ]
        );
    }
}
