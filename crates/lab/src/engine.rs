//! A container engine of the lab: the expensive part of a host.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dsync_core::ImageRef;

use crate::command::{run, run_with_input, tail};
use crate::files::write;
use crate::{LabError, Suite, containerd, mounts, packages, process};

/// The engine of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The `dockerd` of this machine.
    #[default]
    Dockerd,
    /// A program that takes dockerd's flags, with more flags for it.
    Program(PathBuf, Vec<String>),
    /// podman, which needs no daemon, with a storage of its own.
    Podman,
    /// Docker of a newer Debian, with its own client.
    DockerOf(Suite, ImageStore),
    /// podman of a newer Debian.
    PodmanOf(Suite),
    /// containerd without Docker: this machine's, or that of a newer Debian.
    Containerd(Option<Suite>),
    /// None at all.
    None,
}

impl EngineKind {
    /// All engines there are, by the names that people give them.
    pub const NAMED: [(&str, EngineKind); 11] = [
        ("containerd-1.6", EngineKind::Containerd(None)),
        ("containerd-1.7", EngineKind::Containerd(Some(Suite::Trixie))),
        ("containerd-2.1", EngineKind::Containerd(Some(Suite::Forky))),
        ("docker", EngineKind::Dockerd),
        ("docker-26-classic", EngineKind::DockerOf(Suite::Trixie, ImageStore::Classic)),
        ("docker-26-containerd", EngineKind::DockerOf(Suite::Trixie, ImageStore::Containerd)),
        ("docker-28-classic", EngineKind::DockerOf(Suite::Forky, ImageStore::Classic)),
        ("docker-28-containerd", EngineKind::DockerOf(Suite::Forky, ImageStore::Containerd)),
        ("podman", EngineKind::Podman),
        ("podman-5.4", EngineKind::PodmanOf(Suite::Trixie)),
        ("podman-5.8", EngineKind::PodmanOf(Suite::Forky)),
    ];

    /// The engine of this name.
    pub fn named(name: &str) -> Option<EngineKind> {
        EngineKind::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }
}

/// The image store of a newer Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStore {
    /// In the graph driver overlay2; an image's ID is its config's digest.
    Classic,
    /// In containerd; an image's ID is the digest of its manifest or index.
    Containerd,
}

impl ImageStore {
    /// The daemon's settings for it.
    const fn settings(self) -> &'static str {
        match self {
            ImageStore::Classic => {
                r#"{"ip6tables":false,"storage-driver":"overlay2","features":{"containerd-snapshotter":false}}"#
            }
            ImageStore::Containerd => r#"{"ip6tables":false,"features":{"containerd-snapshotter":true}}"#,
        }
    }
}

/// The properties of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// The kind and release.
    pub kind: EngineKind,
    /// The megabytes for its images; without, the disk's.
    pub root_limit_mb: Option<u32>,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    dir: PathBuf,
    kind: EngineKind,
    daemon: Mutex<Option<Child>>,
    /// The program of the daemon and its further flags.
    started_as: Option<(PathBuf, Vec<String>)>,
}

impl Engine {
    /// Starts it in this directory, without waiting for it to answer.
    pub(crate) fn start(dir: &Path, options: &EngineOptions) -> Result<Engine, LabError> {
        let root = dir.join("root");
        for part in [&root, &dir.join("exec"), &dir.join("client"), &dir.join("bin")] {
            fs::create_dir_all(part).map_err(LabError::io(format_args!("create {}", part.display())))?;
        }
        if let Some(megabytes) = options.root_limit_mb {
            mounts::small(&root, megabytes)?;
        }
        let mut engine = Engine {
            dir: dir.to_owned(),
            kind: options.kind.clone(),
            daemon: Mutex::default(),
            started_as: None,
        };
        let (program, flags) = match &options.kind {
            EngineKind::Dockerd => {
                packages::require(&[("dockerd", "docker.io"), ("docker", "docker.io")])?;
                (packages::find("dockerd").unwrap_or_else(|| "dockerd".into()), Vec::new())
            }
            EngineKind::Program(program, flags) => {
                packages::require(&[("docker", "docker.io")])?;
                (program.clone(), flags.clone())
            }
            EngineKind::DockerOf(suite, store) => {
                suite.link_programs(&["docker", "dockerd", "ctr"], &engine.bin())?;
                let settings = dir.join("daemon.json");
                write(&settings, store.settings())?;
                let flags = vec!["--config-file".to_owned(), settings.display().to_string()];
                (engine.bin().join("dockerd"), flags)
            }
            EngineKind::Containerd(suite) => {
                let program = match suite {
                    Some(suite) => {
                        suite.link_programs(&["ctr", "containerd"], &engine.bin())?;
                        engine.bin().join("containerd")
                    }
                    None => {
                        packages::require(&[("containerd", "containerd"), ("ctr", "containerd")])?;
                        packages::find("containerd").unwrap_or_else(|| "containerd".into())
                    }
                };
                let settings = dir.join("config.toml");
                write(&settings, &containerd::config(dir))?;
                (program, vec!["--config".to_owned(), settings.display().to_string()])
            }
            EngineKind::Podman => {
                packages::require(&[("podman", "podman"), ("runc", "runc")])?;
                engine.configure_podman()?;
                return Ok(engine);
            }
            EngineKind::PodmanOf(suite) => {
                suite.link_programs(&["podman"], &engine.bin())?;
                engine.configure_podman()?;
                return Ok(engine);
            }
            EngineKind::None => return Ok(engine),
        };
        packages::mount_cgroups()?;
        engine.started_as = Some((program, flags));
        engine.start_daemon()?;
        Ok(engine)
    }

    fn start_daemon(&self) -> Result<(), LabError> {
        let Some((program, flags)) = &self.started_as else { return Ok(()) };
        let cannot = format!("start {}", program.display());
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(LabError::io(&cannot))?;
        let mut daemon = Command::new(program);
        if !self.is_containerd() {
            daemon
                .arg("--data-root")
                .arg(self.root())
                .arg("--exec-root")
                .arg(self.dir.join("exec"))
                .arg("--pidfile")
                .arg(self.dir.join("dockerd.pid"))
                .args(["--host", &self.docker_host(), "--bridge=none", "--iptables=false"]);
        }
        let daemon = daemon
            .args(flags)
            .env(process::MARK, &self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(LabError::io(&cannot))?)
            .stderr(log)
            // Out of reach of a Ctrl-C, as a daemon is: the lab's keeper ends it.
            .process_group(0)
            .spawn()
            .map_err(LabError::io(&cannot))?;
        *self.daemon() = Some(daemon);
        Ok(())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of its daemon, where it has one.
    pub fn daemon_id(&self) -> Option<u32> {
        self.daemon().as_ref().map(Child::id)
    }

    /// Starts the daemon again after a signal has ended it, as a reboot does: what it left behind ends, too. Waits until it
    /// answers.
    pub fn revive(&self) -> Result<(), LabError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let ended = match self.daemon().as_mut() {
                Some(daemon) => daemon.try_wait().map_err(LabError::io("look after the engine"))?,
                None => return Ok(()),
            };
            if ended.is_some() {
                process::stop(&process::Found::marked(&self.dir), Duration::from_secs(5));
                // The number of its containerd may be that of a zombie.
                let state = self.dir.join("exec/containerd");
                if state.exists() {
                    fs::remove_dir_all(&state)
                        .map_err(LabError::io(format_args!("remove {}", state.display())))?;
                }
                self.start_daemon()?;
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.wait_ready()
    }

    /// Waits until it answers.
    pub(crate) fn wait_ready(&self) -> Result<(), LabError> {
        let mut daemon = self.daemon();
        let Some(daemon) = daemon.as_mut() else { return Ok(()) };
        let socket = self.dir.join("docker.sock");
        let deadline = Instant::now() + Duration::from_secs(90);
        let is_ready = || match self.is_containerd() {
            true => UnixStream::connect(self.address()).is_ok(),
            false => answers(&socket).unwrap_or(false),
        };
        let mut ended = false;
        while !ended && Instant::now() < deadline {
            if is_ready() {
                return Ok(());
            }
            ended = daemon.try_wait().map_err(LabError::io("look after the engine"))?.is_some();
            std::thread::sleep(Duration::from_millis(30));
        }
        let log = self.log();
        let text = fs::read_to_string(&log).unwrap_or_default();
        Err(LabError::NotReady { what: "the engine".to_owned(), log, tail: tail(&text, 8) })
    }

    /// Takes note of the end of the daemon, so that it is no zombie.
    pub(crate) fn reap(&self) {
        if let Some(daemon) = self.daemon().as_mut() {
            let _ = daemon.try_wait();
        }
    }

    /// The kind and release of the engine.
    pub fn kind(&self) -> &EngineKind {
        &self.kind
    }

    /// The folder of its images, `--data-root`.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// A directory for the `PATH` of whoever uses it, with its client where that is not the machine's.
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The socket of a containerd without Docker.
    pub fn address(&self) -> PathBuf {
        self.dir.join("containerd.sock")
    }

    /// containerd's own client, for the containerd that a Docker of a suite has started.
    ///
    /// # Panics
    /// It is another kind of engine.
    pub fn ctr(&self) -> Command {
        assert!(matches!(self.kind, EngineKind::DockerOf(..)), "{:?} comes with no ctr", self.kind);
        let mut command = Command::new(self.bin().join("ctr"));
        command
            .args(["--namespace", "moby", "--address"])
            .arg(self.dir.join("exec/containerd/containerd.sock"));
        command
    }

    /// The log of its daemon.
    pub fn log(&self) -> PathBuf {
        self.dir.join("dockerd.log")
    }

    /// The value of `DOCKER_HOST` for it.
    pub fn docker_host(&self) -> String {
        format!("unix://{}/docker.sock", self.dir.display())
    }

    /// The environment in which a client finds this engine and nothing of the person's own settings.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut variables = vec![("DOCKER_CONFIG".to_owned(), path("client"))];
        match self.kind {
            EngineKind::Dockerd | EngineKind::Program(..) | EngineKind::DockerOf(..) => {
                variables.push(("DOCKER_HOST".to_owned(), self.docker_host()));
            }
            EngineKind::Podman | EngineKind::PodmanOf(_) => {
                variables.push(("CONTAINERS_CONF".to_owned(), path("containers.conf")));
                variables.push(("CONTAINERS_STORAGE_CONF".to_owned(), path("storage.conf")));
                variables.push(("REGISTRY_AUTH_FILE".to_owned(), path("client/auth.json")));
                variables.push(("PODMAN_IGNORE_CGROUPSV1_WARNING".to_owned(), "1".to_owned()));
            }
            EngineKind::Containerd(_) => {
                variables.push(("CONTAINERD_ADDRESS".to_owned(), self.address().display().to_string()));
            }
            EngineKind::None => {}
        }
        variables
    }

    /// The programs of other engines, which a login must not find: they would show the machine's own images.
    pub(crate) fn foreign_clients(&self) -> &'static [&'static str] {
        match self.kind {
            EngineKind::Dockerd | EngineKind::Program(..) => &["podman"],
            EngineKind::Podman => &["docker", "dockerd"],
            EngineKind::DockerOf(..) | EngineKind::PodmanOf(_) | EngineKind::Containerd(_) => {
                &["docker", "dockerd", "podman"]
            }
            EngineKind::None => &["docker", "dockerd", "podman", "ctr"],
        }
    }

    /// True if it is podman, of whatever release.
    pub fn is_podman(&self) -> bool {
        matches!(self.kind, EngineKind::Podman | EngineKind::PodmanOf(_))
    }

    /// True if it is a containerd without Docker, of whatever release.
    pub fn is_containerd(&self) -> bool {
        matches!(self.kind, EngineKind::Containerd(_))
    }

    /// The engine's client, `docker`, `podman` or `ctr`, ready for a subcommand.
    pub fn client(&self) -> Command {
        let name = match self.kind {
            EngineKind::Podman | EngineKind::PodmanOf(_) => "podman",
            EngineKind::Containerd(_) => "ctr",
            _ => "docker",
        };
        let mut command = match self.kind {
            EngineKind::DockerOf(..) | EngineKind::PodmanOf(_) | EngineKind::Containerd(Some(_)) => {
                Command::new(self.bin().join(name))
            }
            _ => Command::new(name),
        };
        if name == "docker" {
            command.args(["--host", &self.docker_host()]);
        }
        command.env_remove("DOCKER_CONTEXT").env_remove("DOCKER_HOST").envs(self.environment());
        command
    }

    /// The release of the engine, as it says it.
    pub fn version(&self) -> Result<String, LabError> {
        if self.is_containerd() {
            let said = run(self.client().arg("version"))?;
            let version = said.lines().filter_map(|line| line.trim().strip_prefix("Version:")).next_back();
            return Ok(version.unwrap_or_default().trim().to_owned());
        }
        let format = if self.is_podman() { "{{.Client.Version}}" } else { "{{.Server.Version}}" };
        Ok(run(self.client().args(["version", "--format", format]))?.trim().to_owned())
    }

    /// containerd's import, by which images without a name have one by their digest. Its daemon would name others so,
    /// too, where it imports by itself.
    fn import(&self) -> Command {
        let mut command = self.client();
        command.args(["images", "import", "--digests", "--skip-digest-for-named"]);
        command.args((self.kind == EngineKind::Containerd(Some(Suite::Forky))).then_some("--local"));
        command
    }

    /// Loads an archive.
    pub fn load(&self, archive: &[u8]) -> Result<(), LabError> {
        match self.is_containerd() {
            true => run_with_input(self.import().arg("-"), archive).map(drop),
            false => run_with_input(self.client().args(["load", "--quiet"]), archive).map(drop),
        }
    }

    /// Loads an archive file.
    pub fn load_file(&self, archive: &Path) -> Result<(), LabError> {
        match self.is_containerd() {
            true => run(self.import().arg(archive)).map(drop),
            false => run(self.client().args(["load", "--quiet", "--input"]).arg(archive)).map(drop),
        }
    }

    /// The ID the engine shows for an image, if it has it.
    pub fn image_id(&self, image: &str) -> Option<String> {
        if self.is_containerd() {
            return self.record_of(image);
        }
        let id = run(self.client().args(["image", "inspect", "--format", "{{.Id}}", image])).ok()?;
        Some(id.trim().to_owned())
    }

    /// Removes an image, whether it is there or not.
    pub fn remove_image(&self, image: &str) -> Result<(), LabError> {
        if self.is_containerd() {
            return self.remove_records(image);
        }
        if self.image_id(image).is_some() {
            run(self.client().args(["image", "rm", "--force", image]))?;
        }
        Ok(())
    }

    /// Runs a command in a new container of an image; what it printed.
    pub fn run(&self, image: &str, command: &[&str]) -> Result<String, LabError> {
        if self.is_containerd() {
            let full = image.parse::<ImageRef>().map_or_else(|_| image.to_owned(), |name| name.qualified());
            // Limits that need no raising, which a machine that is a container itself does not allow.
            let options =
                ["run", "--rm", "--net-host", "--env", &format!("{}={}", process::MARK, self.dir.display())];
            return run(self.client().args(options).args([&full, "lab"]).args(command));
        }
        run(self.client().args(["run", "--rm", "--network", "host", image]).args(command))
    }

    /// podman's places are in files, so that a login's podman finds them with no flag. It runs containers by
    /// runc, as Docker does: crun refuses the cgroups that some machines have.
    fn configure_podman(&self) -> Result<(), LabError> {
        let dir = self.dir.display();
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{dir}/root\"\nrunroot = \"{dir}/exec\"\n"
        );
        // Limits that need no raising, which a machine that is a container itself does not allow.
        let containers = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\n\
             tmp_dir = \"{dir}/exec/libpod\"\nstatic_dir = \"{dir}/root/libpod\"\n\
             volume_path = \"{dir}/root/volumes\"\ncgroup_manager = \"cgroupfs\"\n\
             events_logger = \"none\"\nlock_type = \"file\"\nruntime = \"runc\"\n\
             env = [\"{mark}={dir}\"]\n",
            mark = process::MARK,
        );
        // It need not have anything, but be there.
        let auth = "{}".to_owned();
        for (name, text) in
            [("storage.conf", storage), ("containers.conf", containers), ("client/auth.json", auth)]
        {
            write(&self.dir.join(name), &text)?;
        }
        Ok(())
    }
}

/// True if a daemon answers its ping.
fn answers(socket: &Path) -> io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"))
}
