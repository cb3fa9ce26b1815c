//! The runs: images put where a scenario has them, commands run with all eyes on them, records made.

use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use dsync_lab::Host;

use super::Options;
use super::archive::Archive;
use super::cable::{Cable, LAN};
use super::homes::Homes;
use super::method::{Ends, Method, Way};
use super::record::{FIRST_CONTACT, Figures, NO_CABLE, REPORT, Record, Run, Scenario, UP_TO_DATE, of};
use crate::bench::conditions::Conditions;
use crate::bench::pair::{Pair, Supply};
use crate::bench::record::Records;
use crate::bench::sample::{End, Sampler};
use crate::table::median;
use crate::units::{bytes, duration};
use crate::{Result, show};

/// All that stays the same from run to run.
pub(crate) struct Bench<'a> {
    pub(crate) ends: Ends<'a>,
    pub(crate) supply: Supply<'a>,
    pub(crate) options: &'a Options,
    pub(crate) methods: Vec<&'static Method>,
    /// By this in their environment the processes at the source are known.
    pub(crate) mark: String,
    pub(crate) conditions: Conditions,
}

/// The image to move, and the known facts about it.
#[derive(Clone, Copy)]
struct Case<'a> {
    pair: &'static Pair,
    scenario: Scenario,
    old: &'a Archive,
    new: &'a Archive,
}

impl Bench<'_> {
    /// Measures all that is asked for; returns what failed.
    pub(crate) fn all(&self, results: &mut Records<Run>) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        if self.is_ours_measured() {
            results.add(self.first_contact()?)?;
        }
        let fresh = self.keep_homes()?;
        for pair in &self.options.pairs {
            show::heading(format_args!("── {}: {} to {} ──", pair.name, pair.old, pair.new));
            let [old, new] = [pair.old, pair.new].map(|image| Archive::open(self.supply.archive(image)?));
            let (old, new) = (old?, new?);
            for scenario in &self.options.scenarios {
                let case = Case { pair, scenario: *scenario, old: &old, new: &new };
                results.add(self.computed(case, results)?)?;
                if self.run_methods(case).next().is_none() {
                    continue;
                }
                fresh.restore()?;
                let homes = self.prepare(case)?;
                for cable in &self.options.cables {
                    // Now rather than at the end: what a next run meets with is not to cost these figures.
                    let records = self.rounds(case, cable, &homes, results, &mut failures)?;
                    results.add(records)?;
                }
                self.remove_images(pair)?;
            }
        }
        Ok(failures)
    }

    /// The report with no agent at the source, and with one.
    fn first_contact(&self) -> Result<Vec<Record>> {
        let Some(pair) = self.options.pairs.first() else { return Ok(Vec::new()) };
        let report = |name: &str| {
            let run = Run {
                pair: pair.name.to_owned(),
                cable: LAN.name.to_owned(),
                method: name.to_owned(),
                ..Run::default()
            };
            self.measure(run, 0, self.ends.docker_sync(self.ends.source.alias(), &["--report"]))
        };
        Ok(vec![report(FIRST_CONTACT)?, report(REPORT)?])
    }

    /// Figures that need no run, but for those that are known for these images.
    fn computed(&self, case: Case<'_>, results: &Records<Run>) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for method in self.methods_of(case.scenario) {
            let Way::Computed(figure) = method.way else { continue };
            let run = of_case(case, method.name, NO_CABLE);
            let mut known = of(results.all(), case.pair.name, case.scenario, method.name);
            if !known.any(|record| record.case.images == run.images) {
                let start = Instant::now();
                let figures = Figures { down: figure(case.old, case.new)?, ..Figures::default() };
                report(&label(&run, 0), &figures, start.elapsed().as_secs_f64());
                records.push(Record { conditions: self.conditions.clone(), case: run, figures });
            }
        }
        Ok(records)
    }

    /// Puts the images where the scenario has them. The homes then are what each run of docker-sync meets.
    fn prepare(&self, case: Case<'_>) -> Result<Homes> {
        let (source, target) = (self.ends.source.engine(), self.ends.target.engine());
        let pair = case.pair;
        if case.scenario == Scenario::Update {
            source.load_file(&case.old.file)?;
            if self.is_ours_measured() {
                let mut sync = self.ends.docker_sync(self.ends.source.alias(), &[pair.old]);
                finish(sync.arg("--quiet"), "the first sync")?;
            }
        }
        if case.scenario != Scenario::Cold && target.image_id(pair.old).is_none() {
            target.load_file(&case.old.file)?;
        }
        source.load_file(&case.new.file)?;
        self.keep_homes()
    }

    fn remove_images(&self, pair: &Pair) -> Result {
        for host in [self.ends.source, self.ends.target] {
            host.engine().remove_image(pair.new)?;
            host.engine().remove_image(pair.old)?;
        }
        Ok(())
    }

    /// Runs of different methods take turns, so that what else the machine does falls on all of them alike.
    fn rounds(
        &self,
        case: Case<'_>,
        cable: &Cable,
        homes: &Homes,
        results: &Records<Run>,
        failures: &mut Vec<String>,
    ) -> Result<Vec<Record>> {
        let (source, target) = (self.ends.source.engine(), self.ends.target.engine());
        let alias = cable.lay(self.ends.source)?;
        let new = case.pair.new;
        if case.scenario == Scenario::Update && self.is_ours_measured() && *cable != *LAN {
            self.remember_link(&alias, case, homes)?;
        }
        let mut records = Vec::new();
        for number in 0..cable.runs(self.options.runs) {
            for method in self.run_methods(case) {
                let run = of_case(case, method.name, cable.name);
                let Some(command) = self.ends.command(method, &alias, case.pair, case.scenario) else {
                    continue;
                };
                if let Some(seconds) = self.too_long(&run, cable, results) {
                    println!("{:<44} would take {seconds:.0} s, left out", label(&run, number));
                    continue;
                }
                target.remove_image(new)?;
                if method.is_ours() {
                    homes.restore()?;
                }
                match self.measure(run.clone(), number, command) {
                    Ok(_) if target.image_id(new) != source.image_id(new) => {
                        failures.push(format!("{}: {new} did not arrive", label(&run, number)));
                    }
                    Ok(record) => records.push(record),
                    Err(error) => failures.push(error.to_string()),
                }
            }
        }
        let is_there = target.image_id(new) == source.image_id(new);
        if case.scenario == Scenario::Update && *cable == *LAN && self.is_ours_measured() && is_there {
            let run = of_case(case, UP_TO_DATE, cable.name);
            records.push(self.measure(run, 0, self.ends.docker_sync(&alias, &[new]))?);
        }
        target.remove_image(new)?;
        Ok(records)
    }

    /// A sync over a cable, of which only the speed of the link is kept, as each sync keeps it.
    fn remember_link(&self, alias: &str, case: Case<'_>, homes: &Homes) -> Result {
        homes.restore()?;
        let mut sync = self.ends.docker_sync(alias, &[case.pair.new]);
        finish(sync.arg("--quiet"), "a sync before")?;
        homes.adopt(".cache/docker-sync/links")?;
        self.ends.target.engine().remove_image(case.pair.new)?;
        Ok(())
    }

    /// The least seconds of a run, if they are more than a person wants to wait.
    fn too_long(&self, run: &Run, cable: &Cable, results: &Records<Run>) -> Option<f64> {
        let known = of(results.all(), &run.pair, run.scenario, &run.method);
        let seconds = cable.seconds(median(known.map(|record| record.figures.bytes() as f64))?);
        (seconds > self.options.longest as f64).then_some(seconds)
    }

    /// Runs a command, with all eyes on it.
    fn measure(&self, case: Run, number: usize, mut command: Command) -> Result<Record> {
        let label = label(&case, number);
        let sampler = Sampler::start(self.sampled(&label));
        let start = Instant::now();
        let result = finish(command.env("WIRE_LABEL", &label), &label);
        let seconds = start.elapsed().as_secs_f64();
        let [source, target] = sampler.stop()?;
        result?;
        let wire = self.ends.lab.wire(&label)?;
        let figures = Figures {
            up: wire.up,
            down: wire.down,
            seconds: Some(seconds),
            source: Some(source),
            target: Some(target),
        };
        report(&label, &figures, seconds);
        Ok(Record { conditions: self.conditions.clone(), case, figures })
    }

    fn sampled(&self, label: &str) -> [End; 2] {
        let end = |mark: String, host: &Host| End {
            mark,
            temp: vec![host.tmp(), host.var_tmp()],
            engine_temp: host.engine().root().join("tmp"),
        };
        [end(self.mark.clone(), self.ends.source), end(format!("WIRE_LABEL={label}"), self.ends.target)]
    }

    fn keep_homes(&self) -> Result<Homes> {
        Homes::keep(&[self.ends.source, self.ends.target].map(|host| host.home()))
    }

    fn is_ours_measured(&self) -> bool {
        self.methods.iter().any(|method| method.is_ours())
    }

    fn methods_of(&self, scenario: Scenario) -> impl Iterator<Item = &'static Method> {
        self.methods.iter().copied().filter(move |method| method.scenarios.contains(&scenario))
    }

    /// Those that are run rather than computed.
    fn run_methods(&self, case: Case<'_>) -> impl Iterator<Item = &'static Method> {
        self.methods_of(case.scenario).filter(|method| !method.is_computed())
    }
}

/// Runs a command to its end; an error has all that it said.
fn finish(command: &mut Command, label: &str) -> Result {
    let mut log = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    if command.status()?.success() {
        return Ok(());
    }
    let mut said = String::new();
    log.rewind()?;
    log.read_to_string(&mut said)?;
    Err(format!("{label} failed: {said}").into())
}

fn of_case(case: Case<'_>, method: &str, cable: &str) -> Run {
    Run {
        pair: case.pair.name.to_owned(),
        scenario: case.scenario,
        cable: cable.to_owned(),
        method: method.to_owned(),
        images: [case.old, case.new].map(|archive| archive.short_id().to_owned()),
    }
}

/// The name of a run, by which the wire knows it.
fn label(run: &Run, number: usize) -> String {
    let scenario = match run.scenario {
        Scenario::Update => "",
        Scenario::Blind => "/blind",
        Scenario::Cold => "/cold",
    };
    format!("{}{scenario}/{}/{}/{number}", run.pair, run.cable, run.method)
}

fn report(label: &str, figures: &Figures, seconds: f64) {
    let time = duration(std::time::Duration::from_secs_f64(seconds));
    println!("{label:<44} {:>8} {time:>12}", bytes(figures.bytes()));
}
