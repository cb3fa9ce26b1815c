//! The workflow that publishes a release: what can be said of it without running it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use yaml_rust2::{Yaml, YamlLoader};

use crate::workspace;

fn github(file: &str) -> PathBuf {
    workspace::root().join(".github").join(file)
}

fn workflow() -> (String, Yaml) {
    let text = fs::read_to_string(github("workflows/release.yml")).unwrap();
    let mut documents = YamlLoader::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1);
    (text, documents.remove(0))
}

/// All values of a key, wherever it is.
fn all<'a>(yaml: &'a Yaml, key: &str, found: &mut Vec<&'a Yaml>) {
    match yaml {
        Yaml::Hash(entries) => {
            for (name, value) in entries {
                if name.as_str() == Some(key) {
                    found.push(value);
                }
                all(value, key, found);
            }
        }
        Yaml::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

fn values<'a>(yaml: &'a Yaml, key: &str) -> Vec<&'a Yaml> {
    let mut found = Vec::new();
    all(yaml, key, &mut found);
    found
}

#[test]
fn a_tag_alone_starts_it_and_it_may_write_releases_alone() {
    let (_, yaml) = workflow();
    let on = yaml["on"].as_hash().unwrap();
    assert_eq!((on.len(), yaml["on"]["push"].as_hash().unwrap().len()), (1, 1));
    assert_eq!(yaml["on"]["push"]["tags"][0].as_str(), Some("v*"));
    assert!(yaml["permissions"].as_hash().unwrap().is_empty());
    let jobs = yaml["jobs"].as_hash().unwrap();
    assert_eq!(jobs.len(), 1);
    let permissions = yaml["jobs"]["release"]["permissions"].as_hash().unwrap();
    assert_eq!(permissions.len(), 1);
    assert_eq!(yaml["jobs"]["release"]["permissions"]["contents"].as_str(), Some("write"));
    // The build has no token.
    let steps = yaml["jobs"]["release"]["steps"].as_vec().unwrap();
    let build = steps.iter().find(|step| step["run"].as_str().is_some_and(|run| run.contains("docker run")));
    assert!(build.unwrap()["env"].is_badvalue());
}

#[test]
fn no_action_of_others_runs_and_no_text_of_others_is_part_of_a_script() {
    let (text, yaml) = workflow();
    assert!(values(&yaml, "uses").is_empty(), "an action is pinned by the hash of a commit, or left out");
    let runs = values(&yaml, "run");
    let runs: Vec<&str> = runs.iter().filter_map(|run| run.as_str()).collect();
    assert_eq!(runs.len(), 4);
    for run in runs {
        assert!(!run.contains("${{"), "{run}");
        let checked = with_input(Command::new("bash").args(["-n"]), run);
        assert!(checked.status.success(), "{run}: {checked:?}");
    }
    // Whoever publishes has the address.
    let addresses = ["github.com", "://"];
    assert!(!addresses.iter().any(|address| text.contains(address)), "{text}");
}

#[test]
fn its_scripts_are_scripts() {
    for file in ["build.sh", "release-notes.sh"] {
        let checked = Command::new("sh").arg("-n").arg(github(file)).output().unwrap();
        assert!(checked.status.success(), "{file}: {checked:?}");
    }
    let build = fs::read_to_string(github("build.sh")).unwrap();
    assert!(build.contains("\ncargo xtask dist --check --url \"$SERVER/$REPOSITORY/"), "{build}");
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn notes_are_the_section_of_the_version() {
    let notes = |version: &str, changelog: &str| {
        with_input(Command::new("sh").arg(github("release-notes.sh")).arg(version), changelog)
    };
    let changelog = "# Changelog\n\n## Unreleased\n\n- not yet\n\n## [1.2.0] - 2026-12-01\n\nA sentence.\n\n\
                     ### Fixed\n\n- one\n\n## 1.1.0\n\n- old\n";
    let said = |version: &str| String::from_utf8(notes(version, changelog).stdout).unwrap();
    assert_eq!(said("1.2.0"), "A sentence.\n\n### Fixed\n\n- one\n");
    assert_eq!(said("1.1.0"), "- old\n");
    for version in ["1.2", "1.3.0", ""] {
        let failed = notes(version, changelog);
        assert!(!failed.status.success() && failed.stdout.is_empty(), "{version}: {failed:?}");
    }
    // The file of this repository has that form.
    let own = fs::read_to_string(workspace::root().join("CHANGELOG.md")).unwrap();
    assert!(notes("Unreleased", &own).status.success());
}
