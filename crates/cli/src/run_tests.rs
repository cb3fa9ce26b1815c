//! The whole flow over a session that is not real: what stands on which stream, and the exit code.

use std::path::Path;

use dsync_sync::FailureKind;

use super::*;
use crate::progress::{Mode, Verbosity};
use crate::testing::{self, Fake, NOW, Shared};

struct Ran {
    out: String,
    err: String,
    exit: Result<u8, u8>,
}

/// Runs a command line against `fake`; standard output is a pipe.
fn ran(mut fake: Fake, line: &str) -> Ran {
    let words = shlex::split(line).unwrap().into_iter().map(Into::into).collect();
    let args = crate::parse::parse("docker-sync", words, clap::ColorChoice::Never).unwrap().sync;
    let verbosity = Verbosity { mode: Mode::None, quiet: args.quiet || args.json, verbose: false };
    let (err, mut out) = (Shared::default(), Shared::default());
    let progress = Progress::new(verbosity, Box::new(err.clone()), None);
    let format = args.format.as_ref().map(|text| text.parse().unwrap());
    let request = Request {
        task: args.task(),
        images: &args.images,
        direction: crate::backend::direction(&args),
        dry_run: args.dry_run,
        verify: args.verify,
        explain: args.explain,
        if_newer: args.if_newer,
        json: args.json,
        format: format.as_ref(),
        on_report: &|_| {},
        context: Context { remote: "alice@build", ssh: "ssh", images: &[] },
    };
    let clock = testing::clock();
    let reader = out.clone();
    let mut show = Show { out: &mut out, width: None, progress: &progress, now: NOW, clock: &clock };
    let exit = run(&mut fake, &request, &mut show).map_err(|diagnosis| diagnosis.exit);
    Ran { out: reader.plain(), err: err.plain(), exit }
}

#[test]
fn no_image_and_no_flag_is_the_report() {
    let ran = ran(Fake::default(), "alice@build");
    assert_eq!(ran.out.lines().count(), 6);
    assert_eq!((ran.err.as_str(), ran.exit), ("", Ok(0)));
}

#[test]
fn a_template_is_the_form_of_the_report_s_images() {
    let ran = ran(Fake::default(), "alice@build --new --report --format '{{.Name}} {{.Missing}}'");
    assert_eq!((ran.out.as_str(), ran.exit), ("mongo:7 9\nscratchy:latest 0\n", Ok(0)));
}

#[test]
fn a_flag_narrows_the_report() {
    let ran = ran(Fake::default(), "alice@build --report --new");
    let names: Vec<_> = ran.out.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, ["mongo:7", "scratchy:latest"]);
}

#[test]
fn named_images_are_brought_over() {
    let ran = ran(Fake::default(), "alice@build redis:latest debian:12");
    assert_eq!((ran.out.as_str(), ran.exit), ("", Ok(0)));
    insta::assert_snapshot!(ran.err, @"
    debian:12  current
    redis:latest  updated  sent 1.1 MB instead of 113 MB (1.0 %), 4.1 s
      replaced da925a30e31f, built 28 hours ago; `podman tag da925a30e31f redis:latest` goes back
    ");
}

#[test]
fn all_means_update_and_new() {
    let ran = ran(Fake::default(), "alice@build --all");
    assert_eq!((ran.out.as_str(), ran.exit), ("", Ok(0)));
    insta::assert_snapshot!(ran.err, @"
    mongo:7  added  sent 7.0 MB instead of 701 MB (1.0 %), 4.1 s
    redis:latest  updated  sent 1.1 MB instead of 113 MB (1.0 %), 4.1 s
      replaced da925a30e31f, built 28 hours ago; `podman tag da925a30e31f redis:latest` goes back
    registry.example.com:5000/shop/web:2024.02.29-abcdef  updated  sent 4.1 MB instead of 412 MB (1.0 %), 4.1 s
      replaced da925a30e31f, built 28 hours ago; `podman tag da925a30e31f registry.example.com:5000/shop/web:2024.02.29-abcdef` goes back
    scratchy:latest  tagged  sent 20.0 kB, 4.1 s
    total  4 images  sent 12.4 MB instead of 1.2 GB (1.0 %), 32.8 s
    ");
}

#[test]
fn a_flag_selects_among_named_images() {
    let ran = ran(Fake::default(), "alice@build --update debian:12 mongo:7");
    assert_eq!((ran.out.as_str(), ran.exit), ("", Ok(0)));
    assert_eq!(ran.err, "nothing to do: no image needs update\n");
}

#[test]
fn one_failure_stops_no_other_image_and_decides_the_exit_code() {
    let fake = Fake::default().failing("redis:latest", FailureKind::TemporaryFull);
    let ran = ran(fake.failing("scratchy:latest", FailureKind::Other), "alice@build --all");
    assert_eq!(ran.exit, Ok(error::NO_SPACE));
    insta::assert_snapshot!(ran.err, @r"
    mongo:7  added  sent 7.0 MB instead of 701 MB (1.0 %), 4.1 s
    error: redis:latest: on this host: no space left for the container engine
      caused by: write /x: disk full\u{1b}[2J
    hint: free some space on this host, or name a directory on a larger disk for temporary files: --tmpfolder DIR
    registry.example.com:5000/shop/web:2024.02.29-abcdef  updated  sent 4.1 MB instead of 412 MB (1.0 %), 4.1 s
      replaced da925a30e31f, built 28 hours ago; `podman tag da925a30e31f registry.example.com:5000/shop/web:2024.02.29-abcdef` goes back
    error: scratchy:latest: on this host: no space left for the container engine
      caused by: write /x: disk full\u{1b}[2J
    total  2 images  sent 11.2 MB instead of 1.1 GB (1.0 %), 32.8 s
    error: 2 of 4 images failed: redis:latest, scratchy:latest
    ");
}

#[test]
fn a_lost_connection_ends_it() {
    let ran = ran(Fake::default().lost_at("redis:latest"), "alice@build --all");
    assert_eq!(ran.exit, Ok(error::UNREACHABLE));
    insta::assert_snapshot!(ran.err, @"
    mongo:7  added  sent 7.0 MB instead of 701 MB (1.0 %), 4.1 s
    error: redis:latest: the connection to alice@build was lost
      caused by: Killed
    hint: no image was left half done; run the same command again
    error: 1 of 4 images failed: redis:latest
      not tried: registry.example.com:5000/shop/web:2024.02.29-abcdef, scratchy:latest
    ");
}

#[test]
fn an_older_image_over_a_newer_one_is_said() {
    let warning = |ran: &Ran| ran.err.lines().next().unwrap_or_default().to_owned();
    let ran = |line: &str| ran(Fake::older(), line);
    let all = ran("alice@build --update");
    assert_eq!(all.exit, Ok(0));
    insta::assert_snapshot!(warning(&all), @"warning: redis:latest is older than the target's, which it replaces: built 3 hours ago, the target's 2 hours ago");
    assert!(all.err.contains("redis:latest  updated"), "it is done all the same: {}", all.err);
    let dry = ran("alice@build --update --dry-run");
    insta::assert_snapshot!(warning(&dry), @"warning: redis:latest is older than the target's, which it would replace: built 3 hours ago, the target's 2 hours ago");
    assert_eq!(ran("alice@build").err, "", "the report has it in its own form");
    let json: serde_json::Value = serde_json::from_str(&ran("alice@build --json --update").out).unwrap();
    assert_eq!(json["images"][0]["target_created"], "2024-02-29T11:00:00+01:00");
    assert!(json["warnings"][0].as_str().unwrap().starts_with("redis:latest is older"));
}

#[test]
fn with_if_newer_an_older_image_is_left_alone() {
    let ran = |line: &str| ran(Fake::older(), line);
    let all = ran("alice@build --update --if-newer");
    assert_eq!(all.exit, Ok(0));
    insta::assert_snapshot!(all.err, @"redis:latest  left alone, older than the target's: built 3 hours ago, the target's 2 hours ago");
    let dry = ran("alice@build redis:latest --if-newer --dry-run");
    insta::assert_snapshot!(dry.out, @"redis:latest  left alone, older than the target's: built 3 hours ago, the target's 2 hours ago");
    let json: serde_json::Value =
        serde_json::from_str(&ran("alice@build --json --update --if-newer").out).unwrap();
    assert_eq!(json["results"][0]["action"], "left alone");
    assert!(ran("alice@build").out.contains("need update"), "the report is the same");
}

#[test]
fn errors_are_said_even_when_quiet() {
    let ran = ran(
        Fake::default().failing("redis:latest", FailureKind::Other),
        "alice@build -q redis:latest mongo:7",
    );
    assert_eq!((ran.out.as_str(), ran.exit), ("", Ok(error::FAILED)));
    insta::assert_snapshot!(ran.err, @r"
    error: redis:latest: on this host: no space left for the container engine
      caused by: write /x: disk full\u{1b}[2J
    ");
}

#[test]
fn a_dry_run_prints_the_plan() {
    let ran = ran(Fake::default(), "alice@build --dry-run --all");
    assert_eq!((ran.err.as_str(), ran.exit), ("", Ok(0)));
    insta::assert_snapshot!(ran.out, @"
    mongo:7  would be added
      layers    0 shared, 0 built from what the target has, 9 sent
      contents  270 MB in these layers, 261 MB of it on the target already
      transfer  would send 7.4 MB instead of 701 MB (1.1 %)
    redis:latest  would be updated
      layers    1 shared, 1 built from what the target has, 1 sent
      contents  50.0 MB in these layers, 49.0 MB of it on the target already
      basis     redis:latest
      transfer  would send 1.6 MB instead of 113 MB (1.4 %)
    registry.example.com:5000/shop/web:2024.02.29-abcdef  would be updated
      layers    3 shared, 0 built from what the target has, 2 sent
      contents  60.0 MB in these layers, 58.0 MB of it on the target already
      basis     registry.example.com:5000/shop/web:2024.02.29-abcdef
      transfer  would send 4.5 MB instead of 412 MB (1.1 %)
    scratchy:latest  would be tagged: the target has this image under another name or none
    ");
}

#[test]
fn an_unknown_image_ends_it_before_anything_moves() {
    let ran = ran(Fake::default(), "alice@build mongo:7 reddis");
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.exit), ("", "", Err(error::NO_IMAGE)));
}

#[test]
fn json_of_a_report() {
    let ran = ran(Fake::default(), "alice@build --json --report redis:latest");
    assert_eq!((ran.err.as_str(), ran.exit), ("", Ok(0)));
    insta::assert_snapshot!(ran.out, @r#"
    {
      "schema": 1,
      "direction": "pull",
      "source": {
        "host": "alice@build",
        "store": "docker 28.2.2, overlay2"
      },
      "target": {
        "host": null,
        "store": "podman 4.3.1"
      },
      "images": [
        {
          "name": "redis:latest",
          "id": "sha256:e6e61849494c55a096cb48f7efb262271a50e2452b6a9e3553cf26f519f01d23",
          "status": "need update",
          "size": 113000000,
          "created": "2024-02-29T09:00:00Z",
          "target_created": "2024-02-28T08:00:00Z",
          "target_id": "sha256:da925a30e31f7fdaa7044e3e5ba4ae17670de82d677b0e7adf5700428a137a36",
          "platform": "linux/amd64",
          "layers": {
            "total": 3,
            "shared": 1,
            "local": 1,
            "missing": 1
          },
          "basis": [
            "redis:latest",
            "debian:12"
          ]
        }
      ],
      "unreadable": [],
      "warnings": []
    }
    "#);
}

#[test]
fn json_of_a_sync() {
    let fake = Fake::default().failing("scratchy:latest", FailureKind::TemporaryFull);
    let ran = ran(fake, "alice@build --json --push --new");
    assert_eq!((ran.err.as_str(), ran.exit), ("", Ok(error::NO_SPACE)));
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["source"]["host"], serde_json::Value::Null);
    assert_eq!(document["target"]["host"], "alice@build");
    insta::assert_snapshot!(document["results"].to_string(), @r#"[{"action":"added","built":270000000,"error":null,"id":"sha256:e47d276d4dfc58c1e3f6e82c4642a9169493a506a4306588bac636d95c36450d","name":"mongo:7","packed":400000,"packed_again":0,"raw":1000000,"received":7010000,"referrers":0,"reused":261000000,"seconds":4.1,"sent":20000,"size":701000000,"status":"ok","verified":null},{"action":"none","built":0,"error":{"causes":["write /x: disk full\\u{1b}[2J"],"hint":"free some space on this host, or name a directory on a larger disk for temporary files: --tmpfolder DIR","kind":"no-space","message":"on this host: no space left for the container engine"},"id":null,"name":"scratchy:latest","packed":0,"packed_again":0,"raw":0,"received":0,"referrers":0,"reused":0,"seconds":4.1,"sent":0,"size":0,"status":"error","verified":null}]"#);
    insta::assert_snapshot!(document["totals"].to_string(), @r#"{"failed":1,"images":2,"received":7020000,"seconds":16.4,"sent":21000,"size":701000000,"skipped":0}"#);
}

/// All keys anywhere in a document.
fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.push(key.clone());
            keys(value, found);
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_json_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let fake = Fake::default().failing("redis:latest", FailureKind::TemporaryFull);
    let ran = ran(fake, "alice@build --json --all");
    let failure = report::failure(&Diagnosis::new("usage", error::USAGE, "no"), Vec::new());
    let mut found = Vec::new();
    keys(&serde_json::from_str(&ran.out).unwrap(), &mut found);
    keys(&serde_json::from_str(&failure).unwrap(), &mut found);
    found.sort();
    found.dedup();
    assert!(found.len() > 30, "{found:?}");
    for key in found {
        assert!(page.contains(&format!("`{key}`")), "docs/json.md says nothing of {key}");
    }
}

#[test]
fn an_image_that_the_target_cannot_run_is_warned_of_before_it_arrives() {
    let warning = |ran: &Ran| {
        ran.err
            .lines()
            .filter(|line| line.contains("will not run there"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected = "warning: redis:latest is for linux/amd64, and this host is linux/arm64: it has no emulator for that, \
        so the image will not run there";
    for arguments in ["alice@build redis:latest", "alice@build --dry-run redis:latest"] {
        assert_eq!(warning(&ran(Fake::foreign("linux/arm64"), arguments)), [expected], "{arguments}");
        assert!(warning(&ran(Fake::default(), arguments)).is_empty());
    }
    let pushed = ran(Fake::foreign("linux/arm64"), "alice@build --push redis:latest");
    assert!(warning(&pushed)[0].contains("and alice@build is linux/arm64"), "{:?}", warning(&pushed));
    let json = ran(Fake::foreign("linux/arm64"), "alice@build --json redis:latest");
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(document["warnings"][0].as_str().unwrap().contains("will not run there"), "{}", json.out);
    // An image that is there already does not arrive.
    assert!(warning(&ran(Fake::foreign("linux/arm64"), "alice@build debian:12")).is_empty());
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    struct Gone(io::ErrorKind);
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(emit(&mut Gone(io::ErrorKind::BrokenPipe), "x"), Ok(()));
    assert_eq!(emit(&mut Gone(io::ErrorKind::StorageFull), "x").unwrap_err().exit, error::NO_SPACE);
    assert_eq!(emit(&mut Gone(io::ErrorKind::FileTooLarge), "x").unwrap_err().exit, error::FAILED);
}
