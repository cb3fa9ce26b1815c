//! Images of a store: which are meant by a pattern, and what a target has of one.

pub(crate) mod assess;
pub(crate) mod select;
