//! The prompt of a `sudo` that is given a password, and the answer.

use std::io::{self, Read, Write};
use std::process::ChildStdin;

use dsync_core::Password;

/// Printed by sudo when it has begun to read the password.
pub(super) const PROMPT: &str = "[docker-sync gives the password]";

/// Writes the line that sudo reads.
pub(super) fn write(input: &mut ChildStdin, password: &Password) -> io::Result<()> {
    input.write_all(password.reveal().as_bytes())?;
    input.write_all(b"\n")?;
    input.flush()
}

/// Reads what a sudo says up to its prompt, or to its end where it has none; returns what came before.
pub(super) fn read_to_prompt(said: &mut impl Read) -> Vec<u8> {
    let (mut before, mut byte) = (Vec::new(), [0]);
    // One by one: what follows is the program's. A sudo that says much does not ask.
    while before.len() < 64 << 10 {
        match said.read(&mut byte) {
            Ok(1) => before.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
        if before.ends_with(PROMPT.as_bytes()) {
            before.truncate(before.len() - PROMPT.len());
            break;
        }
    }
    before
}
