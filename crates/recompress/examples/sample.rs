//! Writes what the golden tests encode: `sample LENGTH` the start of the sample, to the standard output; `sample
//! --inputs DIRECTORY` a file for each of the inputs.

#[path = "../tests/recreation/inputs.rs"]
mod inputs;
#[path = "../tests/recreation/sample.rs"]
mod sample;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, directory] if flag == "--inputs" => {
            for (at, input) in inputs::inputs().iter().enumerate() {
                fs::write(Path::new(directory).join(format!("{at:03}-{}", input.name)), &input.plain)?;
            }
            Ok(())
        }
        [len] => io::stdout().write_all(&sample::sample(len.parse().unwrap_or_default())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "sample LENGTH | sample --inputs DIRECTORY")),
    }
}
