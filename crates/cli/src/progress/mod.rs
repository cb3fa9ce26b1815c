//! The progress of a run, and the messages beside it.
//!
//! Everything on standard error goes through here, because the progress line is removed before a message is printed.
//! Progress is cosmetic: it is drawn a few times a second and never fails a sync.

mod events;
mod line;
mod words;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_sync::{Event, HERE, Observer, Phase};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::style::{self, paint};
use crate::{escape, terminal};
use line::Line;
use words::{doing, remark, work};

/// The step in which contents are coded and none of them crosses yet.
const CODING: &str = "coding";
/// The pause between two lines on a pipe.
const PAUSE: Duration = Duration::from_secs(5);

/// The form in which progress is shown on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A line that is drawn anew.
    Terminal,
    /// A line every few seconds.
    Plain,
    /// A JSON object for each event, and everything else in one as well.
    Json,
    None,
}

/// The amount of output on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verbosity {
    pub(crate) mode: Mode,
    /// Only errors are printed.
    pub(crate) quiet: bool,
    /// Steps and their reasons are printed, too.
    pub(crate) verbose: bool,
}

/// Standard error, and the progress line on it.
pub(crate) struct Progress {
    verbosity: Verbosity,
    state: Mutex<State>,
    /// Locked by whoever draws; never together with a call that draws.
    line: Arc<Mutex<Line>>,
}

/// The state that was shown last.
pub(crate) struct Last {
    /// The step that the run waited for.
    pub(crate) doing: Option<String>,
    pub(crate) warnings: Vec<String>,
}

struct State {
    err: Box<dyn Write + Send>,
    /// The width of standard error, where it is a terminal.
    width: Option<usize>,
    bar: Option<ProgressBar>,
    /// In front of the image's name: `2/5 `.
    position: String,
    warnings: Vec<String>,
    stopped: bool,
    /// The step that the run waits for.
    doing: Option<String>,
    /// The step that the line shows, if it does not say that an engine is waited for.
    work: String,
    waits: bool,
    /// True from the first event of a step on until the line is cleared.
    shows: bool,
    /// The time of the last line on a pipe, or of its first event.
    told: Instant,
}

impl Progress {
    /// Messages are wrapped at this width, if there is one.
    pub(crate) fn new(verbosity: Verbosity, err: Box<dyn Write + Send>, width: Option<usize>) -> Self {
        let mut state = State {
            err,
            width,
            bar: None,
            position: String::new(),
            warnings: Vec::new(),
            stopped: false,
            doing: None,
            work: work(Phase::Scan, HERE),
            waits: false,
            shows: false,
            told: Instant::now(),
        };
        if verbosity.mode == Mode::Json {
            state.print(&events::begin());
        }
        Progress { verbosity, state: Mutex::new(state), line: Arc::default() }
    }

    /// Has lines come while nothing happens, until the run is over.
    pub(crate) fn keep_telling(self: &Arc<Self>) {
        if !matches!(self.verbosity.mode, Mode::Plain | Mode::Json) {
            return;
        }
        let progress = Arc::downgrade(self);
        thread::spawn(move || {
            while let Some(progress) = progress.upgrade() {
                progress.tell(Instant::now());
                drop(progress);
                thread::sleep(Duration::from_secs(1));
            }
        });
    }

    /// A line about the step that goes on, if it is time for one.
    fn tell(&self, now: Instant) {
        let mut state = self.lock();
        if !state.shows || state.stopped {
            return;
        }
        match self.verbosity.mode {
            Mode::Plain if now.duration_since(state.told) >= PAUSE => {
                state.told = now;
                let text = self.line().text(usize::MAX, false, now);
                state.print(&format!("{text}\n"));
            }
            Mode::Json => {
                let numbers = self.line().numbers(now);
                if let Some(numbers) = numbers {
                    state.print(&events::progress(&numbers));
                }
            }
            _ => {}
        }
    }

    /// Prints a line for a person, unless only errors are wanted.
    pub(crate) fn say(&self, line: &str) {
        if !self.verbosity.quiet {
            self.print(&format!("{line}\n"));
        }
    }

    /// Prints what only `-v` shows.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity.verbose {
            self.print(&noted(text));
        }
    }

    /// Prints this in any case.
    pub(crate) fn print(&self, text: &str) {
        match self.verbosity.mode {
            Mode::Json => self.lock().print(&events::message(text)),
            _ => self.lock().print(text),
        }
    }

    /// The next image is this one of so many.
    pub(crate) fn position(&self, at: usize, of: usize) {
        self.lock().position = if of > 1 { format!("{at}/{of}  ") } else { String::new() };
    }

    /// Takes the progress line away.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Takes the progress line away for good.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.clear();
        state.stopped = true;
    }

    /// The same where this thread may have the lock already, because it panicked there: then the line stays.
    pub(crate) fn stop_if_free(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.clear();
            state.stopped = true;
        }
    }

    /// The step that the run waits for, if it waits.
    pub(crate) fn doing(&self) -> Option<String> {
        self.lock().doing.clone()
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lock().warnings.clone()
    }

    /// Takes the progress line away for good, and returns what was shown last; `None` where another thread has the lock and
    /// may wait for a terminal.
    pub(crate) fn last(&self) -> Option<Last> {
        let mut state = self.state.try_lock().ok()?;
        state.clear();
        state.stopped = true;
        Some(Last { doing: state.doing.clone(), warnings: state.warnings.clone() })
    }

    /// The warnings so far, where this thread may have the lock already, because it panicked there: then none.
    pub(crate) fn warnings_if_free(&self) -> Vec<String> {
        self.state.try_lock().map_or_else(|_| Vec::new(), |state| state.warnings.clone())
    }

    /// True for the events of which a person reads a line: with `-v` all that have one, else where a broken transfer goes
    /// on.
    fn prints(&self, event: Event<'_>) -> bool {
        self.verbosity.verbose || !self.verbosity.quiet && matches!(event, Event::Partial(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it drew has spoilt nothing that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the line by an event; returns how it is to be drawn from now on, if otherwise than before.
    fn change(&self, state: &mut State, event: Event<'_>) -> Option<Drawn> {
        let mut line = self.line();
        let now = Instant::now();
        let step = || state.doing.clone().unwrap_or_default();
        match event {
            Event::Connecting { .. } => {
                line.begin(step(), now);
                return Some(Drawn::Still);
            }
            Event::Opening { meter, .. } => {
                line.add_meter(meter.clone());
                line.begin(step(), now);
                return Some(Drawn::Moving);
            }
            // A prompt comes where the line is.
            Event::Asking { .. } => {
                drop(line);
                state.clear();
            }
            Event::Uploading { .. } | Event::Listing { .. } => {
                line.begin(step(), now);
                return Some(Drawn::Moving);
            }
            Event::Image { name, .. } => {
                line.position.clone_from(&state.position);
                line.image(escape::visible(name).into_owned(), now);
                line.step("starting".into(), now);
                return Some(Drawn::Moving);
            }
            Event::Waiting { .. } => {
                line.step(step(), now);
                state.waits = true;
                return (!state.shows).then_some(Drawn::Moving);
            }
            Event::Phase { phase, host } => {
                (state.work, state.waits) = (work(phase, host), false);
                if phase != Phase::Transfer {
                    line.uncount();
                }
                line.step(state.work.clone(), now);
                return (!state.shows).then_some(Drawn::Moving);
            }
            Event::Total(bytes) => {
                (state.work, state.waits) = (work(Phase::Transfer, HERE), false);
                line.total(bytes, now);
                line.step(CODING.into(), now);
                return (!state.shows).then_some(Drawn::Moving);
            }
            Event::Advance(bytes) => {
                goes_on(state, &mut line, now);
                line.advance(bytes, now);
            }
            Event::Batch { raw, packed } => {
                goes_on(state, &mut line, now);
                line.batch(raw, packed, now);
            }
            // They are printed, and the line goes on as it was.
            Event::Partial(_) | Event::Note(_) | Event::Warning(_) => {}
            // `Event` is `non_exhaustive`: a test that emits a new one fails here.
            other => debug_assert!(false, "an event that no line shows: {other:?}"),
        }
        None
    }
}

/// An engine that was waited for goes on, or contents are coded and begin to cross.
fn goes_on(state: &mut State, line: &mut Line, now: Instant) {
    if std::mem::take(&mut state.waits) || line.is_still() {
        line.step(state.work.clone(), now);
    }
}

/// The ways to draw the line of a terminal.
#[derive(Clone, Copy)]
enum Drawn {
    /// It moves by itself: something goes on, nobody knows for how long.
    Moving,
    /// It stays as it is: ssh may be asking for a password behind it.
    Still,
}

impl State {
    fn print(&mut self, text: &str) {
        let (err, text) = (&mut self.err, terminal::wrapped(text, self.width));
        let mut write = || {
            // An error of standard error has no place to go.
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn clear(&mut self) {
        self.shows = false;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, drawn: Drawn, line: &Arc<Mutex<Line>>) {
        self.clear();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let line = Arc::clone(line);
        // The spinner and a space are in front of it.
        let text = move |_: &ProgressState, w: &mut dyn std::fmt::Write| {
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            let _ =
                w.write_str(&line.text(terminal::width_of_errors().saturating_sub(3), true, Instant::now()));
        };
        match drawn {
            Drawn::Moving => {
                let style = template("{spinner} {line}").with_key("line", text);
                bar.set_style(match terminal::errors_show_unicode() {
                    true => style,
                    false => style.tick_chars(r"-\|/ "),
                });
                bar.enable_steady_tick(Duration::from_millis(120));
            }
            Drawn::Still => {
                bar.set_style(template("{line}").with_key("line", text));
                bar.tick();
            }
        }
        self.bar = Some(bar);
    }
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        let mut state = self.lock();
        if let Some(doing) = doing(event) {
            state.doing = Some(doing);
        }
        if self.verbosity.mode == Mode::Json {
            if let Some(object) = events::of(event) {
                state.print(&object);
            }
        } else if let Some(remark) = remark(event).filter(|_| self.prints(event)) {
            state.print(&noted(&remark));
        }
        if let Event::Warning(text) = event {
            let text = escape::visible(text).into_owned();
            if !self.verbosity.quiet && self.verbosity.mode != Mode::Json {
                state.print(&format!("{} {text}\n", paint(style::WARNING, "warning:")));
            }
            state.warnings.push(text);
        }
        if self.verbosity.mode == Mode::None || state.stopped {
            return;
        }
        let drawn = self.change(&mut state, event);
        if drawn.is_some() && !state.shows {
            state.told = Instant::now();
        }
        match drawn {
            Some(drawn) if self.verbosity.mode == Mode::Terminal => {
                state.draw(drawn, &self.line);
                state.shows = true;
            }
            Some(_) => state.shows = true,
            None => {}
        }
    }
}

fn noted(text: &str) -> String {
    format!("{} {text}\n", paint(style::DIM, "note:"))
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("the templates of this file are valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Shared;
    use dsync_sync::Meter;

    fn printed(verbosity: Verbosity) -> String {
        let err = Shared::default();
        let progress = Progress::new(verbosity, Box::new(err.clone()), None);
        progress.event(Event::Connecting { remote: "alice@build" });
        progress.event(Event::Uploading { bytes: 1_234_567 });
        progress.event(Event::Note("a login shell said: \x1b[2Jhello"));
        progress.event(Event::Warning("no agent can run there"));
        progress.event(Event::Phase { phase: Phase::Load, host: "prod" });
        progress.say("done");
        progress.clear();
        err.plain()
    }

    #[test]
    fn a_pipe_hears_only_what_matters() {
        let silent = Verbosity { mode: Mode::None, quiet: false, verbose: false };
        assert_eq!(printed(silent), "warning: no agent can run there\ndone\n");
        assert_eq!(printed(Verbosity { quiet: true, ..silent }), "");
        insta::assert_snapshot!(printed(Verbosity { verbose: true, ..silent }), @r"
        note: connecting to alice@build
        note: the remote has no agent of this build yet: sending it 1.2 MB
        note: a login shell said: \u{1b}[2Jhello
        warning: no agent can run there
        done
        ");
    }

    #[test]
    fn it_is_known_what_is_waited_for() {
        let progress = Progress::new(
            Verbosity { mode: Mode::None, quiet: true, verbose: false },
            Box::new(Vec::new()),
            None,
        );
        assert_eq!(progress.doing(), None);
        progress.event(Event::Opening { remote: "build\u{200b}", meter: &Meter::default() });
        progress.event(Event::Note("x"));
        let doing = r"waiting for the agent of build\u{200b} to find its images";
        assert_eq!(progress.doing().as_deref(), Some(doing));
        progress.event(Event::Listing { store: "docker 28", host: "build" });
        assert_eq!(progress.doing().as_deref(), Some("listing the images of build"));
        progress.event(Event::Waiting { program: "docker\u{7}", host: "build", seconds: 40 });
        assert_eq!(progress.doing().as_deref(), Some(r"waiting for docker\u{7} on build, 40 s"));
    }

    #[test]
    fn no_amount_is_too_much() {
        let progress = Progress::new(
            Verbosity { mode: Mode::Terminal, quiet: false, verbose: false },
            Box::new(Vec::new()),
            None,
        );
        progress.event(Event::Listing { store: "docker", host: "build" });
        for bytes in [u64::MAX, 1, u64::MAX] {
            progress.event(Event::Total(bytes));
            progress.event(Event::Advance(bytes));
            progress.event(Event::Advance(bytes));
        }
        progress.clear();
    }

    #[test]
    fn a_pipe_hears_of_long_steps() {
        let err = Shared::default();
        let plain = Verbosity { mode: Mode::Plain, quiet: false, verbose: false };
        let progress = Progress::new(plain, Box::new(err.clone()), None);
        let begun = Instant::now();
        let after = |seconds: u64| progress.tell(begun + Duration::from_millis(1000 * seconds + 500));
        progress.event(Event::Listing { store: "docker", host: "build" });
        after(2);
        assert_eq!(err.plain(), "", "nothing is said of what is over soon");
        after(6);
        after(8);
        progress.event(Event::Total(96_000_000));
        progress.event(Event::Advance(48_000_000));
        after(12);
        progress.clear();
        after(60);
        progress.event(Event::Listing { store: "podman", host: "this host" });
        after(4);
        after(6);
        let said = err.plain();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert_eq!(lines[2], "listing the images of this host, 6 s", "each step has its own time");
        assert_eq!(lines[0], "listing the images of build, 6 s");
        assert!(lines[1].starts_with("transferring  50 % of 96.0 MB, "), "{said}");
        assert!(lines[1].ends_with("s left"), "{said}");
    }

    #[test]
    fn programs_read_every_line() {
        let err = Shared::default();
        let json = Verbosity { mode: Mode::Json, quiet: false, verbose: false };
        let progress = Progress::new(json, Box::new(err.clone()), None);
        progress.event(Event::Connecting { remote: "build" });
        progress.event(Event::Phase { phase: Phase::Transfer, host: "build" });
        progress.event(Event::Total(10));
        progress.event(Event::Advance(4));
        progress.tell(Instant::now());
        progress.event(Event::Warning("odd\u{1b}"));
        progress.say("web:2  added");
        let said = err.plain();
        let (first, rest) = said.split_once('\n').unwrap();
        assert!(first.starts_with(r#"{"event":"begin","schema":1,"version":""#), "{first}");
        insta::assert_snapshot!(rest, @r#"
        {"event":"connecting","host":"build"}
        {"event":"phase","phase":"transfer","host":"build"}
        {"event":"total","bytes":10}
        {"event":"progress","done":4,"total":10,"wire":0,"rate":null,"seconds_left":null}
        {"event":"warning","text":"odd\u001b"}
        {"event":"message","text":"web:2  added"}
        "#);
        for line in err.plain().lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        assert_eq!(progress.warnings(), [r"odd\u{1b}"]);
    }
}
