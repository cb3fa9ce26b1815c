//! The report, for three readers: a person at a terminal, a pipe, and a program that reads JSON.

mod json;
mod plain;
mod table;
mod view;

pub(crate) use json::{document, failure};
pub(crate) use plain::plain;
pub(crate) use table::table;
pub(crate) use view::{View, label, natural};
