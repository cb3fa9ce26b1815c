//! Reconciles a list of items with the lists of a peer, at a cost that follows the difference.
//!
//! Items are 16-byte hashes in a meaningful order: the entries of a tar, the fine chunks of a file.
//! They are put in groups, the groups in groups again, and so on. Where a group ends is decided by the hashes
//! in it, so an insertion changes the groups around it only. The side that has the new list ([`Requester`]) asks
//! level by level, top down, whether the other ([`Responder`]) has the same group anywhere, and opens those that it has
//! not. A hash tree of this kind is Merkle's (CRYPTO '87); with ends by content it is known as a prolly
//! tree or a "content-defined Merkle tree". The messages are in `docs/negotiation.md`.
//!
//! On the wire a hash is its first seven bytes. With n hashes asked for and m in the index of the other
//! side, some two different ones agree with odds of about n·m/2⁵⁶: at 20,000 and a million 1 in 3.6 million.
//! Such a match is not noticed here: the layer then has another diff id, and is requested again without a basis. A
//! [narrow](Requester::narrow) reconciliation has hashes of four bytes: the ranges that it finds have to be checked.

mod error;
mod item;
mod question;
mod requester;
mod responder;
#[cfg(test)]
mod tests;
mod tree;

pub use error::ReconcileError;
pub(crate) use item::append;
pub use item::{ITEMS_MAX, Item};
pub use requester::Requester;
pub use responder::{CommonRange, Responder};
