//! `docker-sync cache`: what it shows, what it removes, and what stands in its way.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::environment::{Environment, Ran};

const LAYERS: [&str; 3] = ["a", "b", "c"];

/// A cache with three layers: 1, 2 and 3 kB, used 1, 2 and 3 days ago.
fn filled() -> (Environment, PathBuf) {
    let environment = Environment::new();
    assert_eq!(environment.run(&["cache", "ls"]).to_string(), "--- stderr\n--- exit 0");
    let index = environment.path().join(".cache/docker-sync/index");
    for (days, layer) in (1_u32..).zip(LAYERS) {
        let path = index.join(layer.repeat(64));
        fs::write(&path, vec![0; days as usize * 1000]).unwrap();
        let used = SystemTime::now() - Duration::from_secs(24 * 3600) * days;
        File::open(&path).unwrap().set_modified(used).unwrap();
    }
    (environment, index)
}

fn layers(index: &PathBuf) -> String {
    let names = fs::read_dir(index).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| name[..1].to_owned()).collect();
    names.sort();
    names.concat()
}

#[test]
fn a_pipe_gets_fields() {
    let (environment, _) = filled();
    let ran = environment.run(&["cache", "ls"]);
    assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)));
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split('\t').collect()).collect();
    for ((days, layer), fields) in (1_u64..).zip(LAYERS).zip(&lines) {
        assert_eq!(fields[..2], [format!("sha256:{}", layer.repeat(64)), format!("{days}000")]);
        let unused: u64 = fields[2].parse().unwrap();
        assert!((days * 86400..days * 86400 + 600).contains(&unused), "{fields:?}");
    }
    assert_eq!(lines.len(), LAYERS.len());
}

#[test]
fn a_program_gets_json() {
    let (environment, index) = filled();
    let ran = environment.run(&["cache", "ls", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["directory"], index.to_str().unwrap());
    assert_eq!((&document["limit"], &document["size"]), (&(512 << 20).into(), &6000.into()));
    assert_eq!(document["layers"][2]["diff_id"], format!("sha256:{}", "c".repeat(64)));
    assert_eq!(document["layers"][2]["size"], 3000);
    assert_eq!(document["layers"][2]["unused_seconds"].as_u64().unwrap() / 86400, 3);

    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for key in keys(&document).into_iter().chain(keys(&document["layers"][0])) {
        assert!(page.contains(&format!("`{key}`")), "docs/json.md says nothing of {key}");
    }
}

#[test]
fn what_was_not_used_for_longest_is_forgotten() {
    let (environment, index) = filled();
    insta::assert_snapshot!(environment.run(&["cache", "prune"]), @"
    0 layers forgotten, 0 B freed
    --- stderr
    --- exit 0
    ");
    assert_eq!(layers(&index), "abc");
    insta::assert_snapshot!(environment.run(&["cache", "prune", "--max-size", "3kB"]), @"
    1 layer forgotten, 3.0 kB freed
    --- stderr
    --- exit 0
    ");
    assert_eq!(layers(&index), "ab");
    fs::write(index.join("new-1"), b"half").unwrap();
    insta::assert_snapshot!(environment.run(&["cache", "prune", "--all"]), @"
    2 layers forgotten, 3.0 kB freed
    --- stderr
    --- exit 0
    ");
    assert_eq!(layers(&index), "");
}

/// Parts of transfers without an agent lie in the folder for temporary files.
#[test]
fn what_came_without_an_agent_is_listed_and_forgotten_too() {
    let (environment, _) = filled();
    let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata(environment.path()).unwrap());
    let kept = environment.path().join(format!("docker-sync-partial-{user}"));
    let image = kept.join("d".repeat(64));
    fs::create_dir_all(image.join("layers")).unwrap();
    fs::set_permissions(&kept, Permissions::from_mode(0o700)).unwrap();
    fs::write(image.join("names"), "shop/web:2\n").unwrap();
    fs::write(image.join("layers").join("e".repeat(64)), vec![0; 5000]).unwrap();
    fs::write(image.join("archive"), vec![0; 4000]).unwrap();
    let ran = environment.run(&["cache", "ls"]);
    let line = ran.out.lines().find(|line| line.starts_with("partial")).unwrap();
    let fields: Vec<&str> = line.split('\t').collect();
    assert_eq!(fields[1..3], [format!("sha256:{}", "d".repeat(64)), "9011".to_owned()]);
    assert_eq!(fields[4], "shop/web:2");
    let json = environment.run(&["cache", "ls", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["partial"][0]["size"], 9011, "{json}");
    let ran = environment.run(&["cache", "prune", "--all"]);
    assert!(ran.out.ends_with("1 partial transfer forgotten, 9.0 kB\n"), "{ran}");
    assert!(!kept.exists());
    assert!(!environment.run(&["cache", "ls"]).out.contains("partial"));
}

#[test]
fn a_place_that_others_may_use_is_refused() {
    let (environment, index) = filled();
    fs::set_permissions(&index, Permissions::from_mode(0o777)).unwrap();
    let place = environment.path().to_str().unwrap();
    let shown = |ran: Ran| ran.to_string().replace(place, "HOME");
    insta::assert_snapshot!(shown(environment.run(&["cache", "prune", "--all"])), @"
    --- stderr
    error: this host has no index cache
      caused by: HOME/.cache/docker-sync/index is open to other users
    hint: make it a directory of yours with the mode 0700, or remove it: syncs do without until then
    --- exit 1
    ");
    insta::assert_snapshot!(shown(environment.run(&["cache", "ls", "--json"])), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "cache",
        "message": "this host has no index cache",
        "causes": [
          "HOME/.cache/docker-sync/index is open to other users"
        ],
        "hint": "make it a directory of yours with the mode 0700, or remove it: syncs do without until then"
      },
      "warnings": []
    }
    --- stderr
    --- exit 1
    "#);
    assert_eq!(layers(&index), "abc");
}

#[test]
fn no_place_is_told() {
    let environment = Environment::new();
    let run = |home: &str| {
        let mut command = environment.command(crate::environment::PROGRAM);
        Ran::from(command.env("HOME", home).args(["cache", "ls"]).output().unwrap())
    };
    insta::assert_snapshot!(run(""), @"
    --- stderr
    error: this host has no index cache
      caused by: neither XDG_CACHE_HOME nor HOME is the path of a directory
    hint: set XDG_CACHE_HOME to a directory of yours, as an absolute path
    --- exit 1
    ");
    insta::assert_snapshot!(run("/dev/null"), @"
    --- stderr
    error: this host has no index cache
      caused by: cannot make /dev/null/.cache/docker-sync
      caused by: Not a directory (os error 20)
    hint: set XDG_CACHE_HOME to a directory of yours, as an absolute path
    --- exit 1
    ");
}

#[test]
fn refused() {
    let environment = Environment::new();
    insta::assert_snapshot!(environment.run(&["cache", "prune", "--max-size", "much"]), @"
    --- stderr
    error: invalid value 'much' for '--max-size <SIZE>': expected a size such as 100MB or 1GiB

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["cache", "prune", "--all", "--max-size", "1MB"]), @"
    --- stderr
    error: the argument '--all' cannot be used with '--max-size <SIZE>'

    Usage: docker-sync cache prune --all

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn help() {
    let environment = Environment::new();
    insta::assert_snapshot!(environment.run(&["cache", "--help"]), @"
    List or prune the index cache of this host

    The cache keeps the index of each layer that was read, so that no layer is scanned twice. It holds
    names and hashes of files, not their contents, and can be removed at any time. A sync keeps it below
    512 MiB by itself.

    For example: docker-sync cache ls

    Usage: docker-sync cache <COMMAND>

    Commands:
      ls     List the layers in the cache, the most recently used first
      prune  Remove the least recently used layers until the cache fits the limit

    Options:
      -h, --help
              Print help (see a summary with '-h')
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(environment.run(&["cache", "ls", "--help"]), @"
    List the layers in the cache, the most recently used first

    On a pipe each layer is a line of tab-separated fields: diff id, bytes on disk, seconds since its
    last use. Transfers that broke off follow: the word partial, digest of the config, bytes on disk,
    seconds since, name. For example: docker-sync cache ls | cut -f1

    Usage: docker-sync cache ls [OPTIONS]

    Options:
          --json
              Print one JSON document instead of text

      -h, --help
              Print help (see a summary with '-h')
    --- stderr
    --- exit 0
    ");
    insta::assert_snapshot!(environment.run(&["cache", "prune", "--help"]), @"
    Remove the least recently used layers until the cache fits the limit

    What arrived before a transfer broke off goes as well where it takes more than 8 GiB, or than the
    limit.

    For example: docker-sync cache prune --max-size 100MB

    Usage: docker-sync cache prune [OPTIONS]

    Options:
          --all
              Remove everything; the next sync reads its layers again

          --max-size <SIZE>
              Size limit, as 100MB or 1GiB [default: 512MiB]

      -h, --help
              Print help (see a summary with '-h')
    --- stderr
    --- exit 0
    ");
}

#[test]
fn a_host_of_that_name_can_be_reached() {
    let environment = Environment::new();
    environment.script("docker", "exit 1");
    environment.script("ssh", "echo \"$@\" >&2; exit 255");
    for arguments in [&["ssh://cache"][..], &["--", "cache"]] {
        let ran = environment.run(arguments);
        assert!(ran.err.contains("cannot connect to"), "{ran}");
    }
}
