//! The original's way: archives on both hosts, and rsync between them.
//!
//! The archives are partial. The side that has the new image writes one of the layers that are missing, the
//! other side one of the layers they replace; rsync makes the second into the first. What of it arrived before a
//! transfer broke off is put behind the archive of the replaced layers, in which rsync finds blocks wherever they are.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dsync_core::{Config, DiffId, Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};
use dsync_engine::archive::{self, PartialArchive, ReadError, WriteError};
use dsync_engine::{
    Demand, Description, Disk, DistantStore, Export, Holdings, Import, ImportIdentity, ImportSize, LayerSink,
    Nested, Purpose, Reach, Store, StoreError, StoreKind, tars, temporary,
};

use super::distant_folder::{ARCHIVE, DistantFolder, MadeFolder, partial_name};
use super::partial_images::{PartialImage, PartialImages};
use crate::inventory::survey;
use crate::transport::destination::Destination;
use crate::transport::ssh;

/// The exit code of rsync when nothing crossed for `--timeout`.
const TIMED_OUT: i32 = 30;

/// The store of an engine on another host, whose layers go by rsync.
pub(crate) struct RsyncStore {
    distant: DistantStore,
    /// The store of this host, for the basis of what comes.
    here: Box<dyn Store>,
    rsync: Rsync,
    tmpfolder: Option<PathBuf>,
    folder: DistantFolder,
    /// The images that were listed last, for their names.
    listed: Mutex<Vec<Image>>,
}

/// rsync to and from another host.
pub(crate) struct Rsync {
    /// The ssh command without the host, which goes through a connection that is there.
    pub(crate) shell: Vec<String>,
    pub(crate) to: Destination,
    /// The longest time in which nothing crosses.
    pub(crate) timeout: Option<Duration>,
    /// The most bytes that cross in a second.
    pub(crate) limit: Option<u64>,
    pub(crate) reach: Reach,
}

impl Rsync {
    /// Runs it between archives, one of which is on the other host. The end that receives writes into the folder
    /// `arriving`, where there is one, and leaves there what it has when it breaks off.
    fn run(&self, from: &str, to: &str, arriving: Option<&str>) -> Result<(), StoreError> {
        let port = self.to.port.map_or(String::new(), |port| format!(" -p {port}"));
        let shell = shlex::try_join(self.shell.iter().map(String::as_str)).unwrap_or_default() + &port;
        let places =
            arriving.map(|folder| [format!("--temp-dir={folder}"), format!("--partial-dir={folder}")]);
        let timeout = self.timeout.map_or(0, |timeout| timeout.as_secs().max(1));
        let mut child = Command::new("rsync")
            // Two archives may well have the same size and be of the same second, which rsync takes for equal.
            .args(["-z", "--no-whole-file", "--ignore-times", "--stats", "-e", &shell])
            .arg(format!("--timeout={timeout}"))
            // Its unit is 1024 bytes.
            .args(self.limit.map(|limit| format!("--bwlimit={}", limit.div_ceil(1024))))
            .args(places.into_iter().flatten())
            .args(["--", from, to])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::NotFound { program: "rsync".into() },
                _ => io_error("cannot run rsync")(error),
            })?;
        let (out, errors) = (child.stdout.take().map(collect), child.stderr.take().map(collect));
        let status = child.wait().map_err(io_error("cannot wait for rsync"))?;
        if status.code() == Some(TIMED_OUT) {
            // Whoever holds the connection has the pipes as long as there is one.
            self.hang_up();
        }
        let said = |pipe: Option<thread::JoinHandle<String>>| pipe?.join().ok();
        let (out, errors) = (said(out).unwrap_or_default(), said(errors).unwrap_or_default());
        if !status.success() {
            let message = errors.trim().replace('\n', "; ");
            if message.contains("No space left on device") {
                // The one that receives writes.
                return Err(match to.contains(':') {
                    true => StoreError::TemporaryFull { message },
                    false => io_error(&message)(io::ErrorKind::StorageFull.into()),
                });
            }
            let status = status.to_string();
            return Err(StoreError::Failed { command: format!("rsync {from} {to}"), status, message });
        }
        let (sent, received) = parse_stats(&out);
        self.reach.sent.fetch_add(sent, Ordering::Relaxed);
        self.reach.received.fetch_add(received, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the connection on which nothing crosses, so that the run goes on over another.
    fn hang_up(&self) {
        let exit = ["-O".to_owned(), "exit".to_owned()];
        if let [program, words @ ..] = &ssh::words(&[&self.shell[..], &exit].concat(), &self.to)[..] {
            // It may be gone.
            Command::new(program).args(words).stdin(Stdio::null()).output().ok();
        }
    }

    /// A path on the other host, as rsync takes it.
    fn on_remote(&self, path: &str) -> String {
        let host = &self.to.host;
        // rsync wants the brackets that ssh does not.
        match host.rsplit_once('@') {
            Some((user, address)) if address.contains(':') => format!("{user}@[{address}]:{path}"),
            None if host.contains(':') => format!("[{host}]:{path}"),
            _ => format!("{host}:{path}"),
        }
    }
}

impl RsyncStore {
    pub(crate) fn new(
        distant: DistantStore,
        here: Box<dyn Store>,
        rsync: Rsync,
        tmpfolder: Option<PathBuf>,
        folder: DistantFolder,
    ) -> Self {
        RsyncStore { distant, here, rsync, tmpfolder, folder, listed: Mutex::default() }
    }

    /// A temporary directory of this host, gone when it is dropped.
    fn own_folder(&self) -> Result<tempfile::TempDir, StoreError> {
        temporary::folder(self.tmpfolder.as_deref()).map_err(io_error("cannot make a temporary directory"))
    }

    /// Brings an archive of this host to the other, where a script writes that of the basis, and the partial transfer of this
    /// name is of use.
    fn give(&self, file: &Path, basis: Option<&str>, of: &str) -> Result<MadeFolder<'_>, StoreError> {
        let there = self.folder.make(&self.distant, basis, Some(of))?;
        let (from, to) = (file.to_string_lossy(), self.rsync.on_remote(&there.archive()));
        let run = || self.rsync.run(&from, &to, there.arriving().as_deref());
        match run() {
            Err(error) if is_full(&error) && there.drop_partial()? => run()?,
            result => result?,
        }
        Ok(there)
    }

    /// The image as it was listed, with its names.
    fn named(&self, image: Image) -> Image {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.iter().find(|other| other.id == image.id).cloned().unwrap_or(image)
    }

    /// Writes the layers of this host that the image replaces, for rsync to look into. A basis that cannot be read is left
    /// out, and said.
    fn write_basis(&self, image: &Image, path: &Path, note: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        let held = self.here.list()?.images;
        let Some(basis) = survey::basis(&held, image, &image.names).first().copied() else { return Ok(()) };
        let replaced = replaced(basis, image);
        let file = File::create(path).map_err(io_error("cannot write the archive of the basis"))?;
        let mut layers =
            Concatenated { out: BufWriter::new(file), wanted: replaced.iter().map(DiffId::digest).collect() };
        let read =
            self.here.export(&basis.id, &replaced.into_iter().map(LayerKey::Tar).collect(), &mut layers);
        let flush = |_| layers.out.flush().map_err(io_error("cannot write the archive of the basis"));
        if let Err(error) = read.and_then(flush) {
            note(&format!("{} is no basis: {error}", basis.id));
            fs::remove_file(path).ok();
        }
        Ok(())
    }

    /// The same, and behind it the partial transfer of the archive that comes. Where there is no room for both, the job goes
    /// first.
    fn write_bases(
        &self,
        image: &Image,
        partial: Option<&PartialImage>,
        path: &Path,
        note: &mut dyn FnMut(&str),
    ) -> Result<(), StoreError> {
        self.write_basis(image, path, note)?;
        let Some(partial) = partial else { return Ok(()) };
        let append = |archive: PathBuf| {
            let mut out = File::options().append(true).create(true).open(path)?;
            io::copy(&mut File::open(archive)?, &mut out)
        };
        let added = partial
            .archives()
            .and_then(|archives| archives.into_iter().try_for_each(|a| append(a).map(drop)));
        if added.is_err() {
            partial.drop_archives();
            self.write_basis(image, path, note)?;
        }
        Ok(())
    }

    /// Checks that the other host has room for an archive of these layers, as far as that can be asked.
    fn check_room_there(&self, image: &Image, wanted: &HashSet<DiffId>) -> Result<(), StoreError> {
        let Some(space) = self.distant.free_space(&[self.folder.base()]).pop().flatten() else {
            return Ok(());
        };
        if space.bytes >= image.size.saturating_mul(2) {
            return Ok(());
        }
        let Ok(Some(sizes)) = self.distant.layer_sizes(image) else { return Ok(()) };
        let mut seen = HashSet::new();
        let layers =
            image.diff_ids.iter().zip(sizes).filter(|(id, _)| wanted.contains(id) && seen.insert(**id));
        let needed = layers.fold(0, |total: u64, (_, size)| total.saturating_add(size));
        if needed <= space.bytes {
            return Ok(());
        }
        let (mount, free) = (space.mount.display(), space.bytes);
        let message =
            format!("at least {needed} bytes are needed, and the file system ({mount}) has {free} left");
        Err(StoreError::TemporaryFull { message })
    }

    /// Gets the archive of the image from the other host into a file here.
    fn fetch(
        &self,
        image: &Image,
        wanted: &HashSet<DiffId>,
        partial: Option<&PartialImage>,
        file: &Path,
        note: &mut dyn FnMut(&str),
    ) -> Result<(), StoreError> {
        self.write_bases(image, partial, file, note)?;
        self.check_room_there(image, wanted)?;
        let script = self.distant.save_script(image, wanted)?;
        let there = self.folder.make(&self.distant, Some(&script), None)?;
        let arriving = partial.map(PartialImage::arriving).transpose();
        let arriving = arriving.map_err(io_error("cannot save what arrives"))?;
        let arriving = arriving.as_deref().map(Path::to_string_lossy);
        let (from, to) = (self.rsync.on_remote(&there.archive()), file.to_string_lossy());
        let run = || self.rsync.run(&from, &to, arriving.as_deref());
        match (run(), partial) {
            (Err(error), Some(partial))
                if is_full(&error) && partial.archives().is_ok_and(|archives| !archives.is_empty()) =>
            {
                partial.drop_archives();
                partial.arriving().map_err(io_error("cannot save what arrives"))?;
                self.write_basis(image, file, note)?;
                run()
            }
            (result, _) => result,
        }
    }
}

impl Store for RsyncStore {
    fn describe(&self) -> Description {
        self.distant.describe()
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let all = self.distant.list()?;
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&all.images);
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        self.distant.configs(ids)
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        // `save` takes images only; as a stream single blobs go.
        let refused = "a part of it, which no engine saves by itself: --method stream sends it".to_owned();
        let nested = self.distant.nested(digest)?;
        Ok(nested.map(|nested| Nested { image: nested.image.and(Err(refused)), ..nested }))
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        self.distant.holdings(held)
    }

    fn has_packages(&self) -> bool {
        // An archive crosses by rsync, which has the content of an image only.
        false
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let (image, wanted) = (self.named(self.distant.image(id)?), tars(id, wanted)?);
        let own = self.own_folder()?;
        let file = own.path().join(ARCHIVE);
        let partial =
            PartialImages::locate(self.tmpfolder.as_deref()).and_then(|all| all.begin(&image)).ok().flatten();
        self.fetch(&image, &wanted, partial.as_ref(), &file, &mut |text| sink.note(text))?;
        let archive = File::open(&file).map_err(io_error("cannot read the archive that arrived"))?;
        if let Some(partial) = &partial {
            // Until the image is there: the engine of this host may fail.
            partial.save_archive(&file).ok();
        }
        archive::read(archive, &self.distant.request(&image, &wanted), sink).map_err(|error| match error {
            ReadError::Sink(source) => io_error("a layer cannot be passed on")(source),
            ReadError::Source(source) => io_error("cannot read the archive that arrived")(source),
            ReadError::Broken(reason) => StoreError::Broken { what: format!("the archive of {id}"), reason },
        })
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        self.distant.layer_sizes(image)
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        // The archive is written here before it crosses, and is in a file there before the engine takes it.
        let folder = self.tmpfolder.clone().unwrap_or_else(temporary::place);
        let archive = |folder, disk| Demand { purpose: Purpose::Temporary, folder, bytes: size.given, disk };
        let there = self.folder.base();
        let space = self.distant.free_space(&[there]).into_iter().next().flatten();
        let there = space.as_ref().map_or_else(|| PathBuf::from(there), |space| space.mount.clone());
        let mut demands = vec![archive(folder, Disk::Here), archive(there, Disk::There(space))];
        // podman needs no copy of what is a file already.
        demands.extend(self.distant.demands(size).into_iter().filter(|d| d.purpose == Purpose::Images));
        demands
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        self.distant.cannot_run(platform)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        let ImportIdentity::Content(config) = identity else {
            let reason = "by rsync an image keeps its content only".into();
            return Err(StoreError::Broken { what: "the image".into(), reason });
        };
        let folder = self.own_folder()?;
        let file = File::create(folder.path().join(ARCHIVE)).map_err(io_error("cannot write an archive"))?;
        let archive = PartialArchive::new(BufWriter::new(file));
        Ok(Box::new(RsyncImport { store: self, config, folder, archive }))
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.distant.tag(id, names)
    }
}

/// An image on its way into an archive, to go by rsync when it is whole.
struct RsyncImport<'a> {
    store: &'a RsyncStore,
    /// The digest of its config.
    config: Digest,
    folder: tempfile::TempDir,
    archive: PartialArchive<BufWriter<File>>,
}

impl Import for RsyncImport<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.archive.layer(&key.digest(), len, write).map_err(unwritten)
    }

    fn commit(mut self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        let broken = |reason: String| StoreError::Broken { what: "the image".into(), reason };
        let parsed =
            Config::parse_expected(config, self.config).map_err(|error| broken(error.to_string()))?;
        let store = self.store;
        let held = HashMap::new();
        let id = ImageId::from(match store.describe().kind {
            StoreKind::DockerContainerd => self.archive.manifest_digest(config, &held).map_err(unwritten)?,
            _ => parsed.digest,
        });
        store.distant.load_for(&id, names, |temporary| {
            self.archive.finish(config, &held, temporary).map_err(unwritten)?;
            let image = Image::unnamed(id, &parsed, 0);
            let held = store.list()?.images;
            let basis = survey::basis(&held, &image, &[]).first().copied();
            let basis =
                basis.map(|basis| store.distant.save_script(basis, &replaced(basis, &image))).transpose()?;
            let file = self.folder.path().join(ARCHIVE);
            store.give(&file, basis.as_deref(), &partial_name(&image, names))?.load()?;
            if store.distant.image(&id)?.diff_ids != parsed.diff_ids {
                let reason = "the engine took it and shows other layers than its config names".into();
                return Err(StoreError::Broken { what: "the image to load".into(), reason });
            }
            Ok(())
        })?;
        Ok(id)
    }
}

/// Puts layers one after the other: rsync finds blocks wherever they are.
struct Concatenated {
    out: BufWriter<File>,
    wanted: HashSet<Digest>,
}

impl LayerSink for Concatenated {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        if key.is_none_or(|key| self.wanted.contains(&key.digest())) {
            io::copy(tar, &mut self.out)?;
        }
        Ok(())
    }
}

/// The layers of the basis that the image does not have.
fn replaced(basis: &Image, image: &Image) -> HashSet<DiffId> {
    basis.diff_ids.iter().filter(|id| !image.diff_ids.contains(id)).copied().collect()
}

/// Collects what a program prints.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        // Up to where it fails.
        pipe.read_to_end(&mut said).ok();
        String::from_utf8_lossy(&said).into_owned()
    })
}

/// Bytes sent and received, by what `rsync --stats` prints.
fn parse_stats(stats: &str) -> (u64, u64) {
    let number = |label: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(label))?;
        line.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    (number("Total bytes sent:").unwrap_or(0), number("Total bytes received:").unwrap_or(0))
}

/// True if a disk has no room for what arrives.
fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::TemporaryFull { .. } => true,
        StoreError::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
        _ => false,
    }
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let what = what.to_owned();
    move |source| StoreError::Io { what, source }
}

fn unwritten(error: WriteError) -> StoreError {
    match error {
        WriteError::Out(source) => io_error("cannot write an archive")(source),
        WriteError::Contents { layer, source } => io_error(&format!("layer {layer} cannot be read"))(source),
        WriteError::Config(error) => {
            StoreError::Broken { what: "the image".into(), reason: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_rsync_is_read() {
        let stats = "Number of files: 1 (reg: 1)\nTotal bytes sent: 12,345\nTotal bytes received: 67\n\nsent 12,345 bytes";
        assert_eq!(parse_stats(stats), (12_345, 67));
        assert_eq!(parse_stats(""), (0, 0));
    }

    #[test]
    fn the_basis_is_the_layers_that_the_image_replaces_one_after_the_other() {
        let ids = ["a", "b", "c"].map(|layer| DiffId::of(layer.as_bytes()));
        let image = |layers: &[DiffId]| Image {
            id: ImageId::of(b"x"),
            config: None,
            names: Vec::new(),
            digests: Vec::new(),
            diff_ids: layers.to_vec(),
            platform: Default::default(),
            size: 0,
            created: String::new(),
        };
        let replaced = replaced(&image(&ids), &image(&[ids[1]]));
        assert_eq!(replaced, HashSet::from([ids[0], ids[2]]));

        let file = tempfile::tempfile().unwrap();
        let wanted = replaced.iter().map(DiffId::digest).collect();
        let mut basis = Concatenated { out: BufWriter::new(file.try_clone().unwrap()), wanted };
        for (key, bytes) in [(Some(ids[0]), "A"), (Some(ids[1]), "B"), (None, "?"), (Some(ids[2]), "C")] {
            basis.layer(key.map(LayerKey::Tar), &mut bytes.as_bytes()).unwrap();
        }
        basis.out.flush().unwrap();
        let mut written = [0; 4];
        std::os::unix::fs::FileExt::read_at(&file, &mut written, 0).unwrap();
        // One without a name may be any of them.
        assert_eq!(&written, b"A?C\0");
    }
}
