//! The cases: which process gets which signal, at which step of which transfer.

use std::fmt;

use Signal::{Int, Kill, Stop, Term};
use Victim::{Agent, Client, Load, Session, SourceEngine, Ssh, TargetEngine};

/// A case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) victim: Victim,
    pub(crate) signal: Signal,
    pub(crate) is_push: bool,
    pub(crate) step: Step,
    /// All that a target needs may have left the source.
    pub(crate) is_late: bool,
}

/// The process that gets the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Client,
    Agent,
    /// The client's ssh.
    Ssh,
    /// The sshd of the connection.
    Session,
    /// `docker load` or `podman load`.
    Load,
    /// The daemon that has the image.
    SourceEngine,
    /// The daemon that gets it.
    TargetEngine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    Kill,
    Term,
    Int,
    /// Until the other end has taken notice; then SIGCONT.
    Stop,
}

/// The event at which it gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The TCP connection is there, and nothing has crossed it.
    Dialled,
    /// This part of all that crosses a clean run has crossed.
    Crossed(u64),
    /// The client of the source's engine is about to be called with these words.
    SourceCall(&'static str),
    /// The client of the target's engine is.
    TargetCall(&'static str),
}

/// The steps of a transfer between Dockers, in the order of time, about.
const DOCKER: &[Step] = &[
    Step::Dialled,
    Step::SourceCall("info"),
    Step::TargetCall("info"),
    Step::SourceCall("images"),
    Step::TargetCall("images"),
    Step::SourceCall("image inspect"),
    Step::TargetCall("image inspect"),
    Step::Crossed(1),
    Step::Crossed(20),
    Step::Crossed(50),
    Step::Crossed(80),
    Step::TargetCall("load"),
    Step::Crossed(97),
    Step::TargetCall("tag"),
    Step::TargetCall("rmi"),
];
/// The same between Dockers with their images in containerd, whose lists are read from its files.
const CONTAINERD: &[Step] = &[
    Step::Dialled,
    Step::SourceCall("info"),
    Step::TargetCall("info"),
    Step::Crossed(1),
    Step::Crossed(20),
    Step::Crossed(50),
    Step::Crossed(80),
    Step::TargetCall("load"),
    Step::Crossed(97),
    Step::TargetCall("image inspect"),
    Step::TargetCall("tag"),
    Step::TargetCall("rmi"),
];
/// The same between podmans, whose lists are read from their files.
const PODMAN: &[Step] = &[
    Step::Dialled,
    Step::SourceCall("info"),
    Step::TargetCall("info"),
    Step::SourceCall("image exists"),
    Step::TargetCall("image exists"),
    Step::Crossed(1),
    Step::Crossed(20),
    Step::Crossed(50),
    Step::Crossed(80),
    Step::TargetCall("load"),
    Step::Crossed(97),
    Step::TargetCall("image inspect"),
    Step::TargetCall("history"),
    Step::TargetCall("tag"),
    Step::TargetCall("rmi"),
];
const VICTIMS: [Victim; 7] = [Client, Agent, Ssh, Session, Load, SourceEngine, TargetEngine];
const SIGNALS: [Signal; 4] = [Kill, Term, Int, Stop];

impl Victim {
    /// True if all transfers of the engine suffer from it.
    pub(crate) fn is_daemon(self) -> bool {
        matches!(self, SourceEngine | TargetEngine)
    }

    /// True if it runs at this step.
    fn runs_at(self, step: Step) -> bool {
        match self {
            Client | Ssh | Session | SourceEngine | TargetEngine => true,
            Agent => step != Step::Dialled,
            // It begins when the target has most of what it needs.
            Load => matches!(step, Step::Crossed(80..) | Step::TargetCall("load")),
        }
    }
}

/// All cases on engines of a kind, those of a victim, a signal and a direction one after the other.
pub(crate) fn all(kind: &str) -> Vec<Case> {
    let is_podman = kind.starts_with("podman");
    let steps = match kind {
        _ if is_podman => PODMAN,
        _ if kind.ends_with("containerd") => CONTAINERD,
        _ => DOCKER,
    };
    let late = steps.iter().position(|step| *step == Step::TargetCall("load"));
    let mut cases = Vec::new();
    for victim in VICTIMS.into_iter().filter(|victim| !(is_podman && victim.is_daemon())) {
        for signal in SIGNALS {
            for is_push in [false, true] {
                let steps = steps.iter().zip(0..).filter(|(step, _)| victim.runs_at(**step));
                let case = |(step, at): (&Step, usize)| {
                    let is_late = late.is_some_and(|late| at >= late);
                    Case { victim, signal, is_push, step: *step, is_late }
                };
                cases.extend(steps.map(case));
            }
        }
    }
    cases
}

/// One case of each victim, signal and direction. Those of another number are others.
pub(crate) fn some(kind: &str, number: usize) -> Vec<Case> {
    let all = all(kind);
    let groups = all.chunk_by(|one, other| {
        (one.victim, one.signal, one.is_push) == (other.victim, other.signal, other.is_push)
    });
    // 13 has no factor in common with the numbers of steps, so each of them has its turn.
    groups.enumerate().map(|(at, cases)| cases[(13 * at + 5 * number) % cases.len()]).collect()
}

impl Case {
    /// True if the run may try again: then it comes to its end over another connection.
    pub(crate) fn is_retried(&self) -> bool {
        matches!(self.victim, Agent | Ssh | Session) && self.signal == Kill
    }
}

impl Signal {
    /// As `kill` knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kill => "KILL",
            Term => "TERM",
            Int => "INT",
            Stop => "STOP",
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client => "client",
            Agent => "agent",
            Ssh => "ssh",
            Session => "sshd session",
            Load => "load client",
            SourceEngine => "source's engine",
            TargetEngine => "target's engine",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Dialled => f.write_str("dialled"),
            Step::Crossed(hundredths) => write!(f, "{hundredths} % crossed"),
            Step::SourceCall(words) => write!(f, "source's '{words}'"),
            Step::TargetCall(words) => write!(f, "target's '{words}'"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.is_push { "push" } else { "pull" };
        write!(f, "{way}, {} gets {} at {}", self.victim, self.signal.name(), self.step)
    }
}
