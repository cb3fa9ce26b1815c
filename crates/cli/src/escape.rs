//! Escapes texts of other hosts and images for a terminal.
//!
//! Image names, store names, an engine's messages and a remote's standard error are all written by others.
//! A terminal obeys control characters, turns text around at bidirectional marks, and shows nothing where some
//! characters are, so that two names look alike; none of them gets through. Everything that is printed goes through
//! here: texts by [`visible`] and [`lines`], JSON by [`json`].

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

/// The lines of a message that are not empty, each made [`visible`].
pub(crate) fn lines(message: &str) -> Vec<String> {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).map(|l| visible(l).into_owned()).collect()
}

/// JSON that means the same, in which these characters are escaped, too: what is outside of strings has none of them but line ends.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c != '\n' && is_hidden(c);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls, line separators, and all that Unicode calls default ignorable: bidirectional controls, zero-width
/// characters, fillers, variation selectors, tags (DerivedCoreProperties.txt, Default_Ignorable_Code_Point).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(visible("redis:latest, größer"), "redis:latest, größer");
        assert_eq!(visible("a\x1b[31mb\rc\u{9b}2J\u{7f}"), "a\\u{1b}[31mb\\rc\\u{9b}2J\\u{7f}");
        assert_eq!(visible("abc\u{202e}gpj"), "abc\\u{202e}gpj");
        for code in
            (0x200b..=0x200f).chain(0x202a..=0x202e).chain(0x2060..=0x2069).chain([0x61c, 0xfeff, 0xe0041])
        {
            let shown = visible(&format!("a{}b", char::from_u32(code).unwrap())).into_owned();
            assert_eq!(shown, format!("a\\u{{{code:x}}}b"));
        }
        assert_eq!(visible("größer 大きい обзор נתונים 🐳"), "größer 大きい обзор נתונים 🐳");
    }

    #[test]
    fn json_means_the_same() {
        let text = "a\u{202e}b\u{7f}\u{9b}\u{e0041}\u{1b}\"\\ ü\n";
        let plain = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = json(&plain);
        assert_eq!(shown, "[\n  \"a\\u202eb\\u007f\\u009b\\udb40\\udc41\\u001b\\\"\\\\ ü\\n\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [text]);
    }

    #[test]
    fn a_message_keeps_its_lines() {
        assert_eq!(lines("\r\nfirst\r\n\n  second\x07\n"), ["first", "second\\u{7}"]);
    }
}
