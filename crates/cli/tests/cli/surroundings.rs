//! Odd surroundings of a process: outputs that are full or closed, limits, folders that are not there. Each has a sentence
//! and an exit code, and leaves nothing behind.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::environment::{Environment, PROGRAM, Ran};
use crate::liars::{BOUNDED, Liar, finished};
use crate::saved::{CREATED, Files, Image};

/// An image of 300 kB in an archive.
fn with_archive() -> Environment {
    let environment = Environment::new();
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 24) as u8 % 90)
    };
    let contents: String = (0..300_000).map(|_| noise()).collect();
    let archive = Files::saved(&[(&Image::new(&contents, CREATED), &["web:1"])]).tar();
    fs::write(environment.path().join("x.tar"), archive).unwrap();
    environment
}

const SYNC: [&str; 4] = ["--docker", "oci:out", "docker-archive:x.tar", "web:1"];

/// The program with these arguments, started by a shell after it has done this.
fn after(environment: &Environment, first: &str, arguments: &[&str]) -> Command {
    let mut command = environment.command("sh");
    command.args(["-c", &format!("{first}; exec \"$0\" \"$@\""), PROGRAM]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(mut command: Command) -> Ran {
    finished(command.spawn().unwrap(), BOUNDED)
}

/// Nothing is there that was not before but the layout and the cache.
#[track_caller]
fn assert_tidy(environment: &Environment) {
    let names =
        fs::read_dir(environment.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let odd: Vec<String> =
        names.filter(|name| !["bin", "x.tar", "out", ".cache"].contains(&&**name)).collect();
    assert_eq!(odd, [""; 0]);
}

#[test]
fn a_full_standard_output_is_told_and_ends_with_6() {
    let environment = with_archive();
    for arguments in [
        &SYNC[..3],
        &["--json", SYNC[0], SYNC[1], SYNC[2]],
        &["--json", SYNC[0], SYNC[1], SYNC[2], "none:1"],
        &["--dry-run", SYNC[0], SYNC[1], SYNC[2], SYNC[3]],
        &["--version"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
        &["cache", "ls", "--json"],
    ] {
        let mut command = environment.command(PROGRAM);
        command.args(arguments).stdout(File::options().write(true).open("/dev/full").unwrap());
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let (exit, expected) = match arguments.contains(&"none:1") {
            false => (6, "error: cannot write to standard output\n  caused by: No space left on device"),
            // The document could not be written, and what failed is said all the same.
            true => (5, "error: the source has no image 'none:1'"),
        };
        assert!(output.status.code() == Some(exit) && err.starts_with(expected), "{arguments:?}: {err}");
    }
    // A sync prints no data.
    let mut command = environment.command(PROGRAM);
    command.args(SYNC).stdout(File::options().write(true).open("/dev/full").unwrap());
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_full_or_closed_stream_does_not_stop_a_sync() {
    for streams in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"] {
        let environment = with_archive();
        let ran = ran(after(&environment, &format!("exec {streams}"), &SYNC));
        assert_eq!(ran.exit, Some(0), "{streams}: {ran}");
        assert!(environment.path().join("out/index.json").exists(), "{streams}");
        assert_tidy(&environment);
    }
}

#[test]
fn a_reader_that_goes_away_does_not_matter() {
    let environment = with_archive();
    for arguments in [&SYNC[..3], &["--json", SYNC[0], SYNC[1], SYNC[2]], &["man"]] {
        let mut command = environment.command(PROGRAM);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_limit_of_the_system_is_named() {
    let limits = [
        ("-n", &[8, 10, 12, 14, 16, 20, 24, 32, 64][..], "Too many open files"),
        ("-f", &[0, 1, 64, 256][..], "File too large"),
        ("-v", &[40_000, 60_000, 100_000, 250_000][..], "memory"),
    ];
    for (limit, values, words) in limits {
        let mut failed = 0;
        for value in values {
            let environment = with_archive();
            let ran = ran(after(&environment, &format!("ulimit {limit} {value}"), &SYNC));
            let is_there = environment.path().join("out/index.json").exists();
            match ran.exit {
                Some(0) => assert!(is_there, "{limit} {value}: {ran}"),
                // The loader may get no memory for the program itself.
                Some(127) if limit == "-v" => {}
                Some(1) => {
                    failed += 1;
                    assert!(
                        ran.err.contains(words) && !ran.err.contains("is a bug"),
                        "{limit} {value}: {ran}"
                    );
                    // Who gets no memory has no words of its own.
                    assert!(
                        limit == "-v" || ran.err.contains(&format!("`ulimit {limit}`")),
                        "{limit} {value}: {ran}"
                    );
                }
                _ => panic!("{limit} {value}: {ran}"),
            }
            assert_tidy(&environment);
        }
        assert!(failed > 0, "no limit {limit} was too small");
    }
}

/// ssh is there, and cannot be started.
#[test]
fn a_process_that_cannot_be_started_is_not_missing() {
    let liar = Liar::new("exit 1");
    let ran = ran(after(&liar.0, "ulimit -n 8", &["--docker", "oci:layout", "evil"])).exits(1);
    assert!(ran.err.starts_with("error: cannot start 'ssh'\n  caused by: Too many open files"), "{ran}");
}

#[test]
fn a_folder_for_temporary_files_that_is_of_no_use_is_named() {
    let environment = with_archive();
    let folder = environment.path().display().to_string();
    for (tmpdir, said) in [
        (format!("{folder}/none"), "is not a directory"),
        (format!("{folder}/x.tar"), "is not a directory"),
        // Nobody makes files there, not even root.
        ("/proc".into(), "takes no files"),
    ] {
        let environment = with_archive();
        environment.script("ssh", "exit 1");
        for arguments in [&SYNC[..], &["--docker", "oci:out", "--method", "stream", "evil", "web:1"]] {
            let mut command = environment.command(PROGRAM);
            let ran = Ran::from(command.args(arguments).env("TMPDIR", &tmpdir).output().unwrap()).exits(2);
            let expected = format!(": the temporary folder {tmpdir} {said}");
            assert!(ran.err.contains(&expected) && ran.err.contains("--tmpfolder"), "{tmpdir}: {ran}");
        }
        assert_tidy(&environment);
    }
    // An empty one is none at all.
    let mut command = environment.command(PROGRAM);
    let ran = Ran::from(command.args(SYNC).env("TMPDIR", "").output().unwrap());
    assert_eq!(ran.exit, Some(0), "{ran}");
}

#[test]
fn a_home_that_is_of_no_use_is_done_without() {
    for (name, value) in [("HOME", ""), ("HOME", "/proc"), ("XDG_CACHE_HOME", "/dev/null")] {
        let environment = with_archive();
        let mut command = environment.command(PROGRAM);
        let ran = Ran::from(command.args(SYNC).args(["-v"]).env(name, value).output().unwrap()).exits(0);
        assert!(ran.err.contains("layers are not remembered"), "{name}={value}: {ran}");
        let mut command = environment.command(PROGRAM);
        let unset = Ran::from(command.args(SYNC).env_remove("HOME").output().unwrap());
        assert_eq!((unset.exit, unset.err.contains("error")), (Some(0), false), "{unset}");
    }
}

#[test]
fn the_engine_of_a_user_is_found_where_that_of_the_system_does_not_answer() {
    let environment = Environment::new();
    let run = environment.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let info = r#"{"ServerVersion":"27.0.1","Driver":"overlay2","DockerRootDir":"/nowhere"}"#;
    environment.script(
        "docker",
        &format!(
            "case $* in \"--host unix://{}/docker.sock info\"*) echo '{info}';;\n*) echo 'Cannot connect to the Docker \
             daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1;; esac",
            run.display()
        ),
    );
    let examined = |variables: &[(&str, &str)]| {
        let mut command = environment.command(PROGRAM);
        command.args(["doctor", "oci:lay"]).env("XDG_RUNTIME_DIR", &run).envs(variables.iter().copied());
        Ran::from(command.output().unwrap())
    };
    let is_down = |ran: &Ran| ran.exit == Some(4) && ran.out.contains("Cannot connect to the Docker daemon");
    let ran = examined(&[]);
    assert!(is_down(&ran), "it has no socket: {ran}");
    std::fs::write(run.join("docker.sock"), "").unwrap();
    let ran = examined(&[]);
    assert!(ran.exit == Some(0) && ran.out.contains("engine   docker 27.0.1, overlay2"), "{ran}");
    let ran = examined(&[("DOCKER_HOST", "unix:///elsewhere.sock")]);
    assert!(is_down(&ran), "another engine was chosen: {ran}");
    std::fs::create_dir(environment.path().join(".docker")).unwrap();
    std::fs::write(environment.path().join(".docker/config.json"), r#"{"currentContext":"lab"}"#).unwrap();
    let ran = examined(&[]);
    assert!(is_down(&ran), "another engine was chosen: {ran}");
}
