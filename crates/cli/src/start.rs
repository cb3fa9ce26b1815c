//! From the arguments to a run: who called, what is asked for, where output goes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::process;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anstream::AutoStream;
use clap::ColorChoice;
use dsync_sync::{Interrupt, PatchOutput, Remote};

use crate::args::{Color, Command, ConnectionArgs, Here, PatchAction, ProgressForm, SyncArgs};
use crate::doctor::Checks;
use crate::error::{self, Context, Diagnosis};
use crate::patch::Said;
use crate::plugin::{self, Call};
use crate::progress::{Last, Mode, Progress, Verbosity};
use crate::report::Template;
use crate::run::{self, Request, Show};
use crate::{backend, cache, complete, manual, parse, patch, report, signals, terminal};

/// The time that a client program of an engine has to obey a signal.
const PATIENCE: Duration = Duration::from_millis(500);
/// An example of a template.
const FORMAT: &str = "as --format '{{.Name}} {{.Status}}'";
/// The last words of an agent that a signal ends.
const TERMINATED: &str = "a signal told it to end";

/// The progress line, for a panic to take away.
static PROGRESS: OnceLock<Arc<Progress>> = OnceLock::new();

/// The facts for errors of a command that uses this host alone.
const HERE: Context<'static> = Context { remote: "", ssh: "ssh", images: &[] };

/// The whole program; returns its exit code.
pub(crate) fn start() -> u8 {
    signals::tame();
    let call = plugin::call(env::args_os().skip(1).collect(), env::var_os(plugin::MARK).is_some());
    let (program, arguments, docker) = match call {
        Call::Metadata => return print(plugin::metadata() + "\n"),
        Call::Complete(words) => return print(complete::answer(&words)),
        Call::Plain(arguments) => ("docker-sync", arguments, None),
        Call::Plugin { arguments, docker } => ("docker sync", arguments, docker),
    };
    let early = Early::of(&arguments);
    tell_crashes(early);
    let cli = match parse::parse(program, arguments, early.color) {
        Ok(cli) => cli,
        Err(e) => return refuse(&e, early.json),
    };
    match (cli.command, &cli.sync.remote) {
        (Some(Command::Man), _) => print(manual::PAGE),
        (Some(Command::Completions { shell }), _) => print(manual::completions(shell)),
        (Some(Command::Diff { old, new, output, force, compression, identity, here }), _) => {
            let output = patch::output(output, force);
            if output == PatchOutput::Stdout && io::stdout().is_terminal() {
                let terminal = Diagnosis::new("usage", error::USAGE, "a patch is not for a terminal")
                    .hint("write it to a file or a pipe");
                return fail(&terminal, early);
            }
            patched(&here, early, |observer, interrupt| {
                let how = (compression, identity);
                patch::diff(&here, docker, (&old, &new), &output, how, observer, interrupt)
            })
        }
        (Some(Command::Apply { file, dry_run, here }), _) => patched(&here, early, |observer, interrupt| {
            patch::apply(&here, docker, &patch::input(file), dry_run, observer, interrupt)
        }),
        (Some(Command::Patch { action: PatchAction::Info { file, json } }), _) => {
            match dsync_sync::patch_info(&patch::input(file)) {
                Ok(info) => print(if json { patch::document(&info) } else { patch::described(&info) }),
                Err(error) => fail(&diagnose_here(&error), early),
            }
        }
        (Some(Command::Doctor { remote, connection, json, verbose }), _) => {
            examine(&remote, &connection, (json, verbose), docker, early)
        }
        (Some(Command::Cache { action }), _) => match cache::run(&action, io::stdout().is_terminal()) {
            Ok(text) => print(text),
            Err(diagnosis) => fail(&diagnosis, early),
        },
        (Some(Command::Agent { version: true, .. }), _) => {
            print(dsync_sync::agent_version(env!("CARGO_PKG_VERSION")) + "\n")
        }
        (Some(Command::Agent { version: false, folder }), _) => agent(folder.as_deref(), early),
        (None, Some(remote)) => sync(remote, &cli.sync, docker),
        (None, None) => unreachable!("clap asks for REMOTE where there is no command"),
    }
}

/// Describes an error of a command that is about no other host.
fn diagnose_here(error: &dsync_sync::Error) -> Diagnosis {
    let mut diagnosis = error::diagnose(error, HERE);
    if let Some(sentence) = diagnosis.message.strip_prefix("on this host: ") {
        diagnosis.message = sentence.to_owned();
    }
    diagnosis
}

/// Runs something that takes a while, on this host alone.
fn patched(
    here: &Here,
    early: Early,
    work: impl FnOnce(&Progress, &Interrupt) -> Result<Said, dsync_sync::Error>,
) -> u8 {
    let verbosity = Verbosity { mode: mode(here.progress), quiet: false, verbose: here.verbose };
    let (progress, interrupt) = watch(verbosity, anstream_choice(early.color), early.json);
    let outcome = work(&progress, &interrupt);
    progress.clear();
    match (outcome, signals::exit_code()) {
        (Ok(Said::Here(text)), _) => print(text),
        (Ok(Said::Beside(text)), _) => {
            progress.say(text.trim_end());
            error::OK
        }
        (Err(_), Some(exit)) => {
            fail(&interrupted(&progress), early);
            exit
        }
        (Err(error), None) => fail(&diagnose_here(&error), early),
    }
}

/// Looks at both sides, and says what is in the way of a sync.
fn examine(
    remote: &Remote,
    args: &ConnectionArgs,
    (json, verbose): (bool, bool),
    docker: Option<String>,
    early: Early,
) -> u8 {
    let mode = if json { Mode::None } else { mode(ProgressForm::Auto) };
    let verbosity = Verbosity { mode, quiet: json, verbose };
    let (progress, interrupt) = watch(verbosity, anstream_choice(early.color), json);
    let options = backend::connection_options(args, docker, interrupt);
    let examination = dsync_sync::examine(remote, &options, progress.clone());
    progress.clear();
    if let Some(exit) = signals::exit_code() {
        fail(&interrupted(&progress), early);
        return exit;
    }
    let named = remote_as_written(remote);
    let checks = Checks::of(&examination, remote, context(&named, args, &[]));
    let text = if json {
        checks.document(progress.warnings())
    } else {
        checks.text(terminal::output_shows_unicode())
    };
    let mut out = AutoStream::new(io::stdout(), anstream_choice(early.color));
    match run::emit(&mut out, &text) {
        Ok(()) => checks.exit(),
        Err(diagnosis) => unwritten(&diagnosis),
    }
}

/// The facts for errors of a command that connects.
fn context<'a>(remote: &'a str, args: &'a ConnectionArgs, images: &'a [String]) -> Context<'a> {
    let ssh = args.ssh.as_ref().map_or("", |ssh| &ssh.text);
    Context { remote, ssh: if ssh.is_empty() { "ssh" } else { ssh }, images }
}

fn sync(remote: &Remote, args: &SyncArgs, docker: Option<String>) -> u8 {
    let format = match template(args) {
        Ok(format) => format,
        Err(diagnosis) => return fail(&diagnosis, Early { json: false, color: ColorChoice::Auto }),
    };
    let started = Instant::now();
    let color = choice(args.color);
    let verbosity = Verbosity {
        mode: match args.progress {
            _ if args.quiet || args.no_progress => Mode::None,
            ProgressForm::Auto if args.json => Mode::None,
            form => mode(form),
        },
        quiet: args.quiet || args.json,
        verbose: args.verbose,
    };
    let (progress, interrupt) = watch(verbosity, color, args.json);
    let stdout = io::stdout();
    let width = terminal::width_of_output();
    let named = remote_as_written(remote);
    let context = context(&named, &args.connection, &args.images);
    let request = Request {
        task: args.task(),
        images: &args.images,
        direction: backend::direction(args),
        dry_run: args.dry_run,
        verify: args.verify,
        explain: args.explain,
        if_newer: args.if_newer,
        json: args.json,
        format: format.as_ref(),
        on_report: &|report| {
            if args.images.is_empty() && !args.push {
                complete::remember(&named, report);
            }
        },
        context,
    };
    let mut out = AutoStream::new(stdout, color);
    let mut show = Show {
        out: &mut out,
        width,
        progress: &progress,
        now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64),
        clock: &|| started.elapsed(),
    };
    let observer: Arc<dyn dsync_sync::Observer> = progress.clone();
    let outcome = backend::connect(remote, args, docker, observer, interrupt)
        .map_err(|error| error::diagnose(&error, context))
        .and_then(|mut session| {
            let exit = run::run(&mut session, &request, &mut show);
            drop(session);
            exit
        });
    progress.clear();
    let signal = signals::exit_code();
    let exit = outcome.unwrap_or_else(|diagnosis| {
        // Whatever failed after Ctrl-C failed because of it: ssh, for one, hears it too.
        let diagnosis = if signal.is_some() { interrupted(&progress) } else { diagnosis };
        if args.json {
            // The sentence goes to standard error, also where standard output cannot be written.
            if run::emit(&mut out, &report::failure(&diagnosis, progress.warnings())).is_err() {
                progress.print(&diagnosis.render());
            }
        } else {
            progress.print(&diagnosis.render());
        }
        diagnosis.exit
    });
    signal.filter(|_| exit != error::OK).unwrap_or(exit)
}

/// The template of `--format`.
fn template(args: &SyncArgs) -> Result<Option<Template>, Diagnosis> {
    let usage = |message: &str, hint: &str| Diagnosis::new("usage", error::USAGE, message).hint(hint);
    match &args.format {
        Some(_) if !args.task().report => {
            Err(usage("--format is about the report", "add --report to see it of these images"))
        }
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|reason: String| usage("this is no template for --format", FORMAT).because([reason])),
        None => Ok(None),
    }
}

fn mode(form: ProgressForm) -> Mode {
    match form {
        ProgressForm::Auto if terminal::takes_lines_anew() => Mode::Terminal,
        ProgressForm::Auto | ProgressForm::Plain => Mode::Plain,
        ProgressForm::Tty => Mode::Terminal,
        ProgressForm::Json => Mode::Json,
        ProgressForm::None => Mode::None,
    }
}

/// Shows progress on standard error from here on, and lets a signal interrupt the run.
fn watch(verbosity: Verbosity, color: anstream::ColorChoice, json: bool) -> (Arc<Progress>, Interrupt) {
    let progress = Arc::new(Progress::new(
        verbosity,
        Box::new(AutoStream::new(io::stderr(), color)),
        terminal::wraps_errors(),
    ));
    progress.keep_telling();
    let _ = PROGRESS.set(Arc::clone(&progress));
    let interrupt = Interrupt::default();
    let (stopping, stopped) = (Arc::clone(&progress), interrupt.clone());
    let stop = move || {
        stopping.stop();
        stopped.interrupt();
        end_children();
    };
    let (last, killed) = (Arc::clone(&progress), interrupt.clone());
    let give_up = move || {
        killed.kill_children();
        dsync_sync::give_up();
        give_up(&last, json);
    };
    if let Err(e) = signals::install(stop, give_up) {
        // Without it Ctrl-C still ends the program, only less tidily.
        progress.print(&format!("warning: signals are not handled: {e}\n"));
    }
    (progress, interrupt)
}

/// Ends the client programs of engines, so that nobody waits for an engine that hangs.
fn end_children() {
    dsync_sync::terminate_children();
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        dsync_sync::kill_children();
    });
}

/// The last words of a run that is not waited for; none where whoever has the progress line does not let it go.
fn give_up(progress: &Progress, json: bool) {
    let Some(Last { doing, warnings }) = progress.last() else { return };
    let diagnosis = interrupted_while(doing);
    if !json {
        progress.print(&diagnosis.render());
    } else if run::is_first() {
        print(report::failure(&diagnosis, warnings));
    }
}

/// Says what was waited for when a signal came.
fn interrupted(progress: &Progress) -> Diagnosis {
    interrupted_while(progress.doing())
}

fn interrupted_while(doing: Option<String>) -> Diagnosis {
    let doing = doing.map_or(String::new(), |doing| format!(" while {doing}"));
    Diagnosis {
        message: format!("interrupted{doing}"),
        ..Diagnosis::new("interrupted", error::INTERRUPTED, "")
    }
}

/// Has a panic of any thread end the program as an error does, in the words that errors have.
fn tell_crashes(early: Early) {
    panic::set_hook(Box::new(move |panic| {
        if let Some(progress) = PROGRESS.get() {
            progress.stop_if_free();
        }
        process::exit(fail(&Diagnosis::crash(&dsync_sync::crash_words(panic)), early).into());
    }));
}

/// Serves the other end. A person who types this means a host.
fn agent(folder: Option<&OsStr>, early: Early) -> u8 {
    if io::stdin().is_terminal() {
        let diagnosis =
            Diagnosis::new("usage", error::USAGE, "'agent' serves another docker-sync, not a terminal")
                .hint("a host that is called so is reached as ssh://agent");
        return fail(&diagnosis, early);
    }
    let interrupt = Interrupt::default();
    let stopped = interrupt.clone();
    let stop = move || dsync_sync::end_agent(&stopped, TERMINATED);
    if let Err(e) = signals::install(stop, dsync_sync::give_up) {
        let _ = writeln!(io::stderr(), "signals are not handled: {e}");
    }
    dsync_sync::tell_crashes();
    dsync_sync::serve_stdio(env!("CARGO_PKG_VERSION"), folder, &interrupt)
}

/// Options that are needed before the arguments are parsed, or where they are invalid.
#[derive(Clone, Copy)]
struct Early {
    json: bool,
    color: ColorChoice,
}

impl Early {
    fn of(arguments: &[OsString]) -> Self {
        let mut early = Early { json: false, color: ColorChoice::Auto };
        let words = || arguments.iter().map_while(|word| word.to_str()).take_while(|word| *word != "--");
        for (word, next) in words().zip(words().skip(1).chain([""])) {
            early.json |= word == "--json";
            match word.strip_prefix("--color=").or((word == "--color").then_some(next)) {
                Some("always") => early.color = ColorChoice::Always,
                Some("never") => early.color = ColorChoice::Never,
                _ => {}
            }
        }
        early
    }
}

/// Help, version, or what is wrong with the arguments.
fn refuse(error: &clap::Error, json: bool) -> u8 {
    if !error.use_stderr() || !json {
        if error.use_stderr() {
            let _ = error.print();
            return error::USAGE;
        }
        // A reader that went away wants no more of it.
        return match error.print() {
            Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => {
                unwritten(&Diagnosis::output(&failed))
            }
            _ => error::OK,
        };
    }
    let text = error.to_string();
    let mut parts = text.split("\n\n");
    let message = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = parts.find_map(|part| part.trim().strip_prefix("tip: "));
    let diagnosis = Diagnosis::new("usage", error::USAGE, message).hint(tip.unwrap_or("see --help"));
    print(report::failure(&diagnosis, Vec::new()));
    error::USAGE
}

fn fail(diagnosis: &Diagnosis, early: Early) -> u8 {
    if early.json {
        let warnings = PROGRESS.get().map_or_else(Vec::new, |progress| progress.warnings_if_free());
        print(report::failure(diagnosis, warnings));
    } else {
        let mut err = AutoStream::new(io::stderr(), anstream_choice(early.color));
        let _ = err.write_all(diagnosis.render().as_bytes());
    }
    diagnosis.exit
}

fn print(text: impl AsRef<str>) -> u8 {
    match run::emit(&mut io::stdout(), text.as_ref()) {
        Ok(()) => error::OK,
        Err(diagnosis) => unwritten(&diagnosis),
    }
}

/// Says that standard output cannot be written.
fn unwritten(diagnosis: &Diagnosis) -> u8 {
    let _ = AutoStream::auto(io::stderr()).write_all(diagnosis.render().as_bytes());
    diagnosis.exit
}

/// REMOTE for messages and commands that can be copied.
fn remote_as_written(remote: &Remote) -> String {
    match remote {
        Remote::Ssh(dsync_sync::Destination { host, port: Some(port) }) => format!("ssh://{host}:{port}"),
        other => other.to_string(),
    }
}

fn choice(color: Color) -> anstream::ColorChoice {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
}

fn anstream_choice(color: ColorChoice) -> anstream::ColorChoice {
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set in a process of this test that is to crash.
    const CHILD: &str = "DSYNC_TEST_CRASH";

    #[test]
    fn a_panic_of_any_thread_is_told_as_an_error() {
        if let Some(how) = env::var_os(CHILD) {
            tell_crashes(Early { json: how == "json", color: ColorChoice::Never });
            let thread = std::thread::spawn(|| panic!("no\n such {}", "thing"));
            // It does not come so far.
            thread.join().ok();
            process::exit(0);
        }
        let crashed = |how: &str| {
            let mut child = process::Command::new(env::current_exe().unwrap());
            let name = "start::tests::a_panic_of_any_thread_is_told_as_an_error";
            let output = child.args(["--exact", "--nocapture", name]).env(CHILD, how).output().unwrap();
            assert_eq!(output.status.code(), Some(i32::from(error::FAILED)), "{output:?}");
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
        };
        let [_, err] = crashed("text");
        assert!(
            err.starts_with("error: docker-sync crashed\n  caused by: no such thing (crates/cli/src/"),
            "{err}"
        );
        assert!(err.contains("\nhint: ") && err.lines().count() == 3, "{err}");
        let [out, err] = crashed("json");
        assert!(out.contains("\"kind\": \"crashed\""), "{out}");
        assert_eq!(err, "");
    }
}
