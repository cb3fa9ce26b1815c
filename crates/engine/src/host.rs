//! The platform that images are chosen for where nobody names one.

use dsync_core::Platform;

/// The platform of this host's containers, in Go's words; they are Linux on every host but Windows.
pub(crate) fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    };
    let os = if cfg!(windows) { "windows" } else { "linux" };
    Platform { os: os.into(), architecture: architecture.into(), variant: String::new() }
}
