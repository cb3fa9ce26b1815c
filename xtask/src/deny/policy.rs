//! What is allowed in the dependency tree, in one place. Every exception has its reason beside it.

/// Licences under which others' code may be part of this project, by their SPDX names.
pub(super) const LICENCES: &[&str] =
    &["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "Zlib", "Unicode-3.0"];

/// Crates that are not to be used, neither directly nor by way of another.
pub(super) const BANNED: &[(&str, &str)] = &[
    ("async-io", NO_RUNTIME),
    ("async-std", NO_RUNTIME),
    ("bincode", "it is unmaintained; postcard has a specified format"),
    ("native-tls", NO_TLS),
    ("openssl", NO_TLS),
    ("openssl-sys", NO_TLS),
    ("rustls", NO_TLS),
    ("smol", NO_RUNTIME),
    ("ssh2", "the system's ssh honours the user's configuration"),
    ("tokio", NO_RUNTIME),
];

const NO_RUNTIME: &str = "the work is one pipe and CPU, and the program is uploaded: no async runtime";
const NO_TLS: &str = "ssh does the encryption";

/// Crates that may be there in several versions.
pub(super) const DUPLICATES: &[(&str, &str)] =
    &[("embedded-io", "postcard offers both of its interfaces; neither is compiled")];
