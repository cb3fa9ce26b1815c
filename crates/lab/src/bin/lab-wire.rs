//! `lab-wire`: an ssh ProxyCommand that counts, and if asked slows down or cuts, what crosses.
//!
//! ssh ends its proxy with a hangup. Start it with `nohup`, so that it sees the end of its input instead
//! and can write down what it counted.

use std::io;
use std::process::ExitCode;

use dsync_lab::wire::proxy::{Options, carry};

const USAGE: &str = "usage: lab-wire [--log FILE] [--label TEXT] [--rate-mbit N] [--rtt-ms N] \
[--cut-up BYTES] [--cut-down BYTES] [--hold-up BYTES] [--hold-down BYTES] [--gate DIR] HOST PORT

The label is $WIRE_LABEL unless one is given. Only loopback addresses are carried.";

fn main() -> ExitCode {
    let label = std::env::var("WIRE_LABEL").unwrap_or_default();
    let Some((options, host, port)) = parse(std::env::args().skip(1), label) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match carry(&options, &host, port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-wire: {host} port {port}: {}", with_hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>, label: String) -> Option<(Options, String, u16)> {
    let mut options = Options { label, ..Options::default() };
    let mut positional = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--log" => options.log = Some(words.next()?.into()),
            "--label" => options.label = words.next()?,
            "--rate-mbit" => options.rate_mbit = words.next()?.parse().ok().filter(|n| *n >= 0.0)?,
            "--rtt-ms" => options.rtt_ms = words.next()?.parse().ok().filter(|n| *n >= 0.0)?,
            "--cut-up" => options.cut_up = Some(words.next()?.parse().ok()?),
            "--cut-down" => options.cut_down = Some(words.next()?.parse().ok()?),
            "--hold-up" => options.hold_up = Some(words.next()?.parse().ok()?),
            "--hold-down" => options.hold_down = Some(words.next()?.parse().ok()?),
            "--gate" => options.gate = Some(words.next()?.into()),
            _ if word.starts_with('-') => return None,
            _ => positional.push(word),
        }
    }
    let [host, port] = <[String; 2]>::try_from(positional).ok()?;
    Some((options, host, port.parse().ok()?))
}

fn with_hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{error}; has the lab been stopped?"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<(Options, String, u16)> {
        parse(line.split(' ').map(str::to_owned), "env".to_owned())
    }

    #[test]
    fn options_are_understood() {
        let (options, host, port) =
            parsed("--log l --rate-mbit 20 --rtt-ms 50.5 --cut-down 9 127.0.0.1 22").unwrap();
        assert_eq!((host.as_str(), port), ("127.0.0.1", 22));
        let expected = Options {
            log: Some("l".into()),
            label: "env".to_owned(),
            rate_mbit: 20.0,
            rtt_ms: 50.5,
            cut_down: Some(9),
            ..Options::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["", "host", "host x", "--rate-mbit -1 host 1", "--what host 1", "a b 1", "--log"] {
            assert!(parsed(line).is_none(), "{line}");
        }
    }
}
