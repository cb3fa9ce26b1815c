//! The systems that a release is for.

/// A system that a release is for.
pub(super) struct Target {
    /// As `uname -m` names it, and Rust.
    pub(super) machine: &'static str,
    pub(super) system: System,
    /// As Debian names it; empty where there is no Debian.
    pub(super) debian: &'static str,
    /// Flags for its C code, besides those of .cargo/config.toml.
    pub(super) c_flags: &'static str,
}

/// A kind of system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// Client and agent, as static programs, so that one is enough for each machine.
    Linux,
    /// The client alone.
    MacOs,
}

/// Those with an agent.
pub(super) const TARGETS: [Target; 2] = [
    // libdeflate has functions for wider registers; this clang wants to be told that they exist.
    Target { machine: "x86_64", system: System::Linux, debian: "amd64", c_flags: "-mevex512" },
    Target { machine: "aarch64", system: System::Linux, debian: "arm64", c_flags: "" },
];

/// Those with a client alone.
pub(super) const CLIENTS: [Target; 2] = [
    Target { machine: "aarch64", system: System::MacOs, debian: "", c_flags: "" },
    Target { machine: "x86_64", system: System::MacOs, debian: "", c_flags: "-mevex512" },
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().chain(&CLIENTS)
}

impl Target {
    /// As Rust names it.
    pub(super) fn triple(&self) -> String {
        match self.system {
            System::Linux => format!("{}-unknown-linux-musl", self.machine),
            System::MacOs => format!("{}-apple-darwin", self.machine),
        }
    }

    /// As the C compiler names it; of macOS the oldest version that Rust's programs run on.
    pub(super) fn of_c(&self) -> String {
        match self.system {
            System::Linux => format!("{}-linux-musl", self.machine),
            System::MacOs => format!("{}-macos.11.0", self.machine),
        }
    }

    /// The name of its C compiler.
    pub(super) fn cc(&self) -> String {
        match self.system {
            System::Linux => format!("{}-cc", self.machine),
            System::MacOs => format!("{}-macos-cc", self.machine),
        }
    }

    /// The name of its linker.
    pub(super) fn linker(&self) -> String {
        match self.system {
            System::Linux => format!("{}-ld", self.machine),
            // It brings what stands for Apple's libraries.
            System::MacOs => self.cc(),
        }
    }
}
