//! The programs the lab needs: found, or installed where that is possible.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::LabError;
use crate::command::run;

/// One installation at a time; apt itself keeps other processes out.
static APT: Mutex<()> = Mutex::new(());

/// Makes sure of these programs, given as pairs of program and Debian package.
///
/// Root gets what is missing installed; anybody else gets an error that says what is missing.
pub fn require(programs: &[(&str, &str)]) -> Result<(), LabError> {
    let _one_at_a_time = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<_> = programs.iter().filter(|(program, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    if is_root() && find("apt-get").is_some() {
        eprintln!("lab: installing {}", packages.join(" "));
        return install(&packages);
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(" ");
    Err(LabError::Missing { programs, packages: packages.join(" ") })
}

/// Fails unless this is root.
pub fn require_root() -> Result<(), LabError> {
    if is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

/// The path of a program, looked for in `PATH` and in the directories of system programs.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Mounts control groups where nothing has, as in a container: engines do not start without.
pub(crate) fn mount_cgroups() -> Result<(), LabError> {
    let root = Path::new("/sys/fs/cgroup");
    let mount = |kind: &str, options: &[&str], point: &Path| {
        run(Command::new("mount").args(["-t", kind]).args(options).arg("cgroup").arg(point)).map(drop)
    };
    if crate::mounts::below(root)?.iter().any(|point| point == root) {
        return Ok(());
    }
    if mount("cgroup2", &[], root).is_ok() {
        if fs::read_to_string(root.join("cgroup.controllers")).is_ok_and(|list| !list.trim().is_empty()) {
            return Ok(());
        }
        // The kernel keeps its controllers for the first version.
        run(Command::new("umount").arg(root))?;
    }
    mount("tmpfs", &["-o", "mode=755"], root)?;
    let table = fs::read_to_string("/proc/cgroups").map_err(LabError::io("read /proc/cgroups"))?;
    for controller in enabled_controllers(&table) {
        let point = root.join(controller);
        fs::create_dir_all(&point).map_err(LabError::io(format_args!("create {}", point.display())))?;
        if let Err(error) = mount("cgroup", &["-o", controller], &point) {
            eprintln!("lab: no control group {controller}: {error}");
            fs::remove_dir(&point).map_err(LabError::io(format_args!("remove {}", point.display())))?;
        }
    }
    Ok(())
}

/// The controllers that `/proc/cgroups` shows as usable.
fn enabled_controllers(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(3) == Some(&"1")).then(|| fields[0])
    })
}

fn install(packages: &[&str]) -> Result<(), LabError> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        // Run level 1: the packages' own services stay off, the lab starts its own.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        run(&mut command)
    };
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    // Lists that are there may be recent enough, and getting them takes a while.
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&arguments).map(drop)
}

/// Downloads packages of Debian into a folder and installs nothing, by the apt of these variables.
pub(crate) fn download(packages: &[&str], folder: &Path, env: &[(&str, &Path)]) -> Result<(), LabError> {
    let _one_at_a_time = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "APT::Sandbox::User=root"]).args(arguments);
        command.current_dir(folder).envs(env.iter().copied());
        run(&mut command)
    };
    let arguments = [&["download"], packages].concat();
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&arguments).map(drop)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-in-any-package").is_none());
    }

    #[test]
    fn disabled_controllers_are_left_out() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t4\t1\nmemory\t0\t4\t0\n";
        assert_eq!(enabled_controllers(table).collect::<Vec<_>>(), ["cpu"]);
    }
}
