//! The most memory that this process ever had.

use std::fs;

/// `--memory` of these tests, its default.
pub(crate) const MEMORY: u64 = 256 << 20;

/// The memory that an end may take besides `--memory`: the program, its threads, frames on their way, a part of a
/// section, a section of columns, and what an allocator cannot give back. docs/limits.md states it.
const BESIDES: u64 = 64 << 20;

/// Resident bytes, at the most until now.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Asserts that this process never had more than an end may have.
pub(crate) fn assert_bounded(what: &str, memory: u64) {
    let peak = peak();
    println!("{what}: {} MiB", peak >> 20);
    assert!(peak <= memory + BESIDES, "{what} took {} MiB of memory", peak >> 20);
}
