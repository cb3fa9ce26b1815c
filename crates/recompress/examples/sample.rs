//! Writes the start of the sample of the golden tests: `sample LENGTH`.

#[path = "../tests/recreation/sample.rs"]
mod sample;

use std::io::Write;

fn main() -> std::io::Result<()> {
    let len = std::env::args().nth(1).and_then(|len| len.parse().ok()).unwrap_or_default();
    std::io::stdout().write_all(&sample::sample(len))
}
