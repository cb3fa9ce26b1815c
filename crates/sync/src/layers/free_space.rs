//! The free space of disks, compared with what a transfer takes at least, before its contents cross.
//!
//! Nothing is guessed: a file system that may store fewer bytes than it is given, or whose free space is no plain
//! number, counts as one with room. So does one that cannot be seen.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dsync_engine::{Demand, Disk, FreeSpace};

use crate::failure::{NoRoom, Words};
use crate::linux;

/// Reads the free space at a folder, which need not exist yet.
type Reader = dyn Fn(&Path) -> Option<FreeSpace> + Send + Sync;

/// The disks of this host, and those of which another host says what is free.
#[derive(Clone)]
pub(crate) struct Disks(Arc<Reader>);

impl Disks {
    /// Reads with this function.
    #[cfg(test)]
    pub(crate) fn new(read: impl Fn(&Path) -> Option<FreeSpace> + Send + Sync + 'static) -> Self {
        Disks(Arc::new(read))
    }

    /// The free bytes at a folder, where they are known.
    pub(crate) fn free(&self, folder: &Path) -> Option<u64> {
        (self.0)(folder).map(|space| space.bytes)
    }

    /// Checks that there is room for all of these at once.
    pub(crate) fn check(&self, demands: &[Demand]) -> Result<(), NoRoom> {
        let space = |demand: &Demand| match &demand.disk {
            Disk::Here => (self.0)(&demand.folder),
            Disk::There(space) => space.clone(),
        };
        let seen: Vec<(&Demand, FreeSpace)> =
            demands.iter().filter_map(|demand| Some((demand, space(demand)?))).collect();
        for (at, (demand, space)) in seen.iter().enumerate() {
            // Each is looked at with those before it on the same file system.
            let is_here = |demand: &Demand| demand.disk == Disk::Here;
            let is_same = |(other, of): &&(&Demand, FreeSpace)| {
                is_here(other) == is_here(demand) && of.device == space.device
            };
            let shared = seen[..=at].iter().filter(is_same);
            let needed = shared.map(|(demand, _)| demand.bytes).fold(0, u64::saturating_add);
            if needed > space.bytes {
                return Err(NoRoom {
                    purpose: Words(demand.purpose),
                    folder: demand.folder.clone(),
                    mount: space.mount.clone(),
                    needed,
                    free: space.bytes,
                    is_here: is_here(demand),
                });
            }
        }
        Ok(())
    }
}

impl Default for Disks {
    fn default() -> Self {
        Disks(Arc::new(linux::free_space))
    }
}

impl fmt::Debug for Disks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disks")
    }
}

#[cfg(test)]
mod tests {
    use dsync_engine::Purpose;

    use super::*;

    fn demand(purpose: Purpose, folder: &str, bytes: u64) -> Demand {
        Demand { purpose, folder: folder.into(), bytes, disk: Disk::Here }
    }

    /// `/small/…` has 100 bytes, `/large/…` 1,000; of all else nothing is known.
    fn disks() -> Disks {
        Disks::new(|folder| {
            let space = |device, mount: &str, bytes| FreeSpace { device, mount: mount.into(), bytes };
            [space(1, "/small", 100), space(2, "/large", 1000)]
                .into_iter()
                .find(|space| folder.starts_with(&space.mount))
        })
    }

    #[test]
    fn what_fits_is_never_refused() {
        let check = |demands: &[Demand]| disks().check(demands);
        assert_eq!(disks().free(Path::new("/small/a")), Some(100));
        assert_eq!(disks().free(Path::new("/elsewhere")), None);
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[demand(Purpose::Images, "/small/a", 100)]), Ok(()));
        assert_eq!(check(&[demand(Purpose::Images, "/elsewhere", u64::MAX)]), Ok(()));
        let both = [("/small/a", 60), ("/large/b", 1000), ("/small/c", 40)];
        assert_eq!(check(&both.map(|(folder, bytes)| demand(Purpose::Images, folder, bytes))), Ok(()));
        // A full disk is no matter to who writes nothing there.
        let none = [demand(Purpose::Images, "/small/a", 100), demand(Purpose::Temporary, "/small/b", 0)];
        assert_eq!(check(&none), Ok(()));
    }

    #[test]
    fn too_little_is_told_with_the_place_and_the_bytes() {
        let error = disks().check(&[demand(Purpose::Images, "/small/a", 101)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no room for the image in /small/a: at least 101 bytes are needed, and the file system \
             (/small) has 100 left"
        );
        // Together they need more than there is, and the second is what can go elsewhere.
        let both = [demand(Purpose::Images, "/small/a", 60), demand(Purpose::Temporary, "/small/b", 41)];
        let error = disks().check(&both).unwrap_err();
        assert_eq!((error.purpose.0, error.needed), (Purpose::Temporary, 101));
        let huge = [demand(Purpose::Images, "/large/a", 2), demand(Purpose::Images, "/large/b", u64::MAX)];
        assert_eq!(disks().check(&huge).unwrap_err().needed, u64::MAX);
    }

    #[test]
    fn the_disks_of_two_hosts_are_not_one() {
        let there = |purpose, bytes, free: Option<u64>| {
            let space = free.map(|bytes| FreeSpace { device: 1, mount: "/there".into(), bytes });
            Demand { disk: Disk::There(space), ..demand(purpose, "/small/x", bytes) }
        };
        let own = demand(Purpose::Temporary, "/small/a", 60);
        // Both have the number 1, and 100 bytes.
        assert_eq!(disks().check(&[own.clone(), there(Purpose::Images, 60, Some(100))]), Ok(()));
        assert_eq!(disks().check(&[there(Purpose::Images, u64::MAX, None)]), Ok(()));
        let error = disks().check(&[own, there(Purpose::Images, 101, Some(100))]).unwrap_err();
        assert_eq!((error.is_here, error.needed, error.mount.to_str()), (false, 101, Some("/there")));
        let both = [there(Purpose::Images, 60, Some(100)), there(Purpose::Temporary, 41, Some(100))];
        assert_eq!(disks().check(&both).unwrap_err().needed, 101);
        assert!(disks().check(&[demand(Purpose::Images, "/small/a", 101)]).unwrap_err().is_here);
    }
}
