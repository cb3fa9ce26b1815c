//! Failures: each has its sentence and its exit code, and the target is as it was.

mod disks;
mod engines;
mod midway;
mod removed;
mod resume;
