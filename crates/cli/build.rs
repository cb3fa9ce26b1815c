//! Leaves the unwind tables out of the release program, where a panic aborts: nothing but a backtrace would read
//! them, and without symbols a backtrace has no names. The tables of the standard library and of the C library are
//! in those as they come, so only the linker can leave them out. They are 8 % of the upload.
//!
//! `cargo test --release` links with the same flags but unwinds: there the first test that fails ends the others.

use std::env;

/// Linkers that cannot read `no-unwind.ld`.
const OTHER_LINKERS: [&str; 3] = ["mold", "gold", "wild"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwind.ld");
    let says = |name: &str| env::var(name).unwrap_or_default();
    let chosen = says("RUSTC_LINKER") + &says("CARGO_ENCODED_RUSTFLAGS");
    let reads_scripts = !OTHER_LINKERS.iter().any(|linker| chosen.contains(linker));
    // The other profiles unwind.
    if says("PROFILE") == "release" && says("CARGO_CFG_TARGET_OS") == "linux" && reads_scripts {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-T");
        println!("cargo::rustc-link-arg-bins={}/no-unwind.ld", says("CARGO_MANIFEST_DIR"));
    }
}
