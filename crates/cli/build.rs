//! Leaves the unwind tables out of the release program, and puts agents into it.
//!
//! A panic of the release program aborts: nothing but a backtrace would read the tables, and without symbols a
//! backtrace has no names. Those of the standard library and of the C library are in these as they come, so only the
//! linker can leave them out. They are 8 % of the upload. `cargo test --release` links with the same flags but
//! unwinds: there the first test that fails ends the others.
//!
//! `$DOCKER_SYNC_EMBED` names a folder of files `docker-sync-SYSTEM-MACHINE.gz`, as `uname -s` and `uname -m` say: the
//! agents that the program has in itself. `cargo xtask dist` sets it.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Linkers that cannot read `no-unwind.ld`.
const OTHER_LINKERS: [&str; 3] = ["mold", "gold", "wild"];
/// The variable that names the folder of agents.
const EMBED: &str = "DOCKER_SYNC_EMBED";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwind.ld");
    println!("cargo::rerun-if-env-changed={EMBED}");
    leave_out_unwind_tables();
    let folder = env::var_os(EMBED).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let list = match folder {
        Some(folder) => list(&folder).map_err(|error| format!("{EMBED}={}: {error}", folder.display()))?,
        None => "&[]".to_owned(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gives a build script a folder")?);
    Ok(fs::write(out.join("agents.rs"), list)?)
}

fn leave_out_unwind_tables() {
    let says = |name: &str| env::var(name).unwrap_or_default();
    let chosen = says("RUSTC_LINKER") + &says("CARGO_ENCODED_RUSTFLAGS");
    let reads_scripts = !OTHER_LINKERS.iter().any(|linker| chosen.contains(linker));
    // The other profiles unwind.
    if says("PROFILE") == "release" && says("CARGO_CFG_TARGET_OS") == "linux" && reads_scripts {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-T");
        println!("cargo::rustc-link-arg-bins={}/no-unwind.ld", says("CARGO_MANIFEST_DIR"));
    }
}

/// The agents of a folder, as Rust.
fn list(folder: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    let mut list = String::new();
    for name in &names {
        let platform = name.strip_prefix("docker-sync-").and_then(|name| name.strip_suffix(".gz"));
        let Some((system, machine)) = platform.and_then(|platform| platform.split_once('-')) else {
            continue;
        };
        let file = folder.join(name).canonicalize()?;
        println!("cargo::rerun-if-changed={}", file.display());
        list += &format!(
            "    PackedAgent {{ system: {system:?}, machine: {machine:?}, packed: include_bytes!({file:?}) }},\n"
        );
    }
    if list.is_empty() {
        return Err("there is no docker-sync-SYSTEM-MACHINE.gz in it".into());
    }
    Ok(format!("&[\n{list}]\n"))
}
