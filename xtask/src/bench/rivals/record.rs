//! One run of one method: what was moved in which way, and the figures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::cable::{CABLES, LAN, WAN};
use super::method::METHODS;
use super::{bars, document, plot};
use crate::bench::pair;
use crate::bench::record::{self, Case};
use crate::bench::sample::Peaks;
use crate::table::median;

/// Names of what is measured beside the methods.
pub(crate) const FIRST_CONTACT: &str = "first-contact";
pub(crate) const REPORT: &str = "report";
pub(crate) const UP_TO_DATE: &str = "up-to-date";
/// The cable of what needs none.
pub(crate) const NO_CABLE: &str = "none";

/// The images at each end before a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Both ends have the old image, by an earlier sync
    #[default]
    Update,
    /// Only the target has the old image, and the source has never seen it
    Blind,
    /// The target has no image at all
    Cold,
}

impl Scenario {
    /// The heading of its tables, after the pair's.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Scenario::Update => "both ends have the old image",
            Scenario::Blind => "the source has never seen the old image",
            Scenario::Cold => "the target has no image",
        }
    }
}

/// A transfer: the images, and the way they are moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) pair: String,
    pub(crate) scenario: Scenario,
    /// A cable by its name, or `none` for what is only computed.
    pub(crate) cable: String,
    /// A method by its name, or one of the names above.
    pub(crate) method: String,
    /// IDs of the old and the new image.
    pub(crate) images: [String; 2],
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Bytes on the wire from the target, which dials, to the source.
    pub(crate) up: u64,
    /// Bytes on the wire from the source to the target.
    pub(crate) down: u64,
    /// The time it took; nothing for what is only computed.
    pub(crate) seconds: Option<f64>,
    pub(crate) source: Option<Peaks>,
    pub(crate) target: Option<Peaks>,
}

impl Figures {
    /// Bytes on the wire, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.up + self.down
    }
}

/// One run, measured.
pub(crate) type Record = record::Record<Run>;

impl Case for Run {
    const KIND: &'static str = "run";
    type Figures = Figures;
    type Place = (Option<usize>, Scenario, Option<usize>, usize);

    fn place(&self) -> Self::Place {
        let name = self.method.as_str();
        let method = METHODS.iter().position(|method| method.name == name);
        let other = || [UP_TO_DATE, FIRST_CONTACT, REPORT].iter().position(|other| *other == name);
        let method = method.unwrap_or_else(|| METHODS.len() + other().unwrap_or(usize::MAX - METHODS.len()));
        // The cost of the first contact does not depend on the pair.
        let any_pair = [FIRST_CONTACT, REPORT].contains(&name);
        let pair = (!any_pair).then(|| pair::place(&self.pair)).flatten();
        (pair, self.scenario, CABLES.iter().position(|cable| cable.name == self.cable), method)
    }

    fn documents(records: &[Record]) -> Vec<(&'static str, String)> {
        vec![
            ("results.md", document::document(records, &bars::bars(records))),
            ("wire.svg", plot::wire(records)),
            ("time.svg", plot::time(records)),
        ]
    }
}

/// The runs of one pair by one method.
pub(crate) fn of<'a>(
    records: &'a [Record],
    pair: &'a str,
    scenario: Scenario,
    method: &'a str,
) -> impl Iterator<Item = &'a Record> {
    let wanted = move |case: &Run| case.pair == pair && case.scenario == scenario && case.method == method;
    records.iter().filter(move |record| wanted(&record.case))
}

/// Bytes on the wire of one pair by one method: over the link of the usual slow host, or else as it was measured.
pub(crate) fn wire(records: &[Record], pair: &str, method: &str) -> Option<f64> {
    let over = |cable: &str| {
        let runs = of(records, pair, Scenario::Update, method).filter(|record| record.case.cable == cable);
        median(runs.map(|record| record.figures.bytes() as f64))
    };
    [WAN.name, NO_CABLE, LAN.name].into_iter().find_map(over)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An update.
    pub(crate) fn update(pair: &str, cable: &str, method: &str, down: u64, seconds: Option<f64>) -> Record {
        Record {
            case: Run {
                pair: pair.to_owned(),
                cable: cable.to_owned(),
                method: method.to_owned(),
                ..Run::default()
            },
            figures: Figures { down, seconds, ..Figures::default() },
            ..Record::default()
        }
    }

    #[test]
    fn a_run_has_a_place_of_its_own() {
        let place = |pair: &str, cable: &str, method: &str| update(pair, cable, method, 0, None).case.place();
        let all = [
            place("appcode", "none", "layers"),
            place("appcode", "lan", "docker-sync"),
            place("appcode", "lan", UP_TO_DATE),
            place("appcode", "20M", "docker-sync"),
            place("node", "lan", "docker-sync"),
        ];
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        assert_eq!(place("node", "lan", REPORT), place("tiny", "lan", REPORT));
        assert_ne!(place("node", "lan", REPORT), place("node", "lan", FIRST_CONTACT));
    }

    #[test]
    fn bytes_are_those_of_the_slow_link() {
        let mut records = vec![update("a", "lan", "x", 1, None), update("a", "1M", "x", 9, None)];
        assert_eq!(wire(&records, "a", "x"), Some(1.0));
        records.push(update("a", "20M", "x", 2, None));
        assert_eq!(wire(&records, "a", "x"), Some(2.0));
        assert_eq!(wire(&records, "a", "y"), None);
    }
}
