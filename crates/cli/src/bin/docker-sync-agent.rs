//! The agent alone: what a remote host is given where this lies beside `docker-sync`. It has no command line, and so it
//! is two thirds as large.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

#[path = "../signals.rs"]
mod signals;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    signals::tame();
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    match words[..] {
        [agent, version] if agent == "agent" && version == "--version" => {
            let written = writeln!(io::stdout(), "{}", dsync_sync::agent_version(VERSION));
            ExitCode::from(u8::from(written.is_err()))
        }
        [agent, ref folder @ ..] if agent == "agent" && folder.len() < 2 => {
            let interrupt = dsync_sync::Interrupt::default();
            let stopped = interrupt.clone();
            let stop = move || dsync_sync::end_agent(&stopped, "a signal told it to end");
            if let Err(e) = signals::install(stop, dsync_sync::give_up) {
                let _ = writeln!(io::stderr(), "signals are not handled: {e}");
            }
            dsync_sync::tell_crashes();
            let exit = dsync_sync::serve_stdio(VERSION, folder.first().copied(), &interrupt);
            signals::exit_code().filter(|_| exit != 0).unwrap_or(exit).into()
        }
        _ => {
            let _ = writeln!(
                io::stderr(),
                "docker-sync-agent: this is the other end of docker-sync; it is not called by hand"
            );
            ExitCode::from(2)
        }
    }
}
