//! The engines of these tests, each started once and used by one test at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_engine::{Store, StoreSpec, open};
use dsync_lab::images::{Image, Layer};
use dsync_lab::{Engine, EngineKind, EngineOptions, Lab, LoginOptions, Suite, User, packages};

/// An engine.
pub(crate) struct Stand {
    lab: Lab,
    in_use: Mutex<()>,
}

impl Stand {
    /// The engine of this name, shared.
    pub(crate) fn get(name: &str) -> &'static Stand {
        static STANDS: Mutex<BTreeMap<String, &OnceLock<Stand>>> = Mutex::new(BTreeMap::new());
        let mut stands = STANDS.lock().unwrap_or_else(PoisonError::into_inner);
        // They live as long as the process, and end with it: see `dsync_lab::keeper`.
        let stand = *stands.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::default()));
        drop(stands);
        stand.get_or_init(|| Stand::start(name, None))
    }

    /// An engine of the test's own that has so many megabytes for images.
    pub(crate) fn small(name: &str, megabytes: u32) -> Stand {
        Stand::start(name, Some(megabytes))
    }

    fn start(name: &str, root_limit_mb: Option<u32>) -> Stand {
        let kind = EngineKind::named(name).unwrap();
        let options = EngineOptions { kind, root_limit_mb };
        let lab = Lab::builder().host_with("alpha", options, LoginOptions::default()).start();
        let lab = lab.unwrap_or_else(|error| panic!("{name}: {error}"));
        let stand = Stand { lab, in_use: Mutex::new(()) };
        // An engine that never had an image has no directories that could be read.
        let first = Layer::builder().file("first", "").build();
        stand.engine().load(&Image::untagged().layer(&first).archive()).unwrap();
        stand
    }

    /// Keeps other tests away from it. One that failed has done no harm to the others.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.lab.host("alpha").engine()
    }

    /// A place for a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.lab.dir().join(name)
    }

    /// The store, as `--docker` would open it.
    pub(crate) fn store(&self) -> Box<dyn Store> {
        let client = self.engine().client();
        let program = PathBuf::from(client.get_program());
        self.store_by(&program)
    }

    /// The store of an engine whose files cannot be read, as on another host: its client does not tell where
    /// they are.
    pub(crate) fn store_behind_its_client(&self) -> Box<dyn Store> {
        let (command, hide) = match self.engine().is_containerd() {
            true => ("plugins", "s/root /nothing /"),
            false => ("info", "s/DockerRootDir/Nothing/; s/graphRoot\"/nothing\"/"),
        };
        self.store_but("secretive", command, &format!("\"$@\" | sed '{hide}'"))
    }

    /// The store of an engine whose client fails at this command.
    pub(crate) fn store_without(&self, command: &str) -> Box<dyn Store> {
        self.store_but("unable", command, "no-such-command")
    }

    /// The store by a client with other arguments for a command.
    fn store_but(&self, name: &str, command: &str, instead: &str) -> Box<dyn Store> {
        let folder = self.lab.dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        // The name of a client tells its kind.
        let script = folder.join(if self.engine().is_containerd() { "ctr" } else { name });
        let client = self.engine().client().get_program().to_str().unwrap().to_owned();
        let text = format!(
            "#!/bin/sh\n\
             for word; do [ \"$word\" = {command} ] && {{ {client} {instead}; exit; }}; done\n\
             exec {client} \"$@\"\n"
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        self.store_by(&script)
    }

    fn store_by(&self, program: &Path) -> Box<dyn Store> {
        let client = self.engine().client();
        let mut words = vec!["env".to_owned()];
        for (name, value) in client.get_envs() {
            let name = name.to_str().unwrap();
            match value {
                Some(value) => words.push(format!("{name}={}", value.to_str().unwrap())),
                None => words.splice(1..1, ["-u".to_owned(), name.to_owned()]).for_each(drop),
            }
        }
        words.push(program.to_str().unwrap().to_owned());
        words.extend(client.get_args().map(|arg| arg.to_str().unwrap().to_owned()));
        open(&StoreSpec::Command(words), &std::env::temp_dir()).unwrap()
    }

    /// Waits until the engine holds no more than this, and all images of it; an engine takes its time to
    /// throw things away.
    #[track_caller]
    pub(crate) fn assert_holds(&self, expected: &BTreeSet<String>) {
        self.assert_holds_but_for(expected, &[]);
    }

    /// The same, but for more of these kinds of things.
    #[track_caller]
    pub(crate) fn assert_holds_but_for(&self, expected: &BTreeSet<String>, kinds: &[&str]) {
        let is_image = |line: &&String| line.starts_with("image ");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let held = self.engine().holdings().unwrap();
            let left = held.difference(expected);
            let left: Vec<_> = left.filter(|line| !kinds.iter().any(|kind| line.starts_with(kind))).collect();
            let lost: Vec<_> = expected.difference(&held).filter(is_image).collect();
            if left.is_empty() && lost.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:#?}, lost: {lost:#?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// podman of somebody without root, with its storage in its home.
pub(crate) struct Guest {
    /// Runs podman for root, in the name of the guest.
    podman: PathBuf,
    _lab: Lab,
}

impl Guest {
    /// The engine of this machine, or of a suite.
    pub(crate) fn start(suite: Option<Suite>) -> Guest {
        let none = |name: &str| (name.to_owned(), "/dev/null".to_owned());
        let login = LoginOptions {
            user: User::Guest,
            env: vec![none("CONTAINERS_CONF"), none("CONTAINERS_STORAGE_CONF"), none("REGISTRY_AUTH_FILE")],
            ..LoginOptions::default()
        };
        let options = EngineOptions { kind: EngineKind::Podman, root_limit_mb: None };
        let lab = Lab::builder().host_with("alpha", options, login).start();
        let lab = lab.unwrap_or_else(|error| panic!("podman of a guest: {error}"));
        let podman = match suite {
            Some(suite) => lab.host("alpha").program_of(suite, "podman").unwrap(),
            None => {
                packages::require(&[("newuidmap", "uidmap")]).unwrap();
                Guest::by_ssh(&lab)
            }
        };
        Guest { podman, _lab: lab }
    }

    /// Nobody else sees the guest's home as it does.
    fn by_ssh(lab: &Lab) -> PathBuf {
        let script = lab.dir().join("podman-of-guest");
        let config = lab.ssh_config();
        let text = format!(
            "#!/bin/bash\nexec ssh -F {} alpha \"podman $(printf '%q ' \"$@\")\"\n",
            config.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    /// The store, as `--docker` would open it.
    pub(crate) fn store(&self) -> Box<dyn Store> {
        open(&StoreSpec::Command(vec![self.podman.to_str().unwrap().to_owned()]), &std::env::temp_dir())
            .unwrap()
    }

    /// The output of a command of its podman.
    pub(crate) fn podman(&self, words: &[&str]) -> String {
        let output = Command::new(&self.podman).args(words).output().unwrap();
        assert!(output.status.success(), "podman {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
