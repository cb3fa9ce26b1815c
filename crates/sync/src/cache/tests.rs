//! Damaged entries, limits, directories of other users.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use super::*;

/// Any bytes in the place of an index.
trait Bytes {
    fn keep(&self, layer: &Digest, bytes: &[u8]);
    fn get(&self, layer: &Digest) -> Option<Vec<u8>>;
}

impl Bytes for Cache {
    fn keep(&self, layer: &Digest, bytes: &[u8]) {
        self.write(&self.path(layer, EntryKind::Index), &mut |out| out.write_all(bytes)).ok();
    }

    fn get(&self, layer: &Digest) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.load(&self.path(layer, EntryKind::Index), |kept| kept.read_to_end(&mut bytes))?;
        Some(bytes)
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn cache(directory: &tempfile::TempDir) -> Cache {
    Cache::locate_below(Some(directory.path())).unwrap()
}

/// Makes it that a file was used so many days ago.
fn set_used(path: &Path, days: u32) {
    File::open(path).unwrap().set_modified(SystemTime::now() - DAY * days).unwrap();
}

/// Layers of 100 bytes each, the n-th used n days ago.
fn aged(cache: &Cache, layers: u8) -> Vec<Digest> {
    let layers: Vec<Digest> = (0..layers).map(|n| Digest::of(&[n])).collect();
    for (days, layer) in (0..).zip(&layers) {
        cache.keep(layer, &[1; 100]);
        set_used(&cache.path(layer, EntryKind::Index), days);
    }
    layers
}

fn digests(pruned: &Pruned) -> Vec<Digest> {
    pruned.layers.iter().map(|entry| entry.digest).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_was_kept_is_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    assert_eq!(cache.get(&layer), None);
    for index in [&b"index"[..], b"", b"another"] {
        cache.keep(&layer, index);
        assert_eq!(cache.get(&layer).as_deref(), Some(index));
    }
    assert_eq!(mode(&cache.directory), 0o700);
    assert_eq!(mode(&cache.path(&layer, EntryKind::Index)), 0o600);
}

#[test]
fn where_a_disk_is_nearly_full_nothing_more_is_kept_and_what_is_there_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, [old, new]) = (cache(&directory), [Digest::of(b"old"), Digest::of(b"new")]);
    cache.keep(&old, b"index");
    assert!(cache.has_room());
    let full = Cache { reserve: u64::MAX, ..cache };
    assert!(!full.has_room());
    let kept = full.write(&full.path(&new, EntryKind::Index), &mut |out| out.write_all(b"index"));
    assert_eq!(kept.unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!((full.get(&new), full.get(&old).as_deref()), (None, Some(&b"index"[..])));
    assert_eq!(fs::read_dir(&full.directory).unwrap().count(), 1);
}

#[test]
fn a_layer_is_found_by_how_its_id_begins() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    let short = *layer.as_bytes().first_chunk().unwrap();
    assert_eq!(cache.find(&short), None);
    cache.keep(&layer, b"index");
    assert_eq!(cache.find(&short), Some(layer));
    assert_eq!(cache.find(&[0; 5]), None);
    // Of two that begin so neither is it.
    let mut twin = *layer.as_bytes();
    twin[31] ^= 1;
    cache.keep(&Digest::from_bytes(twin), b"index");
    assert_eq!(cache.find(&short), None);
}

#[test]
fn what_is_damaged_is_absent_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    cache.keep(&layer, &[7; 1000]);
    let path = cache.path(&layer, EntryKind::Index);
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        cache.get(&layer).is_none() && !path.exists()
    };
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(refused(&bytes), "bit {bit} of byte {at}");
        }
        assert!(refused(&whole[..at]), "the first {at} bytes");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(refused(&longer));
    cache.keep(&layer, b"anew");
    assert_eq!(cache.get(&layer).as_deref(), Some(&b"anew"[..]));
}

#[test]
fn what_is_right_but_no_frame_is_absent() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    let packed = b"no frame";
    let file = [&MAGIC[..], &[FORMAT], &Digest::of(packed).as_bytes()[..], packed].concat();
    fs::write(cache.path(&layer, EntryKind::Index), file).unwrap();
    assert_eq!(cache.get(&layer), None);
    assert!(!cache.path(&layer, EntryKind::Index).exists());
}

#[test]
fn what_is_too_long_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    let zeros = |len: u64| {
        cache.write(&cache.path(&layer, EntryKind::Index), &mut |out| {
            io::copy(&mut io::repeat(0).take(len), &mut &mut *out).map(drop)
        })
    };
    assert!(zeros(INDEX_MAX + 1).is_err());
    assert_eq!(fs::read_dir(&cache.directory).unwrap().count(), 0);
    zeros(INDEX_MAX).unwrap();
    assert_eq!(cache.get(&layer).map(|kept| kept.len() as u64), Some(INDEX_MAX));
}

#[test]
fn an_index_that_needs_too_much_memory_is_not_read_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let mut scanner = dsync_delta::Scanner::new();
    scanner.push(&[7; 100_000]);
    let index = Arc::new(scanner.finish());
    cache.put(&index);
    assert_eq!(cache.index(&index.digest, index.memory() / 2), None);
    assert_eq!(cache.index(&index.digest, 10_000).as_ref(), Some(&*index));
    let other = Digest::of(b"other");
    fs::rename(cache.path(&index.digest, EntryKind::Index), cache.path(&other, EntryKind::Index)).unwrap();
    assert_eq!(cache.index(&other, 10_000), None);
}

#[test]
fn the_least_recently_used_go_first() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let layers = aged(&cache, 4);
    // Using one makes it the last to go.
    cache.get(&layers[3]);
    let entries = cache.entries().unwrap();
    let order: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    assert_eq!(order, [layers[3], layers[0], layers[1], layers[2]]);
    let size = entries[0].size;
    assert_eq!(cache.prune(4 * size).unwrap(), Pruned::default());
    let pruned = cache.prune(3 * size - 1).unwrap();
    assert_eq!((digests(&pruned), pruned.bytes), (vec![layers[1], layers[2]], 2 * size));
    assert_eq!(cache.prune(0).unwrap().layers.len(), 2);
    assert_eq!(cache.entries().unwrap(), []);
}

#[test]
fn what_a_run_uses_stays_whatever_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let layers = aged(&cache, 4);
    let started = SystemTime::now();
    cache.get(&layers[2]);
    let pruned = cache.remove(0, started.checked_sub(TOUCH)).unwrap();
    assert_eq!(digests(&pruned), [layers[1], layers[3]]);
    assert!(cache.get(&layers[0]).is_some() && cache.get(&layers[2]).is_some());
}

#[test]
fn a_use_is_noted_once_an_hour_and_a_time_to_come_put_right() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    cache.keep(&layer, b"index");
    let used = |time: SystemTime| {
        File::open(cache.path(&layer, EntryKind::Index)).unwrap().set_modified(time).unwrap();
        cache.get(&layer).unwrap();
        cache.entries().unwrap()[0].used
    };
    let now = SystemTime::now();
    assert!(used(now - TOUCH / 2) < now);
    assert!(used(now - TOUCH * 2) >= now - DAY / 1000);
    assert!(used(now + DAY) < now + DAY / 2);
}

#[test]
fn what_a_killed_run_left_goes_after_a_day_or_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let left = cache.directory.join("new-abc");
    fs::write(&left, b"half").unwrap();
    assert_eq!(cache.prune(CACHE_LIMIT).unwrap().bytes, 0);
    set_used(&left, 2);
    assert_eq!(cache.prune(CACHE_LIMIT).unwrap().bytes, 4);
    assert!(!left.exists());
    fs::write(&left, b"half").unwrap();
    assert_eq!(cache.prune(0).unwrap(), Pruned { layers: Vec::new(), bytes: 4 });
    assert!(!left.exists());
}

#[test]
fn an_empty_file_goes_with_everything_and_what_is_not_ours_stays() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let agent = directory.path().join("docker-sync/agent-1");
    let folder = cache.path(&Digest::of(b"folder"), EntryKind::Index);
    let other = cache.directory.join("README");
    fs::write(&agent, b"agent").unwrap();
    fs::write(&other, b"other").unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(cache.path(&Digest::of(b"layer"), EntryKind::Index), b"").unwrap();
    assert_eq!(digests(&cache.prune(0).unwrap()), [Digest::of(b"layer")]);
    assert!(agent.exists() && other.exists() && folder.exists());
}

/// The error for a place that was made like this, without the directory that it is in.
fn refused(make: &dyn Fn(&Path)) -> String {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let error = Cache::locate_below(Some(directory.path())).unwrap_err().to_string();
    error.strip_prefix(directory.path().to_str().unwrap()).unwrap_or(&error).to_owned()
}

#[test]
fn a_place_that_is_not_ours_alone_is_not_used() {
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let index = |caches: &Path| Cache::locate_below(Some(caches)).unwrap().directory;
    assert_eq!(refused(&|caches| set(&index(caches), 0o750)), "/docker-sync/index is open to other users");
    assert_eq!(
        refused(&|caches| set(index(caches).parent().unwrap(), 0o770)),
        "/docker-sync is open to other users"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let link = |at: PathBuf| symlink(elsewhere.path(), at).unwrap();
    assert_eq!(refused(&|caches| link(caches.join("docker-sync"))), "/docker-sync is a symbolic link");
    assert_eq!(
        refused(&|caches| {
            fs::create_dir(caches.join("docker-sync")).unwrap();
            link(caches.join("docker-sync/index"));
        }),
        "/docker-sync/index is a symbolic link"
    );
    let file = |caches: &Path| fs::write(caches.join("docker-sync"), b"").unwrap();
    assert_eq!(refused(&file), "/docker-sync is no directory");
    // The folder that the bootstrap made may be read by others.
    let directory = tempfile::tempdir().unwrap();
    set(index(directory.path()).parent().unwrap(), 0o755);
    cache(&directory);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_place_of_another_user_is_not_used() {
    let give = |caches: &Path| {
        let index = Cache::locate_below(Some(caches)).unwrap().directory;
        std::os::unix::fs::chown(index, Some(65534), None).expect("root can give files away");
    };
    assert_eq!(refused(&give), "/docker-sync/index belongs to another user");
}

#[test]
fn a_place_that_cannot_be_made_is_told_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Cache::locate_below(Some(&file)).unwrap_err();
    assert!(matches!(&error, CacheError::Make(_, reason) if reason.kind() == io::ErrorKind::NotADirectory));
}

#[test]
fn a_directory_that_went_away_is_an_empty_cache() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    fs::remove_dir_all(&cache.directory).unwrap();
    cache.keep(&layer, b"index");
    assert_eq!(cache.get(&layer), None);
    assert_eq!(cache.find(&[0; 5]), None);
    assert!(cache.prune(0).is_err());
}

#[test]
fn many_may_write_read_and_prune_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (cache, layer) = (cache(&directory), Digest::of(b"layer"));
    let index = |writer: u8| vec![writer; 5000 + usize::from(writer)];
    thread::scope(|scope| {
        for writer in 0..4 {
            let (cache, layer) = (&cache, &layer);
            scope.spawn(move || {
                for round in 0..50 {
                    cache.keep(layer, &index(writer));
                    // Whoever's it is, it is whole.
                    if let Some(read) = cache.get(layer) {
                        assert_eq!(read, index(read[0]));
                    }
                    if round % 10 == 9 {
                        cache.prune(0).unwrap();
                    }
                }
            });
        }
    });
    cache.keep(&layer, &index(1));
    assert_eq!(cache.entries().unwrap().len(), 1);
    let files = fs::read_dir(&cache.directory).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory);
    let layer = Digest::of(b"layer");
    let path = cache.path(&layer, EntryKind::Index);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert_eq!(cache.index(&layer, usize::MAX), None);
    cache.keep(&layer, b"index");
    assert_eq!(cache.get(&layer).as_deref(), Some(&b"index"[..]), "it can be kept there all the same");
}

#[test]
fn what_a_transfer_relied_on_can_be_removed() {
    let directory = tempfile::tempdir().unwrap();
    let used = Used::default();
    let cache = cache(&directory).noting(&used);
    let [first, second, third] = [b"1", b"2", b"3"].map(|layer| Digest::of(layer));
    for layer in [&first, &second, &third] {
        cache.keep(layer, b"index");
    }
    cache.get(&first).unwrap();
    used.clear();
    cache.get(&second).unwrap();
    used.remove();
    used.remove();
    let left: Vec<bool> = [&first, &second, &third].map(|layer| cache.get(layer).is_some()).into();
    assert_eq!(left, [true, false, true]);
}
