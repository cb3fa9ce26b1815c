//! Plots of bytes on the wire and of time, with a group of bars for each pair.

use super::cable::WAN;
use super::method::{METHODS, Method};
use super::record::{self, Record, Scenario, of};
use super::svg::{Bar, Group, Plot};
use crate::bench::pair::PAIRS;
use crate::table::median;
use crate::units::bytes;

/// Bytes on the wire.
pub(crate) fn wire(records: &[Record]) -> String {
    plot(
        "Bytes on the wire to bring an image up to date",
        "both ways at 20 Mbit/s, ssh included; logarithmic scale; * computed from the archives, not run",
        |pair, method| record::wire(records, pair, method.name),
        |value| bytes(value as u64),
    )
}

/// Time over a slow link.
pub(crate) fn time(records: &[Record]) -> String {
    let figure = |pair: &str, method: &Method| {
        let runs =
            of(records, pair, Scenario::Update, method.name).filter(|record| record.case.cable == WAN.name);
        median(runs.filter_map(|record| record.figures.seconds))
    };
    let title = format!("Time to bring an image up to date at {}", WAN.title);
    plot(&title, "from the command to the image in the engine; logarithmic scale", figure, seconds)
}

fn plot(
    title: &str,
    subtitle: &str,
    figure: impl Fn(&str, &Method) -> Option<f64>,
    label: fn(f64) -> String,
) -> String {
    let bar = |pair: &str, method: &Method| {
        method.colours?;
        let value = figure(pair, method).filter(|value| *value > 0.0)?;
        let mark = if method.is_computed() { " *" } else { "" };
        Some(Bar {
            title: format!("{}{mark}", method.title),
            class: method.name,
            strong: method.is_ours(),
            value,
        })
    };
    let group = |pair: &str, change: &str| Group {
        title: pair.to_owned(),
        subtitle: change.to_owned(),
        bars: METHODS.iter().filter_map(|method| bar(pair, method)).collect(),
    };
    let groups = PAIRS.iter().filter(|pair| pair.bar.is_some()).map(|pair| group(pair.name, pair.change));
    Plot {
        title: title.to_owned(),
        subtitle: subtitle.to_owned(),
        groups: groups.filter(|group| !group.bars.is_empty()).collect(),
        classes: METHODS.iter().filter_map(|method| Some((method.name, method.colours?))).collect(),
        label,
    }
    .render()
}

fn seconds(value: f64) -> String {
    match value {
        _ if value >= 99.5 => format!("{value:.0} s"),
        _ if value.fract() == 0.0 => format!("{value} s"),
        _ => format!("{value:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::update;
    use super::*;

    #[test]
    fn each_pair_with_figures_is_a_group() {
        let records = [
            update("node", "20M", "docker-sync", 1_500_000, Some(3.26)),
            update("node", "none", "layers", 28_400_000, None),
            update("node", "20M", "patch-ultra", 1, None),
            update("tiny", "lan", "docker-sync", 7, Some(1.0)),
        ];
        let svg = wire(&records);
        assert_eq!(svg.matches("<rect ").count(), 1 + 2, "the ground, and two bars\n{svg}");
        assert!(svg.contains(">1.50 MB<") && svg.contains("gzip -6 *<"), "{svg}");
        let svg = time(&records);
        assert_eq!(svg.matches("<rect ").count(), 1 + 1, "{svg}");
        assert!(svg.contains(">3.3 s<"), "{svg}");
    }

    #[test]
    fn seconds_have_a_digit_where_it_says_something() {
        assert_eq!([1.0, 3.26, 99.6, 272.4].map(seconds), ["1 s", "3.3 s", "100 s", "272 s"]);
    }
}
