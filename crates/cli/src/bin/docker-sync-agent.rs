//! The agent alone: what a remote host is given where this lies beside `docker-sync`. It has no command line, and so it
//! is two thirds as large.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

#[path = "../signals.rs"]
mod signals;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["agent", "--version"] => {
            let told = writeln!(io::stdout(), "{}", dsync_sync::agent_version(VERSION));
            ExitCode::from(u8::from(told.is_err()))
        }
        ["agent"] => {
            if let Err(e) = signals::install(dsync_sync::interrupt) {
                let _ = writeln!(io::stderr(), "signals are not handled: {e}");
            }
            let exit = dsync_sync::serve_stdio(VERSION);
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
