//! The host that a client runs on, by what its kernel says: whether a daemon is on it, and which programs of other
//! architectures it runs by emulators.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folder of the emulators that a kernel knows.
const EMULATORS: &str = "/proc/sys/fs/binfmt_misc";
/// The files that are read.
const FILES: [&str; 4] =
    ["/proc/sys/kernel/hostname", "/proc/sys/kernel/osrelease", "/proc/meminfo", "/proc/filesystems"];
/// The mark before the name of a file in the output of the script.
const FILE: &str = "== ";

/// The host that a daemon is on, by what it says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DaemonHost {
    pub(super) name: String,
    pub(super) kernel: String,
    pub(super) memory: u64,
}

/// A host as its kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KernelHost {
    host: DaemonHost,
    /// The architectures whose programs it runs by an emulator, in Go's words; `None` where that cannot be seen.
    pub(super) emulated: Option<BTreeSet<String>>,
}

impl KernelHost {
    /// This host. Nothing is known of it on other systems, where Linux is in a virtual machine and these files are not
    /// there.
    pub(super) fn here() -> Self {
        let emulators = fs::read_dir(EMULATORS).into_iter().flatten().flatten();
        let paths = emulators.map(|entry| entry.path().display().to_string());
        let files = FILES.into_iter().map(str::to_owned).chain(paths);
        Self::of(files.filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?))).collect())
    }

    /// The script that has another host print what it is read from.
    pub(super) fn script() -> String {
        let files = FILES.join(" ");
        format!("for f in {files} {EMULATORS}/*; do echo \"{FILE}$f\"; cat \"$f\" 2>/dev/null; done; true")
    }

    /// The host that printed this.
    pub(super) fn printed(text: &str) -> Self {
        let (mut files, mut name) = (BTreeMap::<String, String>::new(), "");
        for line in text.lines() {
            match line.strip_prefix(FILE) {
                Some(file) => name = file,
                None => {
                    let file = files.entry(name.to_owned()).or_default();
                    file.push_str(line);
                    file.push('\n');
                }
            }
        }
        Self::of(files)
    }

    fn of(files: BTreeMap<String, String>) -> Self {
        let [name, kernel, memory, filesystems] =
            FILES.map(|file| files.get(file).map(|text| text.trim()).unwrap_or_default());
        let memory = memory.lines().find_map(|line| {
            let kilobytes = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
            kilobytes.trim().parse::<u64>().ok()?.checked_mul(1024)
        });
        let host = DaemonHost { name: name.into(), kernel: kernel.into(), memory: memory.unwrap_or(0) };
        let emulators = Path::new(EMULATORS);
        let emulated = match files
            .get(&emulators.join("status").display().to_string())
            .map(|text| text.trim())
        {
            Some("enabled") => {
                let registered = files.iter().filter(|(path, _)| Path::new(path).parent() == Some(emulators));
                Some(registered.filter_map(|(_, text)| emulated(text)).map(str::to_owned).collect())
            }
            Some(_) => Some(BTreeSet::new()),
            // A kernel that does not know them has none; of one that does they are not seen from a container.
            None if !filesystems.is_empty() && !filesystems.contains("binfmt_misc") => Some(BTreeSet::new()),
            None => None,
        };
        Self { host, emulated }
    }

    /// True if all that a daemon says of its host is true of this one: then it is this one, and not one that a client
    /// reaches over a network or a virtual machine on this one.
    pub(super) fn has(&self, daemon: &DaemonHost) -> bool {
        self.host == *daemon && self.host.memory > 0
    }
}

/// The architecture that an emulator is registered for, by the beginning of its programs: an ELF header.
fn emulated(registered: &str) -> Option<&'static str> {
    let mut lines = registered.lines();
    let magic =
        lines.next().filter(|state| *state == "enabled").and(lines.find_map(|l| l.strip_prefix("magic ")))?;
    let byte = |at: usize| u8::from_str_radix(magic.get(2 * at..2 * at + 2)?, 16).ok();
    let is_elf = magic.starts_with("7f454c46");
    let (is_64, is_little) = (byte(4)? == 2, byte(5)? == 1);
    let pair = [byte(18)?, byte(19)?];
    let machine = if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
    Some(match (machine, is_64, is_little) {
        _ if !is_elf => return None,
        (3, ..) => "386",
        (8, false, false) => "mips",
        (8, false, true) => "mipsle",
        (8, true, false) => "mips64",
        (8, true, true) => "mips64le",
        (21, _, true) => "ppc64le",
        (21, _, false) => "ppc64",
        (22, ..) => "s390x",
        (40, ..) => "arm",
        (62, true, _) => "amd64",
        (183, true, _) => "arm64",
        (243, true, _) => "riscv64",
        (258, true, _) => "loong64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM64: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
    const S390X: &str = "enabled\ninterpreter /usr/bin/qemu-s390x\nflags: \noffset 0\n\
        magic 7f454c4602020100000000000000000000020016\n";
    const PYTHON: &str = "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n";

    fn printed(status: &str, emulators: &[(&str, &str)]) -> String {
        let mut text = "== /proc/sys/kernel/hostname\nbuild\n== /proc/sys/kernel/osrelease\n6.1.0\n\
            == /proc/meminfo\nMemTotal:       1024 kB\nMemFree: 3 kB\n== /proc/filesystems\nnodev\tproc\nnodev\tbinfmt_misc\n"
            .to_owned();
        if !status.is_empty() {
            text += &format!("== {EMULATORS}/status\n{status}\n== {EMULATORS}/register\n");
        }
        emulators.iter().for_each(|(name, emulator)| text += &format!("== {EMULATORS}/{name}\n{emulator}"));
        text
    }

    fn emulated_by(status: &str, emulators: &[(&str, &str)]) -> Option<Vec<String>> {
        KernelHost::printed(&printed(status, emulators)).emulated.map(|set| set.into_iter().collect())
    }

    #[test]
    fn emulators_are_known_by_the_programs_that_they_run() {
        let all = [("qemu-aarch64", ARM64), ("rosetta-of-another-name", S390X), ("python3.11", PYTHON)];
        assert_eq!(emulated_by("enabled", &all), Some(vec!["arm64".into(), "s390x".into()]));
        assert_eq!(emulated_by("disabled", &all), Some(Vec::new()));
        let off = ARM64.replace("enabled", "disabled");
        assert_eq!(emulated_by("enabled", &[("qemu-aarch64", &off)]), Some(Vec::new()));
    }

    #[test]
    fn emulators_that_cannot_be_seen_are_not_known() {
        assert_eq!(emulated_by("", &[]), None, "a container does not see those of its kernel");
        let without = printed("", &[]).replace("binfmt_misc", "tmpfs");
        assert_eq!(KernelHost::printed(&without).emulated, Some(BTreeSet::new()), "the kernel has none");
        assert_eq!(KernelHost::printed("").emulated, None);
    }

    #[test]
    fn a_daemon_is_on_the_host_that_it_describes() {
        let host = KernelHost::printed(&printed("enabled", &[]));
        let daemon = |name: &str, kernel: &str, memory| DaemonHost {
            name: name.into(),
            kernel: kernel.into(),
            memory,
        };
        assert!(host.has(&daemon("build", "6.1.0", 1 << 20)));
        for other in
            [daemon("vm", "6.1.0", 1 << 20), daemon("build", "6.2", 1 << 20), daemon("build", "6.1.0", 1)]
        {
            assert!(!host.has(&other));
        }
        assert!(!KernelHost::printed("").has(&DaemonHost::default()), "who says nothing is nowhere");
    }

    #[test]
    fn another_host_prints_what_this_one_is_read_from() {
        let script = KernelHost::script();
        assert!(!script.contains(['\'', '!', '\\', '\n']), "{script}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(KernelHost::printed(&String::from_utf8_lossy(&output.stdout)), KernelHost::here());
    }
}
