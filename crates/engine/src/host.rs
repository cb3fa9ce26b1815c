//! The platforms of hosts, in the words that images use.

use dsync_core::Platform;

/// The platform of this host's containers, in Go's words; they are Linux on every host but Windows.
pub(crate) fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => self::architecture(other),
    };
    let os = if cfg!(windows) { "windows" } else { "linux" };
    Platform { os: os.into(), architecture: architecture.into(), variant: String::new() }
}

/// The architecture of a machine as its kernel names it, in Go's words.
pub(crate) fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "i386" | "i486" | "i586" | "i686" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        arm if arm.starts_with("armv") => "arm",
        other => other,
    }
}
