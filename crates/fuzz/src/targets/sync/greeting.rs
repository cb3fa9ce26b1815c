//! The output of a remote shell before an agent answers.

use std::io;

use dsync_proto::{MAGIC, PREAMBLE_LEN, PROTOCOL, Preamble, find};
use dsync_sync::fuzzing::greet;

use crate::reads::Short;
use crate::{Memory, Target};

/// A remote that prints anything: nothing that it prints is lost or takes much memory, and it is given a program once.
pub(in crate::targets) const GREETING: Target =
    Target { name: "greeting", run, memory: Memory { least: 1 << 20, factor: 16 }, seeds };

const PROGRAM: &[u8] = b"the packed program";

fn run(input: &[u8]) {
    // Where this stands, a preamble does whose magic no fuzzer guesses.
    let mark = input.windows(3).position(|window| window == b"%P%");
    let said = match mark {
        Some(at) => {
            let preamble = Preamble { protocol: PROTOCOL, build: [3; 32] }.encode();
            [&input[..at], &preamble, &input[at + 3..]].concat()
        }
        None => input.to_vec(),
    };
    let mut outcomes = Vec::new();
    for most in [usize::MAX, 1, 60] {
        let mut given = Vec::new();
        let outcome = greet(&mut Short(&said[..], most).endless(said.len()), &mut given, PROGRAM);
        let times = given.windows(PROGRAM.len()).filter(|window| *window == PROGRAM).count();
        assert!(times <= 1, "the program was given {times} times");
        if let Ok((noise, rest)) = &outcome {
            let magic = find(&said).expect("an agent spoke");
            assert!(said[magic..].starts_with(&MAGIC));
            // The output of the script is taken out of the noise.
            assert!(noise.len() <= magic && said.starts_with(&noise[..noise.len().min(1)]));
            assert!(said[magic + PREAMBLE_LEN..].starts_with(rest), "what follows is lost");
        }
        outcomes.push(outcome.map(|(noise, _)| noise));
    }
    assert!(
        outcomes.iter().all(|outcome| outcome.is_ok() == outcomes[0].is_ok()),
        "short reads change the outcome"
    );
}

/// A reader that has said all waits for ever, as a shell does; here it is an error that tells the two apart.
struct Endless<R>(R, usize);

impl<R: io::Read> Short<R> {
    fn endless(self, len: usize) -> Endless<Short<R>> {
        Endless(self, len)
    }
}

impl<R: io::Read> io::Read for Endless<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1 == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = self.0.read(buffer)?;
        self.1 -= read;
        Ok(read)
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 6] = [
        b"%P%",
        b"Welcome to docker-sync land!\n\0docker-sync\0%P%rest",
        b"motd\ndocker-sync-bootstrap wanted Linux x86_64\n%P%\x01\0\0\0\0",
        b"docker-sync-bootstrap wanted Linux pdp11\n",
        b"docker-sync-bootstrap refused there is no place for it\n",
        b"docker-sync-bootstrap wanted Linux aarch64\ndocker-sync-bootstrap wanted Linux aarch64\n",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}
