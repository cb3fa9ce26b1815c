//! Mounts below a lab's directory: small file systems, and the removal of whatever was left.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{UnmountFlags, unmount};

use crate::LabError;
use crate::command::run;

/// Mounts a file system of so many megabytes, in memory, for what should run out of space.
pub(crate) fn small(dir: &Path, megabytes: u32) -> Result<(), LabError> {
    let options = format!("size={megabytes}m,mode=755");
    run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "docker-sync-lab"]).arg(dir)).map(drop)
}

/// Unmounts everything at or below a directory, the last mounted first.
pub(crate) fn remove_below(dir: &Path) -> Result<(), LabError> {
    // A mount can hide another at the same place, so look again after each pass.
    for _ in 0..10 {
        let mounts = below(dir)?;
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            // A busy mount is detached now and goes when it is no longer used.
            if let Err(error) = unmount(mount, UnmountFlags::DETACH)
                && error != rustix::io::Errno::INVAL
            {
                return Err(LabError::io(format_args!("unmount {}", mount.display()))(error.into()));
            }
        }
    }
    Err(LabError::Usage(format!("something is still mounted below {}", dir.display())))
}

/// The mount points at or below a directory, in the order of mounting.
pub(crate) fn below(dir: &Path) -> Result<Vec<PathBuf>, LabError> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(LabError::io("read the mount table"))?;
    Ok(parse(&table).into_iter().filter(|point| point.starts_with(dir)).collect())
}

/// The fifth field of each line of a mountinfo table.
fn parse(table: &str) -> Vec<PathBuf> {
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        bytes.push(*first);
        if *first == b'\\'
            && let [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] = rest
        {
            bytes.pop();
            bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_come_out_of_the_table() {
        let table = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                     30 27 8:1 /x /tmp/a\\040b\\134c rw shared:1 - ext4 /dev/sda1 rw\n";
        assert_eq!(parse(table), [Path::new("/proc"), Path::new("/tmp/a b\\c")]);
    }

    #[test]
    fn proc_is_below_itself() {
        assert!(below(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(below(Path::new("/pro")).unwrap().is_empty());
    }
}
