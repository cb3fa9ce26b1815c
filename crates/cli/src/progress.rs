//! The progress line of a run, and the messages beside it.
//!
//! Everything on standard error goes through here, because the progress line is removed before a message is printed.
//! Progress is cosmetic: it is drawn a few times a second and never fails a sync.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dsync_sync::{Event, Observer, Phase};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::style::{self, paint};
use crate::{escape, quantity};

/// The amount of output on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verbosity {
    /// Progress lines are drawn; only ever on a terminal.
    pub(crate) bars: bool,
    /// Only errors are printed.
    pub(crate) quiet: bool,
    /// Steps and their reasons are printed, too.
    pub(crate) verbose: bool,
}

/// Standard error, and the progress line on it.
pub(crate) struct Progress {
    verbosity: Verbosity,
    state: Mutex<State>,
}

/// The state that was shown last.
pub(crate) struct Last {
    /// The step that the run waited for.
    pub(crate) doing: Option<String>,
    pub(crate) warnings: Vec<String>,
}

struct State {
    err: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
    /// In front of the image's name: `2/5 `.
    position: String,
    warnings: Vec<String>,
    stopped: bool,
    /// The step that the run waits for.
    doing: Option<String>,
    /// The phase that the line shows, if it does not say that an engine is waited for.
    phase: Option<Phase>,
    waits: bool,
}

impl Progress {
    pub(crate) fn new(verbosity: Verbosity, err: Box<dyn Write + Send>) -> Self {
        let state = State {
            err,
            bar: None,
            position: String::new(),
            warnings: Vec::new(),
            stopped: false,
            doing: None,
            phase: None,
            waits: false,
        };
        Progress { verbosity, state: Mutex::new(state) }
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
        self.lock().print(text);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it drew has spoilt nothing that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn print(&mut self, text: &str) {
        let err = &mut self.err;
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
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A line that moves by itself: something goes on, nobody knows for how long.
    fn spin(&mut self, message: String) {
        self.clear();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(spinner());
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
    }

    /// A line that stays as it is: ssh may be asking for a password behind it.
    fn stand(&mut self, message: String) {
        self.clear();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(template("{msg}"));
        bar.set_message(message);
        bar.tick();
        self.bar = Some(bar);
    }

    /// The line says what is waited for, until there is something else to say.
    fn wait(&mut self, doing: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(spinner());
                bar.set_prefix(doing);
                self.waits = true;
            }
            None => self.spin(doing),
        }
    }

    fn phase(&mut self, phase: Phase) {
        (self.phase, self.waits) = (Some(phase), false);
        let Some(bar) = &self.bar else { return };
        let counts = phase == Phase::Transfer && bar.length().is_some();
        bar.set_style(if counts { counter() } else { spinner() });
        bar.set_prefix(word(phase));
        if counts {
            bar.reset_eta();
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        let mut state = self.lock();
        if let Some(doing) = doing(event) {
            state.doing = Some(doing);
        }
        if let Some(remark) = remark(event).filter(|_| self.verbosity.verbose) {
            state.print(&noted(&remark));
        }
        if let Event::Warning(text) = event {
            let text = escape::visible(text).into_owned();
            if !self.verbosity.quiet {
                state.print(&format!("{} {text}\n", paint(style::WARNING, "warning:")));
            }
            state.warnings.push(text);
        }
        if !self.verbosity.bars || state.stopped {
            return;
        }
        match event {
            Event::Connecting { .. } => {
                let doing = state.doing.clone().unwrap_or_default();
                state.stand(doing);
            }
            Event::Uploading { .. } | Event::Opening { .. } | Event::Listing { .. } => {
                let doing = state.doing.clone().unwrap_or_default();
                state.spin(doing);
            }
            Event::Image { name, .. } => {
                let message = format!("{}{}", state.position, paint(style::NAME, escape::visible(name)));
                state.spin(message);
            }
            Event::Waiting { .. } => {
                let doing = state.doing.clone().unwrap_or_default();
                state.wait(doing);
            }
            Event::Phase(phase) => state.phase(phase),
            Event::Total(bytes) => {
                if let Some(bar) = &state.bar {
                    bar.set_length(bytes);
                    bar.set_position(0);
                }
                state.phase(Phase::Transfer);
            }
            Event::Advance(bytes) => {
                // The other end sends the number, which may be any.
                if state.waits {
                    // It goes on.
                    let phase = state.phase.unwrap_or(Phase::Transfer);
                    state.phase(phase);
                }
                if let Some(bar) = &state.bar {
                    bar.set_position(bar.position().saturating_add(bytes));
                }
            }
            // They are printed above, and the line goes on as it was.
            Event::Kept(_) | Event::Note(_) | Event::Warning(_) => {}
            // `Event` is `non_exhaustive`: a test that emits a new one fails here.
            other => debug_assert!(false, "an event that no line shows: {other:?}"),
        }
    }
}

fn noted(text: &str) -> String {
    format!("{} {text}\n", paint(style::DIM, "note:"))
}

/// The step that the run waits for from this event on.
fn doing(event: Event<'_>) -> Option<String> {
    Some(match event {
        Event::Connecting { remote } => format!("connecting to {}", escape::visible(remote)),
        Event::Uploading { bytes } => format!("sending the agent ({})", quantity::bytes(bytes)),
        Event::Opening { remote } => {
            format!("waiting for the agent of {} to find its images", escape::visible(remote))
        }
        Event::Listing { store } => format!("listing the images of {}", escape::visible(store)),
        Event::Image { name, .. } => format!("synchronising {}", escape::visible(name)),
        Event::Waiting { program, host, seconds } => {
            let (program, host) = (escape::visible(program), escape::visible(host));
            match seconds {
                0 => format!("waiting for {program} on {host}"),
                _ => format!("waiting for {program} on {host}, {seconds} s"),
            }
        }
        _ => return None,
    })
}

/// The line that `-v` prints for an event.
fn remark(event: Event<'_>) -> Option<String> {
    Some(match event {
        Event::Connecting { .. } | Event::Listing { .. } => return doing(event),
        Event::Uploading { bytes } => {
            format!("the remote has no agent of this build yet: sending it {}", quantity::bytes(bytes))
        }
        Event::Image { name, image } => format!(
            "{}: {}, {}, {}",
            escape::visible(name),
            image.id,
            quantity::counted(image.diff_ids.len() as u64, "layer"),
            quantity::bytes(image.size)
        ),
        Event::Total(bytes) => format!("{} of contents have to cross, uncompressed", quantity::bytes(bytes)),
        Event::Kept(bytes) => {
            format!("{} of it arrived before, and need not cross again", quantity::bytes(bytes))
        }
        Event::Note(text) => escape::visible(text).into_owned(),
        _ => return None,
    })
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scanning",
        Phase::Basis => "comparing with the target",
        Phase::Transfer => "transferring",
        Phase::Load => "loading",
        Phase::Verify => "verifying",
    }
}

fn spinner() -> ProgressStyle {
    template("{spinner} {msg}  {prefix}")
}

fn counter() -> ProgressStyle {
    let rate = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let _ = write!(w, "{}/s", quantity::bytes(state.per_sec() as u64));
    };
    let done = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let _ = write!(w, "{}", quantity::bytes(state.pos()));
    };
    let total = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let _ = write!(w, "{}", quantity::bytes(state.len().unwrap_or_default()));
    };
    let eta = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let _ = match state.eta() {
            _ if state.per_sec() < 1.0 => write!(w, "…"),
            eta => write!(w, "{} left", quantity::about(eta)),
        };
    };
    template("{spinner} {msg}  {prefix} [{bar:20}] {done} of {total}, {rate}, {left}")
        .progress_chars("=> ")
        .with_key("rate", rate)
        .with_key("done", done)
        .with_key("total", total)
        .with_key("left", eta)
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("the templates of this file are valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Shared;

    fn printed(verbosity: Verbosity) -> String {
        let err = Shared::default();
        let progress = Progress::new(verbosity, Box::new(err.clone()));
        progress.event(Event::Connecting { remote: "alice@build" });
        progress.event(Event::Uploading { bytes: 1_234_567 });
        progress.event(Event::Note("a login shell said: \x1b[2Jhello"));
        progress.event(Event::Warning("no agent can run there"));
        progress.event(Event::Phase(Phase::Load));
        progress.say("done");
        progress.clear();
        err.plain()
    }

    #[test]
    fn a_pipe_hears_only_what_matters() {
        let silent = Verbosity { bars: false, quiet: false, verbose: false };
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
        let progress =
            Progress::new(Verbosity { bars: false, quiet: true, verbose: false }, Box::new(Vec::new()));
        assert_eq!(progress.doing(), None);
        progress.event(Event::Opening { remote: "build\u{200b}" });
        progress.event(Event::Note("x"));
        let doing = r"waiting for the agent of build\u{200b} to find its images";
        assert_eq!(progress.doing().as_deref(), Some(doing));
        progress.event(Event::Listing { store: "docker 28" });
        assert_eq!(progress.doing().as_deref(), Some("listing the images of docker 28"));
        progress.event(Event::Waiting { program: "docker\u{7}", host: "build", seconds: 40 });
        assert_eq!(progress.doing().as_deref(), Some(r"waiting for docker\u{7} on build, 40 s"));
    }

    #[test]
    fn no_amount_is_too_much() {
        let progress =
            Progress::new(Verbosity { bars: true, quiet: false, verbose: false }, Box::new(Vec::new()));
        progress.event(Event::Listing { store: "docker" });
        for bytes in [u64::MAX, 1, u64::MAX] {
            progress.event(Event::Total(bytes));
            progress.event(Event::Advance(bytes));
            progress.event(Event::Advance(bytes));
        }
        progress.clear();
    }

    #[test]
    fn every_template_is_valid() {
        let _ = (spinner(), counter());
    }
}
