//! One pair: a source, a target, an image and its update.

use std::sync::atomic::{AtomicU32, Ordering};

use dsync_e2e::{Bench, Form, Sameness, Store};

use crate::stations::{Stations, tiny};

/// As most images are: where layers are compressed, with gzip.
pub(crate) fn goes_over(source_kind: &'static str, target_kind: &'static str) {
    goes_over_as(source_kind, target_kind, Form::Gnu(6));
}

/// Syncs an image by a push, then its update by a pull; so each end is once where the program is started
/// and once where its agent is. Its layers have this form where the source has compressed ones.
pub(crate) fn goes_over_as(source_kind: &'static str, target_kind: &'static str, form: Form) {
    // A layout is on a host of the other engine, or of any.
    let host_of = |kind: &'static str, other: &'static str| match (kind, other) {
        ("oci", "oci") => "docker",
        ("oci", other) => other,
        (kind, _) => kind,
    };
    let (from, to) = (host_of(source_kind, target_kind), host_of(target_kind, source_kind));
    let (from, to, [old, new]) = (Stations::get(from), Stations::get(to), tiny());
    let (source_host, _source_alone) = from.source();
    let (target_host, _target_alone) = to.target();
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let dir = source_host.lab.dir().join(format!("cell-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let source = Store::new(source_kind, &source_host, dir.join("source"));
    let target = Store::new(target_kind, &target_host, dir.join("target"));
    let name = format!(
        "matrix/{source_kind}-to-{target_kind}:{}",
        format!("{form:?}").to_lowercase().replace(['(', ')'], "")
    );
    let push = Bench::builder().between(&source_host, &target_host).start();
    let pull = Bench::builder().between(&target_host, &source_host).start();
    let before = target.ids();
    let [source_spec, target_spec] = [source.spec(), target.spec()];
    let sameness = Sameness::expected(source_kind, target_kind);

    source.put(&name, &old, form);
    let push = || push.push(&["--docker", &source_spec, "--remote-docker", &target_spec, &name]);
    // It is cold: what earlier pairs left, if they left anything, would show here.
    push().ok().wire_at_least(500_000);
    let first = [&source, &target].map(|store| store.identity(&name).expect("the image has its name"));
    sameness.assert_holds(&first[0], &first[1]);
    target.assert_runs(&name, "tiny 1: 20000 numbers");
    push().ok().says("current");

    // A source has nothing but the one that it is asked for.
    source.clear();
    source.put(&name, &new, form);
    let pull = || pull.pull(&["--docker", &target_spec, "--remote-docker", &source_spec, &name]);
    pull().ok().says("updated").wire_at_most(30_000);
    let second = [&source, &target].map(|store| store.identity(&name).expect("the image has its name"));
    sameness.assert_holds(&second[0], &second[1]);
    assert_ne!(first[1].config, second[1].config);
    target.assert_runs(&name, "tiny 2: 20000 numbers");
    assert!(target.has(&first[1]), "the old image is gone");
    pull().ok().says("current");

    let mut ids = target.ids();
    ids.retain(|id| !before.contains(id) && first[1].id != *id && second[1].id != *id);
    assert!(ids.is_empty(), "more images: {ids:?}");
    let [[old_source, old_target], [new_source, new_target]] = [first, second];
    let left = [source.end(&[old_source, new_source]), target.end(&[old_target, new_target])];
    assert_eq!(left, [Vec::<String>::new(), Vec::new()], "left behind by the source, and by the target");
}
