//! The bars: what the figures must be for the project to keep its word.

use clap::ValueEnum as _;

use super::method::Method;
use super::pair::PAIRS;
use super::record::{FIRST_CONTACT, REPORT, Record, UP_TO_DATE};
use super::table::{median, of};
use crate::units::bytes;

/// An image that is there already costs at most so many bytes.
const UP_TO_DATE_BAR: f64 = 20_000.0;
/// So many bytes give a host its agent.
const UPLOAD_BAR: f64 = 1_500_000.0;

/// A figure and what it may be at most.
#[derive(Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) limit: String,
    pub(crate) holds: bool,
}

/// All bars for which there are figures.
pub(crate) fn bars(records: &[Record]) -> Vec<Bar> {
    let ours = name(Method::DockerSync);
    let wire =
        |pair: &str, method: &str| median(of(records, pair, method).map(|record| record.bytes() as f64));
    let mut bars = Vec::new();
    for pair in PAIRS {
        if let (Some(figure), Some(limit)) = (wire(pair.name, &ours), pair.bar) {
            bars.push(of_bytes(format!("{}: bytes on the wire", pair.name), figure, limit as f64));
        }
        if let Some(figure) = wire(pair.name, UP_TO_DATE) {
            bars.push(of_bytes(format!("{}: bytes when up to date", pair.name), figure, UP_TO_DATE_BAR));
        }
        if let (Some(first), Some(again)) = (wire(pair.name, FIRST_CONTACT), wire(pair.name, REPORT)) {
            bars.push(of_bytes("upload of the agent, once a host".to_owned(), first - again, UPLOAD_BAR));
        }
        let time = |method: &str| median(of(records, pair.name, method).filter_map(|record| record.seconds));
        // Where the image is so small that logging in is most of it, nothing was promised.
        if let (Some(figure), Some(limit), Some(_)) = (time(&ours), time(&name(Method::SaveZstd)), pair.bar) {
            bars.push(Bar {
                what: format!("{}: time, against {}", pair.name, Method::SaveZstd.title()),
                figure: format!("{figure:.1} s"),
                limit: format!("{limit:.1} s"),
                holds: figure <= limit,
            });
        }
    }
    bars
}

fn of_bytes(what: String, figure: f64, limit: f64) -> Bar {
    Bar { what, figure: bytes(figure as u64), limit: bytes(limit as u64), holds: figure <= limit }
}

/// The name of a method in the records.
pub(crate) fn name(method: Method) -> String {
    method.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(method: &str, up: u64, seconds: f64) -> Record {
        Record {
            pair: "appcode".to_owned(),
            method: method.to_owned(),
            up,
            seconds: Some(seconds),
            ..Record::default()
        }
    }

    #[test]
    fn medians_are_held_against_their_bars() {
        let records = [
            record("docker-sync", 50_000, 9.0),
            record("docker-sync", 70_000, 3.0),
            record("docker-sync", 60_000, 2.0),
            record("save-zstd", 90_000_000, 2.9),
            record(UP_TO_DATE, 20_001, 1.0),
            record(FIRST_CONTACT, 1_000_000, 1.0),
            record(REPORT, 8_000, 1.0),
        ];
        let found: Vec<(String, String, bool)> =
            bars(&records).into_iter().map(|bar| (bar.figure, bar.limit, bar.holds)).collect();
        let expected = [
            ("60.0 kB", "60.0 kB", true),
            ("20.0 kB", "20.0 kB", false),
            ("992 kB", "1.50 MB", true),
            ("3.0 s", "2.9 s", false),
        ];
        assert_eq!(found, expected.map(|(figure, limit, holds)| (figure.into(), limit.into(), holds)));
        assert!(bars(&[]).is_empty());
    }
}
