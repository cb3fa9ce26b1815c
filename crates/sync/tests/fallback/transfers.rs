//! Images that come and go by a stream or by rsync, and hosts that cannot do it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use dsync_sync::{Direction, Error, LayerState, Options, TransferMethod};
use dsync_testkit::{Built, ImageSpec, Item, LayerSpec, Snapshot, What, isolated, unpack};

use crate::host::{Host, id};

/// All that a host without an agent and without rsync has to have.
const SHELL: [&str; 4] = ["cat", "rm", "mkdir", "sh"];
const WITH_RSYNC: [&str; 5] = ["cat", "rm", "mkdir", "sh", "rsync"];

const PATIENCE: Duration = Duration::from_secs(120);

/// An image, and its update: one layer stays and one is another.
fn update() -> [Built; 2] {
    [1, 2].map(|version| {
        let layers = vec![LayerSpec::text(7, 300_000), LayerSpec::noise(version, 40_000)];
        Item::named("app:1", ImageSpec::of(layers)).build()
    })
}

/// The layer that the second image has and the first has not.
fn new_layer([old, new]: &[Built; 2]) -> String {
    let [old, new] = [old, new].map(|built| &built.images[0].diff_ids);
    new.iter().find(|id| !old.contains(id)).unwrap().clone()
}

fn pulls(host: &Host, method: TransferMethod) -> Vec<String> {
    let [old, new] = update();
    host.layout(std::slice::from_ref(&old));
    host.has(&new);
    let synced = host.sync(Direction::Pull, host.options(method), "app:1");
    let (entry, outcome) = synced.result.unwrap();
    let states: Vec<LayerState> = outcome.layers.iter().map(|layer| layer.state).collect();
    assert_eq!(entry.count(LayerState::Missing), 1);
    assert_eq!(states, [LayerState::Shared, LayerState::Missing]);
    let layout = Snapshot::read(&host.path("here/layout")).unwrap();
    assert!(layout.is_named("app:1", &What::content(&new.images[0])), "{layout:?}");
    assert_eq!(host.calls("save"), [format!("save {}", id(&new))]);
    host.assert_tidy();
    synced.warnings
}

/// Returns the names of the files in the archive that the engine was given.
fn pushes(host: &Host, method: TransferMethod) -> BTreeSet<String> {
    let [old, new] = update();
    host.layout(std::slice::from_ref(&new));
    host.has(&old);
    host.shows("after", &[&old, &new]);
    let synced = host.sync(Direction::Push, host.options(method), "app:1");
    let (_, outcome) = synced.result.unwrap();
    assert_eq!(outcome.id.to_string(), id(&new));
    assert_eq!(synced.warnings, [""; 0]);
    assert_eq!(host.calls("tag"), [format!("tag {} app:1", id(&new))]);
    host.assert_tidy();
    let loaded = fs::read(host.path("engine/loaded")).unwrap();
    let loaded = if loaded.starts_with(&[0x1f, 0x8b]) { unpack("gzip", &loaded).unwrap() } else { loaded };
    let mut archive = tar::Archive::new(&loaded[..]);
    let entries = archive.entries().unwrap().map(Result::unwrap).filter(|entry| entry.size() > 0);
    entries.map(|entry| entry.path().unwrap().display().to_string()).collect()
}

/// The archive has the layer that is new, and not the one that the engine has.
#[track_caller]
fn assert_is_partial(names: &BTreeSet<String>) {
    let [old, new] = update();
    let has = |digest: &str| names.iter().any(|name| name.contains(digest.trim_start_matches("sha256:")));
    assert!(has(&new_layer(&[old, new])), "{names:?}");
    assert!(!has(&update()[1].images[0].diff_ids[0]), "{names:?}");
    assert!(has(&id(&update()[1])), "{names:?}");
}

#[test]
fn a_stream_is_pulled() {
    isolated("transfers::a_stream_is_pulled", PATIENCE, || {
        let host = Host::new(&SHELL);
        assert_eq!(pulls(&host, TransferMethod::Stream), [""; 0]);
        assert_eq!(host.commands("tar --delete"), 1, "the shared layer is dropped there");
    });
}

#[test]
fn a_stream_is_pushed() {
    isolated("transfers::a_stream_is_pushed", PATIENCE, || {
        assert_is_partial(&pushes(&Host::new(&SHELL), TransferMethod::Stream));
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_pulls() {
    isolated("transfers::rsync_pulls", PATIENCE, || {
        let host = Host::new(&WITH_RSYNC);
        assert_eq!(pulls(&host, TransferMethod::Rsync), [""; 0]);
        assert_eq!(host.commands("rsync --server --sender"), 1);
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_pushes_without_a_basis_that_the_engine_does_not_save() {
    isolated("transfers::rsync_pushes_without_a_basis_that_the_engine_does_not_save", PATIENCE, || {
        let host = Host::new(&WITH_RSYNC);
        host.write("engine/broken", "");
        assert_is_partial(&pushes(&host, TransferMethod::Rsync));
        assert_eq!(host.calls("save").len(), 1, "it was asked for");
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_pulls_without_a_basis_that_cannot_be_read() {
    isolated("transfers::rsync_pulls_without_a_basis_that_cannot_be_read", PATIENCE, || {
        let host = Host::new(&WITH_RSYNC);
        let [old, new] = update();
        host.layout(std::slice::from_ref(&old));
        let replaced = new_layer(&[new.clone(), old]);
        let blob = host.path("here/layout/blobs/sha256").join(replaced.trim_start_matches("sha256:"));
        let whole = fs::read(&blob).unwrap();
        fs::write(&blob, "damaged").unwrap();
        host.has(&new);
        let synced = host.sync(Direction::Pull, host.options(TransferMethod::Rsync), "app:1");
        synced.result.unwrap();
        fs::write(&blob, whole).unwrap();
        let layout = Snapshot::read(&host.path("here/layout")).unwrap();
        assert!(layout.is_named("app:1", &What::content(&new.images[0])), "{layout:?}");
        host.assert_tidy();
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_pushes() {
    isolated("transfers::rsync_pushes", PATIENCE, || {
        let host = Host::new(&WITH_RSYNC);
        assert_is_partial(&pushes(&host, TransferMethod::Rsync));
        assert_eq!(host.commands("rsync --server"), 1);
    });
}

#[test]
fn a_stream_is_refused_where_a_limit_is_asked_for() {
    isolated("transfers::a_stream_is_refused_where_a_limit_is_asked_for", PATIENCE, || {
        let host = Host::new(&SHELL);
        let [old, new] = update();
        host.layout(std::slice::from_ref(&old));
        host.has(&new);
        let options = Options { limit: Some(1000), ..host.options(TransferMethod::Stream) };
        let error = host.sync(Direction::Pull, options, "app:1").result.unwrap_err();
        assert!(format!("{error:?}").contains("--limit"), "{error:?}");
        assert_eq!(host.calls("save"), [""; 0]);
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn rsync_is_given_the_limit() {
    isolated("transfers::rsync_is_given_the_limit", PATIENCE, || {
        let host = Host::new(&WITH_RSYNC);
        let [old, new] = update();
        host.layout(std::slice::from_ref(&old));
        host.has(&new);
        let options = Options { limit: Some(60_000), ..host.options(TransferMethod::Rsync) };
        host.sync(Direction::Pull, options, "app:1").result.unwrap();
        assert_eq!(host.commands("--bwlimit=59"), 1, "in units of 1024 bytes");
    });
}

/// A kind of machine for which nobody has an agent.
fn of_another_kind(programs: &[&str]) -> Host {
    let host = Host::new(programs);
    host.script("bin/uname", "case $1 in -s) echo Plan9 ;; *) echo mips ;; esac\n");
    host
}

#[test]
fn where_no_agent_can_run_and_there_is_no_rsync_a_stream_goes() {
    isolated("transfers::where_no_agent_can_run_and_there_is_no_rsync_a_stream_goes", PATIENCE, || {
        let [warning] = &pulls(&of_another_kind(&SHELL), TransferMethod::Auto)[..] else {
            panic!("one warning")
        };
        assert!(warning.starts_with("no agent can run on elsewhere ("), "{warning}");
        assert!(warning.contains("Plan9 mips"), "{warning}");
        assert!(warning.ends_with("; falling back to a stream of the missing layers"), "{warning}");
    });
}

#[test]
#[ignore = "needs rsync: cargo xtask test"]
fn where_no_agent_can_run_rsync_is_used_if_it_is_there() {
    isolated("transfers::where_no_agent_can_run_rsync_is_used_if_it_is_there", PATIENCE, || {
        let [warning] = &pulls(&of_another_kind(&WITH_RSYNC), TransferMethod::Auto)[..] else {
            panic!("one warning")
        };
        assert!(warning.ends_with("; falling back to rsync of the missing layers"), "{warning}");
    });
}

#[test]
fn who_wants_an_agent_is_not_given_another_way() {
    isolated("transfers::who_wants_an_agent_is_not_given_another_way", PATIENCE, || {
        let host = of_another_kind(&SHELL);
        host.layout(&[]);
        let result = host.sync(Direction::Pull, host.options(TransferMethod::Delta), "app:1").result;
        assert!(matches!(result, Err(Error::NoAgent { .. })), "{result:?}");
        assert!(host.calls("").is_empty());
    });
}

/// The failure of a sync, in one text.
fn failure(host: &Host, direction: Direction, method: TransferMethod) -> String {
    match host.sync(direction, host.options(method), "app:1").result {
        Err(Error::Endpoint { failure, .. }) => failure.causes.join(": "),
        Err(error) => error.to_string(),
        Ok(_) => panic!("it succeeded"),
    }
}

#[test]
fn an_engine_that_is_not_there_or_does_not_answer_is_named() {
    isolated("transfers::an_engine_that_is_not_there_or_does_not_answer_is_named", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        host.script(
            "bin/docker",
            "echo 'Cannot connect to the Docker daemon at unix:///x. Is it running?' >&2; exit 1\n",
        );
        let why = failure(&host, Direction::Pull, TransferMethod::Stream);
        assert!(why.contains("Cannot connect to the Docker daemon"), "{why}");
        host.assert_tidy();
    });
}

#[test]
fn an_archive_that_ends_early_changes_nothing() {
    isolated("transfers::an_archive_that_ends_early_changes_nothing", PATIENCE, || {
        let host = Host::new(&SHELL);
        let [_, new] = update();
        let other = Item::named("other:1", ImageSpec::of(vec![LayerSpec::text(9, 1_000)])).build();
        host.layout(std::slice::from_ref(&other));
        host.has(&new);
        let archive = host.path("engine/archive");
        let whole = fs::read(&archive).unwrap();
        let before = Snapshot::read(&host.path("here/layout")).unwrap();
        for share in [1, 2, 3] {
            fs::write(&archive, &whole[..whole.len() * share / 4]).unwrap();
            failure(&host, Direction::Pull, TransferMethod::Stream);
            before.check_unchanged(&Snapshot::read(&host.path("here/layout")).unwrap()).unwrap();
        }
        fs::write(&archive, &whole).unwrap();
        assert!(host.sync(Direction::Pull, host.options(TransferMethod::Stream), "app:1").result.is_ok());
        host.assert_tidy();
    });
}

#[test]
fn an_engine_that_takes_an_image_and_does_not_show_it_has_not_taken_it() {
    isolated(
        "transfers::an_engine_that_takes_an_image_and_does_not_show_it_has_not_taken_it",
        PATIENCE,
        || {
            let host = Host::new(&SHELL);
            let [old, new] = update();
            host.layout(std::slice::from_ref(&new));
            host.has(&old);
            host.shows("after", &[&old]);
            let why = failure(&host, Direction::Push, TransferMethod::Stream);
            assert!(why.contains("and somebody removed it before it had its name"), "{why}");
            assert!(host.calls("tag").is_empty(), "no name moved");
            host.assert_tidy();
        },
    );
}

#[test]
fn files_of_the_other_host_need_an_agent() {
    isolated("transfers::files_of_the_other_host_need_an_agent", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        for store in ["oci:/srv/images", "docker-archive:/srv/image.tar"] {
            let options =
                dsync_sync::Options { remote_store: store.into(), ..host.options(TransferMethod::Stream) };
            let Err(Error::Endpoint { failure, .. }) = host.sync(Direction::Pull, options, "app:1").result
            else {
                panic!("{store}")
            };
            assert!(
                failure.causes.join(": ").contains("files of the remote need an agent there"),
                "{failure:?}"
            );
        }
    });
}

#[test]
fn a_folder_that_a_shell_would_read_as_something_else_is_refused() {
    isolated("transfers::a_folder_that_a_shell_would_read_as_something_else_is_refused", PATIENCE, || {
        let host = Host::new(&SHELL);
        host.layout(&[]);
        for folder in ["/tmp/a b", "/tmp/$HOME", "/tmp/`id`", "/tmp/a;b", "/tmp/\"", "/tmp/'", "/tmp/ä"] {
            let options = dsync_sync::Options {
                tmpfolder: Some(folder.into()),
                ..host.options(TransferMethod::Stream)
            };
            let Err(Error::Endpoint { failure, .. }) = host.sync(Direction::Pull, options, "app:1").result
            else {
                panic!("{folder}")
            };
            assert!(failure.causes[0].contains("cannot be passed through every login shell"), "{failure:?}");
        }
        assert_eq!(host.commands(""), 0, "nobody was dialled");
    });
}
