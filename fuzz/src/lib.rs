//! Programs of libFuzzer from the targets of `dsync-fuzz`.

use std::sync::atomic::{AtomicUsize, Ordering};

use dsync_fuzz::{PeakAlloc, Target};
pub use libfuzzer_sys;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most memory that an input took until now.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The target of this name.
///
/// # Panics
///
/// Where there is none.
pub fn target(name: &str) -> &'static Target {
    dsync_fuzz::target(name).expect("crates/fuzz has a target of this name")
}

/// Tries an input, and says when one took more memory than any before; `cargo xtask fuzz` reads that.
pub fn run(target: &Target, input: &[u8]) {
    let taken = dsync_fuzz::run(target, input);
    if taken > PEAK.fetch_max(taken, Ordering::Relaxed) {
        eprintln!("MEMORY {taken}");
    }
}

/// The program of a target.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        use $crate::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            static TARGET: ::std::sync::LazyLock<&'static ::dsync_fuzz::Target> =
                ::std::sync::LazyLock::new(|| $crate::target($name));
            $crate::run(&TARGET, input);
        });
    };
}
