//! The report, for a person at a terminal, for a pipe, for a program that reads JSON, and by a template.

mod format;
mod json;
mod plain;
mod table;
mod view;

pub(crate) use format::Template;
pub(crate) use json::{document, failure};
pub(crate) use plain::plain;
pub(crate) use table::table;
pub(crate) use view::{View, label, natural};
