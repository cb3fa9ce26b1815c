//! Names, digests and platforms, as people, engines and peers write them; and configs.

use dsync_core::{Config, DiffId, Digest, ImageRef, Pattern, Platform};

use crate::{Memory, Target};

/// Reads a text as each of them: what is accepted is written so that it is read as the same again.
pub(super) const NAMES: Target =
    Target { name: "names", run, memory: Memory { least: 1 << 20, factor: 64 }, seeds };

fn run(input: &[u8]) {
    if let Ok(config) = Config::parse(input) {
        assert_eq!(config.digest, Digest::of(input));
        assert!(config.diff_ids.len() * 64 <= input.len());
        assert_eq!(Config::parse(input).ok(), Some(config));
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(name) = text.parse::<ImageRef>() {
        let written = name.to_string();
        assert_eq!(written.parse().as_ref(), Ok(&name), "{written:?}");
        assert_eq!(name.qualified().parse().as_ref(), Ok(&name), "{:?}", name.qualified());
        // Engines and shells get it as an argument.
        assert!(!written.starts_with('-') && !written.contains(char::is_whitespace), "{written:?}");
        assert!(written.chars().all(|c| c.is_ascii_graphic()), "{written:?}");
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>().as_ref(), Ok(&platform));
        assert!(platform.satisfies(&platform));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.hex().parse::<DiffId>().map(|id| *id.as_bytes()), Ok(*digest.as_bytes()));
    }
    if let Ok(pattern) = text.parse::<Pattern>()
        && let Ok(name) = text.parse::<ImageRef>()
    {
        assert!(pattern.matches(&name), "{text:?} does not select itself");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "web",
        "docker.io/library/web:1.0",
        "registry.example:5000/team/app_one__two--three:v1.2-rc.1",
        "[2001:db8::1]:5000/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "team/*:1.?",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "linux/arm/v7",
        r#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z","config":{"Env":["A=b"]},"rootfs":{"type":"layers","diff_ids":["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]},"history":[{"created_by":"RUN x"}]}"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
