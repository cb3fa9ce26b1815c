//! The lab's own two programs, `lab` and `lab-wire`, for whoever uses the lab as a library.
//!
//! Cargo builds the programs of a crate for that crate's own tests only. A test of another crate finds
//! them here: built by the same cargo, with the same profile, beside the program that asks.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::LabError;
use crate::command::run;

/// The paths of `lab` and `lab-wire`; builds them if need be, once for each process.
pub(crate) fn directory() -> Result<&'static Path, LabError> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| error.to_string()));
    built.as_deref().map_err(|error| LabError::Usage(error.clone()))
}

fn build() -> Result<PathBuf, LabError> {
    let program = env::current_exe().map_err(LabError::io("find this program"))?;
    let place = Place::of(&program, |dir| dir.join("CACHEDIR.TAG").is_file());
    let cargo = env::var_os("CARGO").map(PathBuf::from).or_else(|| crate::packages::find("cargo"));
    let Some((cargo, place)) = cargo.zip(place) else {
        // Without cargo: a person has put the programs next to each other.
        return complete(program.parent().unwrap_or(Path::new("/")));
    };
    run(Command::new(cargo)
        .args(["build", "--quiet", "--bins", "--profile", &place.profile])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--target-dir"])
        .arg(&place.target))?;
    complete(&place.programs)
}

/// The directory, if both programs are in it.
fn complete(dir: &Path) -> Result<PathBuf, LabError> {
    if ["lab", "lab-wire"].iter().all(|name| dir.join(name).is_file()) {
        return Ok(dir.to_owned());
    }
    Err(LabError::Usage(format!("lab and lab-wire are not in {}", dir.display())))
}

/// The path of a program in cargo's target directory.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    target: PathBuf,
    programs: PathBuf,
    profile: String,
}

impl Place {
    /// Of `TARGET[/TRIPLE]/PROFILE[/deps]/PROGRAM`, where `is_target` knows the target directory.
    fn of(program: &Path, is_target: impl Fn(&Path) -> bool) -> Option<Place> {
        let dir = program.parent()?;
        let programs = if dir.ends_with("deps") || dir.ends_with("examples") { dir.parent()? } else { dir };
        // cargo marks the directory of a target triple as well; the outer one is meant.
        let target = programs.ancestors().skip(1).take(2).filter(|dir| is_target(dir)).last()?;
        let profile = match programs.file_name()?.to_str()? {
            "debug" => "dev",
            other => other,
        };
        Some(Place { target: target.into(), programs: programs.into(), profile: profile.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_program_is_understood() {
        let marked = ["/w/target", "/w/target/x86_64-unknown-linux-gnu"].map(Path::new);
        let is_target = |dir: &Path| marked.contains(&dir);
        for (program, programs, profile) in [
            ("/w/target/debug/deps/e2e-0123", "/w/target/debug", "dev"),
            (
                "/w/target/x86_64-unknown-linux-gnu/debug/xtask",
                "/w/target/x86_64-unknown-linux-gnu/debug",
                "dev",
            ),
            ("/w/target/release/lab", "/w/target/release", "release"),
        ] {
            let place = Place::of(Path::new(program), is_target).unwrap();
            assert_eq!(place.target, Path::new("/w/target"));
            assert_eq!((place.programs, place.profile.as_str()), (programs.into(), profile));
        }
        assert_eq!(Place::of(Path::new("/usr/bin/lab"), is_target), None);
    }

    #[test]
    fn both_programs_are_there() {
        let dir = directory().unwrap();
        assert!(dir.join("lab").is_file() && dir.join("lab-wire").is_file());
    }
}
