//! The report: what differs between two hosts, found out quickly and without touching a layer.

use dsync_e2e::{Bench, layer};
use dsync_lab::images::Image;
use serde_json::json;

/// Puts one image of each kind on a bench with engines of its own: the one that is to be updated is newer
/// there, and has one layer more to send than it shares. One image is only here.
fn one_of_each(bench: &Bench) -> [Image; 3] {
    let (base, old, new) = (layer("base", 40_000), layer("old", 10_000), layer("new", 10_000));
    let current = bench.image("current:1").layer(&base);
    let outdated = bench.image("web:1").layer(&base).layer(&old);
    let newer = bench.image("web:1").layer(&base).layer(&new);
    let unknown =
        bench.image("extra/unknown:v2").layer(&layer("other", 5_000)).created("2024-01-01T00:00:00Z");
    for image in [&current, &outdated, &bench.image("only-here:1").layer(&old)] {
        bench.here().put(image);
    }
    for image in [&current, &newer, &unknown] {
        bench.there().put(image);
    }
    [current, newer, unknown]
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_report_tells_current_from_outdated_from_new() {
    let bench = Bench::alone();
    let [current, newer, unknown] = one_of_each(&bench).map(|image| image.id().to_string());
    let older = bench.here().id("web:1").expect("it is here");
    bench.record_docker();

    // One login, 1.6 kB on top of what ssh needs for that.
    let ran = bench.pull(&[]).ok().wire_at_most(10_000);
    let lines: Vec<String> = ran.out.lines().map(fields).collect();
    let created = "2023-11-14T22:13:20Z";
    assert_eq!(
        lines,
        [
            format!("current|{}|{created}|0/1|{current}|{created}|{current}", bench.name("current:1")),
            format!("new|{}|2024-01-01T00:00:00Z|1/1|{unknown}|-|-", bench.name("extra/unknown:v2")),
            format!("need update|{}|{created}|1/2|{newer}|{created}|{older}", bench.name("web:1")),
        ]
    );
    assert_eq!(ran.err, "");

    // Lists only, the same on both sides: no layer was read, nothing was changed.
    for calls in bench.docker_calls() {
        let verbs: Vec<&str> =
            calls.iter().map(|call| call.split(" --").next().unwrap_or_default()).collect();
        assert!(
            matches!(verbs[..], ["info", "images", inspect] if inspect.starts_with("image inspect ")),
            "{calls:?}"
        );
    }
    bench.push(&[]).ok().says("need update\t").says("only-here:1").wire_at_most(10_000);
}

/// A line of the report without the size, which is the engine's own idea.
fn fields(line: &str) -> String {
    let mut fields: Vec<&str> = line.split('\t').collect();
    assert!(fields.remove(2).parse::<u64>().is_ok_and(|size| size >= 5_000), "{line}");
    fields.join("|")
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_report_is_a_json_document() {
    let bench = Bench::alone();
    one_of_each(&bench);
    let report = bench.pull(&["--json"]).ok().wire_at_most(10_000).json();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["direction"], "pull");
    assert_eq!(
        [&report["source"]["host"], &report["target"]["host"]],
        [&json!(bench.remote()), &json!(null)]
    );
    let images = report["images"].as_array().unwrap();
    let statuses: Vec<&str> = images.iter().map(|image| image["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["current", "new", "need update"]);
    let web = &images[2];
    assert_eq!(web["name"], bench.name("web:1"));
    assert_eq!(web["layers"], json!({"total": 2, "shared": 1, "local": 0, "missing": 1}));
    assert_eq!(web["basis"], json!([bench.name("web:1")]));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_report_can_be_of_some_images() {
    let bench = Bench::start();
    for name in ["shop/web:1", "shop/db:1", "other:1"] {
        bench.there().put(&bench.image(name).layer(&layer("report-some", 1_000)));
    }
    let ran = bench.pull(&["--report", &bench.name("shop/*:*")]).ok();
    let names: Vec<&str> = ran.out.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, [bench.name("shop/db:1"), bench.name("shop/web:1")]);
    assert_eq!(bench.here().id("shop/web:1"), None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_source_without_images_is_an_empty_report() {
    let bench = Bench::alone();
    bench.here().put(&bench.image("only-here:1").layer(&layer("only-here", 1_000)));
    let ran = bench.pull(&[]).ok().wire_at_most(10_000);
    assert_eq!(ran.out, "");
    assert_eq!(bench.pull(&["--json"]).ok().json()["images"], json!([]));
    assert_eq!(bench.pull(&["--all"]).ok().out, "");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_the_source_does_not_have_is_an_error_that_names_the_nearest() {
    let bench = Bench::start();
    bench.there().put(&bench.image("postgres:16").layer(&layer("nearest", 1_000)));
    bench.pull(&[&bench.name("postgers:16")]).exits(5).says(&bench.name("postgres:16"));
    // Without a tag, `latest` is meant.
    bench.pull(&[&bench.name("postgres")]).exits(5).says(&bench.name("postgres:16"));
    assert_eq!(bench.here().id("postgres:16"), None);
}
