//! The figures as tables of Markdown, medians where there were several runs.

use super::bars::Bar;
use super::cable::CABLES;
use super::method::METHODS;
use super::record::{self, FIRST_CONTACT, Figures, NO_CABLE, REPORT, Record, Run, Scenario, UP_TO_DATE, of};
use crate::bench::conditions::{Conditions, distinct, measured};
use crate::bench::pair::{PAIRS, Pair};
use crate::bench::record::Case as _;
use crate::bench::sample::Peaks;
use crate::table::{Table, median, span};
use crate::units::{bytes, thousands};

/// The figures of a method.
const COLUMNS: [&str; 12] = [
    "bytes up",
    "bytes down",
    "on the wire",
    "seconds (min – max)",
    "memory source",
    "memory target",
    "temp source",
    "temp target",
    "engine temp source",
    "engine temp target",
    "CPU source",
    "CPU target",
];

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
    let mut text = format!(
        "# Benchmarks\n\n{}\n\n{EXPLANATION}\n![bytes on the wire](wire.svg)\n\n![time](time.svg)\n\n\
         ## Bars\n\n{}\n## Bytes on the wire\n\n{}",
        conditions(records),
        bar_table(bars),
        wire_table(records)
    );
    for pair in PAIRS {
        text += &of_pair(records, pair);
    }
    text
}

/// One paragraph on how the figures came about.
fn conditions(records: &[Record]) -> String {
    let all: Vec<&Conditions> = records.iter().map(|record| &record.conditions).collect();
    let Some(measured) = measured(Run::KIND, &all) else {
        return "Nothing has been measured yet.".to_owned();
    };
    let engines = distinct(&all, |conditions| &conditions.versions[0]).join(" and ");
    format!("{measured} with Docker {engines}, with two engines and their sshds on one machine.")
}

/// The bars and whether they hold.
pub(crate) fn bar_table(bars: &[Bar]) -> String {
    let mut table = Table::new(&["figure"], &["measured", "at most", "verdict"]);
    for Bar { what, figure, limit, holds } in bars {
        table.row([what.as_str(), figure, limit, if *holds { "holds" } else { "**missed**" }]);
    }
    table.text()
}

/// The bytes that each method puts on the wire for each pair.
fn wire_table(records: &[Record]) -> String {
    let wire = |pair: &Pair, method: &str| record::wire(records, pair.name, method);
    let is_measured = |pair: &&Pair| METHODS.iter().any(|method| wire(pair, method.name).is_some());
    let pairs: Vec<&Pair> = PAIRS.iter().copied().filter(is_measured).collect();
    let mut table = Table::new(&["method"], &pairs.iter().map(|pair| pair.name).collect::<Vec<_>>());
    for method in METHODS {
        let figures: Vec<Option<f64>> = pairs.iter().map(|pair| wire(pair, method.name)).collect();
        if figures.iter().any(Option::is_some) {
            let figures =
                figures.iter().map(|figure| figure.map(|value| bytes(value as u64)).unwrap_or_default());
            table.row([method.title.to_owned()].into_iter().chain(figures));
        }
    }
    table.text()
}

/// The tables of one pair.
fn of_pair(records: &[Record], pair: &Pair) -> String {
    let mut text = String::new();
    for scenario in [Scenario::Update, Scenario::Blind, Scenario::Cold] {
        let cables = CABLES.iter().map(|cable| (cable.name, cable.title)).chain([(NO_CABLE, "computed")]);
        for (cable, title) in cables {
            let rows = rows(records, pair, scenario, cable);
            if !rows.is_empty() {
                let mut table = Table::new(&["method"], &COLUMNS);
                rows.into_iter().for_each(|row| table.row(row));
                text += &format!("\n### {}; {title}\n\n{}", scenario.title(), table.text());
            }
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("\n## {}: {} to {}\n\nThe change: {}.\n{text}", pair.name, pair.old, pair.new, pair.change)
}

fn rows(records: &[Record], pair: &Pair, scenario: Scenario, cable: &str) -> Vec<Vec<String>> {
    let methods = METHODS.iter().map(|method| (method.name, method.title));
    let others = [
        (UP_TO_DATE, "docker-sync, nothing to do"),
        (FIRST_CONTACT, "docker-sync, report at the first contact"),
        (REPORT, "docker-sync, report"),
    ];
    let runs = |method| {
        let runs = of(records, pair.name, scenario, method).filter(|record| record.case.cable == cable);
        runs.map(|record| &record.figures).collect::<Vec<_>>()
    };
    methods.chain(others).filter_map(|(name, title)| row(title, &runs(name))).collect()
}

fn row(title: &str, runs: &[&Figures]) -> Option<Vec<String>> {
    let number = |figure: fn(&Figures) -> u64| {
        median(runs.iter().map(|run| figure(run) as f64)).map(|value| thousands(value as u64))
    };
    let mut cells = vec![title.to_owned()];
    cells.extend([number(|run| run.up)?, number(|run| run.down)?, number(Figures::bytes)?]);
    cells.push(span(runs.iter().filter_map(|run| run.seconds), "").unwrap_or_default());
    let of_end = |end: fn(&Figures) -> Option<&Peaks>, figure: fn(&Peaks) -> f64| {
        median(runs.iter().filter_map(|run| end(run)).map(figure))
    };
    let size = |end, figure| of_end(end, figure).map(|value| bytes(value as u64));
    let ends: [fn(&Figures) -> Option<&Peaks>; 2] = [|run| run.source.as_ref(), |run| run.target.as_ref()];
    cells.extend(ends.map(|end| {
        let largest = size(end, |peaks| peaks.memory as f64);
        let all = size(end, |peaks| peaks.memory_sum as f64);
        largest.zip(all).map(|(largest, all)| format!("{largest} / {all}")).unwrap_or_default()
    }));
    let sizes: [fn(&Peaks) -> f64; 2] = [|peaks| peaks.temp as f64, |peaks| peaks.engine_temp as f64];
    for figure in sizes {
        cells.extend(ends.map(|end| size(end, figure).unwrap_or_default()));
    }
    let cpu = |end| of_end(end, |peaks| peaks.cpu).map(|value| format!("{value:.1}")).unwrap_or_default();
    cells.extend(ends.map(cpu));
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::update;
    use super::*;

    #[test]
    fn a_pair_has_its_tables() {
        let record = |cable: &str, method: &str, down, seconds, peaks: Option<Peaks>| {
            let mut record = update("node", cable, method, down, seconds);
            record.conditions.date = "2024-02-29".to_owned();
            record.conditions.versions[0] = "20.10".to_owned();
            record.figures = Figures { up: 1000, source: peaks.clone(), target: peaks, ..record.figures };
            record
        };
        let peaks =
            Peaks { memory: 20_000_000, memory_sum: 30_000_000, cpu: 1.25, temp: 5_000, ..Peaks::default() };
        let records = [
            record(NO_CABLE, "layers", 28_000_000, None, None),
            record("lan", "docker-sync", 2_000_000, Some(2.0), Some(peaks.clone())),
            record("lan", "docker-sync", 2_000_000, Some(4.0), Some(peaks)),
        ];
        let text = document(&records, &[]);
        let head = Table::new(&["method"], &COLUMNS).text();
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
            "bench run` on 2024-02-29 (",
            " with Docker 20.10, with two engines",
        ] {
            assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        }
        assert!(!text.contains("## django"), "{text}");
    }
}
