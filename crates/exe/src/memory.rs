//! Memory for buffers that are as long as a file.

/// The size from which on glibc gives a freed allocation back.
const KEPT: usize = 33 << 20;

/// Allocates beyond the allocator's mmap threshold, so that freeing gives the memory back to the system.
///
/// glibc keeps freed allocations of up to 32 MiB, and several as long as a file would add to all that comes after. Room
/// that is never written to costs nothing.
pub fn roomy<T>(many: usize) -> Vec<T> {
    Vec::with_capacity(many.max(KEPT / size_of::<T>()))
}
