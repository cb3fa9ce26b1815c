//! The bars: what the figures must be for the project to keep its word.

use super::cable::{CABLES, Cable, LAN, WAN};
use super::method::{DOCKER_SYNC, DOCKER_SYNC_MAX, METHODS, Method, RSYNC, SAVE_ZSTD, SAVE_ZSTD_T0};
use super::record::{FIRST_CONTACT, REPORT, Record, Scenario, UP_TO_DATE, of};
use crate::bench::pair::{PAIRS, Pair};
use crate::table::median;
use crate::units::bytes;

/// An image that is there already costs at most so many bytes.
const UP_TO_DATE_BAR: f64 = 20_000.0;
/// The most bytes of the agent's upload to a host.
const UPLOAD_BAR: f64 = 1_500_000.0;
/// The most memory of a process at either end, in bytes.
const MEMORY_BAR: f64 = 256.0 * 1024.0 * 1024.0;
/// So much more than the best that it can do may docker-sync move when it has a link to keep busy.
const USUAL_BYTES: f64 = 1.2;
/// So much of rsync's time may it take there.
const SHARE_OF_RSYNC: f64 = 0.6;

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
    let mut bars: Vec<Bar> = PAIRS.iter().flat_map(|pair| Figures { records, pair }.bars()).collect();
    // The cost of the first contact does not depend on the pair; a run of the benchmark has one first contact.
    let wire = |name| median(records.iter().filter(|record| record.case.method == name).map(bytes_of));
    if let Some((first, again)) = wire(FIRST_CONTACT).zip(wire(REPORT)) {
        bars.push(of_bytes("upload of the agent, once a host".to_owned(), first - again, UPLOAD_BAR));
    }
    bars
}

/// The figures of one pair.
struct Figures<'a> {
    records: &'a [Record],
    pair: &'a Pair,
}

impl Figures<'_> {
    fn bars(&self) -> Vec<Bar> {
        let name = self.pair.name;
        let best = self.pair.bar.map(|bar| bar as f64);
        let mut bars = Vec::new();
        // Bytes at one's best do not depend on the cable: the worst of them counts.
        let most = CABLES.iter().filter_map(|cable| self.wire(Scenario::Update, DOCKER_SYNC_MAX, cable.name));
        if let Some((figure, limit)) = most.reduce(f64::max).zip(best) {
            bars.push(of_bytes(format!("{name}: bytes, compression max"), figure, limit));
        }
        if let Some((figure, best)) = self.wire(Scenario::Update, DOCKER_SYNC, WAN.name).zip(best) {
            bars.push(of_bytes(format!("{name}: bytes {}", over(WAN)), figure, best * USUAL_BYTES));
        }
        // Where the image is so small that logging in is most of it, nothing was promised.
        if best.is_some() {
            bars.extend(self.times());
        }
        if let Some(figure) = median(of(self.records, name, Scenario::Update, UP_TO_DATE).map(bytes_of)) {
            bars.push(of_bytes(format!("{name}: bytes when up to date"), figure, UP_TO_DATE_BAR));
        }
        if let Some(figure) = self.memory() {
            bars.push(of_bytes(format!("{name}: memory of the largest process"), figure, MEMORY_BAR));
        }
        bars
    }

    fn times(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        let mut race = |scenario, cable: &str, rival: &Method, share: f64, what: String| {
            let time = |method| self.time(scenario, method, cable);
            if let Some((figure, rival)) = time(DOCKER_SYNC).zip(time(rival)) {
                bars.push(Bar {
                    what,
                    figure: format!("{figure:.1} s"),
                    limit: format!("{:.1} s", rival * share),
                    holds: figure <= rival * share,
                });
            }
        };
        let name = self.pair.name;
        let what = format!("{name}: time {}, against {SHARE_OF_RSYNC} × {}", over(WAN), RSYNC.title);
        race(Scenario::Update, WAN.name, RSYNC, SHARE_OF_RSYNC, what);
        let what = format!("{name}: time {}, against {}", over(LAN), SAVE_ZSTD.title);
        race(Scenario::Update, LAN.name, SAVE_ZSTD, 1.0, what);
        for cable in CABLES {
            let what = format!("{name}: cold target, time {}, against {}", over(cable), SAVE_ZSTD_T0.title);
            race(Scenario::Cold, cable.name, SAVE_ZSTD_T0, 1.0, what);
        }
        for cable in CABLES {
            let wire = |method| self.wire(Scenario::Cold, method, cable.name);
            if let Some((figure, limit)) = wire(DOCKER_SYNC).zip(wire(SAVE_ZSTD_T0)) {
                let what =
                    format!("{name}: cold target, bytes {}, against {}", over(cable), SAVE_ZSTD_T0.title);
                bars.push(of_bytes(what, figure, limit));
            }
        }
        bars
    }

    /// The largest process of docker-sync in any run.
    fn memory(&self) -> Option<f64> {
        let ours = |record: &&Record| {
            METHODS.iter().any(|method| method.is_ours() && method.name == record.case.method)
                && record.case.pair == self.pair.name
        };
        let peaks = self
            .records
            .iter()
            .filter(ours)
            .flat_map(|record| [&record.figures.source, &record.figures.target]);
        peaks.flatten().map(|peaks| peaks.memory as f64).reduce(f64::max)
    }

    fn wire(&self, scenario: Scenario, method: &Method, cable: &str) -> Option<f64> {
        median(self.runs(scenario, method, cable).map(bytes_of))
    }

    fn time(&self, scenario: Scenario, method: &Method, cable: &str) -> Option<f64> {
        median(self.runs(scenario, method, cable).filter_map(|record| record.figures.seconds))
    }

    fn runs(&self, scenario: Scenario, method: &Method, cable: &str) -> impl Iterator<Item = &Record> {
        of(self.records, self.pair.name, scenario, method.name)
            .filter(move |record| record.case.cable == cable)
    }
}

/// A cable in a sentence.
fn over(cable: &Cable) -> String {
    if cable == LAN { "on loopback".to_owned() } else { format!("at {}", cable.title) }
}

fn bytes_of(record: &Record) -> f64 {
    record.figures.bytes() as f64
}

fn of_bytes(what: String, figure: f64, limit: f64) -> Bar {
    Bar { what, figure: bytes(figure as u64), limit: bytes(limit as u64), holds: figure <= limit }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::update;
    use super::*;
    use crate::bench::sample::Peaks;

    fn record(scenario: Scenario, cable: &str, method: &str, bytes: u64, seconds: f64) -> Record {
        let mut record = update("appcode", cable, method, bytes, Some(seconds));
        record.case.scenario = scenario;
        record
    }

    #[test]
    fn medians_are_held_against_their_bars() {
        let update = |cable, method, up, seconds| record(Scenario::Update, cable, method, up, seconds);
        let cold = |method, up, seconds| record(Scenario::Cold, "lan", method, up, seconds);
        let mut large = update("1M", "docker-sync", 0, 1.0);
        large.figures.source = Some(Peaks { memory: 300 << 20, ..Peaks::default() });
        let records = [
            update("lan", "docker-sync-max", 15_000, 1.0),
            update("20M", "docker-sync-max", 16_001, 1.0),
            update("lan", "docker-sync", 50_000, 9.0),
            update("lan", "docker-sync", 70_000, 3.0),
            update("lan", "docker-sync", 60_000, 2.0),
            update("lan", "save-zstd", 90_000_000, 2.9),
            update("20M", "docker-sync", 19_200, 2.0),
            update("20M", "rsync", 154_000, 5.0),
            cold("docker-sync", 85_000_000, 4.0),
            cold("save-zstd-t0", 86_000_000, 3.0),
            update("lan", UP_TO_DATE, 20_001, 1.0),
            large,
            update("lan", FIRST_CONTACT, 1_000_000, 1.0),
            update("lan", REPORT, 8_000, 1.0),
        ];
        let found: Vec<(String, String, bool)> =
            bars(&records).into_iter().map(|bar| (bar.figure, bar.limit, bar.holds)).collect();
        let expected = [
            ("16.0 kB", "16.0 kB", false),
            ("19.2 kB", "19.2 kB", true),
            ("2.0 s", "3.0 s", true),
            ("3.0 s", "2.9 s", false),
            ("4.0 s", "3.0 s", false),
            ("85.0 MB", "86.0 MB", true),
            ("20.0 kB", "20.0 kB", false),
            ("315 MB", "268 MB", false),
            ("992 kB", "1.50 MB", true),
        ];
        assert_eq!(found, expected.map(|(figure, limit, holds)| (figure.into(), limit.into(), holds)));
        assert!(bars(&[]).is_empty());
    }
}
