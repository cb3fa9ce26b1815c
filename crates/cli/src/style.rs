//! The few colours, each with a meaning. Whether they are shown is decided where text is written.

use anstyle::{AnsiColor, Style};

/// Headings of the help and the lists of the report.
pub(crate) const HEADING: Style = Style::new().bold().underline();
/// Names: of images, of options.
pub(crate) const NAME: Style = Style::new().bold();
/// `error:`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// `warning:`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// `hint:`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// A state that is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// An image that needs update.
pub(crate) const BEHIND: Style = AnsiColor::Yellow.on_default().bold();
/// An image that is new.
pub(crate) const NEW: Style = AnsiColor::Cyan.on_default().bold();
/// Details.
pub(crate) const DIM: Style = Style::new().dimmed();

/// The text in this style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
