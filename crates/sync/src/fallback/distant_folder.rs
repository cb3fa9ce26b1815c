//! The directories of the other host for rsync: one for its temporary files, which the shell there removes when the
//! connection ends, and one for the part of an archive that arrived before it did.

use std::path::Path;

use dsync_core::{Digest, Image, ImageRef};
use dsync_engine::{DistantStore, StoreError};

use super::partial_images::PREFIX;
use crate::partial::EXPIRES;

/// The name of the archive in the temporary directory of either host.
pub(super) const ARCHIVE: &str = "image.tar";

/// A temporary directory that was left on the other host, for its `find`.
const LEFT: &str = "-name \"docker-sync-[0-9]*-*\" -mtime +1";

/// The directory of the temporary files of the other host: a path, as its shell takes it between double quotes.
#[derive(Clone)]
pub(crate) struct DistantFolder {
    base: String,
    name: String,
}

impl DistantFolder {
    /// A directory of this name in the folder, or in the other host's place for temporary files.
    pub(crate) fn named(name: &str, tmpfolder: Option<&Path>) -> Result<DistantFolder, String> {
        let base = tmpfolder.map_or("${TMPDIR:-/tmp}".into(), Path::to_string_lossy);
        if tmpfolder.is_some() && !is_plain(&base) {
            return Err(format!("--tmpfolder {base:?} cannot be passed through every login shell"));
        }
        Ok(DistantFolder { base: base.into(), name: name.into() })
    }

    /// The folder that it is made in, as a shell takes it.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn path(&self) -> String {
        format!("{}/{}", self.base, self.name)
    }

    /// The directory of partial transfers, as a shell takes it.
    fn partials(&self) -> String {
        format!("{}/{PREFIX}$(id -u 2>/dev/null)", self.base)
    }

    /// The script that removes it, and empty directories of partial transfers.
    pub(crate) fn removal(&self) -> String {
        let (partials, name) = (self.partials(), &self.name);
        format!(
            "rm -rf \"{}\"; rmdir \"{partials}\"/*/new-{name} \"{partials}\"/* \"{partials}\" 2>/dev/null; true",
            self.path()
        )
    }

    /// The script that sets `k` to the directory of the partial transfer of an image, or to nothing, and makes the longest part of
    /// an archive that a run left there the one that is looked into: `$k/old`. What rsync writes now goes into a directory
    /// of its own, which others leave alone while that of the temporary files is there.
    fn begin_partial(&self, image: &str) -> String {
        let (base, partials, name) = (&self.base, self.partials(), &self.name);
        format!(
            "k=\"{partials}\"; mkdir -m 700 \"$k\" 2>/dev/null; \
             if [ -L \"$k\" ]; then k=; elif [ -d \"$k\" ] && [ -O \"$k\" ] && chmod 700 \"$k\"; then \
             find \"$k\" -mindepth 1 -maxdepth 1 -mtime +{EXPIRES} -exec rm -rf {{}} + 2>/dev/null; \
             k=\"$k/{image}\"; mkdir -p \"$k/new-{name}\" || k=; else k=; fi; \
             if [ \"$k\" ]; then for n in \"$k\"/new-*; do [ -d \"{base}/${{n##*/new-}}\" ] || {{ \
             for f in \"$n\"/{ARCHIVE} \"$n\"/.{ARCHIVE}.*; do [ -f \"$f\" ] && {{ \
             set -- $(ls -dS \"$k/old\" \"$f\" 2>/dev/null); [ \"$1\" = \"$f\" ] && mv -f \"$f\" \"$k/old\"; }}; \
             done; rm -rf \"$n\"; }}; done; fi"
        )
    }

    /// Makes the temporary directory with the archive that a script writes into it, if any. With the names of an image,
    /// that archive is its basis, without which the transfer goes on where the script fails; its partial transfer is put
    /// behind it, and what arrives is one.
    pub(super) fn make<'a>(
        &'a self,
        store: &'a DistantStore,
        archive: Option<&str>,
        of: Option<&str>,
    ) -> Result<MadeFolder<'a>, StoreError> {
        let path = self.path();
        // One that a killed shell left there is removed after a day: no process of that host has its number.
        let left = format!("find \"${{d%/*}}\" -maxdepth 1 -type d {LEFT} -exec rm -rf {{}} + 2>/dev/null");
        let begin = of.map_or("k=".to_owned(), |image| self.begin_partial(image));
        let otherwise = of.map_or_else(String::new, |_| format!(" || rm -f \"$d/{ARCHIVE}\""));
        let write =
            archive.map_or("true".into(), |script| format!("{{ {script}; }} >\"$d/{ARCHIVE}\"{otherwise}"));
        // The job goes first where there is no room for both.
        let add = format!(
            "if [ \"$k\" ] && [ -f \"$k/old\" ]; then cat \"$k/old\" >>\"$d/{ARCHIVE}\" 2>/dev/null || \
             {{ rm -f \"$k/old\" \"$d/{ARCHIVE}\"; {write}; }}; fi"
        );
        let removal = self.removal();
        let script = format!(
            "d=\"{path}\"; {left}; mkdir -m 700 \"$d\" && {{ {begin}; {write}; }} && {{ {add}; }} \
             && echo \"$d\" && echo \"partial:$k\" || {{ {removal}; exit 1; }}"
        );
        let said = store.run_script(&script).map_err(temporary_full)?;
        let mut lines = said.lines().rev();
        let said = lines.next().and_then(|line| line.strip_prefix("partial:")).unwrap_or_default();
        let partial = Some(said.to_owned()).filter(|path| path.starts_with('/') && is_plain(path));
        let path = lines.next().unwrap_or_default().to_owned();
        let made = MadeFolder { folder: self, store, path, partial };
        if !made.path.starts_with('/') || !is_plain(&made.path) {
            let path = &made.path;
            let reason =
                format!("{path:?} is no path that can be given to rsync; choose another with --tmpfolder");
            return Err(StoreError::Broken { what: "the temporary directory of the remote".into(), reason });
        }
        Ok(made)
    }
}

/// The name of the directory for the partial transfer of an image, and of newer ones of its names, on the other host.
pub(super) fn partial_name(image: &Image, names: &[ImageRef]) -> String {
    let mut repositories: Vec<&str> = names.iter().map(ImageRef::name).collect();
    repositories.sort_unstable();
    repositories.dedup();
    match repositories.is_empty() {
        true => image.id.digest().hex(),
        false => Digest::of(repositories.join(" ").as_bytes()).hex(),
    }
}

/// True if neither a shell nor rsync changes the path.
fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
}

/// A script that writes into the temporary directory fills the disk of that.
fn temporary_full(error: StoreError) -> StoreError {
    match error {
        StoreError::StorageFull { message } => StoreError::TemporaryFull { message },
        other => other,
    }
}

/// The temporary directory of the other host, removed when this is dropped.
pub(super) struct MadeFolder<'a> {
    folder: &'a DistantFolder,
    store: &'a DistantStore,
    path: String,
    /// The directory there of the partial transfer of the image.
    partial: Option<String>,
}

impl MadeFolder<'_> {
    pub(super) fn archive(&self) -> String {
        format!("{}/{ARCHIVE}", self.path)
    }

    /// The directory in which rsync writes, and leaves what it has when it breaks off.
    pub(super) fn arriving(&self) -> Option<String> {
        Some(format!("{}/new-{}", self.partial.as_ref()?, self.folder.name))
    }

    /// Removes the partial transfer: a disk is full, and the job goes first.
    pub(super) fn drop_partial(&self) -> Result<bool, StoreError> {
        let Some(partial) = &self.partial else { return Ok(false) };
        let script = format!(
            "[ -f \"{partial}/old\" ] && echo had; rm -rf \"{partial}/old\" \"{partial}\"/new-*/*; true"
        );
        Ok(self.store.run_script(&script)?.contains("had"))
    }

    /// Loads the archive, which stays there until that is done. Then there is no partial transfer any more.
    pub(super) fn load(&self) -> Result<(), StoreError> {
        let archive = self.archive();
        let load = self.store.load_script(&archive)?;
        let script = match &self.partial {
            None => load,
            Some(partial) => {
                let (old, load_old) =
                    (format!("{partial}/old"), self.store.load_script(&format!("{partial}/old"))?);
                format!(
                    "if mv -f \"{archive}\" \"{old}\"; then {load_old} && rm -rf \"{partial}\"; else {load}; fi"
                )
            }
        };
        self.store.run_script(&script).map(drop)
    }
}

impl Drop for MadeFolder<'_> {
    fn drop(&mut self) {
        // Where that fails, what keeps the connection does it at its end.
        self.store.run_script(&self.folder.removal()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_shell_or_rsync_changes_is_refused() {
        let folder = |path: &str| DistantFolder::named("docker-sync-1", Some(Path::new(path)));
        assert_eq!(folder("/var/tmp").unwrap().path(), "/var/tmp/docker-sync-1");
        assert!(
            folder("/srv/a_b-c.d").unwrap().removal().starts_with("rm -rf \"/srv/a_b-c.d/docker-sync-1\";")
        );
        for path in ["/a b", "/a$b", "/a`b", "/a\"b", "/a'b", "/a:b", "/a*b", "/a\\b", "/a\nb", "/ä"] {
            let refused = folder(path).err();
            assert!(refused.is_some_and(|reason| reason.contains("--tmpfolder")), "{path}");
        }
        // Without one the other host's shell says where.
        assert_eq!(DistantFolder::named("x", None).unwrap().path(), "${TMPDIR:-/tmp}/x");
    }

    #[test]
    fn every_login_shell_takes_the_scripts_as_they_are() {
        let folder = DistantFolder::named("docker-sync-1-x", None).unwrap();
        for script in [folder.removal(), folder.begin_partial("image")] {
            assert!(!script.contains(['\'', '!', '\\', '\n']), "{script}");
        }
    }
}
