//! Kinds of pairs that are known to fail, each with the reason. The list is to be empty.

use dsync_testkit::pair::Pair;

/// A kind of pairs that is known to fail.
pub(crate) struct Known {
    /// The reason of the failure.
    pub(crate) reason: &'static str,
    /// True if this pair, which failed with these words, is of the kind.
    pub(crate) is_it: fn(&Pair, &str) -> bool,
}

/// All of them.
pub(crate) const KNOWN: &[Known] = &[];

/// The reason why a pair that failed may fail, if it may.
pub(crate) fn reason(pair: &Pair, failure: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.is_it)(pair, failure)).map(|known| known.reason)
}
