//! The target of this name in `crates/fuzz`.
#![no_main]

docker_sync_fuzz::fuzz!("partial");
