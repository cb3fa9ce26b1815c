//! Images from one engine to another: what is on the target afterwards, and what it took.

use dsync_e2e::{Bench, layer};

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_new_image_comes_over() {
    let bench = Bench::start();
    let image = bench.image("web:1").layer(&layer("sync-new", 50_000));
    bench.there().put(&image);
    bench.pull(&[&bench.name("web:1")]).ok().wire_at_least(50_000).wire_at_most(64_000);
    bench.assert_same("web:1");
    bench.here().assert_is("web:1", &image);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_push_needs_no_terminal() {
    let bench = Bench::start();
    let image = bench.image("web:1").layer(&layer("sync-push", 50_000));
    bench.here().put(&image);
    // A session of its own has no terminal to ask on, as in CI; standard input is null anyway.
    let mut command = bench.bare_command("/usr/bin/setsid");
    command.arg("--wait").arg(dsync_e2e::program()).args(["--ssh", &bench.ssh(), "--push", bench.remote()]);
    command.arg(bench.name("web:1"));
    let ran = bench.run_command(command).ok().wire_at_least(50_000).wire_at_most(64_000);
    assert_eq!(ran.out, "");
    bench.assert_same("web:1");
    bench.there().assert_is("web:1", &image);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_update_moves_the_tag_and_the_old_image_stays() {
    let bench = Bench::start();
    let base = layer("sync-update-base", 200_000);
    let old = bench.image("web:1").layer(&base).layer(&layer("sync-update-old", 20_000));
    let new = bench.image("web:1").layer(&base).layer(&layer("sync-update-new", 20_000));
    bench.here().put(&old);
    bench.there().put(&new);
    bench.pull(&[&bench.name("web:1")]).ok().says("updated").wire_at_least(20_000).wire_at_most(34_000);
    bench.assert_same("web:1");
    bench.here().assert_is("web:1", &new);
    let dangling =
        bench.here().docker(&["image", "inspect", "--format", "{{.RepoTags}}", &old.id().to_string()]);
    assert_eq!(dangling, "[]");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_is_current_costs_a_login() {
    let bench = Bench::start();
    let image = bench.image("web:1").layer(&layer("sync-current", 50_000));
    bench.here().put(&image);
    bench.there().put(&image);
    bench.pull(&[&bench.name("web:1")]).ok().says("current").wire_at_most(10_000);
    bench.push(&[&bench.name("web:1")]).ok().says("current").wire_at_most(10_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn two_tags_are_one_transfer() {
    let bench = Bench::start();
    bench.there().put(&bench.image("web:1").layer(&layer("sync-tags", 60_000)));
    bench.there().docker(&["tag", &bench.name("web:1"), &bench.name("web:latest")]);
    bench.pull(&[&bench.name("web:*")]).ok().says("tagged").wire_at_least(60_000).wire_at_most(74_000);
    bench.assert_same("web:1");
    bench.assert_same("web:latest");
    assert_eq!(bench.here().id("web:1"), bench.here().id("web:latest"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn another_name_of_an_image_that_is_there_is_only_a_tag() {
    let bench = Bench::start();
    let image = bench.image("web:1").layer(&layer("sync-retag", 60_000));
    bench.there().put(&image);
    bench.here().put(&image);
    bench.there().docker(&["tag", &bench.name("web:1"), &bench.name("web:stable")]);
    bench.pull(&[&bench.name("web:stable")]).ok().says("tagged").wire_at_most(10_000);
    bench.here().assert_is("web:stable", &image);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn what_images_share_is_sent_once_in_a_run() {
    let bench = Bench::start();
    let base = layer("sync-shared", 300_000);
    for name in ["a:1", "b:1", "c:1"] {
        bench
            .there()
            .put(&bench.image(name).layer(&base).layer(&layer(&format!("sync-shared-{name}"), 1_000)));
    }
    let names = ["a:1", "b:1", "c:1"].map(|name| bench.name(name));
    bench.pull(&[&names[0], &names[1], &names[2]]).ok().wire_at_least(303_000).wire_at_most(322_000);
    for name in ["a:1", "b:1", "c:1"] {
        bench.assert_same(name);
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_without_a_name_is_selected_by_its_id() {
    let bench = Bench::start();
    let image = dsync_lab::images::Image::untagged().layer(&layer("sync-untagged", 20_000));
    bench.there().put(&image);
    let id = image.id().to_string();
    bench.pull(&[&id]).ok().wire_at_least(20_000).wire_at_most(32_000);
    bench.assert_same(&id);
    assert_eq!(bench.here().docker(&["image", "inspect", "--format", "{{.RepoTags}}", &id]), "[]");
    // The first digits will do, with or without the name of the hash.
    let short = &id["sha256:".len()..][..12];
    bench.pull(&[short]).ok().says("current").wire_at_most(10_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_dry_run_tells_the_plan_and_moves_nothing() {
    let bench = Bench::start();
    let (base, other) = (layer("sync-dry-base", 50_000), layer("sync-dry-other", 50_000));
    let new = layer("sync-dry-new", 50_000);
    bench.here().put(&bench.image("web:1").layer(&base));
    bench.here().put(&bench.image("other:1").layer(&other));
    bench.there().put(&bench.image("web:1").layer(&base).layer(&other).layer(&new));
    let (web, before) = (bench.name("web:1"), bench.here().id("web:1"));
    bench.record_docker();
    let plan = bench.pull(&["--dry-run", &web]).ok().wire_at_most(11_000);
    assert!(plan.out.contains("1 shared, 1 built from what the target has, 1 sent"), "{plan}");
    assert_eq!(bench.here().id("web:1"), before);
    for calls in bench.docker_calls() {
        assert!(!calls.iter().any(|call| call.contains("load") || call.contains("tag ")), "{calls:?}");
    }

    let json = bench.pull(&["--dry-run", "--json", &web]).ok().wire_at_most(11_000).json();
    let estimate = json["results"][0]["packed"].as_u64().unwrap();
    assert!((50_000..52_000).contains(&estimate), "{json}");
    bench.pull(&[&web]).ok().wire_at_least(estimate).wire_at_most(estimate + 14_000);
    bench.assert_same("web:1");
}
