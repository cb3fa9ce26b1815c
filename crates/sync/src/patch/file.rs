//! The bytes of a patch file: `docs/patch-format.md`.

use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dsync_core::HashingWriter;
use dsync_proto::{HEADER_LEN, Header, ListedImage, budget, decode, encode, limits};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::link::Frame;

const MAGIC: [u8; 16] = *b"\0docker-syncp\xd5\x0d\x0a";
const VERSION: u16 = 8;
/// Magic, version, length of the head.
const FIXED: usize = 16 + 2 + 4;
const HASH: u64 = 32;

/// What a patch is, as postcard encodes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The new image; its names are those it gets.
    pub(super) image: ListedImage,
    /// Whether the patch says what the ID of the image is made of, where that is a manifest's or an index's. Its layers are
    /// those of the package then.
    pub(super) exact: bool,
    /// Which of its layers are in the patch, from 0 for the lowest.
    #[serde(deserialize_with = "budget::list")]
    pub(super) layers: Vec<u32>,
    /// Of which of the others the patch tells how they are stored.
    #[serde(deserialize_with = "budget::list")]
    pub(super) local: Vec<u32>,
    /// The layers of the old image, lowest first.
    #[serde(deserialize_with = "budget::list")]
    pub(super) basis: Vec<[u8; 32]>,
}

/// Why a patch cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatchError {
    #[error("this is no patch of docker-sync")]
    Magic,
    #[error(
        "the patch has format {0}, this docker-sync reads format {VERSION}: use the version that made it"
    )]
    Version(u16),
    #[error("the patch is damaged or cut short: get it once more")]
    Damaged,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a patch; its name appears when it is whole.
pub(super) struct Writer {
    out: HashingWriter<BufWriter<NamedTempFile>>,
    path: PathBuf,
}

impl Writer {
    pub(super) fn create(path: &Path, head: &Head) -> io::Result<Writer> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any file that a person makes: the umask decides who may read it.
        let open = Permissions::from_mode(0o666);
        let out = BufWriter::new(tempfile::Builder::new().permissions(open).tempfile_in(folder)?);
        let mut writer = Writer { out: HashingWriter::new(out), path: path.to_owned() };
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
        let file = out.into_inner().map_err(|error| error.into_error())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(size + HASH)
    }
}

/// Reads a patch that was found to be whole.
pub(super) struct Reader {
    input: io::Take<BufReader<File>>,
    head: Head,
    size: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Reader, PatchError> {
        let mut file = File::open(path)?;
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

    pub(super) fn head(&self) -> &Head {
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
    use super::*;
    use dsync_proto::{Channel, ListedConfig, ListedPlatform};

    fn head() -> Head {
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
        Head { image, exact: false, layers: vec![0], local: Vec::new(), basis: vec![[3; 32]] }
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("a.patch");
        let mut writer = Writer::create(&path, &head()).unwrap();
        assert!(!path.exists());
        writer.frame(&Frame::new(Channel::Data, vec![9; 300])).unwrap();
        writer.frame(&Frame::new(Channel::Data, Vec::new())).unwrap();
        let size = writer.finish().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
        path
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = Reader::open(&written(folder.path())).unwrap();
        assert_eq!(reader.head(), &head());
        assert_eq!(reader.frame().unwrap().unwrap().payload, vec![9; 300]);
        assert!(reader.frame().unwrap().unwrap().payload.is_empty());
        assert!(reader.frame().unwrap().is_none());
    }

    #[test]
    fn the_bytes_are_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(written(folder.path())).unwrap();
        assert_eq!(bytes[..22], *b"\0docker-syncp\xd5\x0d\x0a\x08\0\xb2\0\0\0");
        assert_eq!(bytes[22..54], [1; 32]);
        let frames = 22 + 0xb2;
        assert_eq!(bytes[frames..frames + 5], [3, 0x2c, 1, 0, 0]);
        assert_eq!(bytes.len(), frames + 5 + 300 + 5 + 32);
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
            let error = Reader::open(&path).err().unwrap();
            let fits = match at {
                ..16 => matches!(error, PatchError::Magic),
                16..18 => matches!(error, PatchError::Version(_)),
                _ => matches!(error, PatchError::Damaged),
            };
            assert!(fits, "{at}: {error}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Reader::open(&path).is_err());
        }
    }
}
