//! What is made from the definition of the arguments: the manual page and the completion scripts.

use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::error::EXIT_CODES;
use crate::help::{self, EXAMPLES};

/// The manual page, in roff.
pub(crate) fn page() -> io::Result<Vec<u8>> {
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
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command("docker-sync"), "docker-sync", &mut script);
    script
}
