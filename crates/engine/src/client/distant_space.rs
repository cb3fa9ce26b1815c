//! The free space of another host's disks, as its `stat` and `df` print it.

use std::path::PathBuf;

use crate::demand::{FreeSpace, is_plain};

/// The script that prints it for these folders, which need not exist yet: the nearest one above counts.
pub(super) fn script(folders: &[&str]) -> String {
    let folders: Vec<String> = folders.iter().map(|folder| format!("\"{folder}\"")).collect();
    format!(
        "for d in {}; do until [ -d \"$d\" ] || [ -z \"$d\" ]; do d=\"${{d%/*}}\"; done; d=\"${{d:-/}}\"; \
         echo \"at\"; stat -f -c \"fs %t %S %b %f\" \"$d\" 2>/dev/null; \
         df -P \"$d\" 2>/dev/null | while read -r device blocks used free share mount; do \
         echo \"df $mount\"; done; done; true",
        folders.join(" ")
    )
}

/// The free space at each of these folders, by what the script printed; `None` where a part of it is missing.
pub(super) fn printed(text: &str, folders: usize) -> Vec<Option<FreeSpace>> {
    let mut spaces: Vec<Option<FreeSpace>> = Vec::new();
    for said in text.split("at\n").skip(1).take(folders) {
        let space = one(said).map(|space| {
            let mut same = spaces.iter().flatten().filter(|other| other.mount == space.mount);
            let device = same.next().map_or(spaces.len() as u64, |other| other.device);
            FreeSpace { device, ..space }
        });
        spaces.push(space);
    }
    spaces.resize(folders, None);
    spaces
}

fn one(said: &str) -> Option<FreeSpace> {
    let numbers = said.lines().find_map(|line| line.strip_prefix("fs "))?;
    let [kind, block, blocks, free] = numbers.split(' ').collect::<Vec<_>>()[..] else { return None };
    let kind = u64::from_str_radix(kind, 16).ok()?;
    let [block, blocks, free] = [block.parse::<u64>(), blocks.parse(), free.parse()];
    let (block, blocks, free) = (block.ok()?, blocks.ok()?, free.ok()?);
    // The first line is the heading.
    let mount = said.lines().filter_map(|line| line.strip_prefix("df ")).nth(1)?;
    // A file system without a size says that it has none.
    let is_told = is_plain(kind) && blocks > 0 && mount.starts_with('/');
    is_told.then(|| FreeSpace { device: 0, mount: PathBuf::from(mount), bytes: free.saturating_mul(block) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(device: u64, mount: &str, bytes: u64) -> Option<FreeSpace> {
        Some(FreeSpace { device, mount: mount.into(), bytes })
    }

    #[test]
    fn free_space_is_read_where_all_of_it_is_printed() {
        let heading = "df Mounted on\n";
        let ext4 = format!("at\nfs ef53 4096 1000 10\n{heading}df /srv/big disk\n");
        let btrfs = format!("at\nfs 9123683e 4096 1000 10\n{heading}df /b\n");
        let tmpfs = format!("at\nfs 1021994 4096 0 0\n{heading}df /none\n");
        let text = [&ext4, &btrfs, &ext4, &tmpfs, "at\n", &format!("at\n{heading}df /x\n")].concat();
        let known = space(0, "/srv/big disk", 40_960);
        assert_eq!(printed(&text, 7), [known.clone(), None, known, None, None, None, None]);
        assert_eq!(printed("", 1), [None]);
        assert_eq!(printed("at\nfs ef53 4096 1000 99999999999999999999999\n", 1), [None]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_shell_prints_it_for_a_folder_that_is_or_will_be() {
        let script = script(&["/dev/shm", "/dev/shm/a/folder/of/tomorrow", "${NONE:-/proc}", "/"]);
        assert!(!script.contains(['\'', '!', '\n']) && !script.contains("\\"), "{script}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let spaces = printed(&String::from_utf8_lossy(&output.stdout), 4);
        let [Some(memory), Some(tomorrow), None, _] = &spaces[..] else { panic!("{spaces:?}") };
        assert_eq!((memory.device, &memory.mount), (tomorrow.device, &tomorrow.mount));
        let found = rustix::fs::statfs("/dev/shm").unwrap();
        let (all, block) = (found.f_blocks, found.f_bsize.cast_unsigned());
        assert!(
            memory.mount == std::path::Path::new("/dev/shm") && memory.bytes <= all * block,
            "{memory:?}"
        );
    }
}
