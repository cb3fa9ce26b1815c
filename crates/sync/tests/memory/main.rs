//! `--memory` is a bound, whatever the other end sends and whatever the image is: each test runs an end in a process of its
//! own and looks at the most memory that it ever had.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod evil;
mod many;
mod million;
mod peak;
mod source;
mod target;
