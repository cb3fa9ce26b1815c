//! The script as shells run it: in a home of its own, with places of its own for the shared directories.

mod room;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dsync_core::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::script::{command, packed};

const VERSION: &str = "docker-sync agent 1.2.3 protocol 4 build 0123456789abcdef";
const HASH: [u8; 32] = [0xab; 32];
/// Bytes of an agent.
const SIZE: u64 = 3_600_000;
/// Users and groups that no package uses.
const ALICE: u32 = 64_232;
const MALLORY: u32 = 64_233;
const MODE: u32 = 0o7777;

/// The directories of programs on a machine of any kind.
const PROGRAMS: &str = "/usr/local/bin:/usr/bin:/bin";

/// A host with one account. Its `/var/tmp`, `/tmp` and `/dev/shm` are directories of this test.
struct Account {
    root: tempfile::TempDir,
    /// The shell that runs the script.
    sh: Vec<String>,
    path: String,
    umask: &'static str,
    /// The user who logs in, if it is not the one who runs the test.
    uid: Option<u32>,
    /// Bytes that an agent needs.
    size: u64,
}

/// A run of the command.
#[derive(Debug)]
struct Contact {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Account {
    fn new() -> Account {
        let root = tempfile::tempdir().unwrap();
        for (name, mode) in
            [("", 0o755), ("home", 0o755), ("var-tmp", 0o1777), ("tmp", 0o1777), ("shm", 0o1777)]
        {
            let folder = root.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            set_mode(&folder, mode);
        }
        Account { root, sh: vec!["sh".into()], path: PROGRAMS.into(), umask: "022", uid: None, size: SIZE }
    }

    /// One for which this program stands for `/bin/sh`.
    fn of_shell(sh: &[&str]) -> Account {
        Account { sh: sh.iter().map(|&word| word.to_owned()).collect(), ..Account::new() }
    }

    /// One of another user than the one who runs the test, for whom that takes root.
    fn of_alice() -> Account {
        let account = Account { uid: Some(ALICE), ..Account::new() };
        chown(account.home(), Some(ALICE), Some(ALICE)).expect("root can be several users");
        account
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The first directory in which the agent is looked for.
    fn folder(&self) -> PathBuf {
        self.home().join(".cache/docker-sync")
    }

    /// The directory in a shared place.
    fn shared(&self, place: &str) -> PathBuf {
        let uid = self.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        self.path(place).join(format!("docker-sync-{uid}"))
    }

    /// The file that a trap writes if it runs.
    fn evidence(&self) -> PathBuf {
        self.path("evidence")
    }

    /// Makes a directory of the account's.
    fn make(&self, folder: &Path, mode: u32) {
        fs::create_dir_all(folder).unwrap();
        set_mode(folder, mode);
        self.give(folder);
    }

    fn give(&self, path: &Path) {
        if self.uid.is_some() {
            chown(path, self.uid, self.uid).unwrap();
        }
    }

    /// Puts an agent there.
    fn plant(&self, folder: &Path, agent: &str) -> PathBuf {
        let file = folder.join(agent_name());
        fs::write(&file, agent).unwrap();
        set_mode(&file, 0o700);
        self.give(&file);
        file
    }

    /// Runs the script.
    fn contact(&self, input: &[u8]) -> Contact {
        let [sh @ .., last] = &self.sh[..] else { panic!("no shell") };
        let words = [sh, &[last.clone(), "-c".into(), self.here(&packed()), "docker-sync".into()]].concat();
        self.run(
            &[&words[..], &[Digest::from_bytes(HASH).hex(), VERSION.into(), self.size.to_string()]].concat(),
            input,
        )
    }

    /// Has a login shell run the command.
    fn log_in(&self, shell: &[&str], input: &[u8]) -> Contact {
        let words = shell.iter().map(|&word| word.to_owned());
        self.run(
            &words.chain(["-c".into(), self.here(&command(&HASH, VERSION, SIZE))]).collect::<Vec<_>>(),
            input,
        )
    }

    /// The same text with the shared places of this test.
    fn here(&self, text: &str) -> String {
        let places = [("/var/tmp", "var-tmp"), ("/tmp", "tmp"), ("/dev/shm", "shm")];
        let mut text = text.to_owned();
        for (number, (place, _)) in places.iter().enumerate() {
            text = text.replace(place, &format!("@{number}"));
        }
        for (number, (_, own)) in places.iter().enumerate() {
            text = text.replace(&format!("@{number}"), &self.path(own).display().to_string());
        }
        text
    }

    fn run(&self, words: &[String], input: &[u8]) -> Contact {
        let (program, arguments) = words.split_first().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("umask {}; PATH=$TEST_PATH; exec \"$0\" \"$@\"", self.umask)]);
        command.arg(find(program).unwrap_or_else(|| panic!("{program} is not there"))).args(arguments);
        command.env_clear().env("HOME", self.home()).env("PATH", PROGRAMS).env("TEST_PATH", &self.path);
        command.env("EVIDENCE", self.evidence()).current_dir(self.home());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().unwrap();
        // One that does not read takes its standard input with it.
        child.stdin.take().unwrap().write_all(input).ok();
        Contact::from(child.wait_with_output().unwrap())
    }
}

impl From<Output> for Contact {
    fn from(output: Output) -> Contact {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Contact { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }
}

impl Contact {
    #[track_caller]
    fn asks_for_the_agent(&self) {
        assert!(self.out.starts_with("docker-sync-bootstrap wanted "), "{self:?}");
    }

    #[track_caller]
    fn runs(&self, agent: &str) {
        assert!(self.out.starts_with(&format!("{agent} runs")), "{self:?}");
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}

/// An agent that says which it is, where it came to be, and with which umask.
fn agent(name: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$2\" = --version ]; then echo {VERSION}; exit; fi\n\
         echo \"{name} runs in $2, umask $(umask)\"\n"
    )
}

/// One that must not run at all.
fn trap() -> String {
    "#!/bin/sh\necho trapped >>\"$EVIDENCE\"\nexit 1\n".into()
}

fn agent_name() -> String {
    format!("agent-{}", Digest::from_bytes(HASH).hex())
}

/// The answer of the client to a host that wants the agent.
fn upload(agent: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(agent.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let line = format!("{} {}\n", packed.len(), Digest::of(agent.as_bytes()).hex());
    [line.as_bytes(), &packed].concat()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & MODE
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(OsStr::new(PROGRAMS)).map(|folder| folder.join(program)).find(|file| file.exists())
}

/// A test for each shell. `sh` is everywhere; the others are ignored unless they are asked for.
macro_rules! for_shells {
    ($holds:ident: $($(#[$ignored:meta])? $shell:ident $words:expr;)*) => {
        mod $holds {
            $(
                #[test]
                $(#[$ignored])?
                fn $shell() {
                    super::$holds(&$words);
                }
            )*
        }
    };
}

#[test]
fn every_login_shell_takes_the_script_literally() {
    for bad in ['\'', '\\', '!', '\n', '\r'] {
        assert!(!packed().contains(bad), "{bad:?}");
    }
}

/// It crosses the wire at each contact.
#[test]
fn the_command_is_short() {
    let len = command(&HASH, VERSION, SIZE).len();
    assert!(len <= 1_600, "{len}");
}

fn a_host_is_given_the_agent_once(shell: &[&str]) {
    let account = Account::of_shell(shell);
    account.contact(b"0 -\n").asks_for_the_agent();
    let first = account.contact(&upload(&agent("new")));
    first.asks_for_the_agent();
    let home = account.home().display().to_string();
    let says = format!("new runs in {home}, umask 0022\n");
    // Some write their umask with three digits.
    assert!(first.out.replace("umask 022", "umask 0022").ends_with(&says), "{first:?}");
    assert_eq!(first.err, "");
    let second = account.contact(b"");
    second.runs("new");
    assert_eq!(second.err, "");
    assert_eq!(mode(&account.home().join(".cache")), 0o700);
    assert_eq!(mode(&account.folder()), 0o700);
    let left: Vec<_> = fs::read_dir(account.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [agent_name().as_str()]);
    assert_eq!(mode(&account.folder().join(agent_name())), 0o700);
}

// Shells that are `/bin/sh` somewhere.
for_shells! { a_host_is_given_the_agent_once:
    sh ["sh"];
    #[ignore = "needs other shells: cargo xtask test"]
    dash ["dash"];
    #[ignore = "needs other shells: cargo xtask test"]
    bash ["bash", "--posix"];
    #[ignore = "needs other shells: cargo xtask test"]
    busybox ["busybox", "sh"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    mksh ["mksh"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    ksh93 ["ksh93"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    yash ["yash", "--posixly-correct"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    zsh ["zsh", "--emulate", "sh"];
}

/// As on Alpine, where `ls`, `id`, `head` and the others are its own.
#[test]
#[ignore = "needs other shells: cargo xtask test"]
fn the_programs_of_busybox_will_do() {
    let busybox = find("busybox").expect("busybox is installed");
    let account = Account::of_shell(&["busybox", "sh"]);
    let bin = account.path("bin");
    account.make(&bin, 0o755);
    for program in ["id", "ls", "mkdir", "chmod", "rm", "uname", "head", "gzip", "sha256sum", "cut", "mv"] {
        symlink(&busybox, bin.join(program)).unwrap();
    }
    let account = Account { path: bin.display().to_string(), ..account };
    account.contact(&upload(&agent("new"))).asks_for_the_agent();
    account.contact(b"").runs("new");
    set_mode(&account.folder(), 0o775);
    account.contact(b"").asks_for_the_agent();
}

fn a_login_shell_runs_the_command(shell: &[&str]) {
    let account = Account::new();
    let first = account.log_in(shell, &upload(&agent("new")));
    first.asks_for_the_agent();
    assert!(first.out.contains("\nnew runs in "), "{first:?}");
    account.log_in(shell, b"").runs("new");
}

for_shells! { a_login_shell_runs_the_command:
    sh ["sh"];
    #[ignore = "needs other shells: cargo xtask test"]
    dash ["dash"];
    #[ignore = "needs other shells: cargo xtask test"]
    bash ["bash"];
    #[ignore = "needs other shells: cargo xtask test"]
    busybox ["busybox", "ash"];
    #[ignore = "needs other shells: cargo xtask test"]
    fish ["fish"];
    #[ignore = "needs other shells: cargo xtask test"]
    tcsh ["tcsh"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    zsh ["zsh"];
    #[ignore = "one of all shells: cargo xtask test --all-engines"]
    mksh ["mksh"];
}

#[test]
fn a_directory_that_others_can_write_is_not_used() {
    for unsafe_mode in [0o777, 0o775, 0o770, 0o757, 0o702, 0o720, 0o1777, 0o2775] {
        let account = Account::new();
        account.make(&account.folder(), unsafe_mode);
        account.plant(&account.folder(), &trap());
        account.contact(b"").asks_for_the_agent();
        assert!(!account.evidence().exists(), "{unsafe_mode:o}");
        // The next place takes its part, for good.
        assert!(account.contact(&upload(&agent("new"))).out.contains("\nnew runs"), "{unsafe_mode:o}");
        account.contact(b"").runs("new");
        assert!(account.shared("var-tmp").join(agent_name()).exists(), "{unsafe_mode:o}");
        assert!(!account.evidence().exists(), "{unsafe_mode:o}");
    }
    for safe_mode in [0o700, 0o755, 0o750, 0o711, 0o2755] {
        let account = Account::new();
        account.make(&account.folder(), safe_mode);
        account.plant(&account.folder(), &agent("cached"));
        account.contact(b"").runs("cached");
    }
}

#[test]
fn an_agent_that_others_can_write_is_not_run() {
    for mode in [0o777, 0o775, 0o757] {
        let account = Account::new();
        account.make(&account.folder(), 0o755);
        set_mode(&account.plant(&account.folder(), &trap()), mode);
        account.contact(&upload(&agent("new"))).asks_for_the_agent();
        assert!(!account.evidence().exists(), "{mode:o}");
        // It has been replaced.
        account.contact(b"").runs("new");
        assert_eq!(fs::metadata(account.folder().join(agent_name())).unwrap().mode() & MODE, 0o700);
    }
}

#[test]
fn links_are_not_followed() {
    for place in ["the directory", "the agent", "a dangling directory"] {
        let account = Account::new();
        let elsewhere = account.path("elsewhere");
        account.make(&elsewhere, 0o700);
        let planted = account.plant(&elsewhere, &trap());
        account.make(&account.home().join(".cache"), 0o700);
        match place {
            "the directory" => symlink(&elsewhere, account.folder()).unwrap(),
            "a dangling directory" => symlink(account.path("nowhere"), account.folder()).unwrap(),
            _ => {
                account.make(&account.folder(), 0o700);
                symlink(&planted, account.folder().join(agent_name())).unwrap();
            }
        }
        account.contact(&upload(&agent("new"))).asks_for_the_agent();
        account.contact(b"").runs("new");
        assert!(!account.evidence().exists(), "{place}");
        assert!(!account.path("nowhere").exists(), "{place}");
        assert_eq!(fs::read(&planted).unwrap(), trap().as_bytes(), "{place}");
    }
}

#[test]
fn whatever_the_umask_nobody_else_can_write_and_the_agent_has_the_users_own() {
    for (umask, means) in [("000", "000"), ("002", "002"), ("077", "077"), ("022", "022")] {
        let account = Account { umask, ..Account::new() };
        let first = account.contact(&upload(&agent("new")));
        for contact in [first, account.contact(b"")] {
            assert!(contact.out.contains(&format!("umask 0{means}\n")), "{umask}: {contact:?}");
        }
        for path in [account.home().join(".cache"), account.folder(), account.folder().join(agent_name())] {
            assert_eq!(mode(&path), 0o700, "{umask}: {}", path.display());
        }
    }
}

/// The current directory is the account's home, or whatever a login script made it.
#[test]
fn nothing_in_the_current_directory_is_run() {
    for path in
        ["", ":", ".", "::/usr/bin", "bin:/usr/bin", "./bin", "/usr/bin:", "../home", ".:/usr/bin:/bin"]
    {
        let account = Account { path: path.into(), ..Account::new() };
        fs::create_dir(account.home().join("bin")).unwrap();
        for folder in
            [account.home(), account.home().join("bin"), account.path("var-tmp"), account.path("tmp")]
        {
            for program in
                ["docker-sync", "id", "ls", "uname", "mkdir", "head", "gzip", "sha256sum", "mv", "sh"]
            {
                let file = folder.join(program);
                fs::write(&file, trap()).unwrap();
                set_mode(&file, 0o755);
            }
        }
        account.contact(&upload(&agent("new"))).asks_for_the_agent();
        account.contact(b"").runs("new");
        assert!(!account.evidence().exists(), "PATH={path:?}");
    }
}

#[test]
fn a_docker_sync_on_path_is_run_if_it_is_of_this_build() {
    let account = Account::new();
    let bin = account.path("bin");
    account.make(&bin, 0o755);
    let installed = bin.join("docker-sync");
    fs::write(&installed, agent("installed")).unwrap();
    set_mode(&installed, 0o755);
    let account = Account { path: format!("relative:{}", bin.display()), ..account };
    let contact = account.contact(b"");
    contact.runs("installed");
    assert!(contact.out.contains(&format!("in {}, umask 0022", account.home().display())), "{contact:?}");
    for other in [("1.2.3", "1.2.4"), ("89abcdef", "89abcdee"), (" build 0123456789abcdef", "")] {
        fs::write(&installed, agent("installed").replace(other.0, other.1)).unwrap();
        account.contact(b"").asks_for_the_agent();
    }
}

#[test]
fn names_of_places_are_taken_literally() {
    let account = Account::new();
    let odd = account.home().join("a b*c");
    fs::create_dir(&odd).unwrap();
    let Account { root, .. } = &account;
    let script = account.here(&packed());
    let run = |cache: &str, input: &[u8]| {
        let mut command = Command::new("sh");
        command.args(["-c", &script, "docker-sync", &Digest::from_bytes(HASH).hex(), VERSION, "3600000"]);
        command.env_clear().env("PATH", PROGRAMS).env("HOME", root.path().join("home"));
        command.env("XDG_CACHE_HOME", cache).current_dir(&odd);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).ok();
        Contact::from(child.wait_with_output().unwrap())
    };
    let cache = odd.join("-x $y").display().to_string();
    let contact = run(&cache, &upload(&agent("new")));
    assert!(contact.out.ends_with(&format!("new runs in {}, umask 0022\n", odd.display())), "{contact:?}");
    assert!(Path::new(&cache).join("docker-sync").join(agent_name()).exists());
    // A relative one counts as not set, as the XDG specification has it.
    run("relative", &upload(&agent("new"))).asks_for_the_agent();
    assert!(account.folder().join(agent_name()).exists());
    assert!(!odd.join("relative").exists());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_place_the_host_says_so() {
    let account = Account::of_alice();
    for place in ["var-tmp", "tmp", "shm"] {
        set_mode(&account.path(place), 0o755);
    }
    chown(account.home(), Some(0), Some(0)).unwrap();
    let contact = account.contact(b"");
    assert_eq!(contact.out, "docker-sync-bootstrap none nowhere\n");
    assert_eq!((contact.err.as_str(), contact.code), ("", Some(9)));
}

/// The preparation of another user.
type Prepare = fn(&Account);

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_of_another_user_is_run() {
    let account = Account::of_alice();
    let everything: [(&str, Prepare); 4] = [
        ("a directory", |account| {
            let folder = account.shared("var-tmp");
            account.make(&folder, 0o777);
            account.plant(&folder, &trap());
            chown(&folder, Some(MALLORY), Some(MALLORY)).unwrap();
        }),
        ("a file in a directory of the account's", |account| {
            let folder = account.shared("var-tmp");
            account.make(&folder, 0o755);
            let planted = account.plant(&folder, &trap());
            set_mode(&planted, 0o755);
            chown(&planted, Some(MALLORY), Some(MALLORY)).unwrap();
        }),
        ("a link to the account's home", |account| {
            account.plant(&account.home(), &trap());
            symlink(account.home(), account.shared("var-tmp")).unwrap();
        }),
        ("a link to nowhere", |account| {
            symlink(account.home().join("x"), account.shared("var-tmp")).unwrap();
        }),
    ];
    for (what, prepare) in everything {
        let account = Account::of_alice();
        // The home is no place for it.
        symlink("/nowhere", account.home().join(".cache")).unwrap();
        prepare(&account);
        account.contact(&upload(&agent("new"))).asks_for_the_agent();
        account.contact(b"").runs("new");
        assert!(!account.evidence().exists(), "{what}");
        assert!(!account.home().join("x").exists(), "{what}");
    }
    account.make(&account.shared("var-tmp"), 0o755);
    account.plant(&account.shared("var-tmp"), &agent("cached"));
    account.contact(b"").runs("cached");
}

/// Another user exchanges a link to a directory of the account's with a directory of his own, as fast as he can.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_link_that_is_exchanged_meanwhile_gets_nothing_run() {
    let account = Account::of_alice();
    // Without the sticky bit, so that the kernel's protection of links does not take part: not every system has one.
    set_mode(&account.path("var-tmp"), 0o777);
    symlink("/nowhere", account.home().join(".cache")).unwrap();
    let (place, other) = (account.shared("var-tmp"), account.path("var-tmp").join("other"));
    symlink(account.home(), &place).unwrap();
    fs::create_dir(&other).unwrap();
    set_mode(&other, 0o755);
    let planted = other.join(agent_name());
    fs::write(&planted, trap()).unwrap();
    set_mode(&planted, 0o755);
    for path in [&other, &planted] {
        chown(path, Some(MALLORY), Some(MALLORY)).unwrap();
    }
    fs::write(account.evidence(), "").unwrap();
    set_mode(&account.evidence(), 0o666);

    let done = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !done.load(Ordering::Relaxed) {
                match renameat_with(CWD, &place, CWD, &other, RenameFlags::EXCHANGE) {
                    Ok(()) => swaps += 1,
                    Err(error) => panic!("{error}"),
                }
                std::thread::sleep(Duration::from_micros(swaps % 200));
            }
            swaps
        });
        for _ in 0..150 {
            account.contact(b"").asks_for_the_agent();
        }
        done.store(true, Ordering::Relaxed);
        swapping.join().unwrap()
    });
    assert!(swaps > 1_000, "{swaps}");
    assert_eq!(fs::read_to_string(account.evidence()).unwrap(), "");
}
