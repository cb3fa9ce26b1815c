//! The bootstrap: gets the agent to run on a host that has nothing of it.
//!
//! ssh runs one command, which any login shell can read: `exec /bin/sh -c '…' docker-sync HASH VERSION`. The
//! script runs the cached agent, or one of the same build on PATH; else it asks for the program, in one
//! line, and reads it from standard input.

mod script;
#[cfg(test)]
mod script_tests;

use std::io::{self, Read, Write};

use dsync_proto::{MAGIC, PREAMBLE_LEN, Preamble, PreambleError, find, limits};

use super::agent_binary::{BUILD, Program};
use script::Reason;
pub(crate) use script::command;

/// The text that the script prints before it asks for the program, or before it gives up.
const MARK: &str = "docker-sync-bootstrap";

/// The greeting of the agent.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The bytes that came before the agent spoke: a login shell's banner.
    pub(crate) noise: Vec<u8>,
    /// Bytes that were read beyond the preamble.
    pub(crate) rest: Vec<u8>,
}

/// The reason why no agent answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    /// The host said so, or there is no agent for it.
    #[error("{0}")]
    Refused(String),
    /// The host has no room for the agent in any folder that it could run from.
    #[error("there is no room for the agent in any of its folders there")]
    Full,
    /// The agent did not arrive whole, or was not kept.
    #[error("{0}")]
    Faulty(&'static str),
    /// The connection ended.
    #[error("the connection ended before the agent answered")]
    Silent {
        /// The bytes that came.
        said: Vec<u8>,
        /// True if the host had been given the agent.
        given: bool,
    },
    /// The output has no end, and is no agent's.
    #[error("what came is no agent")]
    Noise(Vec<u8>),
    /// It asked for what it had been given.
    #[error("it asked for the agent again after it had been given it")]
    Again,
    #[error(transparent)]
    Version(#[from] PreambleError),
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Talks with the script until the agent has said its preamble, giving it the program when it asks, once.
///
/// `program` makes the program for an operating system and a machine as `uname` names them.
pub(crate) fn greet(
    input: &mut dyn Read,
    output: &mut dyn Write,
    program: &mut dyn FnMut(&str, &str) -> Result<Program, String>,
) -> Result<Greeting, BootstrapError> {
    let mut heard = Heard::default();
    let mut given = false;
    let mut block = [0; 4096];
    loop {
        if let Some(greeting) = heard.greeting()? {
            return Ok(greeting);
        }
        if let Some(line) = heard.marked_line() {
            match line.split_once(' ') {
                Some(("wanted", _)) if given => return Err(BootstrapError::Again),
                Some(("wanted", platform)) => {
                    let (system, machine) = platform.split_once(' ').unwrap_or((platform, ""));
                    let program = program(system, machine);
                    match give(output, program.as_ref().ok()) {
                        // A host that hung up may have said why.
                        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
                        _ => {}
                    }
                    program.map_err(BootstrapError::Refused)?;
                    given = true;
                    continue;
                }
                Some((_, word)) => {
                    return Err(match script::reason(word) {
                        Reason::Refused(reason) => BootstrapError::Refused(reason.into()),
                        Reason::Full => BootstrapError::Full,
                        Reason::Faulty(reason) => BootstrapError::Faulty(reason),
                    });
                }
                None => return Err(BootstrapError::Refused(line)),
            }
        }
        let n = match input.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if n == 0 {
            return Err(BootstrapError::Silent { said: heard.bytes, given });
        }
        if heard.bytes.len() > limits::NOISE {
            return Err(BootstrapError::Noise(heard.bytes));
        }
        heard.bytes.extend_from_slice(&block[..n]);
    }
}

/// Sends the program, or that there is none.
fn give(output: &mut dyn Write, program: Option<&Program>) -> io::Result<()> {
    match program {
        None => writeln!(output, "0 -")?,
        Some(program) => {
            let hash = dsync_core::Digest::from_bytes(program.hash).hex();
            writeln!(output, "{} {hash}", program.packed.len())?;
            output.write_all(&program.packed)?;
        }
    }
    output.flush()
}

/// The bytes that came so far. Each is searched once, however few come at a time.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// No magic begins before this.
    no_magic: usize,
    /// No mark begins before this; or one does here, when `marked`.
    no_mark: usize,
    marked: bool,
    /// In the line of the mark there is no line end before this.
    no_end: usize,
}

impl Heard {
    /// The preamble with what came around it, when it is whole.
    fn greeting(&mut self) -> Result<Option<Greeting>, PreambleError> {
        let Some(at) = find(&self.bytes[self.no_magic..]).map(|at| self.no_magic + at) else {
            self.no_magic = (self.bytes.len() + 1).saturating_sub(MAGIC.len()).max(self.no_magic);
            return Ok(None);
        };
        self.no_magic = at;
        let end = at + PREAMBLE_LEN;
        let Some(after) = self.bytes.get(at + MAGIC.len()..end).and_then(|after| after.try_into().ok())
        else {
            return Ok(None);
        };
        Preamble::decode(after, &BUILD)?;
        let rest = self.bytes.split_off(end);
        let mut noise = std::mem::take(&mut self.bytes);
        noise.truncate(at);
        Ok(Some(Greeting { noise, rest }))
    }

    /// The rest of the line after the mark, when the line is complete. It is forgotten, with all bytes before.
    fn marked_line(&mut self) -> Option<String> {
        if !self.marked {
            let mut windows = self.bytes.get(self.no_mark..)?.windows(MARK.len());
            let found = windows.position(|window| window == MARK.as_bytes());
            let Some(at) = found else {
                self.no_mark = (self.bytes.len() + 1).saturating_sub(MARK.len()).max(self.no_mark);
                return None;
            };
            (self.no_mark, self.marked) = (self.no_mark + at, true);
            self.no_end = self.no_mark + MARK.len();
        }
        let Some(end) = self.bytes[self.no_end..].iter().position(|&byte| byte == b'\n') else {
            self.no_end = self.bytes.len();
            return None;
        };
        let line = &self.bytes[self.no_mark + MARK.len()..self.no_end + end];
        let line = String::from_utf8_lossy(line).trim().to_owned();
        *self = Heard { bytes: self.bytes.split_off(self.no_end + end + 1), ..Heard::default() };
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_proto::PROTOCOL;

    fn preamble() -> [u8; PREAMBLE_LEN] {
        Preamble { protocol: PROTOCOL, build: BUILD }.encode()
    }

    fn greet_with(input: &[u8]) -> (Result<Greeting, BootstrapError>, Vec<u8>) {
        greet_in_turn(input, b"")
    }

    fn greet_in_turn(first: &[u8], then: &[u8]) -> (Result<Greeting, BootstrapError>, Vec<u8>) {
        let mut sent = Vec::new();
        let greeting = greet(&mut first.chain(then), &mut sent, &mut |system, machine| {
            if (system, machine) == ("Linux", "x86_64") {
                Ok(Program { packed: b"PROGRAM".as_slice().into(), hash: [0xab; 32] })
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
    fn an_agent_of_another_build_is_refused() {
        let mut build = BUILD;
        build[31] ^= 1;
        let (greeting, _) = greet_with(&Preamble { protocol: PROTOCOL, build }.encode());
        assert!(matches!(greeting, Err(BootstrapError::Version(PreambleError::Build))), "{greeting:?}");
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
        let nowhere = refused(b"docker-sync-bootstrap none nowhere\n");
        assert_eq!(nowhere, "no directory in which a program may run");
        assert_eq!(refused(b"docker-sync-bootstrap none in the mood\n"), "in the mood");
        assert_eq!(refused(b"docker-sync-bootstrap wanted Plan9 mips\n"), "there is no agent for Plan9 mips");
        assert_eq!(
            refused(b"docker-sync-bootstrap wanted Linux x86_64\ndocker-sync-bootstrap none unusable\n"),
            "the program is another build, or does not run there"
        );
    }

    #[test]
    fn an_agent_that_was_not_kept_is_no_refusal_of_the_host() {
        let (full, _) = greet_with(b"docker-sync-bootstrap none full\n");
        assert!(matches!(full, Err(BootstrapError::Full)), "{full:?}");
        for fault in ["damaged", "unwritten"] {
            let line = format!("docker-sync-bootstrap none {fault}\n");
            let (faulty, _) = greet_in_turn(b"docker-sync-bootstrap wanted Linux x86_64\n", line.as_bytes());
            assert!(matches!(faulty, Err(BootstrapError::Faulty(_))), "{faulty:?}");
        }
    }

    #[test]
    fn what_is_no_agent_is_kept() {
        let said = |input: &[u8]| match greet_with(input).0 {
            Err(BootstrapError::Silent { said, given: false }) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(b"This account is closed\n"), b"This account is closed\n");
        let (greeting, _) = greet_with(&[b'x'; 1_000_000]);
        assert!(matches!(greeting, Err(BootstrapError::Noise(said)) if said.len() < limits::NOISE + 5_000));
        let (greeting, _) = greet_in_turn(b"docker-sync-bootstrap wanted Linux x86_64\n", b"killed");
        assert!(matches!(greeting, Err(BootstrapError::Silent { given: true, .. })), "{greeting:?}");
    }

    #[test]
    fn an_agent_is_given_once() {
        let wanted = b"docker-sync-bootstrap wanted Linux x86_64\n";
        let (greeting, sent) = greet_with(&wanted.repeat(1_000));
        assert!(matches!(greeting, Err(BootstrapError::Again)), "{greeting:?}");
        assert_eq!(sent.windows(7).filter(|bytes| bytes == b"PROGRAM").count(), 1);
    }

    /// A reader that gives one byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let take = usize::from(!self.0.is_empty()).min(into.len());
            self.0.read(&mut into[..take])
        }
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let noise = b"docker-sync-bootstra\0docker-sync\0 docker-sync-bootstrap".repeat(700);
        let input = [&noise[..], b" wanted Linux x86_64\n", &noise, &preamble(), b"x"].concat();
        let mut sent = Vec::new();
        let program = Program { packed: b"PROGRAM".as_slice().into(), hash: [0xab; 32] };
        let mut program = Some(program);
        let begin = std::time::Instant::now();
        let greeting =
            greet(&mut Drops(&input), &mut sent, &mut |_, _| program.take().ok_or_else(String::new));
        // Of the first mark of the noise the line is no question.
        assert!(matches!(greeting, Err(BootstrapError::Refused(_))), "{greeting:?}");
        let input =
            [&vec![b'd'; limits::NOISE - 100][..], b"\ndocker-sync-bootstrap wanted Linux x\n", &preamble()];
        let mut program = Some(Program { packed: b"PROGRAM".as_slice().into(), hash: [0xab; 32] });
        let greeting =
            greet(&mut Drops(&input.concat()), &mut sent, &mut |_, _| program.take().ok_or_else(String::new));
        assert!(greeting.unwrap().noise.is_empty());
        assert_eq!(sent.len(), 2 + 64 + 1 + 7);
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }

    #[test]
    fn a_host_that_hangs_up_is_heard_out() {
        struct HungUp;
        impl Write for HungUp {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let input =
            b"docker-sync-bootstrap wanted Linux x86_64\ndocker-sync-bootstrap none the disk is full\n";
        let program = &mut |_: &str, _: &str| Ok(Program { packed: vec![0].into(), hash: [0; 32] });
        let greeting = greet(&mut &input[..], &mut HungUp, program);
        assert!(matches!(greeting, Err(BootstrapError::Refused(reason)) if reason == "the disk is full"));
    }
}
