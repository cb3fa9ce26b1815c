//! `docker-sync diff` and `docker-sync apply`.

use std::path::Path;
use std::time::Instant;

use dsync_sync::{Compression, Error, Event, Interrupt, Observer, PatchApplied, PatchOptions};

use crate::args::{Here, Identity};
use crate::escape;
use crate::quantity::{bytes, counted, duration, percent};
use crate::run::will_not_run;

/// Makes a patch, and returns a summary.
pub(crate) fn diff(
    here: &Here,
    docker: Option<String>,
    (old, new): (&str, &str),
    file: &Path,
    how: (Compression, Identity),
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<String, Error> {
    let begun = Instant::now();
    let made = dsync_sync::diff(&options(here, docker, how, interrupt), old, new, file, observer)?;
    let (size, raw, took) = (bytes(made.size), bytes(made.raw), duration(begun.elapsed()));
    let layers = counted(made.layers as u64, "layer");
    let share = percent(made.size, made.image.size).unwrap_or_default();
    Ok(format!(
        "{}  {size} instead of {} ({share}), {layers} with {raw} of new contents, {took}\n",
        escape::visible(&file.display().to_string()),
        bytes(made.image.size),
    ))
}

/// Applies a patch, and returns a summary.
pub(crate) fn apply(
    here: &Here,
    docker: Option<String>,
    file: &Path,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<String, Error> {
    let begun = Instant::now();
    // The patch has its own compression and identity.
    let how = (Compression::Max, Identity::default());
    let applied = dsync_sync::apply(&options(here, docker, how, interrupt), file, observer)?;
    let PatchApplied { image, outcome, foreign_to } = applied;
    let name = image.names.first().map_or_else(|| outcome.id.to_string(), ToString::to_string);
    if let Some(host) = foreign_to.filter(|_| !outcome.was_there) {
        let warning = will_not_run(&name, &image.platform, "this host", &host.to_string());
        observer.event(Event::Warning(&warning));
    }
    let what = if outcome.was_there { "was there" } else { "added" };
    Ok(format!("{}  {what}, {}\n", escape::visible(&name), duration(begun.elapsed())))
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
