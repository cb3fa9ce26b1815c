//! The help texts around clap's: the name of the program, examples, exit codes, colours.

use clap::CommandFactory as _;
use clap::builder::Styles;

use crate::args::Cli;
use crate::error::EXIT_CODES;
use crate::style;

/// The command as it explains itself under this name: `docker-sync`, or `docker sync` as a plugin.
pub(crate) fn command(name: &str) -> clap::Command {
    Cli::command()
        .override_usage(format!(
            "{name} [OPTIONS] REMOTE [IMAGE]...\n       {name} push|pull [OPTIONS] REMOTE IMAGE...\n       {name} COMMAND"
        ))
        .bin_name(name)
        .styles(
            Styles::plain()
                .header(style::HEADING)
                .usage(style::HEADING)
                .literal(style::NAME)
                .error(style::ERROR)
                .valid(style::NAME)
                .invalid(style::WARNING),
        )
        .after_help(format!("{}\n\nSee --help for more examples and the exit codes.", examples(name, 3)))
        .after_long_help(format!("{}\n\n{}", examples(name, usize::MAX), exit_codes()))
}

/// The same as it explains `push`.
pub(crate) fn push(name: &str) -> clap::Command {
    transfer(name, "push", "Send images of this host to REMOTE, over ssh, moving as few bytes as can be")
}

/// The same as it explains `pull`.
pub(crate) fn pull(name: &str) -> clap::Command {
    transfer(name, "pull", "Bring images of REMOTE to this host, over ssh, moving as few bytes as can be")
}

fn transfer(name: &str, word: &str, about: &'static str) -> clap::Command {
    const TARGET: &str = "Only contents that the target does not have yet cross the wire: no registry is needed, and \
                          nothing has to be installed on the remote host.";
    let usage = format!("{name} {word} [OPTIONS] REMOTE IMAGE...");
    command(name).override_usage(usage).about(about).long_about(format!("{about}\n\n{TARGET}"))
}

/// The examples of the help: a purpose, and the arguments that serve it.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    ("See what differs between this host and another", "alice@build"),
    ("Bring one image here, or update it", "alice@build shop/web:v2"),
    ("Update everything that is here already", "--update alice@build"),
    ("Bring all images of a team that are not here yet", "--new alice@build 'shop/*:*'"),
    ("Deploy: from this host to another", "--push deploy@prod shop/web:v2"),
    ("Know beforehand what it would cost", "--dry-run alice@build shop/web:v2"),
    ("Through a jump host, with another key", "--ssh 'ssh -i ~/.ssh/ci -J bastion' app@10.0.0.7 redis"),
    ("podman here, docker behind sudo there", "--docker podman --remote-docker 'sudo docker' pi@lab redis"),
    ("Names of all images that need update", "alice@build | grep '^need update' | cut -f2"),
];

fn examples(name: &str, count: usize) -> String {
    let heading = style::HEADING;
    let mut text = format!("{heading}Examples:{heading:#}");
    for (purpose, arguments) in EXAMPLES.iter().take(count) {
        text += &format!("\n  {purpose}:\n    {name} {arguments}");
    }
    text
}

fn exit_codes() -> String {
    let heading = style::HEADING;
    let mut text = format!("{heading}Exit codes:{heading:#}");
    for (code, meaning) in EXIT_CODES {
        text += &format!("\n  {code:>3}  {meaning}");
    }
    text
}

/// The commands that the help shows, and `help`.
pub(crate) fn commands() -> Vec<String> {
    let command = Cli::command();
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| command.get_name().to_owned()).chain(["help".to_owned()]).collect()
}
