//! Contents that need not cross the wire, because the target has them in one form or another.

use dsync_e2e::{Bench, layer, noise};
use dsync_lab::images::{Attributes, Layer};
use serde_json::json;

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_of_another_chain_are_built_on_the_target() {
    let bench = Bench::start();
    let layers = ["basis-chain-1", "basis-chain-2", "basis-chain-3"].map(|seed| layer(seed, 100_000));
    bench.here().put(&bench.image("forth:1").layer(&layers[0]).layer(&layers[1]).layer(&layers[2]));
    bench.there().put(&bench.image("back:1").layer(&layers[2]).layer(&layers[1]).layer(&layers[0]));
    let report = bench.pull(&["--report", "--json", &bench.name("back:1")]).ok().json();
    let expected = json!({"total": 3, "shared": 0, "local": 3, "missing": 0});
    assert_eq!(report["images"][0]["layers"], expected);
    bench.pull(&[&bench.name("back:1")]).ok().wire_at_most(11_000);
    bench.assert_same("back:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_new_image_finds_the_image_it_is_most_like() {
    let bench = Bench::start();
    let base = layer("basis-found-base", 100_000);
    let lib = noise("basis-found-lib", 200_000);
    let app = |extra: &str| Layer::builder().file("lib", &lib).file("app", noise(extra, 5_000)).build();
    bench.here().put(&bench.image("one:1").layer(&base).layer(&app("basis-found-1")));
    bench.there().put(&bench.image("other/two:7").layer(&base).layer(&app("basis-found-2")));
    // The layer is new and large, but most of it is in a layer above the same base.
    bench.pull(&[&bench.name("other/two:7")]).ok().wire_at_least(5_000).wire_at_most(18_000);
    bench.assert_same("other/two:7");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_person_may_know_a_better_basis() {
    let bench = Bench::start();
    let lib = noise("basis-told-lib", 100_000);
    bench.here().put(&bench.image("web:1").layer(&layer("basis-told-old", 1_000)));
    bench.here().put(&bench.image("lib:1").layer(&Layer::builder().dir("usr").file("usr/lib", &lib).build()));
    bench
        .there()
        .put(&bench.image("web:2").layer(&Layer::builder().dir("opt").file("opt/lib", &lib).build()));
    let web = bench.name("web:2");
    // By itself it looks into the last build of the same name, where nothing of this is.
    let sent = |args: &[&str]| bench.pull(args).ok().json()["results"][0]["packed"].as_u64().unwrap();
    assert!(sent(&["--dry-run", "--json", &web]) > 100_000);
    let basis = bench.name("lib:1");
    assert!(sent(&["--dry-run", "--json", "--basis", &basis, &web]) < 100);
    bench.pull(&["--basis", &basis, &web]).ok().wire_at_most(11_000);
    bench.assert_same("web:2");
    bench.pull(&["--basis", "no-such-image:1", &web]).ok().says("current");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_damaged_image_is_no_basis_and_no_obstacle() {
    let bench = Bench::alone();
    // The engine takes such a layer, and fails to give it away again.
    let never = Layer::builder().symlink_with_size("link", "to", 9 << 30).build();
    bench.here().put(&bench.image("web:1").layer(&never));
    let new = bench.image("web:1").layer(&layer("basis-damaged", 20_000));
    bench.there().put(&new);
    bench.pull(&["--verbose", &bench.name("web:1")]).ok().says("is no basis").wire_at_most(33_000);
    bench.here().assert_is("web:1", &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_rebuilt_layer_with_new_times_costs_its_times() {
    let bench = Bench::start();
    let build = |mtime: u64| {
        let attributes = Attributes { mtime, ..Attributes::default() };
        let layer = Layer::builder().attributes(attributes).dir("srv");
        let file = |n: u32| (format!("srv/file-{n}"), noise(&format!("basis-times-{n}"), 2_000));
        (0..300).map(file).fold(layer, |layer, (name, content)| layer.file(name, content)).build()
    };
    bench.here().put(&bench.image("web:1").layer(&build(1_700_000_000)));
    bench.there().put(&bench.image("web:1").layer(&build(1_800_000_000)));
    // 300 files of 600 kB in all.
    bench.pull(&[&bench.name("web:1")]).ok().says("updated").wire_at_most(15_000);
    bench.assert_same("web:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn files_that_moved_are_found_again() {
    let bench = Bench::start();
    let content = |n: u32| noise(&format!("basis-moved-{n}"), 20_000);
    let build = |dir: &str| {
        let layer = Layer::builder().dir(dir);
        (0..10).fold(layer, |layer, n| layer.file(format!("{dir}/{n}"), content(n))).build()
    };
    bench.here().put(&bench.image("web:1").layer(&build("app-1.0")));
    bench.there().put(&bench.image("web:1").layer(&Layer::empty()).layer(&build("app-1.1")));
    bench.pull(&[&bench.name("web:1")]).ok().wire_at_most(11_500);
    bench.assert_same("web:1");
}
