//! The images that the words of the command line select.

use dsync_e2e::{Bench, layer};

/// The target's images of these names, `-` for an absent one.
fn have(bench: &Bench, names: &[&str]) -> Vec<String> {
    let there =
        names.iter().map(|name| if bench.here().id(name) == bench.there().id(name) { name } else { "-" });
    there.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn all_is_all_that_is_outdated_or_new_and_its_halves_can_be_had_apart() {
    let bench = Bench::alone();
    for name in ["current:1", "outdated:1", "outdated:2"] {
        bench.here().put(&bench.image(name).layer(&layer(name, 1_000)));
    }
    bench.there().put(&bench.image("current:1").layer(&layer("current:1", 1_000)));
    for name in ["outdated:1", "outdated:2", "new:1", "new:2"] {
        bench.there().put(&bench.image(name).layer(&layer(&format!("{name} there"), 10_000)));
    }
    let names = ["outdated:1", "outdated:2", "new:1", "new:2"];
    assert_eq!(have(&bench, &names), ["-", "-", "-", "-"]);

    // A flag selects among the images that are named.
    bench.pull(&["--update", &bench.name("*:1")]).ok().wire_at_least(10_000).wire_at_most(23_000);
    assert_eq!(have(&bench, &names), ["outdated:1", "-", "-", "-"]);
    bench.pull(&["-n", &bench.name("*:1")]).ok().wire_at_least(10_000).wire_at_most(23_000);
    assert_eq!(have(&bench, &names), ["outdated:1", "-", "new:1", "-"]);

    bench.there().put(&bench.image("new:3").layer(&layer("new:3", 10_000)));
    bench.pull(&["--new"]).ok().wire_at_least(20_000).wire_at_most(36_000);
    assert_eq!(have(&bench, &names), ["outdated:1", "-", "new:1", "new:2"]);

    bench.there().put(&bench.image("new:4").layer(&layer("new:4", 10_000)));
    bench.pull(&["--all"]).ok().says("total  2 images").wire_at_least(20_000).wire_at_most(36_000);
    for name in ["current:1", "outdated:1", "outdated:2", "new:1", "new:2", "new:3", "new:4"] {
        bench.assert_same(name);
    }
    bench.pull(&["-a"]).ok().says("nothing to do").wire_at_most(11_000);

    // The other way, an image that is only here is new there.
    bench.here().put(&bench.image("only-here:1").layer(&layer("only-here:1", 10_000)));
    bench.push(&["-a"]).ok().wire_at_least(10_000).wire_at_most(23_000);
    bench.assert_same("only-here:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn several_images_are_named_one_by_one_or_by_patterns() {
    let bench = Bench::start();
    let names = ["shop/web:v1", "shop/web:v2", "shop/db:v2", "shop/tools/lint:v2", "blog:latest"];
    for name in names {
        bench.there().put(&bench.image(name).layer(&layer(&format!("select {name}"), 2_000)));
    }
    bench.pull(&[&bench.name("shop/*:v2")]).ok().wire_at_most(22_000);
    assert_eq!(have(&bench, &names), ["-", "shop/web:v2", "shop/db:v2", "-", "-"]);
    bench.pull(&[&bench.name("blog"), &bench.name("shop/web:v1"), &bench.name("shop/**/lint:*")]).ok();
    assert_eq!(have(&bench, &names), names);
    for name in names {
        bench.assert_same(name);
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_wrong_name_is_told_before_anything_moves() {
    let bench = Bench::start();
    bench.there().put(&bench.image("there:1").layer(&layer("select-there", 2_000)));
    bench.pull(&[&bench.name("there:1"), &bench.name("nowhere:1")]).exits(5).says("nowhere:1");
    assert_eq!(bench.here().id("there:1"), None);
}
