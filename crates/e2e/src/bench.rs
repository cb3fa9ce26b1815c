//! A bench: the two sides of one test, and the program between them.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dsync_lab::images::Image;
use dsync_lab::{EngineOptions, Host, Lab, LabError, Login, LoginOptions};

use crate::{Layout, Ran, Running, Side, leftovers, program, record};

/// No run of a test takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two hosts: "here", where the program is started, is `alpha`; "there", which ssh reaches, is `beta`.
pub struct Bench {
    // The login goes before the lab it is in.
    login: Login,
    here: Station,
    there: Station,
    prefix: String,
    dir: PathBuf,
    patience: Duration,
    runs: AtomicU32,
}

/// A host of a lab.
#[derive(Clone)]
pub struct Station {
    /// The lab.
    pub lab: Arc<Lab>,
    /// The host's name in it.
    pub name: &'static str,
}

impl Station {
    /// The host.
    pub fn host(&self) -> &Host {
        self.lab.host(self.name)
    }
}

/// The properties of a bench.
#[derive(Default)]
pub struct BenchBuilder {
    engines: Option<[EngineOptions; 2]>,
    stations: Option<[Station; 2]>,
    login: LoginOptions,
    fresh: bool,
    patience: Option<Duration>,
}

impl BenchBuilder {
    /// Engines of the test's own.
    pub fn engines(mut self, here: EngineOptions, there: EngineOptions) -> Self {
        self.engines = Some([here, there]);
        self
    }

    /// Hosts that are there already, here and there; they may be of two labs.
    pub fn between(mut self, here: &Station, there: &Station) -> Self {
        self.stations = Some([here.clone(), there.clone()]);
        self
    }

    /// The properties of the login.
    pub fn login(mut self, options: LoginOptions) -> Self {
        self.login = options;
        self
    }

    /// The host there has never seen the program.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// The time limit of a run; without, that of a test.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// There can be no lab: a test that needs one fails without.
    pub fn start(self) -> Bench {
        let in_lab = |lab: Arc<Lab>| {
            let there = Station { lab: Arc::clone(&lab), name: "beta" };
            [Station { lab, name: "alpha" }, there]
        };
        let [here, there] = match (self.stations, &self.engines) {
            (Some(stations), _) => stations,
            (None, None) => in_lab(shared()),
            (None, Some([here, there])) => {
                let builder = Lab::builder()
                    .host_with("alpha", here.clone(), LoginOptions::default())
                    .host_with("beta", there.clone(), LoginOptions::default());
                in_lab(started(builder.start()))
            }
        };
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("e{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let login = there.host().login(&prefix, self.login).unwrap_or_else(|error| panic!("{error}"));
        let dir = here.lab.dir().join(format!("here-{prefix}"));
        for name in ["home", "tmp", "bin", "work"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let bench = Bench {
            login,
            here,
            there,
            prefix,
            dir,
            patience: self.patience.unwrap_or(PATIENCE),
            runs: AtomicU32::new(0),
        };
        if !self.fresh {
            bench.install_agent();
        }
        bench
    }
}

impl Bench {
    /// A bench on the engines that all tests share, with the agent in place.
    pub fn start() -> Bench {
        Bench::builder().start()
    }

    /// A bench with two engines of its own: for tests that look at all images, or harm an engine.
    pub fn alone() -> Bench {
        Bench::builder().engines(EngineOptions::default(), EngineOptions::default()).start()
    }

    /// A bench to be described.
    pub fn builder() -> BenchBuilder {
        BenchBuilder::default()
    }

    /// The side on which the program is started.
    pub fn here(&self) -> Side<'_> {
        Side { host: self.here.host(), prefix: &self.prefix }
    }

    /// The side that ssh reaches.
    pub fn there(&self) -> Side<'_> {
        Side { host: self.there.host(), prefix: &self.prefix }
    }

    /// The account there.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The argument REMOTE.
    pub fn remote(&self) -> &str {
        self.login.alias()
    }

    /// The lab of the side that ssh reaches, which knows all of the wire.
    pub fn lab(&self) -> &Lab {
        &self.there.lab
    }

    /// The full name of an image of this test: `e7/web:1` for `web:1`.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// A made up image under a name of this test, with no layers yet.
    pub fn image(&self, name: &str) -> Image {
        Image::named(&self.name(name))
    }

    /// `docker-sync --ssh …`, in its own home, with the engine here and nothing on standard input.
    pub fn command(&self) -> Command {
        let mut command = self.bare_command(program::program());
        command.arg("--ssh").arg(self.ssh());
        command
    }

    /// Any program, in the same surroundings.
    pub fn bare_command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let own = [self.bin(), self.here().engine().bin()].map(|dir| dir.display().to_string()).join(":");
        let path = format!("{own}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
            .env_clear()
            .envs(self.here().engine().environment())
            .env("HOME", self.home())
            .env("TMPDIR", self.tmp())
            .env("PATH", path)
            .env("COLUMNS", "100")
            .env("LC_ALL", "C.UTF-8")
            // The lab ends what has this mark, should this process be killed.
            .env("DOCKER_SYNC_LAB", &self.dir)
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Has every run from now on write down how it calls docker, on either side; see [`Bench::docker_calls`].
    pub fn record_docker(&self) {
        for (bin, log) in [(self.bin(), "here"), (self.login.bin(), "there")] {
            record::install(&bin, &self.dir.join(log));
        }
    }

    /// The calls of docker here and there: the arguments of each, a line each.
    pub fn docker_calls(&self) -> [Vec<String>; 2] {
        ["here", "there"].map(|log| record::read(&self.dir.join(log)))
    }

    /// An OCI layout directory here, which need not be there yet.
    pub fn layout(&self, name: &str) -> Layout {
        Layout::at(self.work().join(name))
    }

    /// The value of `--ssh`.
    pub fn ssh(&self) -> String {
        format!("ssh -F {}", self.lab().ssh_config().display())
    }

    /// `docker-sync` with these arguments, REMOTE among them.
    #[must_use = "it may have failed"]
    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(args);
        self.run_command(command)
    }

    /// `docker-sync REMOTE` and these arguments.
    #[must_use = "it may have failed"]
    pub fn pull(&self, args: &[&str]) -> Ran {
        self.run(&[&[self.remote()], args].concat())
    }

    /// `docker-sync --push REMOTE` and these arguments.
    #[must_use = "it may have failed"]
    pub fn push(&self, args: &[&str]) -> Ran {
        self.run(&[&["--push", self.remote()], args].concat())
    }

    /// Runs a command made by [`Bench::command`], changed as the test likes.
    #[must_use = "it may have failed"]
    pub fn run_command(&self, command: Command) -> Ran {
        self.spawn(command).finish()
    }

    /// Starts a command made by [`Bench::command`], for a test that does something meanwhile.
    pub fn spawn(&self, command: Command) -> Running<'_> {
        let label = format!("{}-{}", self.prefix, self.runs.fetch_add(1, Ordering::Relaxed));
        Running::start(self, command, label)
    }

    /// The image must be the same on both sides: ID, diff ids, and the files in a container.
    #[track_caller]
    pub fn assert_same(&self, name: &str) {
        self.assert_same_layers(name);
        let differences = self.here().tree(name).differences(&self.there().tree(name));
        assert_eq!(differences, Vec::<String>::new(), "{name}");
    }

    /// The image must have the same ID and diff ids on both sides.
    #[track_caller]
    pub fn assert_same_layers(&self, name: &str) {
        let (here, there) = (self.here(), self.there());
        assert!(here.id(name).is_some(), "{name} is not here");
        assert_eq!(here.id(name), there.id(name), "{name}");
        assert_eq!(here.layers(name), there.layers(name), "{name}");
    }

    /// Nothing may be left of earlier runs: no process, no container, no file but the agent.
    #[track_caller]
    pub fn assert_tidy(&self) {
        self.assert_no_more_than(&BTreeSet::new());
    }

    /// The same, but for these files, which were there before.
    #[track_caller]
    pub(crate) fn assert_no_more_than(&self, before: &BTreeSet<PathBuf>) {
        // A process that ends with its connection takes a moment for that.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = leftovers::find(self, before);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {}", left.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Processes and files that are left of earlier runs, and partial transfers: a line each.
    pub fn left_behind(&self) -> Vec<String> {
        let mut left = leftovers::loose(self, &BTreeSet::new());
        left.extend(leftovers::partial(self).iter().map(|file| format!("the part {}", file.display())));
        left
    }

    /// The processes of this test at the moment, on either side: a line for each, with pid and command.
    pub fn processes(&self) -> Vec<String> {
        let mut processes = leftovers::processes_of(&self.dir);
        processes.extend(self.login.processes());
        processes
    }

    /// The time limit of a run.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Everything here that is this test's.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The program's `HOME`.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// The program's `TMPDIR`.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// The first directory on the program's `PATH`, for programs of the test.
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The directory in which the program runs, for files of the test.
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The agent as a first run would have left it.
    fn install_agent(&self) {
        let cache = self.login.home().join(".cache/docker-sync");
        DirBuilder::new().recursive(true).mode(0o700).create(&cache).unwrap();
        fs::copy(program::agent(), cache.join(program::agent_file())).unwrap();
    }
}

/// Left-overs of a test on shared engines go with the lab; its files here go now.
impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// The lab that all tests of the process share. It ends with the process: see [`dsync_lab::keeper`].
fn shared() -> Arc<Lab> {
    static LAB: LazyLock<Arc<Lab>> = LazyLock::new(|| started(Lab::start(&["alpha", "beta"])));
    LAB.clone()
}

fn started(lab: Result<Lab, LabError>) -> Arc<Lab> {
    Arc::new(lab.unwrap_or_else(|error| panic!("{error}")))
}
