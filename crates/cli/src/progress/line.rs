//! The one line that says how far a run is: made here as a text for any width, drawn elsewhere.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dsync_sync::Meter;

use crate::quantity::{self, bytes};
use crate::style::{self, paint};

/// The time over which the rate of the wire is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// A time that nobody would wait for is not shown.
const LONGEST_LEFT: Duration = Duration::from_hours(24);
/// A step that takes longer says for how long it has been going on.
const LONG: Duration = Duration::from_secs(3);
/// The characters of the bar between its brackets.
const BAR: usize = 20;

/// The state of a run.
#[derive(Default)]
pub(super) struct Line {
    /// In front of the subject: `2/5  `.
    pub(super) position: String,
    /// The image's name; empty before the first image.
    subject: String,
    step: String,
    /// The time since which the step goes on.
    since: Option<Instant>,
    count: Option<Count>,
    meters: Vec<Meter>,
    /// Bytes that had crossed at some times within the last seconds, the oldest first.
    crossed: VecDeque<(Instant, u64)>,
    /// Bytes that had crossed when the image began.
    before: u64,
}

/// Contents that cross.
#[derive(Clone, Copy)]
struct Count {
    total: u64,
    /// Those that did, but for the batch that is under way.
    done: u64,
    batch: Option<BatchUnderWay>,
    /// The time at which the first of them began to.
    begun: Option<Instant>,
    /// The time at which all of them had.
    whole: Option<Instant>,
}

/// A batch that crosses.
#[derive(Clone, Copy)]
struct BatchUnderWay {
    raw: u64,
    packed: u64,
    /// Bytes that had crossed when it began.
    wire: u64,
}

impl Count {
    /// The contents that have crossed when so many bytes have.
    fn done_at(&self, wire: u64) -> u64 {
        let part = self.batch.map_or(0, |BatchUnderWay { raw, packed, wire: begin }| {
            let crossed = wire.saturating_sub(begin).min(packed);
            // The other end sends the numbers, which may be any.
            (u128::from(raw) * u128::from(crossed) / u128::from(packed.max(1))) as u64
        });
        self.done.saturating_add(part).min(self.total)
    }
}

/// The numbers of a line, for programs.
pub(super) struct Numbers {
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) wire: u64,
    pub(super) rate: Option<u64>,
    pub(super) left: Option<Duration>,
}

impl Line {
    /// A connection whose bytes count from now on.
    pub(super) fn add_meter(&mut self, meter: Meter) {
        self.meters.push(meter);
    }

    /// Something that concerns no image.
    pub(super) fn begin(&mut self, step: String, now: Instant) {
        self.subject.clear();
        self.count = None;
        self.step(step, now);
    }

    /// The next image.
    pub(super) fn image(&mut self, name: String, now: Instant) {
        self.begin(String::new(), now);
        self.subject = name;
        self.before = self.wire();
        self.crossed.clear();
    }

    pub(super) fn step(&mut self, step: String, now: Instant) {
        self.step = step;
        self.since = Some(now);
    }

    /// Contents of this length will cross.
    pub(super) fn total(&mut self, total: u64, now: Instant) {
        self.crossed = VecDeque::from([(now, self.wire())]);
        self.count = Some(Count { total, done: 0, batch: None, begun: None, whole: None });
    }

    /// Contents have crossed.
    pub(super) fn advance(&mut self, bytes: u64, now: Instant) {
        if let Some(count) = &mut self.count {
            count.begun.get_or_insert(now);
            count.done = count.done.saturating_add(bytes);
        }
    }

    /// A batch begins to cross; the one before has.
    pub(super) fn batch(&mut self, raw: u64, packed: u64, now: Instant) {
        let wire = self.wire();
        if let Some(count) = &mut self.count {
            let before = count.batch.replace(BatchUnderWay { raw, packed, wire });
            count.done = count.done.saturating_add(before.map_or(0, |before| before.raw));
            count.begun.get_or_insert(now);
        }
    }

    /// True before the first contents of a count cross.
    pub(super) fn is_still(&self) -> bool {
        self.count.is_some_and(|count| count.begun.is_none())
    }

    /// No contents are counted any more.
    pub(super) fn uncount(&mut self) {
        self.count = None;
    }

    fn wire(&self) -> u64 {
        let traffic = self.meters.iter().map(Meter::traffic);
        traffic.fold(0, |sum, traffic| sum.saturating_add(traffic.sent).saturating_add(traffic.received))
    }

    /// The numbers of contents that cross, if some do.
    pub(super) fn numbers(&mut self, now: Instant) -> Option<Numbers> {
        let (count, wire) = (self.count?, self.wire());
        let (total, done) = (count.total, count.done_at(wire));
        if let Some(count) = self.count.as_mut().filter(|_| done == total) {
            count.whole.get_or_insert(now);
        }
        // The oldest sample that stays is at least as old as the window.
        while self.crossed.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW) {
            self.crossed.pop_front();
        }
        if self.crossed.back().is_none_or(|(then, _)| now.duration_since(*then) >= Duration::from_millis(200))
        {
            self.crossed.push_back((now, wire));
        }
        let rate = self.crossed.front().and_then(|(then, before)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            (seconds >= 0.5).then(|| (wire.saturating_sub(*before) as f64 / seconds) as u64)
        });
        let elapsed = count.begun.map(|begun| now.duration_since(begun)).unwrap_or_default();
        let is_known = done > 0 && done < total && elapsed >= Duration::from_secs(1);
        let left = is_known.then(|| elapsed.as_secs_f64() * (total - done) as f64 / done as f64);
        let left = left.map(|seconds| Duration::from_secs_f64(seconds.clamp(1.0, 1e9)));
        let left = left.filter(|left| *left < LONGEST_LEFT);
        Some(Numbers { done, total, wire: wire.saturating_sub(self.before), rate, left })
    }

    /// The text, at most this wide, with a bar where there is room.
    pub(super) fn text(&mut self, width: usize, bar: bool, now: Instant) -> String {
        let numbers = self.numbers(now);
        let begun = self.count.is_some_and(|count| count.begun.is_some());
        let whole = self.count.and_then(|count| count.whole);
        let (step, since, numbers) = match (numbers, whole) {
            // The layers are put together at the other end.
            (Some(_), Some(whole)) if begun => ("building".to_owned(), Some(whole), None),
            (Some(numbers), _) if begun => (self.step.clone(), self.since, Some(numbers)),
            (Some(Numbers { total, .. }), _) => (format!("{} {}", self.step, bytes(total)), self.since, None),
            (None, _) => (self.step.clone(), self.since, None),
        };
        let waits = since.map(|since| now.duration_since(since)).filter(|time| *time >= LONG);
        let step = match (&numbers, waits) {
            (None, Some(time)) if !step.ends_with(" s") => format!("{step}, {}", quantity::about(time)),
            _ => step,
        };
        let mut forms: Vec<Vec<String>> = Vec::new();
        if let Some(numbers) = numbers {
            let Numbers { done, total, wire, rate, left } = numbers;
            let share = quantity::percent(done, total).unwrap_or_else(|| "100 %".into());
            let whole = format!("{share} of {}", bytes(total));
            // A patch is a file.
            let crosses = !self.meters.is_empty();
            let wire = crosses.then(|| format!("{} on the wire", bytes(wire)));
            let rate = rate.filter(|_| crosses).map(|rate| format!("{}/s", bytes(rate)));
            let left = left.map(|left| format!("{} left", quantity::about(left)));
            let with = |first: String, rest: &[&Option<String>]| {
                let parts = [Some(first)].into_iter().chain(rest.iter().map(|part| (*part).clone()));
                parts.flatten().collect::<Vec<_>>().join(", ")
            };
            let all = with(whole.clone(), &[&wire, &rate, &left]);
            if bar {
                let full = (done as f64 / total.max(1) as f64 * BAR as f64) as usize;
                let arrow = if full < BAR { ">" } else { "" };
                let line = format!("[{:<BAR$}]", "=".repeat(full.min(BAR)) + arrow);
                forms.push(vec![step.clone(), line, all.clone()]);
            }
            forms.push(vec![step, all.clone()]);
            forms.push(vec![all]);
            forms.push(vec![with(whole, &[&rate, &left])]);
            forms.push(vec![with(share.clone(), &[&left])]);
            forms.push(vec![share]);
        } else {
            forms.push(vec![step]);
            forms.push(Vec::new());
        }
        self.fitted(&forms, width)
    }

    /// The first form that fits; the last one with as much of the subject as there is room for.
    fn fitted(&self, forms: &[Vec<String>], width: usize) -> String {
        let length = |text: &str| text.chars().count();
        for form in forms {
            let rest: Vec<&str> = form.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            let rest = rest.join("  ");
            let gap = if self.subject.is_empty() || rest.is_empty() { "" } else { "  " };
            let head = length(&self.position) + length(&self.subject) + gap.len();
            if head + length(&rest) <= width {
                return format!("{}{}{gap}{rest}", self.position, self.painted(&self.subject));
            }
        }
        let (cut, rest) = match self.subject.is_empty() {
            true => (self.step.as_str(), ""),
            false => {
                (self.subject.as_str(), forms.last().and_then(|form| form.first()).map_or("", String::as_str))
            }
        };
        let gap = if rest.is_empty() { "" } else { "  " };
        let Some(room) = width.checked_sub(length(rest) + gap.len() + 1) else {
            return rest.chars().take(width).collect();
        };
        let cut: String = cut.chars().take(room).collect();
        format!("{}…{gap}{rest}", self.painted(&cut))
    }

    fn painted(&self, text: &str) -> String {
        match self.subject.is_empty() || text.is_empty() {
            true => text.to_owned(),
            false => paint(style::NAME, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    /// A line in the middle of a transfer: 40 of 96 MB in 20 s, for which 6.2 MB crossed.
    fn halfway() -> (Line, Instant) {
        let (begun, meter) = (Instant::now(), Meter::default());
        let mut line = Line { position: "2/5  ".into(), meters: vec![meter.clone()], ..Line::default() };
        line.image("shop/web:v2".into(), begun);
        line.step("transferring".into(), begun);
        line.total(96_000_000, begun);
        line.advance(40_000_000, begun);
        meter.count(6_200_000);
        (line, begun + Duration::from_secs(20))
    }

    #[test]
    fn a_line_fits_any_width() {
        let (mut line, now) = halfway();
        let mut shown = Vec::new();
        for width in [120, 80, 60, 40, 24, 10] {
            let text = plain(&line.text(width, true, now));
            assert!(text.chars().count() <= width, "{text}");
            shown.push(text);
        }
        insta::assert_snapshot!(shown.join("\n"), @r"
        2/5  shop/web:v2  transferring  [========>           ]  42 % of 96.0 MB, 6.2 MB on the wire, 310 kB/s, 28 s left
        2/5  shop/web:v2  42 % of 96.0 MB, 6.2 MB on the wire, 310 kB/s, 28 s left
        2/5  shop/web:v2  42 % of 96.0 MB, 310 kB/s, 28 s left
        2/5  shop/web:v2  42 %, 28 s left
        2/5  shop/web:v2  42 %
        sho…  42 %
        ");
        for width in 0..200 {
            assert!(plain(&line.text(width, true, now)).chars().count() <= width);
        }
    }

    #[test]
    fn the_rate_is_that_of_the_wire_of_the_last_seconds() {
        let (mut line, now) = halfway();
        let meter = line.meters[0].clone();
        let mut rate = |seconds, bytes| {
            meter.count(bytes);
            line.numbers(now + Duration::from_secs(seconds)).unwrap().rate
        };
        assert_eq!(rate(0, 0), Some(310_000), "of the 20 s until now");
        assert_eq!(rate(10, 1_000_000), Some(100_000), "of a million bytes in the 10 s after");
        assert_eq!(rate(20, 0), Some(0));
    }

    #[test]
    fn a_step_that_takes_long_says_so() {
        let (mut line, now) = halfway();
        line.uncount();
        line.step("loading".into(), now);
        assert_eq!(plain(&line.text(80, true, now)), "2/5  shop/web:v2  loading");
        let later = now + Duration::from_secs(7);
        assert_eq!(plain(&line.text(80, true, later)), "2/5  shop/web:v2  loading, 7 s");
        line.step("waiting for docker on prod, 40 s".into(), now);
        assert_eq!(plain(&line.text(80, true, later)), "2/5  shop/web:v2  waiting for docker on prod, 40 s");
    }

    #[test]
    fn the_time_that_is_left_is_never_nothing() {
        let (mut line, now) = halfway();
        line.advance(55_999_999, now);
        assert!(plain(&line.text(80, false, now)).ends_with("1 s left"));
        line.advance(1, now);
        assert_eq!(plain(&line.text(80, false, now)), "2/5  shop/web:v2  building");
        let later = now + Duration::from_secs(7);
        assert_eq!(plain(&line.text(80, false, later)), "2/5  shop/web:v2  building, 7 s");
        line.advance(u64::MAX, now);
        line.total(0, now);
        assert!(!plain(&line.text(80, false, now)).contains("left"));
    }

    #[test]
    fn a_batch_counts_while_it_crosses() {
        let (mut line, now) = halfway();
        let meter = line.meters[0].clone();
        let mut done = |bytes| {
            meter.count(bytes);
            line.numbers(now).unwrap().done
        };
        assert_eq!(done(0), 40_000_000);
        line.batch(24_000_000, 1_000_000, now);
        let mut done = |bytes| {
            meter.count(bytes);
            line.numbers(now).unwrap().done
        };
        assert_eq!(
            [done(0), done(250_000), done(750_000), done(900_000)],
            [40_000_000, 46_000_000, 64_000_000, 64_000_000]
        );
        line.batch(24_000_000, 0, now);
        assert_eq!(line.numbers(now).unwrap().done, 64_000_000);
        line.batch(u64::MAX, 1, now);
        line.batch(u64::MAX, u64::MAX, now);
        assert_eq!(line.numbers(now).unwrap().done, 96_000_000);
    }

    #[test]
    fn contents_that_are_coded_first_do_not_cross_yet() {
        let (mut line, now) = halfway();
        line.step("coding".into(), now);
        line.total(3_900_000, now);
        assert_eq!(plain(&line.text(80, true, now)), "2/5  shop/web:v2  coding 3.9 MB");
        let later = now + Duration::from_secs(12);
        assert_eq!(plain(&line.text(80, true, later)), "2/5  shop/web:v2  coding 3.9 MB, 12 s");
        assert!(line.is_still());
        line.batch(3_900_000, 100_000, later);
        assert!(!line.is_still() && plain(&line.text(80, true, later)).contains("0 % of 3.9 MB"));
    }
}
