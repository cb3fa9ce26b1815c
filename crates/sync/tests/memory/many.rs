//! Layouts with a layer of many small files, written as they are made: no test has such a layer in memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use dsync_core::{Digest, HashingWriter};
use tempfile::TempDir;

/// A directory in the OCI image layout, with at most one image, `app:1`.
pub(crate) struct Layout(TempDir);

/// The number of files in a folder.
const FOLDER: u32 = 50;

impl Layout {
    /// Of no image. On a disk: a layer of many files has a gigabyte.
    pub(crate) fn empty() -> Self {
        Layout(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    /// Of an image of so many files, of which one in some is other than at first; at version 0 none is.
    pub(crate) fn of_files(files: u32, version: u32) -> Self {
        let layout = Self::empty();
        layout.write(files, version, false).unwrap();
        layout
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn spec(&self) -> String {
        format!("oci:{}", self.path().display())
    }

    /// Puts an image there in the place of what is.
    pub(crate) fn write(&self, files: u32, version: u32, pax: bool) -> io::Result<()> {
        let blobs = self.path().join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let layer = tempfile::NamedTempFile::new_in(&blobs)?;
        let mut out = HashingWriter::new(BufWriter::with_capacity(1 << 20, layer));
        for file in 0..files {
            write_file(file, version, pax, &mut out)?;
        }
        out.write_all(&[0; 1024])?;
        let (digest, out) = out.digest();
        let layer = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let len = layer.as_file().metadata()?.len();
        layer.persist(blobs.join(digest.hex()))?;
        self.name(&digest, len, version)
    }

    fn name(&self, layer: &Digest, len: u64, version: u32) -> io::Result<()> {
        let blob = |text: &str| {
            let digest = Digest::of(text.as_bytes());
            fs::write(self.path().join("blobs/sha256").join(digest.hex()), text)?;
            Ok::<_, io::Error>(format!(r#""digest":"{digest}","size":{}"#, text.len()))
        };
        let config = blob(&format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["V={version}"]}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
        ))?;
        let oci = "application/vnd.oci.image";
        let layer = format!(r#""mediaType":"{oci}.layer.v1.tar","digest":"{layer}","size":{len}"#);
        let manifest = blob(&format!(
            r#"{{"schemaVersion":2,"mediaType":"{oci}.manifest.v1+json","config":{{"mediaType":"{oci}.config.v1+json",{config}}},"layers":[{{{layer}}}]}}"#
        ))?;
        let name = r#""annotations":{"io.containerd.image.name":"docker.io/library/app:1"}"#;
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{oci}.manifest.v1+json",{manifest},{name}}}]}}"#
        );
        fs::write(self.path().join("index.json"), index)?;
        File::create(self.path().join("oci-layout"))?.write_all(br#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

/// A file, with its folder where it is the first in it. One in 50,000 changes with the version, in the middle of some
/// 50 kB, so that parts of it stay; one in seven has a name whose end no other has.
fn write_file(file: u32, version: u32, pax: bool, out: &mut impl Write) -> io::Result<()> {
    let folder = file / FOLDER;
    let folder = format!("srv/data/package-{:05}/node_modules/part-{folder}", folder / 20);
    if file.is_multiple_of(FOLDER) {
        out.write_all(&header(&format!("{folder}/"), 0, 1_700_000_000, b'5'))?;
    }
    let ends = ["js", "py", "json", "map", "md", "d.ts"];
    let end = match file % 7 {
        0 => format!("{:08x}", file.wrapping_mul(2_654_435_761)),
        other => ends[other as usize - 1].to_owned(),
    };
    let mtime = 1_700_000_000 + file.wrapping_mul(7919) % 100_000;
    if pax {
        let value = format!("mtime={mtime}.{:09}\n", file.wrapping_mul(997) % 1_000_000_000);
        let record = format!("{} {value}", value.len() + 3);
        out.write_all(&header(&format!("PaxHeaders/{file}"), record.len(), mtime, b'x'))?;
        out.write_all(&padded(record.into_bytes()))?;
    }
    let body = match file % 50_000 {
        3 => {
            let half =
                |name: &str| (0..1500).map(|at| format!("file {file} {name} {at}\n")).collect::<String>();
            format!("{}version {version}\n{}", half("begin"), half("end"))
        }
        _ => format!("file {file} version 0\n").repeat(3 + file as usize % 8),
    };
    out.write_all(&header(&format!("{folder}/file-{file}.{end}"), body.len(), mtime, b'0'))?;
    out.write_all(&padded(body.into_bytes()))
}

fn padded(mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(512), 0);
    body
}

fn header(name: &str, len: usize, mtime: u32, flag: u8) -> [u8; 512] {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(if flag == b'5' { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(len as u64);
    header.set_mtime(mtime.into());
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_username("root").unwrap();
    header.set_groupname("root").unwrap();
    header.set_cksum();
    *header.as_bytes()
}
