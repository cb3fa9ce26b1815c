//! A hundred megabytes over links that break: all runs together send little more than one over a link that holds.

use std::time::Duration;

use dsync_e2e::{Bench, Side, layer};
use dsync_lab::Link;
use dsync_lab::images::Image;

const SIZE: u64 = 100_000_000;
/// Layers that the bytes are divided into.
const LAYERS: [usize; 2] = [1, 10];
/// Hundredths of the bytes after which the link breaks, run after run.
const CUTS: [&[u64]; 5] = [&[10], &[50], &[90], &[99], &[18; 5]];

/// Gives the source an image that nobody has yet, of so many layers.
fn image(bench: &Bench, source: &Side<'_>, tag: &str, layers: usize) -> Image {
    let image = (0..layers).fold(bench.image("web:1"), |image, number| {
        image.layer(&layer(&format!("resume-{tag}-{number}"), SIZE as usize / layers))
    });
    source.put(&image);
    image
}

/// Runs the same command over one link that breaks after the other, and then over one that does not.
fn goes_on(push: bool) {
    let bench = Bench::builder().patience(Duration::from_secs(300)).start();
    let (source, target) = if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
    let name = bench.name("web:1");
    // The agent is there already.
    bench.run(&[bench.remote()]).ok();
    let mut failures = Vec::new();
    for layers in LAYERS {
        for cuts in CUTS {
            let tag = format!("{push}-{layers}-{cuts:?}");
            let image = image(&bench, &source, &tag, layers);
            let (mut total, mut said) = (0, String::new());
            for (run, cut) in cuts.iter().map(Some).chain([None]).enumerate() {
                let at = cut.map(|cut| SIZE * cut / 100);
                let rate_mbit = 100.0;
                let link = match push {
                    true => Link { rate_mbit, cut_up: at, ..Link::default() },
                    false => Link { rate_mbit, cut_down: at, ..Link::default() },
                };
                let remote = bench.login().link(&format!("resume-{layers}-{}-{run}", total), &link).unwrap();
                let mut arguments = vec![&remote[..], &name, "-v"];
                arguments.extend(push.then_some("--push"));
                let ran = bench.run(&arguments);
                let ran = if cut.is_some() { ran.exits(3) } else { ran.ok() };
                total += ran.wire.bytes();
                said += &ran.to_string();
            }
            target.assert_is("web:1", &image);
            let more = total as f64 / SIZE as f64;
            println!(
                "{} of {layers} layers, cut after {cuts:?} %: {more:.4} of a clean run",
                if push { "push" } else { "pull" }
            );
            if more > 1.05 {
                failures.push(format!("{tag}: {more:.3}\n{said}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "a hundred megabytes again and again: cargo xtask test --all-engines"]
fn a_pull_that_breaks_sends_little_twice() {
    goes_on(false);
}

#[test]
#[ignore = "a hundred megabytes again and again: cargo xtask test --all-engines"]
fn a_push_that_breaks_sends_little_twice() {
    goes_on(true);
}
