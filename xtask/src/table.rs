//! Figures as text: tables of Markdown, medians with their span, long numbers.

use std::fmt::Display;
use std::fs;

use crate::{Result, workspace};

/// A table of Markdown as it grows.
pub(crate) struct Table(String);

impl Table {
    /// A table with these columns, the first of words and the others of numbers.
    pub(crate) fn new<T: Display>(words: &[&str], numbers: &[T]) -> Table {
        let mut table = Table(String::new());
        table.row(words.iter().map(ToString::to_string).chain(numbers.iter().map(T::to_string)));
        table.0 += &format!("|{}{}\n", "---|".repeat(words.len()), "--:|".repeat(numbers.len()));
        table
    }

    /// Adds a line.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Display>) {
        self.0.push('|');
        for cell in cells {
            self.0 += &format!(" {cell} |");
        }
        self.0.push('\n');
    }

    /// The text of the table.
    pub(crate) fn text(self) -> String {
        self.0
    }
}

/// Writes a table into a document, in place of the one between the marks of this command.
pub(crate) fn write(document: &str, command: &str, table: &str) -> Result {
    let path = workspace::root().join(document);
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {document}: {error}"))?;
    let text = with_table(&text, command, table)
        .ok_or_else(|| format!("{document} has no place for the table of {command}"))?;
    Ok(fs::write(&path, text)?)
}

fn with_table(text: &str, command: &str, table: &str) -> Option<String> {
    const END: &str = "<!-- end -->\n";
    let begin = format!("<!-- {command} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, &begin, "\n", table, "\n", END, after].concat())
}

/// The value in the middle, or between the two that are.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median in this unit, with the least and the most where there are several values.
pub(crate) fn span(values: impl Iterator<Item = f64>, unit: &str) -> Option<String> {
    let values: Vec<f64> = values.collect();
    let middle = median(values.iter().copied())?;
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    Some(match values.len() {
        1 => format!("{middle:.1}{unit}"),
        _ => format!("{middle:.1}{unit} ({least:.1} – {most:.1})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new(&["store"], &["bytes", "seconds"]);
        table.row(["docker", "1", ""]);
        assert_eq!(table.text(), "| store | bytes | seconds |\n|---|--:|--:|\n| docker | 1 |  |\n");
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let marks = ["<!-- cargo xtask fuzz -->\n", "<!-- end -->\n"];
        let text = format!("# Fuzzing\n\n{}old\n{}\nmore\n", marks[0], marks[1]);
        let new = with_table(&text, "cargo xtask fuzz", "| new |\n").unwrap();
        assert_eq!(new, format!("# Fuzzing\n\n{}\n| new |\n\n{}\nmore\n", marks[0], marks[1]));
        assert_eq!(with_table(&text, "cargo xtask bench", ""), None);
    }

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn several_values_have_a_span() {
        assert_eq!(span([].into_iter(), ""), None);
        assert_eq!(span([3.0].into_iter(), " s").unwrap(), "3.0 s");
        assert_eq!(span([4.0, 2.0].into_iter(), "").unwrap(), "3.0 (2.0 – 4.0)");
    }
}
