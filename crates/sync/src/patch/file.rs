//! The bytes of a patch file: `docs/patch-format.md`.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dsync_core::HashingWriter;
use dsync_proto::{HEADER_LEN, Header, PatchHead, decode, encode, limits};
use rustix::fs::{AtFlags, CWD, linkat};
use tempfile::NamedTempFile;

use crate::link::Frame;
use crate::linux;

const MAGIC: [u8; 16] = *b"\0docker-syncp\xd5\x0d\x0a";
const VERSION: u16 = 10;
/// Magic, version, length of the head.
const FIXED: usize = 16 + 2 + 4;
const HASH: u64 = 32;

/// The reason why a patch cannot be read, as it follows the name of the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatchError {
    #[error("is no patch of docker-sync")]
    Magic,
    #[error("has format {0}, and this docker-sync reads format {VERSION}: use the version that made it")]
    Version(u16),
    #[error("is damaged or cut short: get it once more")]
    Damaged,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The place where a patch is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatchOutput {
    /// A file; `replaces` where there may be one of this name already.
    File {
        /// Its path.
        path: PathBuf,
        /// True if another file of this name may go.
        replaces: bool,
    },
    /// Standard output.
    Stdout,
}

/// The place from which a patch is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatchInput {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Writes a patch; the name of a file appears when it is whole.
pub(super) struct Writer {
    out: HashingWriter<BufWriter<Unfinished>>,
    output: PatchOutput,
}

impl Writer {
    pub(super) fn create(output: &PatchOutput, head: &PatchHead) -> io::Result<Writer> {
        let out = match output {
            PatchOutput::File { path, .. } => Unfinished::create(folder_of(path))?,
            PatchOutput::Stdout => Unfinished::Stream(io::stdout()),
        };
        let mut writer = Writer { out: HashingWriter::new(BufWriter::new(out)), output: output.clone() };
        let head = encode(head).map_err(io::Error::other)?;
        writer.out.write_all(&MAGIC)?;
        writer.out.write_all(&VERSION.to_le_bytes())?;
        writer.out.write_all(&u32::try_from(head.len()).map_err(io::Error::other)?.to_le_bytes())?;
        writer.out.write_all(&head)?;
        Ok(writer)
    }

    pub(super) fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        let header = Header { channel: frame.channel, len: frame.payload.len() };
        let header = header.encode().ok_or_else(|| io::Error::other("a frame is too long"))?;
        self.out.write_all(&header)?;
        self.out.write_all(&frame.payload)
    }

    /// Ends the file. Returns its length.
    pub(super) fn finish(self) -> io::Result<u64> {
        let size = self.out.len();
        let (hash, mut out) = self.out.digest();
        out.write_all(hash.as_bytes())?;
        let mut file = out.into_inner().map_err(|error| error.into_error())?;
        match &self.output {
            PatchOutput::File { path, replaces } => file.persist(path, *replaces)?,
            PatchOutput::Stdout => file.flush()?,
        }
        Ok(size + HASH)
    }
}

/// The file that becomes a patch when it is whole.
enum Unfinished {
    /// A file without a name, of which nothing is left however the process ends.
    Unnamed(File),
    /// A hidden file, where the file system has no others: locked as long as its process lives. One of a process
    /// that was killed is removed by the next patch that is written into the folder.
    Named(NamedTempFile),
    /// Standard output: whoever reads it finds out by the hash that it is whole.
    Stream(io::Stdout),
}

/// The beginning of the names of hidden files.
const HIDDEN: &str = ".docker-sync-diff-";
/// Permissions of a patch. As of any file that a person makes, the umask decides who may read it.
const MODE: u32 = 0o666;

impl Unfinished {
    fn create(folder: &Path) -> io::Result<Self> {
        remove_stale(folder);
        // Whatever stands in the way of a file without a name, a named one shows the reason if it matters.
        unnamed(folder).map(Self::Unnamed).or_else(|_| named(folder).map(Self::Named))
    }

    /// Gives the file its name, if need be in place of another file of this name.
    fn persist(self, path: &Path, replaces: bool) -> io::Result<()> {
        let file = match self {
            Self::Stream(mut stream) => return stream.flush(),
            Self::Named(file) => {
                file.as_file().sync_all()?;
                let named = if replaces { file.persist(path) } else { file.persist_noclobber(path) };
                return named.map(drop).map_err(|error| error.error);
            }
            Self::Unnamed(file) => file,
        };
        file.sync_all()?;
        let link = |path: &Path| {
            linkat(CWD, open_file(&file), CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
        };
        match link(path) {
            // A link replaces no file, a rename does.
            Err(error) if replaces && error.kind() == io::ErrorKind::AlreadyExists => {
                let linked = tempfile::Builder::new().prefix(HIDDEN).make_in(folder_of(path), link)?;
                linked.persist(path).map_err(|error| error.error)
            }
            other => other,
        }
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unnamed(file) => file.write(bytes),
            Self::Named(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unnamed(file) => file.flush(),
            Self::Named(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

/// A locked file without a name.
fn unnamed(folder: &Path) -> io::Result<File> {
    let file = linux::unnamed_file(folder, MODE)?;
    file.lock()?;
    // Without `/proc` it could get no name.
    fs::symlink_metadata(open_file(&file))?;
    Ok(file)
}

/// A hidden file, which other processes find locked.
fn named(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(HIDDEN).permissions(Permissions::from_mode(MODE)).tempfile_in(folder)?;
        file.as_file().lock()?;
        // Another process may have taken it for a stale one before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes hidden files of processes that were killed.
fn remove_stale(folder: &Path) {
    // A folder that cannot be read has no file that this process could remove.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_hidden = entry.file_name().to_string_lossy().starts_with(HIDDEN);
        if is_hidden && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // One that cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The path by which an open file without a name is linked.
fn open_file(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a patch that was found to be whole.
pub(super) struct Reader {
    input: io::Take<BufReader<File>>,
    head: PatchHead,
    size: u64,
}

impl Reader {
    /// Opens a patch; one that comes by a pipe is kept in a file of this folder meanwhile.
    pub(super) fn open(input: &PatchInput, folder: &Path) -> Result<Reader, PatchError> {
        match input {
            PatchInput::File(path) => Reader::of(File::open(path)?),
            PatchInput::Stdin => {
                let mut file = tempfile::tempfile_in(folder)?;
                io::copy(&mut io::stdin(), &mut file)?;
                file.seek(SeekFrom::Start(0))?;
                Reader::of(file)
            }
        }
    }

    fn of(mut file: File) -> Result<Reader, PatchError> {
        let size = file.metadata()?.len();
        let mut fixed = [0; FIXED];
        file.read_exact(&mut fixed).map_err(|_| PatchError::Magic)?;
        let [magic @ .., v0, v1, l0, l1, l2, l3] = fixed;
        if magic != MAGIC {
            return Err(PatchError::Magic);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(PatchError::Version(version));
        }
        let body = size.checked_sub(HASH).ok_or(PatchError::Damaged)?;
        file.seek(SeekFrom::Start(0))?;
        let mut hashed = HashingWriter::new(io::sink());
        io::copy(&mut (&mut file).take(body), &mut hashed)?;
        let mut expected = [0; HASH as usize];
        file.read_exact(&mut expected)?;
        if *hashed.digest().0.as_bytes() != expected {
            return Err(PatchError::Damaged);
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let frames = body.checked_sub(FIXED as u64 + u64::from(len)).filter(|_| len <= limits::PATCH_HEAD);
        let frames = frames.ok_or(PatchError::Damaged)?;
        file.seek(SeekFrom::Start(FIXED as u64))?;
        let mut input = BufReader::new(file);
        let mut head = Vec::new();
        (&mut input).take(len.into()).read_to_end(&mut head)?;
        let head = decode(&head).map_err(|_| PatchError::Damaged)?;
        Ok(Reader { input: input.take(frames), head, size })
    }

    pub(super) fn head(&self) -> &PatchHead {
        &self.head
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next frame; `None` at the end.
    pub(super) fn frame(&mut self) -> io::Result<Option<Frame>> {
        if self.input.limit() == 0 {
            return Ok(None);
        }
        let mut header = [0; HEADER_LEN];
        self.input.read_exact(&mut header)?;
        let header = Header::decode(&header).map_err(io::Error::other)?;
        let mut payload = Vec::new();
        (&mut self.input).take(header.len as u64).read_to_end(&mut payload)?;
        if payload.len() != header.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Frame::new(header.channel, payload)))
    }
}

#[cfg(test)]
mod tests {
    use dsync_proto::ListedImage;

    use super::*;
    use dsync_proto::{Channel, ListedConfig, ListedPlatform};

    fn head() -> PatchHead {
        let image = ListedImage {
            id: [1; 32],
            config: ListedConfig::Digest([4; 32]),
            names: vec!["app:2".into()],
            digests: Vec::new(),
            diff_ids: vec![[2; 32]],
            platform: ListedPlatform {
                os: "linux".into(),
                architecture: "amd64".into(),
                variant: String::new(),
            },
            size: 7,
            created: "2026-11-24T00:00:00Z".into(),
        };
        PatchHead {
            image,
            exact: false,
            layers: vec![0],
            described: Vec::new(),
            basis: vec![[3; 32]],
            old: "app:1".into(),
        }
    }

    fn file(path: &Path, replaces: bool) -> PatchOutput {
        PatchOutput::File { path: path.to_owned(), replaces }
    }

    fn read(path: &Path) -> Result<Reader, PatchError> {
        Reader::open(&PatchInput::File(path.to_owned()), path.parent().unwrap())
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("a.patch");
        let mut writer = Writer::create(&file(&path, true), &head()).unwrap();
        writer.frame(&Frame::new(Channel::Data, vec![9; 300])).unwrap();
        writer.frame(&Frame::new(Channel::Data, Vec::new())).unwrap();
        let size = writer.finish().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
        path
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = read(&written(folder.path())).unwrap();
        assert_eq!(reader.head(), &head());
        assert_eq!(reader.frame().unwrap().unwrap().payload, vec![9; 300]);
        assert!(reader.frame().unwrap().unwrap().payload.is_empty());
        assert!(reader.frame().unwrap().is_none());
    }

    #[test]
    fn the_page_about_the_format_has_its_number() {
        let page = include_str!("../../../../docs/patch-format.md");
        assert!(page.contains(&format!("Format number **{VERSION}**.")), "raise it there, too");
    }

    #[test]
    fn the_bytes_are_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(written(folder.path())).unwrap();
        assert_eq!(bytes[..22], *b"\0docker-syncp\xd5\x0d\x0a\x0a\0\xb8\0\0\0");
        assert_eq!(bytes[22..54], [1; 32]);
        let frames = 22 + 0xb8;
        assert_eq!(bytes[frames..frames + 5], [3, 0x2c, 1, 0, 0]);
        assert_eq!(bytes.len(), frames + 5 + 300 + 5 + 32);
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.patch");
        for replaces in [false, true] {
            let writer = Writer::create(&file(&path, replaces), &head()).unwrap();
            fs::write(&path, "another one").unwrap();
            let finished = writer.finish();
            assert_eq!(finished.is_ok(), replaces, "{finished:?}");
            assert_eq!(fs::read(&path).unwrap() == b"another one", !replaces);
            assert_eq!(names(folder.path()), ["a.patch"]);
        }
        let hidden = Unfinished::Named(named(folder.path()).unwrap());
        assert!(hidden.persist(&path, false).is_err());
        assert_eq!(names(folder.path()), ["a.patch"]);
    }

    #[test]
    fn an_unfinished_patch_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.patch");
        fs::write(&path, "the old one").unwrap();
        let mut writer = Writer::create(&file(&path, true), &head()).unwrap();
        writer.frame(&Frame::new(Channel::Data, vec![9; 200_000])).unwrap();
        assert_eq!(names(folder.path()), ["a.patch"], "a killed process would leave it");
        assert_eq!(fs::read(&path).unwrap(), b"the old one");
        drop(writer);
        assert_eq!(fs::read(&path).unwrap(), b"the old one");

        written(folder.path()).metadata().unwrap();
        assert_eq!(names(folder.path()), ["a.patch"], "it takes the place of the old one");
        read(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        assert_eq!(mode, plain.metadata().unwrap().permissions().mode(), "the umask decides");
    }

    #[test]
    fn a_hidden_file_of_a_killed_process_is_removed_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let alive = named(folder.path()).unwrap();
        let (killed, path) = named(folder.path()).unwrap().keep().unwrap();
        fs::write(folder.path().join(".docker-sync-other"), "").unwrap();
        remove_stale(folder.path());
        assert!(path.exists(), "its process lives");
        drop(killed);
        written(folder.path());
        let mut left = [".docker-sync-other", alive.path().file_name().unwrap().to_str().unwrap(), "a.patch"];
        left.sort_unstable();
        assert_eq!(names(folder.path()), left);
        Unfinished::Named(alive).persist(&folder.path().join("b.patch"), false).unwrap();
        assert_eq!(names(folder.path()), [".docker-sync-other", "a.patch", "b.patch"]);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let error = read(&path).err().unwrap();
            let fits = match at {
                ..16 => matches!(error, PatchError::Magic),
                16..18 => matches!(error, PatchError::Version(_)),
                _ => matches!(error, PatchError::Damaged),
            };
            assert!(fits, "{at}: {error}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path).is_err());
        }
    }
}
