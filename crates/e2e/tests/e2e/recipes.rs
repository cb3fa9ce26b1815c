//! The recipes of the documentation, as they stand there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use dsync_e2e::{Bench, layer, program};

const RECIPES: &str = include_str!("../../../../docs/recipes.md");
/// The mark of a recipe that is run, with the command that runs it if that is another than a shell.
const MARK: &str = "<!-- run";

/// A block of code, and the command for it.
struct Recipe {
    heading: String,
    command: String,
    code: String,
}

fn recipes() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    let mut heading = "";
    let mut lines = RECIPES.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        } else if let Some(command) = line.strip_prefix(MARK) {
            let command = command.trim_end_matches("-->").trim_start_matches(':').trim().to_owned();
            let fence =
                lines.by_ref().find(|line| line.starts_with("```")).expect("a block follows its mark");
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            assert!(matches!(fence, "```sh" | "```make"), "{heading}: {fence}");
            recipes.push(Recipe { heading: heading.into(), command, code: code.join("\n") + "\n" });
        }
    }
    recipes
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn recipes_do_what_they_say() {
    let bench = Bench::start();
    let old = bench.image("web:v1").layer(&layer("recipe base", 100_000));
    let new = bench.image("web:v2").layer(&layer("recipe base", 100_000)).layer(&layer("recipe", 5_000));
    bench.here().put(&old);
    bench.here().put(&new);
    bench.there().put(&old);
    // The words of a recipe stand for a host and for images.
    let of_test = |text: &str| {
        let names = bench.name("");
        ["deploy@prod", "web1", "web2"]
            .iter()
            .fold(text.replace("shop/", &names), |text, host| text.replace(host, bench.remote()))
    };
    // A user has the program on PATH, and the hosts in the configuration of ssh.
    symlink(program(), bench.bin().join("docker-sync")).unwrap();
    let ssh = bench.bin().join("ssh");
    fs::write(&ssh, format!("#!/bin/sh\nexec /usr/bin/{} \"$@\"\n", bench.ssh())).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let recipes = recipes();
    assert!(recipes.len() >= 7, "{}", recipes.len());
    for Recipe { heading, command, code } in recipes {
        let mut run = bench.bare_command("/bin/sh");
        match &command[..] {
            "" => run.args(["-ec", &of_test(&code)]),
            command => {
                fs::write(bench.work().join("Makefile"), of_test(&code)).unwrap();
                run.args(["-ec", command])
            }
        };
        let ran = bench.run_command(run);
        assert_eq!(ran.exit, Some(0), "{heading}: {ran}");
        if heading.contains("changed") {
            assert!(!ran.out.contains("compose"), "it was there: {ran}");
        }
    }
    assert_eq!(bench.there().id("web:v2"), bench.here().id("web:v2"));
    assert_eq!(bench.there().id("web:live"), bench.there().id("web:v1"), "it is the one before again");
    assert!(bench.work().join("web.patch").exists());
    bench.assert_tidy();
}
