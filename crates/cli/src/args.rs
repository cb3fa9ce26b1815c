//! The arguments of the command line, and their help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use dsync_core::{ImageRef, Pattern, Platform};
use dsync_sync::{Compression, Remote};

const SELECTION: &str = "Selection";
const CONNECTION: &str = "Connection";
const TRANSFER: &str = "Transfer";
const OUTPUT: &str = "Output";

/// Synchronise container images between hosts over ssh, moving as few bytes as can be
///
/// Brings images from REMOTE to this host, or with --push from this host to REMOTE. Only contents that
/// the target does not have yet cross the wire: no registry is needed, and nothing has to be installed
/// on the remote host.
///
/// Without IMAGE and without a flag that selects some, nothing is moved: the report says which images
/// are current (the same on both sides), need update (same name, other content), or are new (the target
/// has no such name).
#[derive(Debug, Parser)]
#[command(
    name = "docker-sync",
    version,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    args_override_self = true,
    override_usage = "docker-sync [OPTIONS] REMOTE [IMAGE]..."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) sync: SyncArgs,
}

/// The commands beside a synchronisation.
///
/// These words, `help`, `push` and `pull` are commands wherever REMOTE would stand; a host that is called so is reached as
/// `ssh://man`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the difference between two images to a patch file
    ///
    /// A patch holds the data of NEW that OLD lacks, coded as a sync would send it. It serves hosts that no network
    /// reaches, or many hosts that all have OLD. `docker-sync patch info FILE` says what one is made of.
    ///
    /// Each of OLD and NEW is an image of this host's engine, oci:DIR:NAME, or docker-archive:FILE or oci-archive:FILE,
    /// as `docker save` and `podman save` write them.
    ///
    /// For example: docker-sync diff shop/web:v1 shop/web:v2 -o web.patch
    Diff {
        /// The image that a host needs to apply the patch
        #[arg(value_name = "OLD", value_parser = operand)]
        old: String,
        /// The image that the patch makes of it
        #[arg(value_name = "NEW", value_parser = operand)]
        new: String,
        /// The patch file to write; - for standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Replace a file that is there already
        #[arg(long)]
        force: bool,
        /// auto, max (fewest bytes), or a zstd level, 1 to 22
        #[arg(long, value_name = "LEVEL", default_value = "max", value_parser = compression)]
        compression: Compression,
        /// Identity of NEW to preserve in stores that name images by manifests: containerd image stores, OCI layouts
        #[arg(long, value_enum, default_value_t)]
        identity: Identity,
        #[command(flatten)]
        here: Here,
    },
    /// Make the new image from a patch and the old image
    ///
    /// For example: docker-sync apply web.patch
    Apply {
        /// The patch, as `docker-sync diff` wrote it; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Find out whether this host has what the patch builds on, and make nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        here: Here,
    },
    /// Print what a patch file is made of
    ///
    /// For example: docker-sync patch info web.patch
    Patch {
        #[command(subcommand)]
        action: PatchAction,
    },
    /// List or prune the index cache of this host
    ///
    /// The cache keeps the index of each layer that was read, so that no layer is scanned twice. It holds names and
    /// hashes of files, not their contents, and can be removed at any time. A sync keeps it below 512 MiB by itself.
    ///
    /// For example: docker-sync cache ls
    Cache {
        #[command(subcommand)]
        action: CacheAction,
    },
    /// Examine this host, a remote and the link between them; move nothing
    ///
    /// Connects as a sync would, and says of each thing that a sync needs that it is as it should be (✓), that it could be
    /// better (!), or that it is in the way (✗) and what to do: ssh, the agent, the engines, free space, rsync, the clocks,
    /// and how fast the link is. The exit code is that of the first thing that is in the way.
    ///
    /// For example: docker-sync doctor alice@build
    Doctor {
        /// The other side, as for a sync
        #[arg(value_name = "REMOTE", value_parser = crate::context::remote)]
        remote: Remote,
        #[command(flatten)]
        connection: ConnectionArgs,
        /// Print one JSON document instead of text
        #[arg(long, help_heading = OUTPUT)]
        json: bool,
        /// Print what is being done
        #[arg(short, long, help_heading = OUTPUT)]
        verbose: bool,
    },
    /// Print a completion script for your shell
    ///
    /// For example: docker-sync completions bash > ~/.local/share/bash-completion/completions/docker-sync
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
    /// Print the manual page
    ///
    /// For example: docker-sync man > ~/.local/share/man/man1/docker-sync.1
    Man,
    /// Serve another docker-sync on standard input and output
    #[command(hide = true, disable_version_flag = true)]
    Agent {
        /// Print which agent this is
        #[arg(long)]
        version: bool,
        /// The directory that relative paths are meant from
        folder: Option<OsString>,
    },
}

/// The options of a command that uses this host alone.
#[derive(Debug, Args)]
pub(crate) struct Here {
    /// The engine of this host: docker, podman, containerd, 'sudo docker', oci:DIR [default: what is there]
    #[arg(long, value_name = "CMD", env = "DOCKER_SYNC_DOCKER", hide_env_values = true, value_parser = command_line)]
    pub(crate) docker: Option<CommandLine>,
    /// Directory for temporary files [default: the system's]
    #[arg(long, value_name = "DIR", env = "DOCKER_SYNC_TMPFOLDER", hide_env_values = true)]
    pub(crate) tmpfolder: Option<PathBuf>,
    /// Memory limit, in addition to a fixed 64 MiB
    #[arg(long, value_name = "SIZE", default_value = MEMORY, value_parser = memory)]
    pub(crate) memory: u64,
    /// Print what is being done
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Form of the progress on standard error
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t,
        env = "DOCKER_SYNC_PROGRESS",
        hide_env_values = true
    )]
    pub(crate) progress: ProgressForm,
}

/// An action on a patch.
#[derive(Debug, Subcommand)]
pub(crate) enum PatchAction {
    /// Print the old and the new image, sizes, and what a host needs to apply it
    ///
    /// For example: docker-sync patch info web.patch
    Info {
        /// The patch, as `docker-sync diff` wrote it; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
}

/// An action on the index cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheAction {
    /// List the layers in the cache, the most recently used first
    ///
    /// On a pipe each layer is a line of tab-separated fields: diff id, bytes on disk, seconds since its last
    /// use. Transfers that broke off follow: the word partial, digest of the config, bytes on disk, seconds since,
    /// name. For example: docker-sync cache ls | cut -f1
    Ls {
        /// Print one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
    /// Remove the least recently used layers until the cache fits the limit
    ///
    /// What arrived before a transfer broke off goes as well where it takes more than 8 GiB, or than the limit.
    ///
    /// For example: docker-sync cache prune --max-size 100MB
    Prune {
        /// Remove everything; the next sync reads its layers again
        #[arg(long, conflicts_with = "max_size")]
        all: bool,
        /// Size limit, as 100MB or 1GiB [default: 512MiB]
        #[arg(long, value_name = "SIZE", value_parser = crate::quantity::parse_size)]
        max_size: Option<u64>,
    },
}

/// A shell that completes words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "PowerShell is called so")]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// One synchronisation.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The other side: user@host, an ssh alias, ssh://user@host:port, oci:DIR, docker-archive:FILE, or oci-archive:FILE
    ///
    /// A host is whatever `ssh` accepts; its configuration, agents and jump hosts are used. `oci:DIR` is a
    /// directory of this host in the OCI image layout. `docker-archive:FILE` and `oci-archive:FILE` are an
    /// archive, from which images can be taken: what `docker save`, `podman save`, skopeo or buildx wrote, in
    /// either form, as it is or in gzip or zstd. `containerd:NAMESPACE` is a containerd of this host. `context:NAME` is the host of
    /// a docker context over ssh. A host with the name of a command (`cache`, `diff`, `man`, `push` …) is reached as
    /// ssh://man.
    #[arg(required = true, value_name = "REMOTE", value_parser = crate::context::remote)]
    pub(crate) remote: Option<Remote>,

    /// Images to bring over: NAME or NAME:TAG, a pattern like 'shop/*:v2', or an image ID
    ///
    /// Without a tag `:latest` is meant. In a pattern * and ? stay within one part of the name, ** spans
    /// several, {a,b} is either; quote it, so that the shell leaves it alone. An image without a name is
    /// selected by its ID (sha256:…). NAME:TAG@sha256:… selects the image with this ID or registry
    /// digest, whatever its name, and gives it the name NAME:TAG. IMAGE=NEWNAME gives an image another name on
    /// the target, instead of its own.
    #[arg(value_name = "IMAGE", value_parser = image_and_name)]
    pub(crate) images: Vec<String>,

    /// All images that need update or are new
    #[arg(short, long, help_heading = SELECTION)]
    pub(crate) all: bool,

    /// Only images that need update (of those named, if any are)
    #[arg(short, long, help_heading = SELECTION)]
    pub(crate) update: bool,

    /// Only images that are new (of those named, if any are)
    #[arg(short, long, help_heading = SELECTION)]
    pub(crate) new: bool,

    /// Leave images alone that are newer on the target
    ///
    /// An image is newer if its config says that it was built later; where one of the two says no time, it is not.
    #[arg(long, help_heading = SELECTION)]
    pub(crate) if_newer: bool,

    /// Show the report, move nothing
    #[arg(short, long, help_heading = SELECTION)]
    pub(crate) report: bool,

    /// This host is the source and REMOTE the target
    ///
    /// `docker-sync push REMOTE IMAGE` is the same.
    #[arg(short, long, help_heading = SELECTION)]
    pub(crate) push: bool,

    /// REMOTE is the source and this host the target, as without it
    #[arg(long, hide = true, conflicts_with = "push")]
    pub(crate) pull: bool,

    /// Print what would be moved, image by image, and move nothing
    #[arg(long, help_heading = SELECTION)]
    pub(crate) dry_run: bool,

    /// List the files that the transferred bytes belong to
    #[arg(long, help_heading = SELECTION)]
    pub(crate) explain: bool,

    /// Read the image back on the target, and check every byte of it
    #[arg(long, help_heading = SELECTION)]
    pub(crate) verify: bool,

    /// Only images of this platform: OS/ARCH[/VARIANT], as linux/arm64
    #[arg(long, value_name = "PLATFORM", help_heading = SELECTION)]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Memory limit of each side, in addition to a fixed 64 MiB, whatever the image and the other side are
    #[arg(long, value_name = "SIZE", default_value = MEMORY, value_parser = memory, help_heading = CONNECTION)]
    pub(crate) memory: u64,

    /// The most bytes that cross in a second, in each direction, as 2MB/s
    ///
    /// A stream (`--method stream`) can have none, and is refused.
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = CONNECTION)]
    pub(crate) limit: Option<u64>,

    /// Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s … up to 30 s; 0 for none
    #[arg(
        long,
        value_name = "N",
        env = "DOCKER_SYNC_RETRIES",
        hide_env_values = true,
        default_value_t = 3,
        help_heading = CONNECTION
    )]
    pub(crate) retries: u32,

    /// Transfer method
    #[arg(long, value_enum, default_value_t, help_heading = TRANSFER)]
    pub(crate) method: Method,

    /// auto (by the speed of the link), max (fewest bytes), or a zstd level, 1 to 22
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "auto",
        value_parser = compression,
        help_heading = TRANSFER
    )]
    pub(crate) compression: Compression,

    /// Identity to preserve in stores that name images by manifests: containerd image stores, OCI layouts
    #[arg(long, value_enum, default_value_t, help_heading = TRANSFER)]
    pub(crate) identity: Identity,

    /// Sync no image without its signatures and attestations, or fail; by default they go along where both stores keep them
    #[arg(long, conflicts_with = "no_referrers", help_heading = TRANSFER)]
    pub(crate) with_referrers: bool,

    /// Leave signatures and attestations beside an image behind
    #[arg(long, help_heading = TRANSFER)]
    pub(crate) no_referrers: bool,

    /// The target's image to build on, instead of the one that is found
    #[arg(long, value_name = "IMAGE", help_heading = TRANSFER)]
    pub(crate) basis: Option<ImageRef>,

    /// Print one JSON document instead of text
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Print each image of the report by a template, as '{{.Name}} {{.Status}}'
    ///
    /// As `docker images --format`: {{.Field}}, {{json .Field}}, {{json .}}, and `table` before it all for columns. The
    /// fields are Status, Name, Repository, Tag, ID, Size, Bytes, CreatedAt, CreatedSince, Platform, Layers, Missing,
    /// TargetID, TargetCreatedAt.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "json", help_heading = OUTPUT)]
    pub(crate) format: Option<String>,

    /// Print only data and errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = OUTPUT)]
    pub(crate) quiet: bool,

    /// Print what is being done and why
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) verbose: bool,

    /// Form of the progress on standard error
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t,
        env = "DOCKER_SYNC_PROGRESS",
        hide_env_values = true,
        help_heading = OUTPUT
    )]
    pub(crate) progress: ProgressForm,

    /// The same as --progress=none
    #[arg(long, action = ArgAction::SetTrue, help_heading = OUTPUT)]
    pub(crate) no_progress: bool,

    /// When to use colours; NO_COLOR and CLICOLOR are honoured
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = OUTPUT)]
    pub(crate) color: Color,
}

/// The options by which both sides are reached.
#[derive(Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// The ssh program with its options, as 'ssh -i key -J jump'
    #[arg(
        long,
        value_name = "CMD",
        env = "DOCKER_SYNC_SSH",
        hide_env_values = true,
        value_parser = command_line,
        help_heading = CONNECTION
    )]
    pub(crate) ssh: Option<CommandLine>,

    /// The engine of this host: docker, podman, containerd, 'sudo docker', oci:DIR [default: what is there]
    #[arg(
        long,
        value_name = "CMD",
        env = "DOCKER_SYNC_DOCKER",
        hide_env_values = true,
        value_parser = command_line,
        help_heading = CONNECTION
    )]
    pub(crate) docker: Option<CommandLine>,

    /// The engine of the remote [default: what is there]
    #[arg(
        long,
        value_name = "CMD",
        env = "DOCKER_SYNC_REMOTE_DOCKER",
        hide_env_values = true,
        value_parser = command_line,
        help_heading = CONNECTION
    )]
    pub(crate) remote_docker: Option<CommandLine>,

    /// Directory for temporary files, on both sides [default: the system's]
    #[arg(
        short = 'f',
        long,
        value_name = "DIR",
        env = "DOCKER_SYNC_TMPFOLDER",
        hide_env_values = true,
        help_heading = CONNECTION
    )]
    pub(crate) tmpfolder: Option<PathBuf>,

    /// Seconds without a word from the other side after which it is given up; 0 for never
    ///
    /// Until the other side has spoken, two minutes come on top where ssh may be asking a person for a password.
    #[arg(
        long,
        value_name = "N",
        env = "DOCKER_SYNC_TIMEOUT",
        hide_env_values = true,
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(..=MOST_SECONDS),
        help_heading = CONNECTION
    )]
    pub(crate) timeout: u32,

    /// Seconds that an engine may keep a side waiting; 0 for any time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=MOST_SECONDS),
        help_heading = CONNECTION
    )]
    pub(crate) engine_timeout: u32,
}

/// `--method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Method {
    /// Delta where the remote lets an agent run, else rsync, else stream
    #[default]
    Auto,
    /// Only contents that the target lacks, found with an agent on the remote
    Delta,
    /// rsync of partial archives, as the original did; the remote needs rsync
    Rsync,
    /// A compressed archive of the missing layers; the remote needs nothing but its engine
    Stream,
}

/// `--identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Identity {
    /// The image ID, with every manifest and every compressed layer
    #[default]
    Exact,
    /// Config and files; layers are kept uncompressed under another ID, which takes less work
    Content,
}

impl From<Identity> for dsync_sync::Identity {
    fn from(identity: Identity) -> Self {
        match identity {
            Identity::Exact => Self::Exact,
            Identity::Content => Self::Content,
        }
    }
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ProgressForm {
    /// tty on a terminal, else plain
    #[default]
    Auto,
    /// A line that is drawn anew
    Tty,
    /// A line every five seconds
    Plain,
    /// An event a line, as JSON
    Json,
    /// Nothing
    None,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// On a pipe too
    Always,
    /// Not at all
    Never,
}

/// A program with arguments, as a shell splits it; empty stands for the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) text: String,
    pub(crate) words: Vec<String>,
}

fn image(text: &str) -> Result<String, dsync_core::ReferenceError> {
    text.parse::<Pattern>().map(|_| text.into())
}

/// An image, perhaps with another name for the target.
fn image_and_name(text: &str) -> Result<String, dsync_core::ReferenceError> {
    match text.split_once('=') {
        Some((own, name)) => image(own).and(name.parse::<ImageRef>()).map(|_| text.into()),
        None => image(text),
    }
}

/// An image of the engine, or of files; opening it decides which.
fn operand(text: &str) -> Result<String, dsync_core::ReferenceError> {
    if dsync_sync::is_file(text) { Ok(text.into()) } else { image(text) }
}

fn command_line(text: &str) -> Result<CommandLine, String> {
    match shlex::split(text) {
        Some(words) => Ok(CommandLine { text: text.trim().into(), words }),
        None => Err("a quote is not closed".into()),
    }
}

/// A day: nobody waits for longer.
const MOST_SECONDS: i64 = 86_400;
/// The default memory limit of a side.
const MEMORY: &str = "256MiB";
/// The least memory limit: a program and the buffers of its pipes need as much.
const LEAST_MEMORY: u64 = 32 << 20;

fn memory(text: &str) -> Result<u64, String> {
    let size = crate::quantity::parse_size(text)?;
    if size < LEAST_MEMORY { Err("at least 32MiB are needed".into()) } else { Ok(size) }
}

fn rate(text: &str) -> Result<u64, String> {
    let size = crate::quantity::parse_size(text.strip_suffix("/s").unwrap_or(text));
    match size {
        Ok(1000..) => size,
        Ok(_) => Err("at least 1kB/s is needed".into()),
        Err(_) => Err("expected a rate such as 500kB/s or 2MB/s".into()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Compression::Auto),
        _ if text == "max" => Ok(Compression::Max),
        Ok(level @ 1..=22) => Ok(Compression::Level(level)),
        _ => Err("expected auto, max, or a level from 1 to 22".into()),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
