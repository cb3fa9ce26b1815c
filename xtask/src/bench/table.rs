//! The figures as tables of Markdown, medians where there were several runs.

use std::fmt::Write as _;

use clap::ValueEnum as _;

use super::bars::{Bar, name};
use super::method::Method;
use super::pair::PAIRS;
use super::record::{FIRST_CONTACT, REPORT, Record, UP_TO_DATE};
use super::sample::Peaks;
use crate::units::bytes;

const HEAD: &str = "\
| method | bytes up | bytes down | on the wire | seconds (min – max) | memory source | memory target \
| temp source | temp target | engine temp source | engine temp target | CPU source | CPU target |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const EXPLANATION: &str = "\
The target pulls. *Bytes on the wire* are what ssh and sshd exchanged, both ways, counted by a proxy between them. \
*Memory* is the high-water mark of the largest process of an end, the engine and its client left out; *temp* the \
most disk that the method's own files had, *engine temp* what the engine kept in its temporary directory \
meanwhile; *CPU* the seconds of all processes of an end but the engine's daemon. Where there were several runs, \
figures are medians. *Missing layers, gzip -6* is computed, not run: it is what a registry would move.
";

/// The whole document.
pub(crate) fn document(records: &[Record], bars: &[Bar], conditions: &str) -> String {
    let mut text = format!("# Benchmarks\n\n{conditions}\n\n{EXPLANATION}\n## Bars\n\n{}", bar_table(bars));
    for pair in PAIRS {
        let rows = rows(records, pair.name);
        if !rows.is_empty() {
            let (old, new) = (pair.old, pair.new);
            push(&mut text, format_args!("\n## {}: {old} to {new}\n\n{HEAD}{rows}", pair.name));
        }
    }
    text
}

/// The bars and whether they hold.
pub(crate) fn bar_table(bars: &[Bar]) -> String {
    let mut text = String::from("| figure | measured | at most | |\n|---|--:|--:|---|\n");
    for Bar { what, figure, limit, holds } in bars {
        let verdict = if *holds { "holds" } else { "**missed**" };
        push(&mut text, format_args!("| {what} | {figure} | {limit} | {verdict} |\n"));
    }
    text
}

fn rows(records: &[Record], pair: &str) -> String {
    let methods = Method::value_variants().iter().map(|method| (name(*method), method.title()));
    let others = [
        (UP_TO_DATE, "docker-sync, nothing to do"),
        (FIRST_CONTACT, "docker-sync, report at the first contact"),
        (REPORT, "docker-sync, report"),
    ];
    let others = others.map(|(name, title)| (name.to_owned(), title));
    methods
        .chain(others)
        .filter_map(|(name, title)| row(title, &of(records, pair, &name).collect::<Vec<_>>()))
        .collect()
}

fn row(title: &str, runs: &[&Record]) -> Option<String> {
    let number = |figure: fn(&Record) -> u64| {
        median(runs.iter().map(|run| figure(run) as f64)).map(|value| thousands(value as u64))
    };
    let mut cells = vec![title.to_owned()];
    cells.extend([number(|run| run.up)?, number(|run| run.down)?, number(Record::bytes)?]);
    cells.push(seconds(runs).unwrap_or_default());
    let of_end = |end: fn(&Record) -> Option<&Peaks>, figure: fn(&Peaks) -> f64| {
        median(runs.iter().filter_map(|run| end(run)).map(figure))
    };
    let ends: [fn(&Record) -> Option<&Peaks>; 2] = [|run| run.source.as_ref(), |run| run.target.as_ref()];
    let sizes: [fn(&Peaks) -> f64; 3] =
        [|peaks| peaks.memory as f64, |peaks| peaks.temp as f64, |peaks| peaks.engine_temp as f64];
    for size in sizes {
        cells.extend(ends.map(|end| of_end(end, size).map(|value| bytes(value as u64)).unwrap_or_default()));
    }
    cells.extend(
        ends.map(|end| of_end(end, |peaks| peaks.cpu).map(|value| format!("{value:.1}")).unwrap_or_default()),
    );
    Some(format!("| {} |\n", cells.join(" | ")))
}

fn seconds(runs: &[&Record]) -> Option<String> {
    let times: Vec<f64> = runs.iter().filter_map(|run| run.seconds).collect();
    let middle = median(times.iter().copied())?;
    let (least, most) = times.iter().fold((f64::MAX, f64::MIN), |(a, b), time| (a.min(*time), b.max(*time)));
    Some(match times.len() {
        1 => format!("{middle:.1}"),
        _ => format!("{middle:.1} ({least:.1} – {most:.1})"),
    })
}

/// The runs of one pair by one method.
pub(crate) fn of<'a>(records: &'a [Record], pair: &str, method: &str) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.pair == pair && record.method == method)
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

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_pair_has_its_table() {
        let record = |method: &str, down, seconds, peaks: Option<Peaks>| Record {
            pair: "node".to_owned(),
            method: method.to_owned(),
            up: 1000,
            down,
            seconds,
            source: peaks.clone(),
            target: peaks,
            ..Record::default()
        };
        let peaks = Peaks { memory: 20_000_000, cpu: 1.25, temp: 5_000, ..Peaks::default() };
        let records = [
            record("layers", 28_000_000, None, None),
            record("docker-sync", 2_000_000, Some(2.0), Some(peaks.clone())),
            record("docker-sync", 2_000_000, Some(4.0), Some(peaks)),
        ];
        let expected = "\
| docker-sync | 1,000 | 2,000,000 | 2,001,000 | 3.0 (2.0 – 4.0) | 20.0 MB | 20.0 MB | 5.00 kB | 5.00 kB | 0 B | 0 B | 1.2 | 1.2 |
| missing layers, gzip -6 | 1,000 | 28,000,000 | 28,001,000 |  |  |  |  |  |  |  |  |  |
";
        assert_eq!(rows(&records, "node"), expected);
        let text = document(&records, &[], "On a machine.");
        assert!(
            text.contains("\n## node: node:1 to node:2\n\n| method |") && !text.contains("## django"),
            "{text}"
        );
    }
}
