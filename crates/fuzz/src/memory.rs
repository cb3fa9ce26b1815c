//! Bounds on the memory that an input takes.

pub use peak_alloc::PeakAlloc;

use crate::Target;

/// Bytes of memory that an input may take: so many, and so many for each of its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Whatever the input is.
    pub least: usize,
    /// For each of its bytes.
    pub factor: usize,
}

impl Memory {
    /// The bound for an input of this length.
    #[must_use]
    pub fn bound(self, len: usize) -> usize {
        self.least.saturating_add(self.factor.saturating_mul(len))
    }
}

/// Tries an input, and returns the most bytes of memory that it took at a time.
///
/// Memory is counted where [`PeakAlloc`] is the allocator of the program; what C code allocates is not seen. Nothing
/// else may run in the process meanwhile.
///
/// # Panics
///
/// The target panics, or takes more than its bound.
pub fn run(target: &Target, input: &[u8]) -> usize {
    let memory = PeakAlloc;
    memory.reset_peak_usage();
    let before = memory.current_usage();
    (target.run)(input);
    let taken = memory.peak_usage().saturating_sub(before);
    let bound = target.memory.bound(input.len());
    assert!(taken <= bound, "{taken} bytes of memory for an input of {} bytes, not {bound}", input.len());
    taken
}
