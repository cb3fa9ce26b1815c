//! docs/limits.md has every limit, each with the value that the code has.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use dsync_delta::header_delta::SECTION_MAX;
use dsync_delta::layer_index::{CHUNK_MAX, ENTRY_RECORDS};
use dsync_delta::scan::VERBATIM_MAX;

const DOCUMENT: &str = include_str!("../../../docs/limits.md");

/// The constants of `dsync_proto::limits`, which are many, as its source has them: name and value.
fn of_messages() -> Vec<(String, String)> {
    let code = include_str!("../../proto/src/limits.rs");
    let constants = code.lines().filter_map(|line| line.strip_prefix("pub const "));
    let read = |constant: &str| {
        let (name, rest) = constant.split_once(": ").unwrap();
        let (_, value) = rest.trim_end_matches(';').split_once(" = ").unwrap();
        let shown = match name {
            "COSTS" => "8,292".to_owned(),
            "LAYER" => "2⁴⁴".into(),
            "ENTRIES" => "2²³".into(),
            "ITEMS" => "2²¹".into(),
            "BATCH_LEAST" => "1 to 24 MiB".into(),
            _ => shown(value),
        };
        (name.to_owned(), shown)
    };
    constants.filter(|line| !line.starts_with("fn ")).map(read).collect()
}

/// The constants of header deltas.
fn of_header_deltas() -> Vec<(String, String)> {
    let constants = [
        ("CHUNK_MAX", CHUNK_MAX),
        ("VERBATIM_MAX", VERBATIM_MAX),
        ("ENTRY_RECORDS", ENTRY_RECORDS as u64),
        ("SECTION_MAX", SECTION_MAX as u64),
    ];
    constants.map(|(name, value)| (name.to_owned(), with_unit(value))).into()
}

/// The rows of the tables with constants, each with the names of its constants.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| ") && line.matches(" |").count() == 4);
    let names = |row: &'static str| row.split('|').nth(3).unwrap().split('`').skip(1).step_by(2).collect();
    rows.map(|row| (row, names(row))).filter(|(_, names): &(_, Vec<_>)| !names.is_empty()).collect()
}

#[test]
fn the_document_has_every_limit_with_its_value() {
    let (constants, rows) = ([of_messages(), of_header_deltas()].concat(), rows());
    assert!(constants.len() > 34, "{constants:?}");
    for (name, value) in &constants {
        let row = rows.iter().find(|(_, names)| names.contains(&&name[..]));
        let (row, _) = row.unwrap_or_else(|| panic!("docs/limits.md has no row with `{name}`"));
        assert!(has_number(row, value), "{name} is {value}: {row}");
    }
    for (row, names) in rows {
        let is_known = |name: &&str| name.ends_with("()") || constants.iter().any(|(known, _)| known == name);
        let unknown: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "nothing compares {unknown:?}: {row}");
    }
}

/// True if the text has this number, and not only as a part of a longer one.
fn has_number(text: &str, number: &str) -> bool {
    text.match_indices(number).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + number.len()..]);
        let is_part = |c: char| c.is_ascii_digit() || c == ',';
        let longer = after.trim_start_matches(',').starts_with(|c: char| c.is_ascii_digit());
        !before.ends_with(is_part) && !longer
    })
}

#[test]
fn a_number_is_not_found_in_a_longer_one() {
    assert!(has_number("| 4 MiB; 16 MiB |", "16 MiB") && has_number("10,000, and 1,000 a second", "1,000"));
    assert!(!has_number("| 24 MiB |", "4 MiB") && !has_number("| 10,000 |", "1,000"));
    assert!(!has_number("| 10,000 |", "10") && !has_number("| 4,0961 |", "4,096"));
}

/// A value as the document writes it.
fn shown(value: &str) -> String {
    let value = value.replace('_', "");
    match value.split_once(" << ") {
        Some((count, "10")) => format!("{count} KiB"),
        Some((count, "20")) => format!("{count} MiB"),
        Some((count, bits)) => thousands(count.parse::<u64>().unwrap() << bits.parse::<u32>().unwrap()),
        None => thousands(value.parse().unwrap()),
    }
}

/// A number as the document writes it, in MiB or KiB where it is whole ones.
fn with_unit(number: u64) -> String {
    match number {
        _ if number >= 1 << 20 && number.is_multiple_of(1 << 20) => format!("{} MiB", number >> 20),
        _ if number >= 1 << 10 && number.is_multiple_of(1 << 10) => format!("{} KiB", number >> 10),
        _ => thousands(number),
    }
}

fn thousands(number: u64) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (front, rest) => format!("{front},{rest:03}"),
    }
}
