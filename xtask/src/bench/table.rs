//! The figures as tables of Markdown, medians where there were several runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::bars::Bar;
use super::cable::CABLES;
use super::conditions::days;
use super::method::METHODS;
use super::pair::{PAIRS, Pair};
use super::record::{self, FIRST_CONTACT, NO_CABLE, REPORT, Record, Scenario, UP_TO_DATE, median, of};
use super::sample::Peaks;
use crate::units::{bytes, thousands};

const HEAD: &str = "\
| method | bytes up | bytes down | on the wire | seconds (min – max) | memory source | memory target \
| temp source | temp target | engine temp source | engine temp target | CPU source | CPU target |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const EXPLANATION: &str = "\
The target pulls. *Bytes on the wire* are what ssh and sshd exchanged, both ways, counted by a proxy between them, \
which also makes slow links slow. *Memory* is the high-water mark of the largest process of an end, and the most that \
all its processes had together, the engine and its client left out; *temp* the most disk that the method's own files \
had, *engine temp* what the engine kept in its temporary directory meanwhile; *CPU* the seconds of all processes of \
an end but the engine's daemon. Where there were several runs, figures are medians.

docker-sync has been at both ends before: each of its runs begins with the caches that its last sync, of the old \
image, left behind; on a slow link it also remembers how fast the link was. *docker-sync, max* is with `--compression max`.

Some rivals are computed from the archives, not run. *Missing layers, gzip -6* is what a registry would move. \
*Chunks of 16 KiB* is what casync and desync move: what is in the missing layers and in no layer of the target, cut by \
content, each chunk by itself through zstd -3, and 40 bytes of index for each. *zstd --patch-from* has both whole \
archives before it, at the same place, which no transfer has.
";

/// The whole document.
pub(crate) fn document(records: &[Record], bars: &[Bar]) -> String {
    let mut text = format!("# Benchmarks\n\n{}\n\n{EXPLANATION}\n", conditions(records));
    text += "![bytes on the wire](wire.svg)\n\n![time](time.svg)\n\n";
    push(
        &mut text,
        format_args!("## Bars\n\n{}\n## Bytes on the wire\n\n{}", bar_table(bars), wire_table(records)),
    );
    for pair in PAIRS {
        text += &of_pair(records, pair);
    }
    text
}

/// One paragraph on how the figures came about.
fn conditions(records: &[Record]) -> String {
    let all = |what: fn(&Record) -> &str| -> Vec<&str> {
        let values: BTreeSet<&str> = records.iter().map(what).filter(|value| !value.is_empty()).collect();
        values.into_iter().collect()
    };
    let Some(dates) = days(records.iter().map(|record| record.date.as_str())) else {
        return "Nothing has been measured yet.".to_owned();
    };
    let (commits, machines) =
        (all(|record| &record.commit).join(", "), all(|record| &record.machine).join("; "));
    format!(
        "Measured with `cargo xtask bench` {dates} (commit {commits}) on {machines}, with two engines and their sshds \
         on one machine."
    )
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

/// What each method puts on the wire for each pair.
fn wire_table(records: &[Record]) -> String {
    let wire = |pair: &Pair, method: &str| record::wire(records, pair.name, method);
    let pairs: Vec<&Pair> = PAIRS
        .iter()
        .copied()
        .filter(|pair| METHODS.iter().any(|method| wire(pair, method.name).is_some()))
        .collect();
    let mut text = String::from("| method |");
    pairs.iter().for_each(|pair| push(&mut text, format_args!(" {} |", pair.name)));
    push(&mut text, format_args!("\n|---|{}\n", "--:|".repeat(pairs.len())));
    for method in METHODS {
        let figures: Vec<Option<f64>> = pairs.iter().map(|pair| wire(pair, method.name)).collect();
        if figures.iter().any(Option::is_some) {
            push(&mut text, format_args!("| {} |", method.title));
            for figure in figures {
                push(
                    &mut text,
                    format_args!(" {} |", figure.map(|value| bytes(value as u64)).unwrap_or_default()),
                );
            }
            text.push('\n');
        }
    }
    text
}

/// The tables of one pair.
fn of_pair(records: &[Record], pair: &Pair) -> String {
    let mut text = String::new();
    for scenario in [Scenario::Update, Scenario::Blind, Scenario::Cold] {
        let cables = CABLES.iter().map(|cable| (cable.name, cable.title)).chain([(NO_CABLE, "computed")]);
        for (cable, title) in cables {
            let rows = rows(records, pair, scenario, cable);
            if !rows.is_empty() {
                push(&mut text, format_args!("\n### {}; {title}\n\n{HEAD}{rows}", scenario.title()));
            }
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("\n## {}: {} to {}\n\nThe change: {}.\n{text}", pair.name, pair.old, pair.new, pair.change)
}

fn rows(records: &[Record], pair: &Pair, scenario: Scenario, cable: &str) -> String {
    let methods = METHODS.iter().map(|method| (method.name, method.title));
    let others = [
        (UP_TO_DATE, "docker-sync, nothing to do"),
        (FIRST_CONTACT, "docker-sync, report at the first contact"),
        (REPORT, "docker-sync, report"),
    ];
    let runs = |method| of(records, pair.name, scenario, method).filter(|record| record.cable == cable);
    methods.chain(others).filter_map(|(name, title)| row(title, &runs(name).collect::<Vec<_>>())).collect()
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
    let size = |end, figure| of_end(end, figure).map(|value| bytes(value as u64));
    let ends: [fn(&Record) -> Option<&Peaks>; 2] = [|run| run.source.as_ref(), |run| run.target.as_ref()];
    cells.extend(ends.map(|end| {
        let largest = size(end, |peaks| peaks.memory as f64);
        let all = size(end, |peaks| peaks.memory_sum as f64);
        largest.zip(all).map(|(largest, all)| format!("{largest} / {all}")).unwrap_or_default()
    }));
    let sizes: [fn(&Peaks) -> f64; 2] = [|peaks| peaks.temp as f64, |peaks| peaks.engine_temp as f64];
    for figure in sizes {
        cells.extend(ends.map(|end| size(end, figure).unwrap_or_default()));
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

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_pair_has_its_tables() {
        let record = |cable: &str, method: &str, down, seconds, peaks: Option<Peaks>| Record {
            pair: "node".to_owned(),
            cable: cable.to_owned(),
            method: method.to_owned(),
            date: "2024-02-29".to_owned(),
            up: 1000,
            down,
            seconds,
            source: peaks.clone(),
            target: peaks,
            ..Record::default()
        };
        let peaks =
            Peaks { memory: 20_000_000, memory_sum: 30_000_000, cpu: 1.25, temp: 5_000, ..Peaks::default() };
        let records = [
            record(NO_CABLE, "layers", 28_000_000, None, None),
            record("lan", "docker-sync", 2_000_000, Some(2.0), Some(peaks.clone())),
            record("lan", "docker-sync", 2_000_000, Some(4.0), Some(peaks)),
        ];
        let text = document(&records, &[]);
        let head = HEAD;
        for expected in [
            &format!(
                "\n## node: node:1 to node:2\n\nThe change: two packages of npm newer, one more.\n\n\
                 ### both ends have the old image; loopback, as fast as it goes\n\n{head}\
                 | docker-sync | 1,000 | 2,000,000 | 2,001,000 | 3.0 (2.0 – 4.0) | 20.0 MB / 30.0 MB | 20.0 MB / 30.0 MB \
                 | 5.00 kB | 5.00 kB | 0 B | 0 B | 1.2 | 1.2 |\n\n"
            ),
            "### both ends have the old image; computed\n",
            "| missing layers, gzip -6 | 1,000 | 28,000,000 | 28,001,000 |  |  |  |  |  |  |  |  |  |\n",
            "| method | node |\n|---|--:|\n| docker-sync | 2.00 MB |\n| missing layers, gzip -6 | 28.0 MB |\n",
            "bench` on 2024-02-29 (",
        ] {
            assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        }
        assert!(!text.contains("## django"), "{text}");
    }
}
