//! Makes the manual page and the completion scripts, and holds them against those that are kept.

use std::fs;
use std::io;
use std::path::Path;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::error::EXIT_CODES;
use crate::help::{self, EXAMPLES};

/// Set, what is kept is written anew.
const UPDATE: &str = "UPDATE_GENERATED";

#[test]
fn what_is_kept_is_what_the_arguments_make() {
    let scripts = [("elv", clap_complete::Shell::Elvish), ("ps1", clap_complete::Shell::PowerShell)];
    let scripts = scripts.map(|(end, shell)| (end, completions(shell)));
    for (end, made) in [("1", page().unwrap())].into_iter().chain(scripts) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("generated/docker-sync.{end}"));
        if std::env::var_os(UPDATE).is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let kept = fs::read(&path).unwrap();
        assert!(kept == made, "{} is out of date: run this test with {UPDATE}=1", path.display());
    }
}

/// The manual page, in roff.
fn page() -> io::Result<Vec<u8>> {
    let man =
        Man::new(help::command("docker-sync").after_help("").after_long_help("")).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (purpose, arguments) in EXAMPLES {
        roff.control("TP", []);
        roff.text([roman(format!("{purpose}:"))]);
        // Neither filled nor broken: it is there to be copied.
        roff.control("nf", []);
        roff.text([bold(format!("docker-sync {arguments}"))]);
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        roff.control("TP", []);
        roff.text([bold(code.to_string())]);
        roff.text([roman(format!("{meaning}."))]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("ssh"),
        roman("(1), "),
        bold("ssh_config"),
        roman("(5), "),
        bold("docker"),
        roman("(1)"),
    ]);
    roff.to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// The completion script for a shell.
fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command("docker-sync"), "docker-sync", &mut script);
    script
}
