//! Command lines that make no sense are refused before anything is done.

use crate::environment::Environment;

#[test]
fn refused() {
    let environment = Environment::new();
    insta::assert_snapshot!(environment.run(&[]), @"
    --- stderr
    error: the following required arguments were not provided:
      <REMOTE>

    Usage: docker-sync [OPTIONS] REMOTE [IMAGE]...
           docker-sync push|pull [OPTIONS] REMOTE IMAGE...
           docker-sync COMMAND

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&[""]), @"
    --- stderr
    error: invalid value '' for '<REMOTE>': the remote is empty: expected user@host, an ssh alias, ssh://user@host:port, oci:DIR, docker-archive:FILE, oci-archive:FILE, or containerd:NAMESPACE

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["--", "-oProxyCommand=x"]), @"
    --- stderr
    error: invalid value '-oProxyCommand=x' for '<REMOTE>': '-oProxyCommand=x' is refused as a remote: a host must not begin with '-'

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "Redis"]), @"
    --- stderr
    error: invalid value 'Redis' for '[IMAGE]...': 'Redis' is not an image name: expected NAME[:TAG], lower-case, as shop/web:v2

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "redis:-1"]), @"
    --- stderr
    error: invalid value 'redis:-1' for '[IMAGE]...': 'redis:-1' has no valid tag: up to 128 letters, digits, '_', '.', '-', not beginning with '.' or '-'

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "--platform", "linux"]), @"
    --- stderr
    error: invalid value 'linux' for '--platform <PLATFORM>': 'linux' is not a platform: expected OS/ARCH or OS/ARCH/VARIANT, as linux/arm64

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "--compression", "30"]), @"
    --- stderr
    error: invalid value '30' for '--compression <LEVEL>': expected auto, max, or a level from 1 to 22

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "--methd", "rsync"]), @"
    --- stderr
    error: unexpected argument '--methd' found

      tip: a similar argument exists: '--method'

    Usage: docker-sync [OPTIONS] REMOTE [IMAGE]...
           docker-sync push|pull [OPTIONS] REMOTE IMAGE...
           docker-sync COMMAND

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(environment.run(&["host", "--ssh", "ssh -i 'key"]), @"
    --- stderr
    error: invalid value 'ssh -i 'key' for '--ssh <CMD>': a quote is not closed

    For more information, try '--help'.
    --- exit 2
    ");
}

#[test]
fn refused_in_json() {
    insta::assert_snapshot!(Environment::new().run(&["--json", "host", "Redis"]), @r#"
    {
      "schema": 1,
      "error": {
        "kind": "usage",
        "message": "invalid value 'Redis' for '[IMAGE]...': 'Redis' is not an image name: expected NAME[:TAG], lower-case, as shop/web:v2",
        "causes": [],
        "hint": "see --help"
      },
      "warnings": []
    }
    --- stderr
    --- exit 2
    "#);
}
