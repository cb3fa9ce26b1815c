//! `docker-sync diff`, `docker-sync apply` and `docker-sync patch`.

use std::path::PathBuf;
use std::time::Instant;

use dsync_sync::{
    Compression, Error, Event, Interrupt, Observer, PatchApplied, PatchInfo, PatchInput, PatchOptions,
    PatchOutput,
};
use serde::Serialize;

use crate::args::{Here, Identity};
use crate::escape;
use crate::quantity::{bytes, counted, duration, percent};
use crate::run::will_not_run;

/// The name that stands for a standard stream.
const STREAM: &str = "-";
/// The number of the shape of what `patch info --json` prints.
const SCHEMA: u32 = 1;

/// The summary of a command.
pub(crate) enum Said {
    /// For standard output.
    Here(String),
    /// For standard error, as standard output has the patch.
    Beside(String),
}

pub(crate) fn input(file: PathBuf) -> PatchInput {
    if file.as_os_str() == STREAM { PatchInput::Stdin } else { PatchInput::File(file) }
}

pub(crate) fn output(path: PathBuf, replaces: bool) -> PatchOutput {
    if path.as_os_str() == STREAM { PatchOutput::Stdout } else { PatchOutput::File { path, replaces } }
}

/// Makes a patch, and returns a summary.
pub(crate) fn diff(
    here: &Here,
    docker: Option<String>,
    (old, new): (&str, &str),
    output: &PatchOutput,
    how: (Compression, Identity),
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Said, Error> {
    let begun = Instant::now();
    let made = dsync_sync::diff(&options(here, docker, how, interrupt), old, new, output, observer)?;
    let (size, raw, took) = (bytes(made.size), bytes(made.raw), duration(begun.elapsed()));
    let layers = counted(made.layers as u64, "layer");
    let share = percent(made.size, made.image.size).map(|share| format!(" ({share})")).unwrap_or_default();
    let whole = bytes(made.image.size);
    let summary = |name: &str| {
        format!("{name}  {size} instead of {whole}{share}, {layers} with {raw} of new contents, {took}\n")
    };
    Ok(match output {
        PatchOutput::File { path, .. } => Said::Here(summary(&escape::visible(&path.display().to_string()))),
        PatchOutput::Stdout => Said::Beside(summary(&escape::visible(new))),
    })
}

/// Applies a patch, and returns a summary.
pub(crate) fn apply(
    here: &Here,
    docker: Option<String>,
    input: &PatchInput,
    dry_run: bool,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Said, Error> {
    let begun = Instant::now();
    // The patch has its own compression and identity.
    let how = (Compression::Max, Identity::default());
    let applied = dsync_sync::apply(&options(here, docker, how, interrupt), input, dry_run, observer)?;
    let PatchApplied { image, outcome, foreign_to } = applied;
    let name = image.names.first().map_or_else(|| outcome.id.to_string(), ToString::to_string);
    if let Some(host) = foreign_to.filter(|_| !outcome.was_there) {
        let warning = will_not_run(&name, &image.platform, "this host", &host.to_string());
        observer.event(Event::Warning(&warning));
    }
    let what = match (outcome.was_there, dry_run) {
        (true, _) => "was there",
        (false, false) => "added",
        (false, true) => "would be added",
    };
    Ok(Said::Here(format!("{}  {what}, {}\n", escape::visible(&name), duration(begun.elapsed()))))
}

/// A patch, for a person.
pub(crate) fn described(info: &PatchInfo) -> String {
    let PatchInfo { old, basis, image, is_exact, layers, size } = info;
    let names: Vec<String> = image.names.iter().map(ToString::to_string).collect();
    let share = percent(*size, image.size).map(|share| format!(" ({share})")).unwrap_or_default();
    let identity = match is_exact {
        true => "kept, with every manifest and every compressed layer",
        false => "that of the content: config and files",
    };
    let of = counted(image.diff_ids.len() as u64, "layer");
    let rows = [
        ("old", escape::visible(old).into_owned()),
        ("", format!("{} that a host needs", counted(basis.len() as u64, "layer"))),
        (
            "new",
            if names.is_empty() {
                "without a name".into()
            } else {
                escape::visible(&names.join(", ")).into_owned()
            },
        ),
        ("", image.id.to_string()),
        ("", format!("{}, {}, {of}", image.platform, bytes(image.size))),
        ("patch", format!("{}{share}, {} in it", bytes(*size), counted(*layers as u64, "layer"))),
        ("identity", identity.to_owned()),
    ];
    rows.iter().map(|(key, value)| format!("{key:<8}  {value}\n")).collect()
}

/// A patch, for a program: docs/json.md.
pub(crate) fn document(info: &PatchInfo) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        old: &'a str,
        needs: Vec<String>,
        id: String,
        names: Vec<String>,
        platform: String,
        created: &'a str,
        image_size: u64,
        image_layers: usize,
        exact: bool,
        layers: usize,
        size: u64,
    }
    let PatchInfo { old, basis, image, is_exact, layers, size } = info;
    let document = Document {
        schema: SCHEMA,
        old,
        needs: basis.iter().map(ToString::to_string).collect(),
        id: image.id.to_string(),
        names: image.names.iter().map(ToString::to_string).collect(),
        platform: image.platform.to_string(),
        created: &image.created,
        image_size: image.size,
        image_layers: image.diff_ids.len(),
        exact: *is_exact,
        layers: *layers,
        size: *size,
    };
    let text = serde_json::to_string_pretty(&document).expect("its keys are texts");
    escape::json(&text).into_owned() + "\n"
}

fn options(
    here: &Here,
    docker: Option<String>,
    (compression, identity): (Compression, Identity),
    interrupt: &Interrupt,
) -> PatchOptions {
    let named = here.docker.as_ref().map(|line| line.text.clone()).filter(|store| !store.is_empty());
    let tmpfolder = here.tmpfolder.as_ref().map(|folder| folder.to_string_lossy().into_owned());
    PatchOptions {
        store: named.or(docker).unwrap_or_default(),
        tmpfolder: tmpfolder.unwrap_or_default(),
        memory: here.memory,
        compression,
        identity: identity.into(),
        interrupt: interrupt.clone(),
    }
}
