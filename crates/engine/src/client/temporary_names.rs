//! The names under which images are loaded, until they have those that they are for.
//!
//! An image without a name is what `docker image prune` removes, and some hosts run that every minute. So each load has
//! a name of its own, which nobody else has, and which is removed when the image has its names. A run that was killed
//! leaves one behind; the name tells the process, so the next run can tell whether it is still needed.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsync_core::{Digest, ImageId, ImageRef, Inventory};

use super::identify::Syntax;
use crate::command::Program;
use crate::failure::is_removed_while_loaded;
use crate::store::StoreError;
use crate::temporary::is_alive;

/// The repository of all temporary names. No registry has it, and podman would make it of a shorter one.
const REPOSITORY: &str = "localhost/docker-sync";
/// The age at which a name is left over, whoever made it: one is in use for as long as an engine unpacks an image.
const OLD: Duration = Duration::from_hours(24);
/// The hexadecimal digits of a part of a tag.
const DIGITS: usize = 8;

/// The temporary names of an engine.
pub(super) struct TemporaryNames {
    program: Program,
    /// The command of the client that removes a name.
    removal: &'static [&'static str],
    /// The temporary names that were listed last.
    listed: Mutex<Vec<Listed>>,
    /// True once an image was given its names.
    has_named: AtomicBool,
}

/// A temporary name in a list of images.
struct Listed {
    image: ImageId,
    temporary: TemporaryName,
    /// Nothing is lost with it: the image has other names, or no layers.
    is_spare: bool,
}

impl TemporaryNames {
    /// The temporary names of the engine of this client.
    pub(super) fn of(program: &Program) -> Self {
        Self::removed_by(program, &["rmi"])
    }

    /// The same of a client that removes names by this command.
    pub(super) fn removed_by(program: &Program, removal: &'static [&'static str]) -> Self {
        let (program, has_named) = (program.clone(), AtomicBool::new(false));
        Self { program, removal, listed: Mutex::default(), has_named }
    }

    /// Takes them out of a list, and notes them.
    pub(super) fn hide(&self, all: &mut Inventory) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.clear();
        let mut take = |id: ImageId, names: &mut Vec<ImageRef>, has_layers: bool| {
            let found: Vec<ImageRef> =
                names.extract_if(.., |name| TemporaryName::parse(name).is_some()).collect();
            let (before, is_spare) = (listed.len(), !names.is_empty() || !has_layers);
            let temporary = found.iter().filter_map(TemporaryName::parse);
            listed.extend(temporary.map(|temporary| Listed { image: id, temporary, is_spare }));
            listed.len() > before
        };
        // The probes of runs are no images: they have no layers, or cannot be read.
        all.images.retain_mut(|image| {
            let has_layers = !image.diff_ids.is_empty();
            let had_one = take(image.id, &mut image.names, has_layers);
            !had_one || !image.names.is_empty() || has_layers
        });
        all.unreadable.retain_mut(|image| {
            let had_one = image.id.is_some_and(|id| take(id, &mut image.names, false));
            !had_one || !image.names.is_empty()
        });
    }

    /// Loads an image and gives it its names. It is loaded under the name that `load` is given, and so is never without
    /// one; an image that is to have no name is loaded without.
    pub(super) fn load_for(
        &self,
        syntax: Syntax,
        id: &ImageId,
        names: &[ImageRef],
        load: impl FnOnce(Option<&ImageRef>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let temporary = (!names.is_empty()).then(|| TemporaryName::of(&id.digest()).name);
        let loaded = load(temporary.as_ref()).and_then(|()| self.give(syntax, id, names));
        // An engine that does not answer would only be waited for once more; then the next run removes the name.
        if let Some(name) = temporary.as_ref().filter(|_| !matches!(loaded, Err(StoreError::Down { .. }))) {
            // After a failure the image goes with its only name, if it is there at all.
            self.remove(name);
        }
        loaded.map_err(|error| match error {
            // It was there, or the engine would not have been done with it, or not have looked for it.
            StoreError::NoSuchImage { image } => StoreError::Removed { image },
            error if is_removed_while_loaded(&error, &id.digest()) => {
                StoreError::Removed { image: id.to_string() }
            }
            other => other,
        })
    }

    /// Gives an image its names.
    pub(super) fn give(&self, syntax: Syntax, image: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let id = image.to_string();
        let tag = |names: &[String]| {
            let words: Vec<&str> = ["tag", &id].into_iter().chain(names.iter().map(String::as_str)).collect();
            self.program.run(&words, Some(&id)).map(drop)
        };
        match syntax {
            // It would make `localhost/web` of the short name `web`.
            Syntax::Podman => tag(&names.iter().map(ImageRef::qualified).collect::<Vec<_>>())?,
            // docker takes one name at a time.
            Syntax::Docker => names.iter().try_for_each(|name| tag(&[name.to_string()]))?,
        }
        self.named(image);
        Ok(())
    }

    /// Removes those of an image that has others now, whoever made them.
    pub(super) fn named(&self, id: &ImageId) {
        self.has_named.store(true, Ordering::Relaxed);
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        for listed in listed.extract_if(.., |listed| listed.image == *id) {
            self.remove(&listed.temporary.name);
        }
    }

    /// Removes one, and its image if that has no other name. It may be gone.
    pub(super) fn remove(&self, name: &ImageRef) {
        let _ = self.program.output(&[self.removal, &[&name.to_string()]].concat());
    }
}

/// A run that gave names cleans up after those that were killed. It does so at its end: until then it may be asked for
/// the image of such a run. Any run removes the names of images that have others, with which no image goes, and those of
/// probes.
impl Drop for TemporaryNames {
    fn drop(&mut self) {
        let listed = std::mem::take(self.listed.get_mut().unwrap_or_else(PoisonError::into_inner));
        let has_named = self.has_named.load(Ordering::Relaxed);
        for Listed { temporary, is_spare, .. } in listed {
            if (has_named || is_spare) && temporary.is_left() {
                self.remove(&temporary.name);
            }
        }
    }
}

/// A temporary name, taken apart: `localhost/docker-sync:IMAGE-PLACE-PROCESS-SECONDS-RANDOM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemporaryName {
    /// The whole.
    pub(super) name: ImageRef,
    /// The host and its boot, and the processes among which the ID is one.
    place: String,
    /// The ID of the process that uses it.
    process: i32,
    /// The time at which it was made, since 1970.
    made: Duration,
}

impl TemporaryName {
    /// A name for an image with this config or root document, which no other process and no other call makes.
    pub(super) fn of(image: &Digest) -> Self {
        let made = UNIX_EPOCH.elapsed().unwrap_or_default();
        let (place, process) = (HERE.clone(), std::process::id());
        let [image, random] = [&image.hex(), &random()].map(|hex| hex[..DIGITS].to_owned());
        let tag = format!("{image}-{place}-{process}-{:08x}-{random}", made.as_secs());
        let name = format!("{REPOSITORY}:{tag}").parse().expect("it is a name");
        Self::parse(&name).expect("it is a temporary name")
    }

    /// Takes a name apart, if it is one of these: others may well have images of this program.
    pub(super) fn parse(name: &ImageRef) -> Option<Self> {
        let parts: Vec<&str> = name.tag().split('-').collect();
        let [image, place, process, seconds, random] = parts[..] else { return None };
        let is_hex = |part: &&str| {
            part.len() == DIGITS && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if name.name() != REPOSITORY || ![image, place, seconds, random].iter().all(is_hex) {
            return None;
        }
        let made = Duration::from_secs(u64::from_str_radix(seconds, 16).ok()?);
        let process = process.parse().ok().filter(|process| *process > 0)?;
        Some(Self { name: name.clone(), place: place.into(), process, made })
    }

    /// True if the process that made it is gone.
    pub(super) fn is_left(&self) -> bool {
        self.is_left_at(SystemTime::now(), &HERE, &is_alive)
    }

    /// A process of another host, boot or container cannot be asked for, and a process ID can be given again: then its
    /// age decides.
    fn is_left_at(&self, now: SystemTime, here: &str, is_alive: &dyn Fn(i32) -> bool) -> bool {
        let age = now.duration_since(UNIX_EPOCH + self.made).unwrap_or_default();
        age > OLD || self.place == here && !is_alive(self.process)
    }
}

/// The place of this process's ID: two processes with the same place and ID are one.
static HERE: LazyLock<String> = LazyLock::new(|| {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").ok();
    let processes = fs::read_link("/proc/self/ns/pid").ok();
    let place = boot.zip(processes).map(|(boot, processes)| {
        Digest::of(&[&boot[..], processes.as_os_str().as_encoded_bytes()].concat()).hex()
    });
    place.unwrap_or_else(random)[..DIGITS].to_owned()
});

/// 16 random digits.
fn random() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_made_and_made_once() {
        let image = Digest::of(b"image");
        let names = [(); 100].map(|()| TemporaryName::of(&image));
        let first = &names[0];
        assert_eq!(TemporaryName::parse(&first.name).as_ref(), Some(first));
        assert!(names[1..].iter().all(|name| name.name != first.name));
        assert_eq!(first.process, std::process::id() as i32);
        assert!(first.name.tag().len() < 60, "{}", first.name);
        assert_eq!(first.name.qualified(), first.name.to_string(), "every engine takes it as it is");
        assert!(!first.is_left(), "this process lives");
    }

    #[test]
    fn names_of_others_are_none_of_ours() {
        let ours = TemporaryName::of(&Digest::of(b"image")).name.to_string();
        let tag = ours.rsplit_once(':').unwrap().1;
        for other in [
            "localhost/docker-sync:latest".into(),
            "docker-sync:1-2-3-4-5".into(),
            format!("docker-sync:{tag}"),
            format!("localhost/docker-sync/a:{tag}"),
            format!("{ours}-1"),
            ours.replacen('-', "-g", 1),
            ours.to_uppercase().replace("LOCALHOST/DOCKER-SYNC", "localhost/docker-sync") + "A",
            ours.replace(&format!("-{}-", std::process::id()), "-0-"),
            ours.replace(&format!("-{}-", std::process::id()), "-99999999999-"),
        ] {
            assert_eq!(TemporaryName::parse(&other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_left_when_its_process_is_gone_or_it_is_old() {
        let name = TemporaryName::of(&Digest::of(b"image"));
        let later = |hours| UNIX_EPOCH + name.made + Duration::from_hours(hours);
        let is_left = |hours, here: &str, alive: bool| name.is_left_at(later(hours), here, &|_| alive);
        assert!(!is_left(1, &HERE, true));
        assert!(is_left(1, &HERE, false));
        // Of another host, or of this one before it was booted.
        assert!(!is_left(1, "00000000", false));
        assert!(is_left(25, "00000000", false));
        assert!(is_left(25, &HERE, true), "the ID of a process is given again");
        // A clock that runs behind.
        assert!(!name.is_left_at(UNIX_EPOCH, "00000000", &|_| false));
    }
}
