//! A host that a script stands for, with an engine that another script stands for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dsync_core::Digest;
use dsync_sync::{Direction, Entry, Error, Event, Observer, Options, Outcome, Session, TransferMethod};
use dsync_testkit::{Built, Files, Wrap};
use tempfile::TempDir;

/// Like ssh: options, the host, and a command for its login shell. The master makes its socket first.
const SSH: &str = r#"
case " $* " in *" -G "*) exit 1 ;; esac
while :; do
	case $1 in
	-o)
		case $2 in
		ControlMaster=yes) master=1 ;;
		ControlPath=*) socket=${2#*=} ;;
		esac
		shift 2 ;;
	--) shift; break ;;
	-*) shift ;;
	*) break ;;
	esac
done
shift
echo "$*" >>HERE/commands
[ -z "$master" ] || : >"$socket"
PATH=HERE/bin HOME=HERE/home TMPDIR=HERE/tmp
export PATH HOME TMPDIR
unset XDG_CACHE_HOME
exec /bin/sh -c "$*"
"#;

/// Like docker 26 with its classic store: it says what was written down for it, and after a load something else.
const DOCKER: &str = r#"
cd HERE/engine
echo "$*" >>calls
now=before
[ ! -e loaded ] || now=after
case "$1 $2 $3" in
"info "*) cat info ;;
"images --quiet "*) cat $now/ids ;;
"images "*) cat $now/names ;;
"image inspect "*)
	shift 2
	separator='['
	for id; do
		if [ ! -e "$now/$id" ]; then
			echo "Error: No such image: $id" >&2
			missing=1
			continue
		fi
		printf '%s' "$separator"
		cat "$now/$id"
		separator=,
	done
	[ "$separator" = , ] || printf '['
	echo ']'
	exit $missing ;;
"save "*)
	if [ -e broken ]; then
		echo "Error response from daemon: content digest sha256:0000: not found" >&2
		exit 1
	fi
	cat archive ;;
"load --quiet -i") cp "$4" loaded ;;
"load "*) cat >loading && mv loading loaded ;;
"tag "*) ;;
*)
	echo "no such command: $*" >&2
	exit 1 ;;
esac
"#;

const INFO: &str = r#"{"ServerVersion":"26.1.5","Driver":"overlay2","DriverStatus":[["Supports d_type","true"]],"ID":"x","Images":1}"#;

/// The host, and this one: a layout.
pub(crate) struct Host {
    place: TempDir,
}

impl Host {
    /// A host whose shell finds these programs, beside the engine's client.
    pub(crate) fn new(programs: &[&str]) -> Host {
        let host = Host { place: tempfile::tempdir().unwrap() };
        for name in ["bin", "home", "tmp", "engine", "engine/before", "engine/after", "here"] {
            fs::create_dir(host.path(name)).unwrap();
        }
        for program in programs {
            let mut places = ["/bin", "/usr/bin"].iter().map(|place| Path::new(place).join(program));
            let file =
                places.find(|file| file.exists()).unwrap_or_else(|| panic!("{program} is not installed"));
            symlink(file, host.path("bin").join(program)).unwrap();
        }
        host.script("ssh", SSH);
        host.script("bin/docker", DOCKER);
        host.write("engine/info", INFO);
        for state in ["before", "after"] {
            host.write(&format!("engine/{state}/ids"), "");
            host.write(&format!("engine/{state}/names"), "");
        }
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A program of this host.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let here = self.place.path().to_str().unwrap();
        self.write(name, &format!("#!/bin/sh\n{}", text.replace("HERE", here)));
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    /// Has the engine show these images, before a load or after it.
    pub(crate) fn shows(&self, state: &str, images: &[&Built]) {
        let mut ids = String::new();
        for built in images {
            let (id, layers) = (id(built), &built.images[0].diff_ids);
            ids += &format!("{id}\n");
            let inspected = format!(
                r#"{{"Id":"{id}","RepoTags":{:?},"RepoDigests":[],"Os":"linux","Architecture":"amd64","Size":1,"Created":"2024-02-29T00:00:00Z","RootFS":{{"Type":"layers","Layers":{layers:?}}}}}"#,
                built.names
            );
            self.write(&format!("engine/{state}/{id}"), &inspected);
        }
        self.write(&format!("engine/{state}/ids"), &ids);
    }

    /// The engine has this image and saves it.
    pub(crate) fn has(&self, built: &Built) {
        self.shows("before", &[built]);
        Files::Docker.write(Wrap::None, std::slice::from_ref(built), &self.path("engine/archive")).unwrap();
    }

    /// This host has these images, in a layout.
    pub(crate) fn layout(&self, items: &[Built]) {
        Files::Layout.write(Wrap::None, items, &self.path("here/layout")).unwrap();
    }

    /// The calls of the engine's client there that begin so.
    pub(crate) fn calls(&self, begin: &str) -> Vec<String> {
        lines(&self.path("engine/calls"), begin)
    }

    /// The commands that its login shell was given and that have this piece.
    pub(crate) fn commands(&self, piece: &str) -> usize {
        lines(&self.path("commands"), "").iter().filter(|line| line.contains(piece)).count()
    }

    /// The options of a sync with it.
    pub(crate) fn options(&self, method: TransferMethod) -> Options {
        Options {
            ssh: vec![self.path("ssh").display().to_string()],
            local_store: format!("oci:{}", self.path("here/layout").display()),
            memory: 64 << 20,
            method,
            version: "test".into(),
            ..Options::default()
        }
    }

    /// Connects, and syncs the image of this name.
    pub(crate) fn sync(&self, direction: Direction, options: Options, name: &str) -> Synced {
        let events = Arc::new(Warnings::default());
        let observer = Arc::clone(&events);
        let run = || {
            let mut session = Session::connect(&"elsewhere".parse().unwrap(), direction, options, observer)?;
            let entry = session.report(&[name.into()])?.entries.remove(0);
            let outcome = session.sync(&entry, &[], false)?;
            drop(session);
            Ok((entry, outcome))
        };
        let result = run();
        let warnings = events.0.lock().unwrap().clone();
        Synced { result, warnings }
    }

    /// No temporary file is left on it, once its master is gone.
    #[track_caller]
    pub(crate) fn assert_tidy(&self) {
        let left = || fs::read_dir(self.path("tmp")).unwrap().count();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while left() > 0 && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(left(), 0, "files are left there");
    }
}

/// A run, and the warnings in it.
pub(crate) struct Synced {
    pub(crate) result: Result<(Entry, Outcome), Error>,
    pub(crate) warnings: Vec<String>,
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.into());
        }
    }
}

/// The ID that the engine gives an image: the digest of its config.
pub(crate) fn id(built: &Built) -> String {
    Digest::of(&built.images[0].config).to_string()
}

fn lines(file: &Path, begin: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
}
