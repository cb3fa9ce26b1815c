//! `--help`, `--version`, the manual page, the completions.

use std::process::Stdio;

use crate::environment::{Environment, PROGRAM, Ran};

#[test]
fn short_help() {
    insta::assert_snapshot!(Environment::new().run(&["-h"]), @"
    Synchronise container images between hosts over ssh, moving as few bytes as can be

    Usage: docker-sync [OPTIONS] REMOTE [IMAGE]...
           docker-sync push|pull [OPTIONS] REMOTE IMAGE...
           docker-sync COMMAND

    Commands:
      diff         Write the difference between two images to a patch file
      apply        Make the new image from a patch and the old image
      patch        Print what a patch file is made of
      cache        List or prune the index cache of this host
      doctor       Examine this host, a remote and the link between them; move nothing
      completions  Print a completion script for your shell
      man          Print the manual page

    Arguments:
      <REMOTE>    The other side: user@host, an ssh alias, ssh://user@host:port, oci:DIR,
                  docker-archive:FILE, or oci-archive:FILE
      [IMAGE]...  Images to bring over: NAME or NAME:TAG, a pattern like 'shop/*:v2', or an image ID

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Selection:
      -a, --all                  All images that need update or are new
      -u, --update               Only images that need update (of those named, if any are)
      -n, --new                  Only images that are new (of those named, if any are)
          --if-newer             Leave images alone that are newer on the target
      -r, --report               Show the report, move nothing
      -p, --push                 This host is the source and REMOTE the target
          --dry-run              Print what would be moved, image by image, and move nothing
          --explain              List the files that the transferred bytes belong to
          --verify               Read the image back on the target, and check every byte of it
          --platform <PLATFORM>  Only images of this platform: OS/ARCH[/VARIANT], as linux/arm64

    Connection:
          --ssh <CMD>            The ssh program with its options, as 'ssh -i key -J jump' [env:
                                 DOCKER_SYNC_SSH]
          --docker <CMD>         The engine of this host: docker, podman, containerd, 'sudo docker',
                                 oci:DIR [default: what is there] [env: DOCKER_SYNC_DOCKER]
          --remote-docker <CMD>  The engine of the remote [default: what is there] [env:
                                 DOCKER_SYNC_REMOTE_DOCKER]
      -f, --tmpfolder <DIR>      Directory for temporary files, on both sides [default: the system's]
                                 [env: DOCKER_SYNC_TMPFOLDER]
          --timeout <N>          Seconds without a word from the other side after which it is given up;
                                 0 for never [env: DOCKER_SYNC_TIMEOUT] [default: 60]
          --engine-timeout <N>   Seconds that an engine may keep a side waiting; 0 for any time
                                 [default: 0]
          --memory <SIZE>        Memory limit of each side, in addition to a fixed 64 MiB, whatever the
                                 image and the other side are [default: 256MiB]
          --limit <RATE>         The most bytes that cross in a second, in each direction, as 2MB/s
          --retries <N>          Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s
                                 … up to 30 s; 0 for none [env: DOCKER_SYNC_RETRIES] [default: 3]

    Transfer:
          --method <METHOD>      Transfer method [default: auto] [possible values: auto, delta, rsync,
                                 stream]
          --compression <LEVEL>  auto (by the speed of the link), max (fewest bytes), or a zstd level, 1
                                 to 22 [default: auto]
          --identity <IDENTITY>  Identity to preserve in stores that name images by manifests:
                                 containerd image stores, OCI layouts [default: exact] [possible values:
                                 exact, content]
          --with-referrers       Sync no image without its signatures and attestations, or fail; by
                                 default they go along where both stores keep them
          --no-referrers         Leave signatures and attestations beside an image behind
          --basis <IMAGE>        The target's image to build on, instead of the one that is found

    Output:
          --json               Print one JSON document instead of text
          --format <TEMPLATE>  Print each image of the report by a template, as '{{.Name}} {{.Status}}'
      -q, --quiet              Print only data and errors
      -v, --verbose            Print what is being done and why
          --progress <FORM>    Form of the progress on standard error [env: DOCKER_SYNC_PROGRESS]
                               [default: auto] [possible values: auto, tty, plain, json, none]
          --no-progress        The same as --progress=none
          --color <WHEN>       When to use colours; NO_COLOR and CLICOLOR are honoured [default: auto]
                               [possible values: auto, always, never]

    Examples:
      See what differs between this host and another:
        docker-sync alice@build
      Bring one image here, or update it:
        docker-sync alice@build shop/web:v2
      Update everything that is here already:
        docker-sync --update alice@build

    See --help for more examples and the exit codes.
    --- stderr
    --- exit 0
    ");
}

#[test]
fn long_help_teaches() {
    let ran = Environment::new().run(&["--help"]);
    assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)));
    for text in
        ["Examples:", "docker-sync --push deploy@prod", "Exit codes:", "130  interrupted", "DOCKER_SYNC_SSH"]
    {
        assert!(ran.out.contains(text), "{text}");
    }
    assert!(!ran.out.contains('\x1b'), "no colour on a pipe");
}

#[test]
fn colour_is_as_asked_for() {
    let environment = Environment::new();
    assert!(environment.run(&["--color", "always", "--help"]).out.contains('\x1b'));
    assert!(environment.run(&["--color=always", "host", "--nope"]).err.contains('\x1b'));
    assert!(!environment.run(&["--color=never", "host", "--nope"]).err.contains('\x1b'));
}

#[test]
fn version() {
    let ran = Environment::new().run(&["--version"]);
    assert_eq!(ran.out, format!("docker-sync {}\n", env!("CARGO_PKG_VERSION")));
    let ran = Environment::new().run(&["agent", "--version"]);
    let agent = Environment::new()
        .command(env!("CARGO_BIN_EXE_docker-sync-agent"))
        .args(["agent", "--version"])
        .output();
    assert_eq!(agent.unwrap().stdout, ran.out.as_bytes(), "the agent alone is the same build");
    let line = format!("docker-sync agent {} protocol ", env!("CARGO_PKG_VERSION"));
    let (_, build) = ran.out.trim_end().strip_prefix(&line).unwrap().split_once(" build ").unwrap();
    assert!(build.len() == 16 && build.bytes().all(|digit| digit.is_ascii_hexdigit()), "{ran}");
}

#[test]
fn completions_for_every_shell() {
    let environment = Environment::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = environment.run(&["completions", shell]);
        assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)), "{shell}");
        let words: &[&str] = match shell {
            "elvish" | "powershell" => &["tmpfolder", "dry-run", "completions"],
            _ => &["docker-sync __complete"],
        };
        for word in words {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
    let script = environment.path().join("completions");
    std::fs::write(&script, environment.run(&["completions", "bash"]).out).unwrap();
    let checked = environment.command("bash").arg("-n").arg(&script).output().unwrap();
    assert!(checked.status.success(), "{}", Ran::from(checked));
}

#[test]
fn manual_page() {
    let ran = Environment::new().run(&["man"]);
    assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)));
    for text in
        [".TH docker-sync 1", ".SH SYNOPSIS", ".SH EXAMPLES", ".SH \"EXIT STATUS\"", "\\-\\-tmpfolder"]
    {
        assert!(ran.out.contains(text), "{text}");
    }
}

#[test]
fn a_reader_that_goes_away_causes_no_panic() {
    let environment = Environment::new();
    for arguments in [&["--help"][..], &["man"], &["completions", "bash"]] {
        let mut command = environment.command(PROGRAM);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let environment = Environment::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::from(environment.command(PROGRAM).arg("man").stdout(full).output().unwrap());
    insta::assert_snapshot!(ran, @"
    --- stderr
    error: cannot write to standard output
      caused by: No space left on device (os error 28)
    --- exit 6
    ");
}
