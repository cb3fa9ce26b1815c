//! How the agent gets to run on a host that has nothing of it.
//!
//! ssh runs one command, which any login shell can read: `exec /bin/sh -c '…' docker-sync HASH VERSION`. The
//! script runs the cached agent, or one of the same version on PATH; else it asks for the program, in one
//! line, and reads it from standard input.

mod script;
#[cfg(test)]
mod script_tests;

use std::io::{self, Read, Write};

use dsync_proto::{MAGIC, PREAMBLE_LEN, Preamble, PreambleError, find};

pub(crate) use script::command;

/// What the script prints before it asks for the program, or before it gives up.
const MARK: &str = "docker-sync-bootstrap";
/// Noise of a login shell that is put up with before the agent speaks, in bytes.
const MAX_NOISE: usize = 64 << 10;

/// The program for a host.
pub(crate) struct Program {
    /// gzip.
    pub(crate) packed: Vec<u8>,
    /// SHA-256 of the program.
    pub(crate) build: [u8; 32],
}

/// How the agent answered.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// What came before the agent spoke: a login shell's banner.
    pub(crate) noise: Vec<u8>,
    /// Bytes that were read beyond the preamble.
    pub(crate) rest: Vec<u8>,
}

/// Why no agent answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    /// The host said so.
    #[error("{0}")]
    Refused(String),
    /// The connection ended, or what came is no agent. What did come is kept.
    #[error("the connection ended before the agent answered")]
    Silent(Vec<u8>),
    #[error(transparent)]
    Version(#[from] PreambleError),
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Talks with the script until the agent has said its preamble, giving it the program when it asks.
///
/// `program` makes the program for an operating system and a machine as `uname` names them.
pub(crate) fn greet(
    input: &mut dyn Read,
    output: &mut dyn Write,
    program: &mut dyn FnMut(&str, &str) -> Result<Program, String>,
) -> Result<Greeting, BootstrapError> {
    let mut seen: Vec<u8> = Vec::new();
    let mut block = [0; 4096];
    loop {
        if let Some(at) = find(&seen).filter(|at| seen.len() >= at + PREAMBLE_LEN) {
            let mut after = [0; PREAMBLE_LEN - MAGIC.len()];
            after.copy_from_slice(&seen[at + MAGIC.len()..at + PREAMBLE_LEN]);
            Preamble::decode(&after)?;
            let rest = seen.split_off(at + PREAMBLE_LEN);
            seen.truncate(at);
            return Ok(Greeting { noise: seen, rest });
        }
        if let Some(line) = marked_line(&seen) {
            match line.split_once(' ') {
                Some(("wanted", platform)) => {
                    let (system, machine) = platform.split_once(' ').unwrap_or((platform, ""));
                    match program(system, machine) {
                        Ok(program) => {
                            let hash = dsync_core::Digest::from_bytes(program.build).hex();
                            writeln!(output, "{} {hash}", program.packed.len())?;
                            output.write_all(&program.packed)?;
                        }
                        Err(reason) => {
                            writeln!(output, "0 -")?;
                            output.flush()?;
                            return Err(BootstrapError::Refused(reason));
                        }
                    }
                    output.flush()?;
                    // Forget the question, so that an answer "none" can be seen.
                    let end = end_of_mark(&seen);
                    seen.drain(..end);
                    continue;
                }
                Some((_, reason)) => return Err(BootstrapError::Refused(reason.into())),
                None => return Err(BootstrapError::Refused(line)),
            }
        }
        let n = match input.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if n == 0 || seen.len() > MAX_NOISE {
            return Err(BootstrapError::Silent(seen));
        }
        seen.extend_from_slice(&block[..n]);
    }
}

/// What follows the mark on its line, when the line is complete.
fn marked_line(seen: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(seen);
    let (_, after) = text.split_once(MARK)?;
    let (line, _) = after.split_once('\n')?;
    Some(line.trim().to_owned())
}

fn end_of_mark(seen: &[u8]) -> usize {
    let mark = seen.windows(MARK.len()).position(|window| window == MARK.as_bytes()).unwrap_or(0);
    seen[mark..].iter().position(|&b| b == b'\n').map_or(seen.len(), |end| mark + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_proto::PROTOCOL;

    fn preamble() -> [u8; PREAMBLE_LEN] {
        Preamble { protocol: PROTOCOL, build: [1; 32] }.encode()
    }

    fn greet_with(input: &[u8]) -> (Result<Greeting, BootstrapError>, Vec<u8>) {
        greet_in_turn(input, b"")
    }

    fn greet_in_turn(first: &[u8], then: &[u8]) -> (Result<Greeting, BootstrapError>, Vec<u8>) {
        let mut sent = Vec::new();
        let greeting = greet(&mut first.chain(then), &mut sent, &mut |system, machine| {
            if (system, machine) == ("Linux", "x86_64") {
                Ok(Program { packed: b"PROGRAM".into(), build: [0xab; 32] })
            } else {
                Err(format!("there is no agent for {system} {machine}"))
            }
        });
        (greeting, sent)
    }

    #[test]
    fn a_cached_agent_answers_at_once_whatever_the_shell_prints_before() {
        let mut input = b"Welcome!\n".to_vec();
        input.extend(preamble());
        input.extend(b"more");
        let (greeting, sent) = greet_with(&input);
        let greeting = greeting.unwrap();
        assert_eq!((&greeting.noise[..], &greeting.rest[..]), (&b"Welcome!\n"[..], &b"more"[..]));
        assert!(sent.is_empty());
    }

    #[test]
    fn a_host_without_the_agent_is_given_it() {
        let question = b"Hi\ndocker-sync-bootstrap wanted Linux x86_64\n";
        let (greeting, sent) = greet_in_turn(question, &preamble());
        assert!(greeting.unwrap().noise.is_empty());
        assert_eq!(sent, [b"7 ".as_slice(), "ab".repeat(32).as_bytes(), b"\nPROGRAM"].concat());
    }

    #[test]
    fn refusals_say_why() {
        let refused = |input: &[u8]| match greet_with(input).0 {
            Err(BootstrapError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(b"docker-sync-bootstrap none nowhere\n"), "nowhere");
        assert_eq!(refused(b"docker-sync-bootstrap wanted Plan9 mips\n"), "there is no agent for Plan9 mips");
        assert_eq!(
            refused(b"docker-sync-bootstrap wanted Linux x86_64\ndocker-sync-bootstrap none damaged\n"),
            "damaged"
        );
        assert!(matches!(greet_with(b"This account is closed\n").0, Err(BootstrapError::Silent(_))));
        assert!(matches!(greet_with(&[b'x'; 100_000]).0, Err(BootstrapError::Silent(_))));
    }
}
