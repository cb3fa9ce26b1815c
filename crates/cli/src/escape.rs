//! What came from elsewhere, made fit for a terminal.
//!
//! Image names, store names, an engine's messages and a remote's standard error are all written by others.
//! A terminal obeys control characters and turns text around at bidirectional marks; neither gets through.

use std::borrow::Cow;
use std::fmt::Write;

/// The text on one line, its control characters escaped: `\n`, `\u{1b}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            write!(shown, "{}", c.escape_default()).expect("a String takes everything");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The lines of a message that say something, each made [`visible`].
pub(crate) fn lines(message: &str) -> Vec<String> {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).map(|l| visible(l).into_owned()).collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(visible("redis:latest, größer"), "redis:latest, größer");
        assert_eq!(visible("a\x1b[31mb\rc\u{9b}2J\u{7f}"), "a\\u{1b}[31mb\\rc\\u{9b}2J\\u{7f}");
        assert_eq!(visible("abc\u{202e}gpj"), "abc\\u{202e}gpj");
    }

    #[test]
    fn a_message_keeps_its_lines() {
        assert_eq!(lines("\r\nfirst\r\n\n  second\x07\n"), ["first", "second\\u{7}"]);
    }
}
