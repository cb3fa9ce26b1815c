//! The exit codes and sentences that a run may end with, by who got which signal.

use crate::kill::{Case, Signal, Step, Victim};

/// An end of a run.
struct Told {
    /// Absent where the signal itself ended it.
    code: Option<i32>,
    /// Words that standard error must have.
    words: &'static [&'static str],
}

const fn told(code: i32, words: &'static [&'static str]) -> Told {
    Told { code: Some(code), words }
}

/// The transfer came to its end all the same.
const WELL: Told = told(0, &[]);

/// The ends that a run of this case may have.
fn allowed(case: &Case) -> Vec<Told> {
    let lost = || told(3, &["error: "]);
    match (case.victim, case.signal) {
        // ssh may end without a word, and then nobody knows that it is worth another try: with `LogLevel QUIET` so does one
        // that was denied.
        (Victim::Session, _) if case.is_retried() && case.step == Step::Dialled => {
            vec![WELL, told(3, &["ssh failed without a word"])]
        }
        // Before it serves the connection, sshd does not mind this signal.
        (Victim::Session, Signal::Int) if case.step == Step::Dialled => vec![lost(), WELL],
        _ if case.is_retried() => vec![WELL],
        (Victim::Client, Signal::Kill) => vec![Told { code: None, words: &[] }],
        (Victim::Client, Signal::Term) => vec![told(143, &[])],
        (Victim::Client, Signal::Int) => vec![told(130, &[])],
        // Whoever wakes up may find the connection still there.
        (Victim::Client, Signal::Stop) => vec![lost(), WELL],
        // The last of the bytes may be there already.
        (Victim::Ssh | Victim::Session | Victim::Agent, _) if !case.is_push && case.is_late => {
            vec![lost(), WELL]
        }
        // The pipe behind ssh holds half of a small image.
        (Victim::Ssh, _) if !case.is_push && matches!(case.step, Step::Crossed(50..)) => vec![lost(), WELL],
        // The channel and the socket behind these hold all of it: 2 MiB and more.
        (Victim::Session | Victim::Agent, _) if !case.is_push && matches!(case.step, Step::Crossed(_)) => {
            vec![lost(), WELL]
        }
        (Victim::Ssh | Victim::Session | Victim::Agent, _) => vec![lost()],
        (Victim::Load, Signal::Stop) => vec![told(4, &["error: ", "hint: "])],
        (Victim::Load, _) => vec![told(1, &["error: "])],
        // The image has its name, and the temporary one goes with the next run.
        (Victim::TargetEngine, _) if case.step == Step::TargetCall("rmi") => vec![WELL],
        (Victim::SourceEngine | Victim::TargetEngine, _) => {
            let down = || [told(4, &["error: "]), told(1, &["error: "])];
            match case.step {
                // The source's files are read without it.
                Step::Crossed(_) | Step::TargetCall(_) if case.victim == Victim::SourceEngine => {
                    down().into_iter().chain([WELL]).collect()
                }
                _ => down().into(),
            }
        }
    }
}

/// Fails where a run ended in another way than one that is allowed.
pub(crate) fn check(case: &Case, code: Option<i32>, said: &str) -> Result<(), String> {
    let fits = |told: &Told| told.code == code && told.words.iter().all(|words| said.contains(words));
    match allowed(case).iter().any(fits) {
        true => Ok(()),
        false => Err(format!("it ended with {code:?}: {}", said.trim_end())),
    }
}
