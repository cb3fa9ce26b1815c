//! Writes the seeds of all targets: `cargo xtask fuzz --seeds`.

use std::fs;
use std::io;
use std::path::PathBuf;

use dsync_core::Digest;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("expected a folder"))?;
    for target in dsync_fuzz::ALL {
        let own = folder.join(target.name);
        if own.exists() {
            fs::remove_dir_all(&own)?;
        }
        fs::create_dir_all(&own)?;
        for seed in (target.seeds)() {
            fs::write(own.join(Digest::of(&seed).short()), seed)?;
        }
    }
    Ok(())
}
