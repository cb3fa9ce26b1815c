//! One run over a session: the report, and the images that were asked for, one after the other.
//!
//! Data (the report, the plan of a dry run, JSON) goes to `out`; everything for a person goes through
//! [`Progress`] to standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dsync_core::{ImageRef, Platform};
use dsync_sync::{Direction, Entry, Error, Event, Observer as _, Report, Status, Traffic};

use crate::backend::Backend;
use crate::error::{self, Context, Diagnosis};
use crate::escape::visible;
use crate::progress::Progress;
use crate::quantity::{bytes, older};
use crate::report::{self, Template, View};
use crate::results::{self, Done, Target, What};
use crate::style::{self, paint};
use crate::task::Task;
use crate::terminal;

/// The task of a run.
pub(crate) struct Request<'a> {
    pub(crate) task: Task,
    pub(crate) images: &'a [String],
    pub(crate) direction: Direction,
    pub(crate) dry_run: bool,
    pub(crate) explain: bool,
    /// Leave images alone that are newer on the target.
    pub(crate) if_newer: bool,
    pub(crate) verify: bool,
    pub(crate) json: bool,
    /// The form of the report's images.
    pub(crate) format: Option<&'a Template>,
    /// Is told of the whole report.
    pub(crate) on_report: &'a dyn Fn(&Report),
    /// The facts that hints of errors need.
    pub(crate) context: Context<'a>,
}

/// The outputs of a run.
pub(crate) struct Show<'a> {
    pub(crate) out: &'a mut dyn Write,
    /// The width of `out`, where it is a terminal.
    pub(crate) width: Option<usize>,
    pub(crate) progress: &'a Progress,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// Time since the program started.
    pub(crate) clock: &'a dyn Fn() -> Duration,
}

/// Does what is asked for. An exit code is the first failure's; an error ended the run before any image.
pub(crate) fn run(
    backend: &mut dyn Backend,
    request: &Request<'_>,
    show: &mut Show<'_>,
) -> Result<u8, Diagnosis> {
    let all = backend.report(request.images);
    show.progress.clear();
    let all = all.map_err(|e| error::diagnose(&e, request.context))?;
    (request.on_report)(&all);

    let mut entries: Vec<Entry> =
        all.entries.into_iter().filter(|entry| request.task.wants(entry.status)).collect();
    entries.sort_by(|one, other| report::natural(&one.label(), &other.label()));
    let report = Report { entries, ..all };
    let view = View {
        report: &report,
        task: request.task,
        direction: request.direction,
        remote: request.context.remote,
    };
    if request.task.report {
        let text = match (request.format, show.width) {
            _ if request.json => report::document(view, None, show.progress.warnings()),
            (Some(template), _) => template.lines(&report, show.now),
            (None, Some(width)) => {
                terminal::wrapped(&report::table(view, width, show.now), Some(width)).into_owned()
            }
            (None, None) => report::plain(&report),
        };
        emit(show.out, &text)?;
    }
    let exit = if request.task.report { error::OK } else { sync(backend, request, view, show)? };
    let unread = unreadable(&report, request, show);
    let exit = if exit == error::OK { unread } else { exit };
    let Traffic { sent, received } = backend.traffic();
    show.progress.note(&format!("{} sent, {} received in all", bytes(sent), bytes(received)));
    Ok(exit)
}

/// Says which images cannot be read. That is a failure where they were asked for.
fn unreadable(report: &Report, request: &Request<'_>, show: &Show<'_>) -> u8 {
    let is_asked_for = !request.images.is_empty();
    // The report has them in its own form.
    if !request.json && (is_asked_for || !request.task.report || request.format.is_some()) {
        for image in &report.unreadable {
            let label = report::label(image);
            let label = visible(&label);
            let reason = visible(&image.reason);
            match is_asked_for {
                true => {
                    let diagnosis = Diagnosis::new("broken", error::FAILED, "")
                        .because([&reason])
                        .hint("build, load or pull it again on the source");
                    let label = paint(style::NAME, label);
                    let diagnosis = Diagnosis { message: format!("{label} cannot be read"), ..diagnosis };
                    show.progress.print(&diagnosis.render());
                }
                false => show
                    .progress
                    .event(Event::Warning(&format!("{label} cannot be read and is left out: {reason}"))),
            }
        }
    }
    if is_asked_for && !report.unreadable.is_empty() { error::FAILED } else { error::OK }
}

fn sync(
    backend: &mut dyn Backend,
    request: &Request<'_>,
    view: View<'_>,
    show: &mut Show<'_>,
) -> Result<u8, Diagnosis> {
    let entries = &view.report.entries;
    let mut done: Vec<Done<'_>> = Vec::with_capacity(entries.len());
    let mut exit = error::OK;
    let mut session = SessionState::Usable;
    for (at, entry) in entries.iter().enumerate() {
        show.progress.position(at + 1, entries.len());
        if session == SessionState::Usable && fate(entry, request) == Fate::Synced {
            warn_of_older(entry, request.dry_run, show);
            warn_of_platform(entry, view, show);
        }
        let start = (show.clock)();
        let result = match done.iter().find(|done| is_same(done.entry, entry, request)) {
            _ if session == SessionState::Ended => Synced::without_more(What::Skipped),
            Some(first) => {
                Synced { verified: first.verified, ..Synced::without_more(first.what.by_another_name()) }
            }
            None => sync_one(backend, entry, &entries[at + 1..], request, &mut session),
        };
        let took = (show.clock)().saturating_sub(start);
        let Synced { what, referrers, verified } = result;
        show.progress.clear();
        let this = Done { entry, took, what, referrers, verified };
        if let (What::Failed(diagnosis), error::OK) = (&this.what, exit) {
            exit = diagnosis.exit;
        }
        if !request.json {
            let (_, target) = view.hosts();
            tell(&this, Target { host: target, store: &view.report.target }, request.dry_run, show)?;
            if let (What::Synced(outcome), true) = (&this.what, request.explain) {
                emit(show.out, &terminal::wrapped(&results::explanation(outcome), show.width))?;
            }
        }
        done.push(this);
    }
    summarize(backend.traffic(), &done, request, view, show)?;
    Ok(exit)
}

/// The state of a session: an error may have left it unusable for the images after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Usable,
    Ended,
}

impl SessionState {
    fn after(error: &Error) -> SessionState {
        if error::ends_session(error) { SessionState::Ended } else { SessionState::Usable }
    }
}

/// The result of one image, the artifacts that came beside it, and how many bytes were read to verify it.
struct Synced {
    what: What,
    referrers: u32,
    verified: Option<u64>,
}

impl Synced {
    fn without_more(what: What) -> Synced {
        Synced { what, referrers: 0, verified: None }
    }
}

/// The treatment of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Current,
    /// The target's is newer.
    LeftAlone,
    Synced,
}

fn fate(entry: &Entry, request: &Request<'_>) -> Fate {
    match () {
        () if is_current(entry) => Fate::Current,
        () if request.if_newer && entry.replaces_newer().is_some() => Fate::LeftAlone,
        () => Fate::Synced,
    }
}

/// True if both are names of one image, which gets all of them at once.
fn is_same(one: &Entry, other: &Entry, request: &Request<'_>) -> bool {
    one.image.id == other.image.id && fate(one, request) == fate(other, request)
}

/// Brings one image over under its names, those in the entries after it included, and verifies it where that is asked
/// for.
fn sync_one(
    backend: &mut dyn Backend,
    entry: &Entry,
    after: &[Entry],
    request: &Request<'_>,
    session: &mut SessionState,
) -> Synced {
    let names =
        after.iter().filter(|other| is_same(entry, other, request)).filter_map(|other| other.name.clone());
    let also: Vec<ImageRef> = names.collect();
    let mut failed = |error: Error| {
        *session = SessionState::after(&error);
        Synced::without_more(What::Failed(error::diagnose(&error, request.context)))
    };
    let what = match fate(entry, request) {
        Fate::Current => What::Current,
        Fate::LeftAlone => return Synced::without_more(What::LeftAlone),
        Fate::Synced => match backend.sync(entry, &also, request.dry_run) {
            Ok(outcome) => What::Synced(outcome),
            Err(error) => return failed(error),
        },
    };
    if request.dry_run {
        return Synced::without_more(what);
    }
    // An image may be signed after it arrived. Where all images are meant, those that stay are not asked about.
    let referrers = match (&what, request.images.is_empty()) {
        (What::Current, true) => Ok(0),
        _ => backend.sync_referrers(entry, &also),
    };
    let referrers = match referrers {
        Ok(count) => count,
        Err(error) => return failed(error),
    };
    if !request.verify {
        return Synced { what, referrers, verified: None };
    }
    match backend.verify(entry, &also) {
        Ok(read) => Synced { what, referrers, verified: Some(read) },
        Err(error) => failed(error),
    }
}

/// Shows the sums of a run.
fn summarize(
    traffic: Traffic,
    done: &[Done<'_>],
    request: &Request<'_>,
    view: View<'_>,
    show: &mut Show<'_>,
) -> Result<(), Diagnosis> {
    let sums = results::sums(done, traffic, (show.clock)());
    if request.json {
        let document = report::document(view, Some((request.dry_run, done, sums)), show.progress.warnings());
        return emit(show.out, &document);
    }
    if done.is_empty() {
        show.progress.say(request.task.nothing());
    }
    for line in results::summary(done, sums, request.dry_run) {
        show.progress.say(&line);
    }
    Ok(())
}

/// Says that an image replaces a newer one. Whoever asked for it has it done all the same.
fn warn_of_older(entry: &Entry, dry_run: bool, show: &Show<'_>) {
    if let Some(times) = entry.replaces_newer() {
        let replaces = if dry_run { "would replace" } else { "replaces" };
        let (label, ages) = (entry.label(), older(times, show.now));
        let warning = format!("{label} is older than the target's, which it {replaces}: {ages}");
        show.progress.event(Event::Warning(&warning));
    }
}

/// Says that the target's host cannot run an image, which arrives all the same: it may be for others.
fn warn_of_platform(entry: &Entry, view: View<'_>, show: &Show<'_>) {
    if entry.foreign_to.is_empty() {
        return;
    }
    let (_, target) = view.hosts();
    let host = target.unwrap_or("this host");
    let warning = will_not_run(&entry.label(), &entry.image.platform, host, &entry.foreign_to);
    show.progress.event(Event::Warning(&warning));
}

/// The warning about an image for a platform that a host is not of.
pub(crate) fn will_not_run(label: &str, platform: &Platform, host: &str, foreign_to: &str) -> String {
    format!(
        "{label} is for {platform}, and {host} is {foreign_to}: it has no emulator for that, so the image will not \
         run there"
    )
}

fn is_current(entry: &Entry) -> bool {
    entry.status == Status::Current
}

/// Says what became of an image: an error in any case, the plan as data, the rest as a remark.
fn tell(done: &Done<'_>, target: Target<'_>, dry_run: bool, show: &mut Show<'_>) -> Result<(), Diagnosis> {
    match &done.what {
        What::Failed(_) => show.progress.print(&format!("{}\n", results::line(done, show.now))),
        What::Skipped => {}
        _ if dry_run => {
            emit(show.out, &terminal::wrapped(&results::plan(done, show.now), show.width))?;
        }
        _ => {
            show.progress.say(&results::line(done, show.now));
            if let Some(line) = results::replaced(done, target, show.now) {
                show.progress.say(&line);
            }
        }
    }
    Ok(())
}

/// True once something was written to standard output.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// True if nothing was written to standard output yet, and from now on whoever asked writes there.
pub(crate) fn is_first() -> bool {
    !WRITTEN.swap(true, Ordering::SeqCst)
}

/// Writes data. A reader that went away wanted no more of it, and that is no failure.
pub(crate) fn emit(out: &mut dyn Write, text: &str) -> Result<(), Diagnosis> {
    WRITTEN.store(true, Ordering::SeqCst);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Diagnosis::output(&e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
