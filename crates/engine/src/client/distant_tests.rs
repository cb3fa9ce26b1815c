//! Streams of an engine on another host: only wanted layers cross, and a `save` that fails ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::json;

use super::*;
use crate::archive::PartialArchive;

/// A host whose engine is a script, and whose shell is this host's.
struct Host {
    folder: tempfile::TempDir,
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
}

impl Host {
    /// Its engine does what this script says for `save`, with the archive of an image of these layers in `$archive`.
    fn new(layers: &[&[u8]], save: &str) -> Self {
        let ids: Vec<DiffId> = layers.iter().map(|layer| DiffId::of(layer)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2024-03-02T01:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": ids.iter().map(ToString::to_string).collect::<Vec<_>>()},
        });
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            layers: layers.iter().map(|layer| layer.to_vec()).collect(),
            config: config.to_string().into_bytes(),
        };
        let mut archive = PartialArchive::new(Vec::new());
        for layer in &host.layers {
            archive.layer(&Digest::of(layer), layer.len() as u64, &mut |out| out.write_all(layer)).unwrap();
        }
        archive.finish(&host.config, &Default::default(), None).unwrap();
        fs::write(host.path("image.tar"), archive.into_inner()).unwrap();
        let inspected = json!([{
            "Id": host.id().to_string(), "RepoTags": ["app:1"], "Os": "linux", "Architecture": "amd64",
            "RootFS": {"Layers": ids.iter().map(ToString::to_string).collect::<Vec<_>>()},
        }]);
        let info = json!({"Driver": "overlay2", "ServerVersion": "26.1.5"});
        let script = format!(
            "#!/bin/sh\narchive='{}'\ncase $1 in\ninfo) echo '{info}';;\nimage) echo '{inspected}';;\nsave) {save};;\nesac\n",
            host.path("image.tar")
        );
        fs::write(host.path("docker"), script).unwrap();
        fs::set_permissions(host.path("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn id(&self) -> ImageId {
        ImageId::of(&self.config)
    }

    fn keys(&self, wanted: &[usize]) -> HashSet<DiffId> {
        wanted.iter().map(|at| DiffId::of(&self.layers[*at])).collect()
    }

    fn store(&self) -> DistantStore {
        let words = ["sh", "-c"].map(str::to_owned).to_vec();
        DistantStore::open(&[self.path("docker")], &Reach { words, ..Reach::default() }).unwrap()
    }

    /// The layers that an export of some gives, or its error.
    fn export(&self, wanted: &[usize]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut taken = Taken::default();
        let wanted = self.keys(wanted).into_iter().map(LayerKey::Tar).collect();
        let export = self.store().export(&self.id(), &wanted, &mut taken)?;
        assert_eq!(export.config, self.config);
        Ok(taken.0)
    }
}

/// Keeps layers, and refuses those with other bytes than their key names.
#[derive(Default)]
struct Taken(Vec<Vec<u8>>);

impl LayerSink for Taken {
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        let mut layer = Vec::new();
        bytes.read_to_end(&mut layer)?;
        if key != Some(DiffId::of(&layer).into()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the layer has other contents"));
        }
        self.0.push(layer);
        Ok(())
    }
}

/// Noise, which does not compress, so that nothing of it waits in a buffer.
fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut digest = Digest::of(&[seed]);
    let mut noise = Vec::with_capacity(len + 32);
    while noise.len() < len {
        noise.extend_from_slice(digest.as_bytes());
        digest = Digest::of(digest.as_bytes());
    }
    noise.truncate(len);
    noise
}

fn three() -> [Vec<u8>; 3] {
    [1, 2, 3].map(|seed| noise(seed, 300_000))
}

/// The size of an entry of that length with its header.
const ENTRY: usize = 512 + 300_032;

/// Runs a script as long as it may take: its output, and whether it succeeded; none where it does not end.
fn ended(script: &str, folder: &Path) -> Option<(Vec<u8>, bool)> {
    let mut child = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        // Nobody listens any more where it took too long.
        let _ = stdout.read_to_end(&mut output).map(|_| sender.send(output));
    });
    let output = receiver.recv_timeout(Duration::from_secs(20)).ok();
    if output.is_none() {
        let group = Pid::from_child(&child);
        rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    }
    let status = child.wait().unwrap();
    output.map(|output| (output, status.success()))
}

#[test]
fn only_wanted_layers_cross() {
    let layers = three();
    let host = Host::new(&layers.each_ref().map(|layer| &layer[..]), "cat \"$archive\"");
    let store = host.store();
    for wanted in [&[][..], &[1], &[0, 2], &[0, 1, 2]] {
        let expected: Vec<Vec<u8>> = wanted.iter().map(|at| layers[*at].clone()).collect();
        assert_eq!(host.export(wanted).unwrap(), expected);
        let image = store.image(&host.id()).unwrap();
        let script = store.save_script(&image, &host.keys(wanted)).unwrap();
        let (archive, succeeded) = ended(&script, host.folder.path()).unwrap();
        assert!(succeeded);
        assert_eq!(archive.len() / ENTRY, wanted.len(), "{wanted:?}: {}", archive.len());
    }
}

#[test]
fn a_save_that_is_cut_ends_and_says_why() {
    let layers = three();
    for len in [
        0,
        700,
        ENTRY - 100,
        ENTRY,
        ENTRY + 200,
        ENTRY + 700,
        ENTRY + 100_000,
        2 * ENTRY + 100_000,
        3 * ENTRY,
    ] {
        let save = format!("head -c {len} \"$archive\"; echo 'the disk is on fire' >&2; exit 1");
        let host = Host::new(&layers.each_ref().map(|layer| &layer[..]), &save);
        let store = host.store();
        let image = store.image(&host.id()).unwrap();
        // Each layer in turn is left out, among them the one in which the archive ends.
        for wanted in [&[0, 2][..], &[0, 1], &[1, 2]] {
            let script = store.save_script(&image, &host.keys(wanted)).unwrap();
            let (_, succeeded) = ended(&script, host.folder.path())
                .unwrap_or_else(|| panic!("{len} bytes, {wanted:?}: it goes on for ever"));
            assert!(!succeeded, "{len} bytes, {wanted:?}: the status is that of save");
            let error = host.export(wanted).unwrap_err();
            assert!(error.to_string().contains("the disk is on fire"), "{len} bytes, {wanted:?}: {error}");
        }
    }
}

#[test]
fn a_save_that_fails_and_exits_with_success_gives_no_image() {
    let layers = three();
    // As Docker does it: the archive stops, its error follows as JSON.
    for len in [700, ENTRY, ENTRY + 100_000, 2 * ENTRY + 100_000] {
        let error = r#"{"errorDetail":{"message":"disk on fire"}}"#;
        let save = format!("head -c {len} \"$archive\"; printf %s '{error}'");
        let host = Host::new(&layers.each_ref().map(|layer| &layer[..]), &save);
        let store = host.store();
        let image = store.image(&host.id()).unwrap();
        for wanted in [&[0, 2][..], &[0, 1], &[2]] {
            let script = store.save_script(&image, &host.keys(wanted)).unwrap();
            assert!(
                ended(&script, host.folder.path()).is_some(),
                "{len} bytes, {wanted:?}: it goes on for ever"
            );
            host.export(wanted).unwrap_err();
        }
    }
}

#[test]
fn without_gnu_tar_all_layers_cross() {
    let layers = three();
    let host = Host::new(&layers.each_ref().map(|layer| &layer[..]), "cat \"$archive\"");
    let image = host.store().image(&host.id()).unwrap();
    let script = host.store().save_script(&image, &host.keys(&[1])).unwrap();
    // As busybox calls itself.
    let script = format!("tar() {{ echo 'tar (busybox) 1.36'; }}; {script}");
    let (archive, _) = ended(&script, host.folder.path()).unwrap();
    assert_eq!(archive, fs::read(host.path("image.tar")).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_for_which_there_is_no_room_is_told_as_that() {
    let layers = three();
    let host = Host::new(&layers.each_ref().map(|layer| &layer[..]), "cat \"$archive\"");
    let image = host.store().image(&host.id()).unwrap();
    let script = host.store().save_script(&image, &host.keys(&[1])).unwrap();
    // As into a file on a disk that is full; it is tar that notices.
    let script = format!("{{ {script}; }} >/dev/full");
    let output = Command::new("sh").args(["-c", &script]).current_dir(host.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}
