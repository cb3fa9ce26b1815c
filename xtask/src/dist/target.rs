//! The systems that a release is for.

/// A system that a release is for: static programs, so one for each machine is enough.
pub(super) struct Target {
    /// As `uname -m` names it, and Rust.
    pub(super) machine: &'static str,
    /// As Debian names it.
    pub(super) debian: &'static str,
    /// Flags for its C code, besides those of .cargo/config.toml.
    pub(super) c_flags: &'static str,
}

/// All of them.
pub(super) const TARGETS: [Target; 2] = [
    // libdeflate has functions for wider registers; this clang wants to be told that they exist.
    Target { machine: "x86_64", debian: "amd64", c_flags: "-mevex512" },
    Target { machine: "aarch64", debian: "arm64", c_flags: "" },
];

impl Target {
    /// As Rust names it.
    pub(super) fn triple(&self) -> String {
        format!("{}-unknown-linux-musl", self.machine)
    }
}
