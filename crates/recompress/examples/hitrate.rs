//! Says for each blob which encoder made it, and how fast it is identified and re-created: plain bytes for each second
//! of CPU time, and at last by the clock.
//!
//! `cargo run --release -p dsync-recompress --example hitrate BLOB…`; `THREADS=2` re-creates
//! independent blocks, and what is between checkpoints, on two threads.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dsync_recompress::{Identification, Recipe, identify, identify_near, recreate_on};
use flate2::bufread::MultiGzDecoder;

fn main() -> ExitCode {
    let mut found = 0;
    let mut all = 0;
    for path in std::env::args().skip(1) {
        all += 1;
        match examine(&path) {
            Ok(true) => found += 1,
            Ok(false) => {}
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{found} of {all} are re-created");
    ExitCode::SUCCESS
}

/// True if the blob is re-created to the byte.
fn examine(path: &str) -> io::Result<bool> {
    let begun = cpu_time();
    let mut plain = Vec::new();
    let outcome = identify(BufReader::new(File::open(path)?), &mut plain)?;
    let identified = rate(plain.len(), cpu_time() - begun);
    let (outcome, identified) = match outcome {
        Identification::Unknown(_) => {
            plain.clear();
            MultiGzDecoder::new(BufReader::new(File::open(path)?)).read_to_end(&mut plain)?;
            let begun = cpu_time();
            let near = identify_near(|| File::open(path))?;
            (near, rate(plain.len(), cpu_time() - begun))
        }
        found => (found, identified),
    };
    match outcome {
        Identification::Unknown(reason) => {
            println!("{path}: {reason}; {identified:.0} MB/s");
            Ok(false)
        }
        Identification::Identified(found) => {
            let bytes = found.recipe.to_bytes();
            let recipe = Recipe::from_bytes(&bytes).map_err(io::Error::other)?;
            let mut check = Check { expected: BufReader::new(File::open(path)?), same: true };
            let (begun, clock) = (cpu_time(), Instant::now());
            recreate_on(&recipe, &plain[..], &mut check, threads())?;
            let clock = rate(plain.len(), clock.elapsed());
            let recreated = rate(plain.len(), cpu_time() - begun);
            let verdict = if check.same { "exact" } else { "DIFFERENT" };
            println!(
                "{path}: {} in {} bytes, {:.3} %, {verdict}; {identified:.0} MB/s identified, {recreated:.0} MB/s re-created, {clock:.0} MB/s by the clock",
                recipe.method(),
                bytes.len(),
                100.0 * bytes.len() as f64 / std::fs::metadata(path)?.len() as f64,
            );
            Ok(check.same)
        }
    }
}

/// The number in `THREADS`, else one.
fn threads() -> NonZeroUsize {
    let given = std::env::var("THREADS").ok().and_then(|threads| threads.parse().ok());
    given.unwrap_or(NonZeroUsize::MIN)
}

/// Of the whole process, so that other programs do not matter.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// In megabytes for each second.
fn rate(len: usize, time: Duration) -> f64 {
    len as f64 / 1e6 / time.as_secs_f64()
}

/// Compares what is written with a file.
struct Check {
    expected: BufReader<File>,
    same: bool,
}

impl Write for Check {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        self.same &= io::Read::read_exact(&mut self.expected, &mut expected).is_ok() && expected == bytes;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
