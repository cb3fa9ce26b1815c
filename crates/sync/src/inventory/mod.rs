//! Images of a store: which are meant by a pattern, and what a target has of one.

pub(crate) mod nested;
pub(crate) mod select;
pub(crate) mod survey;
